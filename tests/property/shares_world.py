"""Workers with shares and operators that deal them out, in virtual time, with nothing to rely on.

The real code of both sides. Between them everything may happen to a message, the watches may lag,
and an operator that lost its lease goes on as if it had it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import count

from tests.builders import a_pod, a_report

from umbel.autoscaling.snapshot import WorkerView
from umbel.autoscaling.worker_report import ShareHeld, SharesHeld, TaskTotals, WorkerReport
from umbel.cluster.objects import PodView
from umbel.control.dealer import Dealer
from umbel.control.ledger import Ledger
from umbel.resources.rate_limits import RateLimits, deal_json
from umbel_worker.rate_limits import RateLimit, dealt
from umbel_worker.ratelimit.bucket import LimitedBucket
from umbel_worker.ratelimit.granted import Granted

DEEP = 10_000
"""Tasks that wait: more than are ever run."""


@dataclass
class Process:
    """One worker's process."""

    node: str
    run: str
    began: float
    granted: Granted
    bucket: LimitedBucket
    began_tasks: int = 0
    draining: bool = False
    wakes_at: float = 0.0

    def report(self, digest: str) -> WorkerReport:
        [limit] = self.bucket.limits
        shares = {name: ShareHeld(*one, 0) for name, one in self.granted.shares.items()}
        mine = shares.get(limit.id, ShareHeld(0.0, 0, 0))
        left = self.granted.left.get(limit.id, 0.0)
        shares[limit.id] = mine._replace(waiting=len(self.bucket.contents), left=left)
        return a_report(
            run=self.run,
            began=self.began,
            draining=self.draining,
            rate_limits=digest,
            tasks={"t": TaskTotals(started=self.began_tasks)} if self.began_tasks else {},
            shares=SharesHeld(self.granted.stamp, shares),
        )


@dataclass
class Operator:
    """One that leads, or believes so."""

    dealer: Dealer
    led_at: float
    pods: dict[str, PodView]
    """As its watches have shown them."""
    views: dict[str, WorkerView] = field(default_factory=dict)


