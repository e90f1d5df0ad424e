"""The code of docs/idempotency.md runs, in the order of the page."""

import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from tests.integration.servers import RedisServer

pytestmark = pytest.mark.integration

PAGE = Path(__file__).parents[3] / "docs" / "idempotency.md"


def test_every_example_holds(
    redis_server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = f"sqlite:///{tmp_path}/shop.db"
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("REDIS_URL", redis_server.url(13))
    engine = create_engine(database)
    with engine.begin() as connection:
        connection.execute(text("create table account (balance integer)"))
        connection.execute(text("insert into account values (100)"))
    engine.dispose()

    page = PAGE.read_text()
    blocks = list(re.finditer(r"```python\n(.*?)```", page, re.DOTALL))
    names: dict[str, Any] = {"__name__": __name__}
    for block in blocks:
        line = page[: block.start(1)].count("\n")
        # So that a failure names the line of the page.
        exec(compile("\n" * line + block[1], str(PAGE), "exec"), names)
    names["engine"].dispose()
    names["mails"].close()
    assert len(blocks) >= 7
