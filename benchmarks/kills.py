"""Pods killed under a stream of tasks on Redis: is a task lost, and when do they start again?

Two TaskQueues on two databases, crash-safe and stock, are killed in turn: once process 1 of the
pod's container by SIGKILL, once the pod by a deletion by force. Every task notes its begin and end
in a Redis of its own, whose clock is the only one.
"""

import contextlib
import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from tests.e2e.api import Json
from tests.e2e.brokers import RedisBroker, RedisDatabase
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.processes import kill
from tests.e2e.stories import Story, pool

from benchmarks.kills_ledger import Kill, Ledger, Restarts

BAR_SECONDS: Final = 5.0
HEADINGS: Final = (
    "benchmark", "workers", "kills", "sent", "never started", "in hand when killed",
    "started again: median s", "worst s", "bar s", "holds",
)  # fmt: skip
PODS: Final = 4
LEAST_READY: Final = 3
"""Pods at work when one of them is killed."""
TASK_SECONDS: Final = 0.2
PAUSE_SECONDS: Final = 0.02
"""Between two tasks sent."""
HARD_SECONDS: Final = 20
VISIBILITY_SECONDS: Final = 60
"""The shortest that a TaskQueue may have."""
SWEEP_SECONDS: Final = 240
"""What stock workers may need to find what a dead one held: the timeout, and their sweep."""


@dataclass(slots=True)
class Side:
    """One TaskQueue under fire."""

    name: str
    story: Story
    broker: RedisDatabase
    ledger: Ledger
    sent: list[str] = field(default_factory=list)
    kills: list[Kill] = field(default_factory=list)

    def row(self) -> tuple[str, ...]:
        lost = len(set(self.sent) - self.ledger.started())
        found = self.restarts()
        times = ["-", "-", "-", "-"]
        if found.seconds:
            times[:2] = f"{median(found.seconds):.2f}", f"{max(found.seconds):.2f}"
        if self.name == "safe":
            times[2:] = f"{BAR_SECONDS:.0f}", "yes" if self.holds() else "NO"
        counts = (len(self.kills), len(self.sent), lost, found.in_hand)
        return ("kills", self.name, *map(str, counts), *times)

    def restarts(self) -> Restarts:
        return self.ledger.restarts(self.kills)

    def holds(self) -> bool:
        found = self.restarts()
        lost = set(self.sent) - self.ledger.started()
        every = len(found.seconds) == found.in_hand
        return not lost and every and max(found.seconds, default=0.0) < BAR_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Both sides; bars are the crash-safe one's."""

    passed: bool
    table: list[tuple[str, ...]]

    def rows(self) -> list[tuple[str, ...]]:
        return self.table


def run(broker: str, trials: int) -> Outcome:
    """Install the working tree, then kill so often on each side, or until interrupted (Ctrl-C)."""
    assert broker == "redis", "RabbitMQ notices by itself that a worker is gone"
    cluster = Cluster()
    cluster.check()
    cluster.install()
    try:
        sides = _prepared(cluster)
        with contextlib.ExitStack() as streams:
            for side in sides:
                streams.enter_context(_stream(side))
            with contextlib.suppress(KeyboardInterrupt):  # enough: count what was done
                for number in range(trials):
                    _round(cluster, sides, number)
        for side in sides:
            _work_off(side)
        return Outcome(passed=sides[0].holds(), table=[side.row() for side in sides])
    finally:
        cluster.close()


def _prepared(cluster: Cluster) -> list[Side]:
    server = RedisBroker.example(cluster, cluster.namespace("bench-brokers"))
    ledger = server.database()
    sides = []
    for name, safe in (("safe", True), ("stock", False)):
        namespace, database = cluster.namespace(f"bench-{name}"), server.database()
        story = Story(cluster, namespace, database, ledger, "story")
        settings = {"visibilityTimeoutSeconds": VISIBILITY_SECONDS, "redis": {"crashSafe": safe}}
        story.apply(
            pool(
                "long",
                concurrency=2,
                scaling={"mode": "Manual", "minReplicas": PODS, "maxReplicas": PODS},
                timeLimits={"hardSeconds": HARD_SECONDS},
            ),
            broker=story.body()["spec"]["broker"] | settings,
        )
        key = f"{namespace}:story:stamps"
        sides.append(Side(name, story, database, Ledger(ledger.client, key)))
    return sides


@contextlib.contextmanager
def _stream(side: Side) -> Iterator[None]:
    """Send tasks all the time."""
    over = threading.Event()

    def send() -> None:
        with side.story.sender("stamp", "long") as send_one:
            while not over.wait(PAUSE_SECONDS):
                side.sent.append(send_one(seconds=TASK_SECONDS))

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(10)


def _round(cluster: Cluster, sides: list[Side], number: int) -> None:
    """One kill on each side, of a pod at work, while another one is."""
    by_force = number % 2 == 1
    for side in sides:
        _kill(cluster, side, _victim(side, by_force=by_force), by_force=by_force)
    names = ", ".join(side.kills[-1].pod for side in sides)
    how = "deleted by force" if by_force else "SIGKILL to process 1"
    print(f"kills, {number + 1}: {how}: {names}", flush=True)


def _victim(side: Side, *, by_force: bool) -> Json:
    """SIGKILL to a pod that had none, as the kubelet restarts a container later each time.

    Its status tells of the last one a moment later.
    """
    killed = {one.pod for one in side.kills}

    def candidates() -> list[Json]:
        ready = [pod for pod in side.story.pods("long") if _is_ready(pod)]
        chosen = [pod for pod in ready if (pod["metadata"]["name"] in killed) == by_force]
        if len(ready) < LEAST_READY:
            return []
        return chosen or (ready if by_force else [])

    return random.choice(eventually("a pod to kill", candidates, len, 180))


def _statuses(pod: Json) -> list[Json]:
    found: list[Json] = pod["status"].get("containerStatuses") or []
    return found


def _is_ready(pod: Json) -> bool:
    ready = [status["ready"] for status in _statuses(pod)]
    return bool(ready) and all(ready) and "deletionTimestamp" not in pod["metadata"]


def _kill(cluster: Cluster, side: Side, pod: Json, *, by_force: bool) -> None:
    name = pod["metadata"]["name"]
    if by_force:
        cluster.api.delete("Pod", side.story.namespace, name, gracePeriodSeconds=0)
        side.kills.append(Kill(pod=name, at=None))
    else:
        kill(pod, "worker")
        side.kills.append(Kill(pod=name, at=side.ledger.clock()))


def _work_off(side: Side) -> None:
    """Until nothing waits and nothing is held any more, or nobody can be expected to do more."""
    with contextlib.suppress(AssertionError):
        eventually(
            f"{side.name} has worked everything off",
            lambda: (side.broker.waiting("long"), side.broker.held("long")),
            lambda counts: counts == (0, 0),
            SWEEP_SECONDS,
        )
