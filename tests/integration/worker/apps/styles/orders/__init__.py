"""An application of the Django project."""
