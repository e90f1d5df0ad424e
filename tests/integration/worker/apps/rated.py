"""A task that tells when its worker let it go, and when it began."""

from bodies import quick, tell
from celery import Celery
from celery.worker.consumer import consumer

app = Celery("shop", broker="redis://nowhere.invalid")
app.conf.task_ignore_result = True
app.task(quick, name="quick")

_reserved = consumer.task_reserved


def let_go(request):
    """What Celery's consumer calls when a limited task need wait no more."""
    tell("go", request.id)
    _reserved(request)


consumer.task_reserved = let_go
