"""An application that says what its queue is, in the way TEST_DECLARES asks for."""

import os

from bodies import hold, quick
from celery import Celery
from kombu import Exchange, Queue

WAY, QUEUE = os.environ["TEST_DECLARES"], os.environ["TEST_QUEUE"]
ARGUMENTS = {"x-max-priority": 9} if WAY == "x-max-priority" else {"x-queue-type": "quorum"}

app = Celery("shop", broker="redis://nowhere.invalid")
if WAY in ("task_queues", "x-max-priority"):
    exchange = Exchange(QUEUE, type="direct")
    queue = Queue(QUEUE, exchange, routing_key=QUEUE, queue_arguments=ARGUMENTS)
    app.conf.task_queues = [queue]
elif WAY == "task_default_queue_type":
    app.conf.update({WAY: "quorum", "task_default_queue": QUEUE})
else:  # for what the command line names and the application does not
    app.conf.update({WAY: "quorum"})

for body in (hold, quick):
    app.task(body, name=body.__name__)