class SharesWorld:
    def __init__(self, rate: float, burst: int, pods: int) -> None:
        self.now = 1000.0
        self.limit = RateLimit("t", rate, 1, burst, shared=True)
        self.limits = RateLimits((self.limit,), wait=True)
        self.began: list[float] = []
        """When tasks did."""
        self.pods: dict[str, PodView] = {}
        self.processes: dict[str, Process] = {}
        """By the pod's name."""
        self.operators: list[Operator] = []
        """The last one has the lease."""
        self.commands: list[tuple[str, str]] = []
        """That were sent, and may still arrive, once more too: (node, text)."""
        self.reports: list[tuple[str, WorkerReport]] = []
        """The same."""
        self._numbers = count(1)
        for _ in range(pods):
            self.add_pod()
        self.elect()

    # --- pods

    def add_pod(self) -> str:
        name = f"p{next(self._numbers)}"
        self.pods[name] = a_pod(name)
        self._start(name)
        return name

    def kill(self, name: str) -> None:
        """Its container ends, and begins anew."""
        before = self.pods[name]
        self.now += 1.0
        ended = float(int(self.now))
        self.now += 1.0
        self.pods[name] = replace(before, restarts=before.restarts + 1, worker_ended_at=ended)
        self._start(name)

    def delete(self, name: str) -> None:
        del self.pods[name], self.processes[name]

    def drain(self, name: str) -> None:
        process = self.processes[name]
        process.draining = True
        process.granted.give_up()
        process.bucket.closed = True

    def _start(self, name: str) -> None:
        run = f"r{next(self._numbers)}"
        granted = Granted(run, self._clock)
        bucket = LimitedBucket((self.limit,), granted, True, self._clock, lambda: 0.5)
        bucket.contents.extend(range(DEEP))
        self.processes[name] = Process(f"long@{name}", run, self.now, granted, bucket)

    def _clock(self) -> float:
        return self.now

    def give_work(self, name: str, tasks: int) -> None:
        contents = self.processes[name].bucket.contents
        contents.clear()
        contents.extend(range(tasks))

    # --- time

    def advance(self, seconds: float) -> None:
        """Tasks begin as soon as they may."""
        end = self.now + seconds
        while self.processes:
            process = min(self.processes.values(), key=lambda one: one.wakes_at)
            if process.wakes_at > end:
                break
            self.now = max(self.now, process.wakes_at)
            bucket = process.bucket
            while bucket.contents and bucket.can_consume():
                bucket.pop()
                process.began_tasks += 1
                self.began.append(self.now)
            pause = bucket.expected_time() if bucket.contents else 0.1
            process.wakes_at = self.now + max(pause, 1e-4)
        self.now = end

    # --- messages

    def say(self, name: str) -> None:
        process = self.processes[name]
        self.reports.append((process.node, process.report(self.limits.digest)))

    def hear(self, operator: Operator, node: str, report: WorkerReport) -> None:
        operator.views[node] = WorkerView(hostname=node, active=0, seen_at=self.now, report=report)

    def deliver(self, node: str, text: str) -> None:
        for process in self.processes.values():
            told = dealt(text, process.node) if process.node == node else None
            if told is not None and process.granted.take(told):
                process.bucket.rebook()
                process.wakes_at = self.now

    # --- operators

    def elect(self) -> Operator:
        """A new one, which the old ones do not notice."""
        self.now += 0.001
        number = next(self._numbers)
        ledger = Ledger(f"w{number}", number, self.pods.values(), self.now)
        self.operators.append(
            Operator(Dealer(ledger, fresh=number == 1), self.now, dict(self.pods))
        )
        return self.operators[-1]

    def renew(self) -> None:
        """The lease goes on."""
        self.now += 0.001
        self.operators[-1].led_at = self.now
        self.now += 0.001

    def turn(self, operator: Operator) -> None:
        ledger, views = operator.dealer.ledger, operator.views
        for node, view in views.items():
            assert view.report is not None
            ledger.hear(node, view.report, view.seen_at)
        gone = {name for name in ledger.missing(operator.pods) if name not in self.pods}
        ledger.look(operator.pods, gone, self.now)
        ledger.give_way(operator.led_at)
        deal = operator.dealer.turn(self.limits, views, operator.led_at, self.now)
        if deal is not None:
            text = deal_json(deal.stamp, deal.told)
            json.loads(text)
            self.commands += [(node, text) for node in deal.told]

    def smooth(self, seconds: float) -> None:
        """Time passes in which everything arrives at once and the leader turns every 2 s."""
        end = self.now + seconds
        while self.now < end:
            operator = self.operators[-1]
            operator.pods = dict(self.pods)
            for _ in range(3):
                self._exchange(operator)
                self.advance(0.3)
            self.advance(max(0.0, min(1.1, end - self.now)))

    def _exchange(self, operator: Operator) -> None:
        for name in self.processes:
            self.say(name)
            self.hear(operator, *self.reports[-1])
        self.renew()
        sent = len(self.commands)
        self.turn(operator)
        for command in self.commands[sent:]:
            self.deliver(*command)

    # --- what must hold

    def shares(self) -> tuple[float, int]:
        """The sum of what everybody has, and how many may begin at once."""
        held = [one.granted.shares.get(self.limit.id) for one in self.processes.values()]
        return sum(one.rate for one in held if one), sum(one.burst for one in held if one)


def worst_excess(began: Sequence[float], rate: float, burst: int) -> float:
    """By how much the worst time of a second or more is above rate x t + burst."""
    worst = float("-inf")
    for first, start in enumerate(began):
        for last in range(first, len(began)):
            seconds = max(1.0, began[last] - start)
            worst = max(worst, last - first + 1 - rate * seconds - burst)
    return worst
