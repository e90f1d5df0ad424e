"""Style: an application whose tasks are bound while it is imported."""

from bodies import CONF, SAYS
from celery import Celery

from styles.declaring import declare

app = Celery("shop", broker="redis://nowhere.invalid")
app.conf.update(CONF)
declare("plain", app.task)

app.finalize()
assert app.tasks["plain.hold"].acks_late is SAYS["acks_late"]
