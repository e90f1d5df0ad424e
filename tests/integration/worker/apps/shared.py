"""Style: shared_task in a module that the application imports by configuration."""

from bodies import CONF
from celery import Celery

app = Celery("shop", broker="redis://nowhere.invalid")
app.conf.update(CONF, imports=("shared_bodies",))
