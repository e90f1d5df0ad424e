"""umbel's side inside the Celery worker: settings that win, a clean stop, and probes.

Loaded into the user's unmodified application with `celery worker -I umbel_worker.boot`. It is pure
Python, needs nothing but Celery (5.3.6 to 5.7), and knows nothing of Kubernetes.
"""

__version__ = "0.1.0"
