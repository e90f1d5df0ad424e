"""A Celery application for the tests of heartbeats; its broker is in $NAPPING_BROKER."""

import os
import time

from celery import Celery

app = Celery("napping", broker=os.environ["NAPPING_BROKER"])
app.conf.broker_transport_options = {
    "global_keyprefix": os.environ.get("NAPPING_PREFIX", ""),
    "master_name": "shop",  # means something to Sentinels only
}
app.conf.broker_connection_retry_on_startup = True


@app.task
def nap(seconds: float) -> None:
    """Be busy."""
    time.sleep(seconds)
