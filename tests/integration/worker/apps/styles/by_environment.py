"""Style: CELERY_CONFIG_MODULE names the settings."""

from celery import Celery

from styles.declaring import declare

app = Celery("shop")
declare("plain", app.task)
