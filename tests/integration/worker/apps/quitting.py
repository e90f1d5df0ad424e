"""A worker that ends while a message is being delivered to it, once: that of the key `last`."""

from bodies import HOME, quick
from celery import Celery, signals
from celery.exceptions import WorkerTerminate

app = Celery("shop", broker="redis://nowhere.invalid")
app.task(quick, name="quick")


@signals.task_received.connect(weak=False)
def quit_at_the_last(request, **_):
    if "'last'" in request.argsrepr and not (HOME / "quit").exists():
        (HOME / "quit").touch()
        raise WorkerTerminate(0)
