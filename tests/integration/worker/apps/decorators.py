"""Style: decorators and app.conf.update."""

from bodies import CONF, SAYS, deaf, dies, fails, hold, ignores, quick, rejects, stubborn
from celery import Celery, Task

app = Celery("shop", broker="redis://nowhere.invalid")
app.conf.update(CONF)

for body in (hold, stubborn, quick, deaf, dies, fails, ignores, rejects):
    app.task(body, name=body.__name__, **SAYS)


@app.task(name="limited", rate_limit="1/h", **SAYS)
def limited(key: str) -> None:
    quick(key)


@app.task(name="publish", **SAYS)
def publish(key: str, queue: str) -> None:
    """Publish another task of this application, as tasks do."""
    app.tasks["quick"].apply_async((key,), queue=queue)


@app.task(name="retries", bind=True, **SAYS)
def retries(self: Task, key: str) -> None:
    """Fail once, and do better at once."""
    if not self.request.retries:
        raise self.retry(countdown=0)
