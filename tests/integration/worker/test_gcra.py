"""The script in Redis and the function beside it are the same algorithm."""

import random
import socket
import time

import pytest
from kombu.exceptions import OperationalError
from redis import Redis
from tests.integration.servers import RedisServer
from tests.integration.worker.harness import clock, until
from tests.integration.worker.limited import OWNER

from umbel_worker.rate_limits import RateLimit
from umbel_worker.ratelimit import gcra
from umbel_worker.ratelimit.books import Limiter
from umbel_worker.ratelimit.bucket import Unavailable
from umbel_worker.ratelimit.own import bucket_of

pytestmark = pytest.mark.integration


def server_time(client: "Redis") -> float:
    seconds, micro = client.time()
    return seconds + micro / 1e6


@pytest.mark.parametrize("seed", range(5))
def test_both_book_the_same(redis_server: RedisServer, seed: int):
    chance = random.Random(seed)
    with Redis.from_url(redis_server.url(14)) as client:
        client.flushdb()
        limiter = Limiter(lambda: (client, "p:"), OWNER)
        limits = tuple(
            RateLimit("*" * (i + 1), rate, 1, chance.randint(1, 5), shared=True)
            for i, rate in enumerate(chance.choices([1.0, 20.0, 500.0], k=1 + seed % 2))
        )
        ahead = 0.0 if len(limits) > 1 else gcra.AHEAD
        tats = [0.0] * len(limits)
        for _ in range(60):
            want = chance.randint(1, 30)
            before = server_time(client)
            told = limiter.book(limits, want, ahead)
            after = server_time(client)
            early, _ = gcra.book(tats, [*map(bucket_of, limits)], before, want, ahead)
            late, _ = gcra.book(tats, [*map(bucket_of, limits)], after, want, ahead)
            assert early.number <= told.number <= late.number
            if told.number == 0:
                assert late.retry - 1e-5 <= told.retry <= early.retry + 1e-5
            else:
                assert late.first - 1e-5 <= told.first
                assert not early.number or told.first <= early.first + 1e-5
            keys = sorted(client.scan_iter("p:umbel.limit.*"))
            assert len(keys) == len(limits)
            assert all(client.pttl(key) > 0 for key in keys), "they go away by themselves"
            told_tats = [client.get(f"p:umbel.limit.{OWNER}.{one.id}") for one in limits]
            tats = [float(tat or 0) / 1e6 for tat in told_tats]  # none: gone, for it has passed
            time.sleep(chance.uniform(0, 0.02))


def test_replies_are_read_while_tasks_go_on_each_by_who_asked(redis_server: RedisServer):
    """Two buckets of a worker share its line; the second one's reply is read first."""
    with Redis.from_url(redis_server.url(14)) as client:
        client.flushdb()
        client.script_flush()
        limiter = Limiter(lambda: (client, ""), OWNER)
        slow, fast = (RateLimit(task, rate, 1, 1, shared=True) for task, rate in
                      (("slow", 1.0), ("fast", 1000.0)))  # fmt: skip
        assert limiter.book((fast,), 1, gcra.AHEAD).number == 1, "the script is known from then on"
        first = limiter.ask((slow,), 50, gcra.AHEAD)
        second = limiter.ask((fast,), 50, gcra.AHEAD)
        assert first is not None
        assert second is not None
        asked = clock()
        assert second.booking().number == 50
        until("the other came", first.came, bool)
        until("it is late", clock, lambda now: now > asked + 0.05)
        booked = first.booking()
        assert booked.number == 1
        assert booked.at <= asked + 0.04, "it is read late, and tells when it came"
        assert limiter.book((fast,), 1, gcra.AHEAD).number == 1


def test_a_line_that_breaks_is_known_to_all_who_wait_and_made_anew(redis_server: RedisServer):
    with (
        Redis.from_url(redis_server.url(14)) as client,
        Redis.from_url(redis_server.url()) as other,
    ):
        client.flushdb()
        limiter = Limiter(lambda: (client, ""), OWNER)
        limit = (RateLimit("*", 1000.0, 1, 1, shared=True),)
        limiter.book(limit, 1, gcra.AHEAD)
        other.client_kill_filter(_type="normal", skipme=True)
        assert limiter.book(limit, 1, gcra.AHEAD).number == 1, "a line that was closed in peace"
        other.client_pause(1000)
        several = [limiter.ask(limit, 1, gcra.AHEAD) for _ in range(2)]
        limiter._line._client.connection._sock.shutdown(socket.SHUT_RDWR)
        other.client_unpause()
        for one in several:
            with pytest.raises(Unavailable):
                one.booking()
        assert limiter.book(limit, 1, gcra.AHEAD).number == 1


def test_a_refusal_is_the_same_as_silence(redis_server: RedisServer):
    with Redis.from_url(redis_server.url(14)) as client:
        client.flushdb()
        limiter = Limiter(lambda: (client, ""), OWNER)
        limit = RateLimit("*", 1.0, 1, 1, shared=True)
        client.lpush(f"umbel.limit.{OWNER}.{limit.id}", "no number")
        with pytest.raises(Unavailable):
            limiter.book((limit,), 1, gcra.AHEAD)


def test_whatever_keeps_it_from_its_redis_is_the_same_as_silence():
    """kombu's own error, once not caught, left a worker's limited tasks waiting for ever."""

    def connect() -> tuple["Redis", str]:
        raise OperationalError

    with pytest.raises(Unavailable):
        Limiter(connect, OWNER).book((RateLimit("*", 1.0, 1, 1, shared=True),), 1, gcra.AHEAD)
