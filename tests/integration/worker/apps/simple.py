"""The two simplest tasks, with nothing that contradicts anybody."""

import json
import os

from bodies import hold, quick
from celery import Celery

app = Celery("shop", broker="redis://nowhere.invalid")
app.conf.task_ignore_result = True
app.conf.update(json.loads(os.environ.get("TEST_CONF", "{}")))
app.task(quick, name="quick", rate_limit=os.environ.get("TEST_RATE_LIMIT"))
app.task(hold, name="hold")
