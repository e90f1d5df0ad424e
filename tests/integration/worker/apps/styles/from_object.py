"""Style: config_from_object, with the object."""

from bodies import CONF
from celery import Celery

from styles.declaring import declare

app = Celery("shop", broker="redis://nowhere.invalid")
app.config_from_object(type("Settings", (), CONF))
declare("plain", app.task)
