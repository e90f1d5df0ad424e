"""Style: an application whose tasks are bound while it is imported."""

from bodies import CONF, SAYS, hold, stubborn
from celery import Celery

app = Celery("shop", broker="redis://nowhere.invalid")
app.conf.update(CONF)

for body in (hold, stubborn):
    app.task(body, name=body.__name__, **SAYS)

app.finalize()
assert app.tasks["hold"].acks_late is SAYS["acks_late"]
