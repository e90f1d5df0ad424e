"""The two simplest tasks, with nothing that contradicts anybody."""

from bodies import hold, quick
from celery import Celery

app = Celery("shop", broker="redis://nowhere.invalid")
app.conf.task_ignore_result = True
app.task(quick, name="quick")
app.task(hold, name="hold")
