"""However workers ask, no more tasks may begin than the limits allow, and none wait for nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.windows import most_within

from umbel_worker.rate_limits import RateLimit
from umbel_worker.ratelimit import gcra
from umbel_worker.ratelimit.bucket import LimitedBucket, Unavailable
from umbel_worker.ratelimit.own import bucket_of

RATES = st.sampled_from([0.5, 1, 3, 10, 30, 200, 2000])


@dataclass
class Server:
    """Keeps what Redis keeps, on a clock of its own."""

    now: float = 1e6
    tats: dict[str, float] = field(default_factory=dict)
    away: bool = False
    calls: int = 0
    waits: int = 0
    """How often a worker waited for a reply."""
    way: float = 0.0
    """Seconds that a reply takes to come."""

    def book(self, limits: tuple[RateLimit, ...], want: int, ahead: float) -> gcra.Booking:
        self.waits += 1
        return self._book(limits, want, ahead)

    def _book(self, limits: tuple[RateLimit, ...], want: int, ahead: float) -> gcra.Booking:
        self.calls += 1
        if self.away:
            raise Unavailable
        tats = [self.tats.get(limit.id, 0.0) for limit in limits]
        booked, after = gcra.book(tats, [*map(bucket_of, limits)], self.now, want, ahead)
        self.tats.update(zip((limit.id for limit in limits), after, strict=True))
        return booked

    def ask(self, limits: tuple[RateLimit, ...], want: int, ahead: float) -> "Reply":
        return Reply(self, self.now + self.way, self._book(limits, want, ahead))


@dataclass
class Reply:
    server: Server
    at: float
    booked: gcra.Booking

    def came(self) -> bool:
        return self.server.now >= self.at

    def booking(self) -> gcra.Booking:
        self.server.waits += not self.came()
        self.server.now = max(self.server.now, self.at)
        return self.booked


def limit(count: float, burst: int = 1, seconds: int = 1, task: str = "*") -> RateLimit:
    return RateLimit(task, float(count), seconds, burst, shared=True)


def a_bucket(server: Server, limits: tuple[RateLimit, ...]) -> LimitedBucket:
    """One worker's."""
    return LimitedBucket(limits, server, wait=True, clock=lambda: server.now, chance=lambda: 0.5)


def turns(server: Server, due: Sequence[float], seconds: float) -> Iterator[int]:
    """Whose turn it is, as time goes by; each moves its own moment in `due`."""
    end = server.now + seconds
    while (at := min(due)) < end:
        server.now = max(server.now, at)
        yield due.index(at)


def run(
    server: Server, limits: tuple[RateLimit, ...], lateness: Sequence[float], seconds: float
) -> list[float]:
    """Workers with a deep backlog, each late by as much as it is told; when tasks began."""
    began: list[float] = []
    workers = [a_bucket(server, limits) for _ in lateness]
    for worker in workers:
        worker.contents.extend(range(100_000))
    wakes = [server.now for _ in workers]
    for number in turns(server, wakes, seconds):
        worker = workers[number]
        while worker.can_consume():
            began.append(server.now)
        wakes[number] = server.now + worker.expected_time() + lateness[number]
    return began


def labour(server: Server, rate: float, workers: int, cost: float, seconds: float) -> list[float]:
    """Workers with a deep backlog that take so long to let one task go; when tasks began."""
    began: list[float] = []
    buckets = [a_bucket(server, (limit(rate),)) for _ in range(workers)]
    for bucket in buckets:
        bucket.contents.extend(range(100_000))
    wakes = [server.now + number * cost / workers for number in range(workers)]
    for number in turns(server, wakes, seconds):
        may = buckets[number].can_consume()
        if may:
            buckets[number].pop()
            began.append(server.now)
        wakes[number] = server.now + (cost if may else buckets[number].expected_time())
    return began


def serve(
    server: Server, limits: tuple[RateLimit, ...], pauses: Sequence[float], seconds: float
) -> list[float]:
    """Workers to whom tasks come one by one, each in its own pauses; when tasks began."""
    began: list[float] = []
    workers = [a_bucket(server, limits) for _ in pauses]
    come = [server.now for _ in workers]
    for number in turns(server, come, seconds):
        worker = workers[number]
        worker.contents.append(None)
        if len(worker.contents) == 1:  # as `umbel_worker.limiter.OneTimer`
            worker.pop()
            if worker.can_consume():
                began.append(server.now)
            else:
                worker.contents.append(None)
        while worker.contents and worker.can_consume():
            worker.pop()
            began.append(server.now)
        come[number] += pauses[number]
    return began


@given(
    rate=RATES,
    burst=st.integers(1, 20),
    lateness=st.lists(st.floats(0, 0.05), min_size=1, max_size=5),
)
def test_no_second_has_more_than_the_rate_and_the_burst(
    rate: float, burst: int, lateness: list[float]
):
    seconds = min(5.0, 400 / rate) if rate > 1 else 10.0
    began = run(Server(), (limit(rate, burst),), lateness, seconds)
    for window in (1.0, 2.5):
        assert most_within(began, window) <= rate * window + burst


