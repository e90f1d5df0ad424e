"""The application in the picture: catalogues take long, emails and payments do not."""

import random
import time

from celery import Celery

app = Celery("bookshop", set_as_current=False)
app.conf.task_ignore_result = True
app.conf.broker_connection_retry_on_startup = True


def work(seconds: float) -> None:
    """Wait for somebody else, now shorter, now longer, for so many seconds in the mean."""
    time.sleep(seconds * random.uniform(0.5, 1.5))


@app.task
def print_catalogue() -> None:
    """Long."""
    work(8)


@app.task
def send_email() -> None:
    """Short."""
    work(0.2)


@app.task(bind=True, max_retries=3)
def charge_card(self) -> None:
    """Short; now and then the bank is busy, or says no."""
    work(0.4)
    luck = random.random()
    if luck < 0.02:
        message = "card refused"
        raise ValueError(message)
    if luck < 0.06:
        raise self.retry(countdown=1)
