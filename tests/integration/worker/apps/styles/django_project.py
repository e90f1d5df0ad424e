"""Style: a Django project, whose application's tasks.py is discovered."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "styles.django_settings")

app = Celery("shop", broker="redis://nowhere.invalid")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
