"""A task that tells when its worker let it go, and when it began."""

from bodies import quick, tell
from celery import Celery
from celery.worker.request import Request

app = Celery("shop", broker="redis://nowhere.invalid")
app.conf.task_ignore_result = True


class LetGo(Request):
    """Called upon by the consumer once the task may begin."""

    def execute_using_pool(self, pool, **options):
        tell("go", self.id)
        return super().execute_using_pool(pool, **options)


app.task(quick, name="quick", Request=LetGo)
