"""Tasks that end in every way there is, and one that publishes another."""

from bodies import hold, quick
from celery import Celery
from celery.exceptions import Reject

app = Celery("shop", broker="redis://nowhere.invalid")
app.task(hold, name="hold")
app.task(quick, name="quick")


@app.task(name="fails")
def fails(key: str) -> None:
    raise ValueError(key)


@app.task(name="retries", bind=True, max_retries=1)
def retries(self: object, key: str) -> None:
    if not self.request.retries:  # type: ignore[attr-defined]
        raise self.retry(countdown=0)  # type: ignore[attr-defined]
    quick(key)


@app.task(name="rejects")
def rejects(key: str) -> None:
    raise Reject(key, requeue=False)


@app.task(name="publish")
def publish(key: str, queue: str) -> None:
    app.tasks["quick"].apply_async((key,), queue=queue)