@given(rates=st.lists(RATES, min_size=2, max_size=3, unique=True), burst=st.integers(1, 5))
def test_nor_where_several_limits_hold(rates: list[float], burst: int):
    limits = tuple(limit(rate, burst, task="*" * (i + 1)) for i, rate in enumerate(rates))
    began = run(Server(), limits, [0.001, 0.004], min(5.0, 400 / min(rates)))
    assert most_within(began, 1.0) <= min(rates) + burst


@given(rate=st.sampled_from([3, 10, 30]), other=st.sampled_from([1, 20, 200]))
def test_nor_where_tasks_under_a_limit_have_further_limits_in_part(rate: int, other: int):
    """What one kind had booked ahead looked strange to the other, who forgot it: twice the rate."""
    server, shared = Server(), limit(rate)
    kinds = [
        LimitedBucket(limits, server, True, lambda: server.now, lambda: 0.5)
        for limits in ((shared,), (shared, limit(other, task="**")))
    ]
    began: list[float] = []
    for kind in kinds:
        kind.contents.extend(range(10_000))
    for _ in range(2000):
        for kind in kinds:
            while kind.can_consume():
                began.append(server.now)
        server.now += 0.003
    assert most_within(began, 1.0) <= rate + 1
    assert len(began) > 0.9 * rate * 6 - 2


@given(rate=RATES, workers=st.integers(1, 12), late=st.floats(0, 0.01))
def test_nearly_the_whole_rate_is_used(rate: float, workers: int, late: float):
    seconds = max(2.0, min(60.0, 200 / rate))
    began = run(Server(), (limit(rate),), [late] * workers, seconds)
    assert 0.97 * rate * seconds - 2 <= len(began) <= rate * seconds + 1


@given(
    rate=st.sampled_from([300, 1000, 3000, 100_000]),
    burst=st.integers(1, 20),
    pauses=st.lists(st.floats(0.0005, 0.005), min_size=1, max_size=4),
    way=st.floats(0, 0.03),
)
def test_nor_where_replies_come_while_tasks_go_on(
    rate: float, burst: int, pauses: list[float], way: float
):
    server = Server(way=way)
    began = serve(server, (limit(rate, burst),), pauses, 2.5)
    for window in (1.0, 2.0):
        assert most_within(began, window) <= rate * window + burst
    if way > gcra.LATE / 2:
        return  # what is under way longer may be void when it comes; here all stand still meanwhile
    come = sum(2.5 / pause for pause in pauses)
    assert len(began) >= 0.9 * min(come, 0.97 * 2.5 * rate) - 2 * len(pauses)


@pytest.mark.parametrize(("workers", "milliseconds"), [(3, 1.0), (3, 1.4), (12, 1.0), (12, 4.0)])
def test_a_limit_is_used_by_workers_each_of_which_is_slower_than_it(
    workers: int, milliseconds: float
):
    """The tasks of a booking come at the pace of the limit: the last of a long one were lost."""
    began = labour(Server(), 2000, workers, milliseconds / 1000, 4.0)
    settled = [at for at in began if at > began[0] + 1.5]
    assert len(settled) > 0.97 * 2000 * (began[-1] - began[0] - 1.5)
    assert most_within(began) <= 2001


def test_far_above_the_load_nobody_waits_for_the_limiter():
    server = Server(way=0.001)
    began = serve(server, (limit(100_000),), [0.0005], 5.0)
    assert len(began) == pytest.approx(10_000, abs=1)
    assert server.waits <= 205, "the first ones come before the pace is known"
    assert server.calls - server.waits < 100 * 5


def test_a_high_rate_takes_few_calls():
    server = Server()
    began = run(server, (limit(2000),), [0.001] * 12, 5.0)
    assert len(began) > 0.97 * 2000 * 5
    assert server.calls < 200 * 5


def test_the_clock_of_redis_may_go_back_and_a_rate_may_rise():
    server = Server()
    slow, fast = limit(1, seconds=3600), limit(100, seconds=3600)
    run(server, (slow,), [0.0], 1.0)
    assert slow.id == fast.id, "a changed rate goes on in the same bucket"
    server.now -= 100_000
    assert len(run(server, (limit(3600, seconds=3600),), [0.0], 5.0)) >= 4


def test_tasks_wait_for_a_limiter_that_is_away_or_run_without_it():
    server = Server(away=True)
    waits, allows = (
        LimitedBucket((limit(10),), server, wait, lambda: server.now, lambda: 0.5)
        for wait in (True, False)
    )
    assert [waits.can_consume() for _ in range(3)] == [False] * 3
    assert [allows.can_consume() for _ in range(3)] == [True] * 3
    calls = server.calls
    server.now += 0.01
    waits.can_consume()
    assert server.calls == calls, "it is not asked all the time"

    server.away = False
    server.now += 10
    waits.contents.extend("ab")
    assert [waits.can_consume() for _ in range(2)] == [True, False]
