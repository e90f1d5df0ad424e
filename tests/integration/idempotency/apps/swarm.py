"""Two tasks that are not idempotent by themselves; everything comes from the environment.

Each effect is recorded with the process that had it, and each result names its run, so that the
test can tell who did what, how often, and what repeated deliveries were given.
"""

import os
import time
import uuid

import redis
from celery import Celery, signals
from sqlalchemy import create_engine, event, text

from umbel_worker.idempotency import RedisStore, SQLStore, current_lease, idempotent

LEASE_SECONDS = 2.0
redis_url, database = os.environ["SWARM_REDIS"], os.environ["SWARM_DATABASE"]

app = Celery(broker=redis_url, backend=redis_url)
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    result_expires=600,
)
engine = create_engine(f"sqlite:///{database}", connect_args={"timeout": 20})
client = redis.Redis.from_url(redis_url)


@event.listens_for(engine, "connect")
def _processes_die_but_the_machine_does_not(connection, _record):
    connection.execute("pragma journal_mode=wal")
    connection.execute("pragma synchronous=off")


@signals.task_retry.connect
def _met_a_live_lease(**_):
    client.incr("waited")


@app.task(name="redis")
@idempotent(RedisStore(client), key="key", lease_seconds=LEASE_SECONDS)
def in_redis(key):
    time.sleep(0.008)
    client.rpush(f"effects:{key}", os.getpid())
    time.sleep(0.008)  # where a kill leaves the effect done and the record not
    return uuid.uuid4().hex


@app.task(name="sql")
@idempotent(SQLStore(engine), key="key", lease_seconds=LEASE_SECONDS)
def in_sql(key):
    time.sleep(0.005)
    connection = current_lease().connection
    connection.execute(text("update account set balance = balance + 1"))
    values = {"key": key, "pid": os.getpid()}
    connection.execute(text("insert into effects values (:key, :pid)"), values)
    if key.endswith("7"):  # SQLite has one writer: not all may linger where a kill hurts most
        time.sleep(0.02)
    return uuid.uuid4().hex
