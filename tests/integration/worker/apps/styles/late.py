"""Style: app.conf written when the application is finalized, and by every signal of a worker."""

from typing import Any

from bodies import CONF
from celery import Celery, signals

from styles.declaring import declare

app = Celery("shop", broker="redis://nowhere.invalid")
declare("plain", app.task)


def configure(**_: Any) -> None:
    app.conf.update(CONF)
    app.conf.task_acks_late = CONF["task_acks_late"]
    app.conf.broker_transport_options = CONF["broker_transport_options"]


app.on_after_finalize.connect(configure, weak=False)
for signal in (
    signals.celeryd_init,
    signals.celeryd_after_setup,
    signals.worker_init,
    signals.worker_ready,
):
    signal.connect(configure, weak=False)
