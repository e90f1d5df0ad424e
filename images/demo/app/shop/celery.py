"""The shop's Celery application.

Its settings are those that harm most: the opposite of what a long and a short pool need. Whoever
sets what fits must win over every one of them, and over the decorators in `shop.tasks`.
"""

import os

from celery import Celery

app = Celery(
    "shop",
    broker=os.environ.get("CELERY_BROKER_URL", "redis://localhost:6379/0"),
    include=["shop.tasks"],
)
app.conf.update(
    broker_connection_retry_on_startup=True,
    task_acks_late=False,
    task_reject_on_worker_lost=False,
    task_soft_time_limit=1,
    task_time_limit=86400,
    task_ignore_result=True,
    task_routes={
        "shop.tasks.make_report": {"queue": "reports"},
        "shop.tasks.send_email": {"queue": "emails"},
    },
    worker_concurrency=8,
    worker_prefetch_multiplier=16,
)
