"""Style: config_from_object with a namespace, as Django projects have it."""

from celery import Celery

from styles.declaring import declare

app = Celery("shop", broker="redis://nowhere.invalid")
app.config_from_object("styles.namespaced_settings", namespace="CELERY")
declare("plain", app.task)
