"""A database file, which is all that these tests need."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery
from sqlalchemy import Engine, create_engine, text

from umbel_worker.idempotency import SQLStore


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """A database with a table `effects`."""
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db")
    with engine.begin() as connection:
        connection.execute(text("create table effects (what text)"))
    yield engine
    engine.dispose()


@pytest.fixture
def store(engine: Engine) -> SQLStore:
    store = SQLStore(engine)
    store.create_table()
    return store


@pytest.fixture
def app() -> Iterator[Celery]:
    """With a broker in memory, so that what a task sends can be looked at."""
    with Celery("shop", broker="memory://", set_as_current=False) as app:
        yield app
