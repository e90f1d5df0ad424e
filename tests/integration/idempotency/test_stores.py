"""Both stores keep one contract; what sets them apart is at the end."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest
import redis
from sqlalchemy import create_engine
from tests.integration.servers import RedisServer, wait_until

from umbel_worker.idempotency import (
    Claimed,
    Done,
    Held,
    RedisStore,
    SQLStore,
    Store,
    StoreUnavailable,
    current_lease,
    idempotent,
)

pytestmark = pytest.mark.integration
T = TypeVar("T")


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(redis_server.url(14)) as client:
        client.flushdb()
        yield client


@pytest.fixture
def redis_store(client: "redis.Redis") -> RedisStore:
    return RedisStore(client)


@pytest.fixture
def sql_store(tmp_path: Path) -> Iterator[SQLStore]:
    engine = create_engine(f"sqlite:///{tmp_path}/records.db")
    store = SQLStore(engine)
    store.create_table()
    yield store
    engine.dispose()


@pytest.fixture(params=["redis_store", "sql_store"])
def store(request: pytest.FixtureRequest) -> Store:
    found: Store = request.getfixturevalue(request.param)
    return found


def claimed(store: Store, key: str = "k", seconds: float = 60) -> int:
    claim = store.claim(key, seconds)
    assert isinstance(claim, Claimed), claim
    return claim.fence


def complete(
    store: Store, fence: int, result: str | None = '"r"', key: str = "k", seconds: float = 60
) -> bool:
    with store.transaction() as connection:
        return store.complete((key, fence), result, seconds, connection)


def soon(what: str, read: Callable[[], T], wanted: type[T]) -> None:
    wait_until(what, lambda: isinstance(read(), wanted), 5)


def test_one_claims_and_the_others_are_told_how_long(store: Store) -> None:
    claimed(store, seconds=60)
    second = store.claim("k", 60)
    assert isinstance(second, Held)
    assert 50 < second.seconds <= 60
    claimed(store, "another key")


def test_of_many_at_once_one_claims(store: Store) -> None:
    for number in range(10):
        with ThreadPoolExecutor(8) as pool:
            claims = list(pool.map(lambda _, n=number: store.claim(f"k{n}", 60), range(8)))
        assert sum(isinstance(claim, Claimed) for claim in claims) == 1


@pytest.mark.parametrize("result", ['"r"', '"\\u00e9"', None])
def test_what_is_done_is_remembered_with_its_result(store: Store, result: str | None) -> None:
    assert complete(store, claimed(store), result)
    assert store.claim("k", 60) == Done(result)
    assert store.claim("k", 60) == Done(result)


def test_it_is_forgotten_after_its_time(store: Store) -> None:
    complete(store, claimed(store), seconds=0.3)
    assert isinstance(store.claim("k", 60), Done)
    soon("free again", lambda: store.claim("k", 60), Claimed)


def test_a_dead_holders_lease_is_taken_over_when_it_has_run_out(store: Store) -> None:
    began = time.monotonic()  # noqa: TID251
    first = claimed(store, seconds=0.5)
    soon("taken over", lambda: store.claim("k", 60), Claimed)
    assert time.monotonic() - began >= 0.5  # noqa: TID251
    assert not store.renew("k", first, 60)
    assert not complete(store, first)
    assert isinstance(store.claim("k", 60), Held)


def test_every_lease_has_a_higher_fencing_token(store: Store) -> None:
    fences = []
    for _ in range(20):
        fences.append(claimed(store))
        store.release("k", fences[-1])
    assert fences == sorted(set(fences))


def test_a_renewed_lease_lasts(store: Store) -> None:
    fence = claimed(store, seconds=0.3)
    assert store.renew("k", fence, 60)
    held = store.claim("k", 60)
    assert isinstance(held, Held)
    assert held.seconds > 50


def test_a_lease_that_ran_out_can_complete_while_nobody_took_it(store: Store) -> None:
    fence = claimed(store)
    store.release("k", fence)
    assert complete(store, fence)
    assert isinstance(store.claim("k", 60), Done)


def test_a_stranger_can_neither_release_renew_nor_complete(store: Store) -> None:
    fence = claimed(store)
    store.release("k", fence - 1)
    assert not store.renew("k", fence - 1, 60)
    assert not complete(store, fence - 1)
    assert isinstance(store.claim("k", 60), Held)


def test_what_is_done_stays_done(store: Store) -> None:
    fence = claimed(store)
    complete(store, fence)
    store.release("k", fence)
    assert not store.renew("k", fence, 60)
    assert isinstance(store.claim("k", 60), Done)


def test_a_lost_answer_does_not_lock_a_client_out(
    client: "redis.Redis", redis_store: RedisStore
) -> None:
    """redis-py sends a script again when its answer was lost; the first had been obeyed."""
    script, sent = redis_store._claim, []

    def twice(keys: list[str], args: tuple[object, ...]) -> object:
        sent.extend([script(keys=keys, args=args), script(keys=keys, args=args)])
        return sent[-1]

    redis_store._claim = twice
    claimed(redis_store)
    assert sent[0] == sent[1]


def test_a_redis_that_forgot_is_told_again(client: "redis.Redis", redis_store: RedisStore) -> None:
    fence = claimed(redis_store)
    client.flushdb()
    assert redis_store.renew("k", fence, 60)
    assert isinstance(redis_store.claim("k", 60), Held)
    client.flushdb()
    assert complete(redis_store, fence)
    assert isinstance(redis_store.claim("k", 60), Done)


def test_every_redis_record_has_a_time_to_live(
    client: "redis.Redis", redis_store: RedisStore
) -> None:
    fence = claimed(redis_store)
    assert client.pttl("umbel:idempotency:k") > 60_000
    redis_store.release("k", fence)
    assert client.pttl("umbel:idempotency:k") > 60_000
    complete(redis_store, claimed(redis_store), seconds=60)
    assert 50_000 < client.pttl("umbel:idempotency:k") <= 60_000


def test_a_client_that_decodes_will_do(redis_server: RedisServer, client: "redis.Redis") -> None:
    with redis.Redis.from_url(redis_server.url(14), decode_responses=True) as decoding:
        store = RedisStore(decoding)
        complete(store, claimed(store))
        assert store.claim("k", 60) == Done('"r"')


def test_a_redis_that_is_away_lets_nothing_run_and_keeps_its_password(
    own_redis: Callable[..., RedisServer],
) -> None:
    server = own_redis(password="s3cret")
    store = RedisStore.from_url(server.url())
    claimed(store)
    server.stop()
    with pytest.raises(StoreUnavailable) as away:
        store.claim("other", 60)
    assert "s3cret" not in f"{away.value} {away.value.__cause__}"


def test_an_effect_that_redis_could_not_record_is_still_a_success(
    own_redis: Callable[..., RedisServer], caplog: pytest.LogCaptureFixture
) -> None:
    server = own_redis()

    @idempotent(RedisStore.from_url(server.url()), key="order")
    def settle(order: str) -> str:
        server.stop()
        return order

    assert settle("a") == "a"
    assert "is done, but that could not be recorded" in caplog.text


def test_an_effect_that_outlived_its_lease_is_reported(
    redis_store: RedisStore, caplog: pytest.LogCaptureFixture
) -> None:
    @idempotent(redis_store, key="order")
    def settle(order: str) -> str:
        lease = current_lease()
        redis_store.release(lease.key, lease.fence)  # as if its time had passed
        claimed(redis_store, lease.key)
        return order

    assert settle("a") == "a"
    assert "its effect may be doubled" in caplog.text


def test_purge_deletes_what_is_over_and_nothing_else(sql_store: SQLStore) -> None:
    complete(sql_store, claimed(sql_store, "old"), key="old", seconds=0.001)
    complete(sql_store, claimed(sql_store, "new"), key="new")
    claimed(sql_store, "running")
    wait_until("one is over", lambda: sql_store.purge() == 1, 5)
    assert isinstance(sql_store.claim("new", 60), Done)
    assert isinstance(sql_store.claim("running", 60), Held)
