"""Style: config_from_object with a namespace, as Django projects have it."""

from bodies import SAYS, hold, stubborn
from celery import Celery

app = Celery("shop", broker="redis://nowhere.invalid")
app.config_from_object("namespaced_settings", namespace="CELERY")

for body in (hold, stubborn):
    app.task(body, name=body.__name__, **SAYS)
