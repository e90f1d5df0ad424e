"""A small world in virtual time: the real circle, and pods and workers that play along.

`World.advance` moves the clock tick by tick; in each tick the pods start and stop, the workers take
and finish tasks, and the circle turns once. Nothing sleeps.
"""

import random
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.builders import BROKER_URL, VirtualClock, a_report, a_secret

from umbel.autoscaling.snapshot import WorkerView
from umbel.autoscaling.worker_report import ShareHeld, SharesHeld, TaskTotals
from umbel.brokers.fake import FakeBroker, FakeBrokers
from umbel.cluster.errors import ClusterError
from umbel.cluster.fake import FakeCluster
from umbel.cluster.objects import DELETION_COST
from umbel.control import circle
from umbel.control.lister import KINDS
from umbel.resources.names import POOL_LABEL, TASKQUEUE_LABEL
from umbel.resources.rate_limits import RateLimits, dealt
from umbel.settings import Settings
from umbel.telemetry.metrics import Metrics

TICK = 2.0


@dataclass(slots=True)
class Pod:
    """A worker's pod with the tasks that run in it."""

    name: str
    namespace: str
    labels: dict[str, str]
    starts_at: float
    slots: int
    late: bool
    queues: list[str]
    running: bool = False
    stopping: bool = False
    started: int = 0
    """Tasks that have begun in it."""
    ends: list[tuple[float, str]] = field(default_factory=list)
    """(when, queue) of each task that runs."""
    shares: dict[str, ShareHeld] = field(default_factory=dict)
    """By a limit's id."""


class World:
    def __init__(
        self,
        *bodies: Mapping[str, Any],
        runtime_seconds: float = 10.0,
        start_seconds: float = 4.0,
        namespaces: tuple[str, ...] = (),
    ) -> None:
        self.clock = VirtualClock()
        self.cluster = FakeCluster()
        self.brokers = FakeBrokers(self.clock.monotonic)
        self.runtime_seconds = runtime_seconds
        self.start_seconds = start_seconds
        self.namespaces = namespaces
        """Those that are watched; empty: all."""
        self.pods: list[Pod] = []
        self.made = 0
        self.done = 0
        self.stopped_busy: list[str] = []
        """Pods that were told to stop while a task ran in them."""
        self.broker_url = BROKER_URL
        """Of the Secret; a test that writes another one says so here."""
        self.shared_out = False
        """Workers have no Redis to agree on rate limits in."""
        self.deaf = False
        """No command reaches a worker."""
        self.unseen: list[tuple[str, Any, bool]] = []
        """What the watches will tell once the API is back."""
        self.cluster.watchers.append(self._watch)
        self.cluster.put(a_secret())
        for body in bodies:
            self.cluster.put(body)
        self.start_operator()

    # --- the operator

    def start_operator(self) -> None:
        """A new one that knows nothing, in place of the last."""
        self.metrics = Metrics()
        self.circle = circle.Circle(
            circle.World(
                cluster=self.cluster,
                brokers=self.brokers,
                clock=self.clock,
                chance=random.Random(1),
            ),
            Settings(watch_namespaces=self.namespaces),
            self.metrics,
        )

    def _watch(self, kind: str, raw: Any, deleted: bool) -> None:
        self.unseen.append((kind, raw, deleted))

    async def turn(self) -> None:
        """The watches tell their news, then the circle turns."""
        if self.cluster.failure is None:
            news, self.unseen = self.unseen, []
            for kind, raw, deleted in news:
                if kind in KINDS:
                    self.circle.cache.see(kind, raw, deleted=deleted)
        await self.circle._turn_safely()
        await self.circle._cordons.settle()
        await self.circle._rate_limiting.settle()

    async def turn_with_watches_but_without_api(self) -> None:
        """The watches told their news just before the API went away."""
        news, self.unseen = self.unseen, []
        for kind, raw, deleted in news:
            if kind in KINDS:
                self.circle.cache.see(kind, raw, deleted=deleted)
        self.api_goes_away()
        await self.circle._turn_safely()

    async def advance(self, seconds: float) -> None:
        """So much time passes, tick by tick."""
        for _ in range(round(seconds / TICK)):
            self.clock.advance(TICK)
            self._run_deployments()
            self._work()
            await self.turn()
            if self.circle.cache.changed.is_set():  # it does not rest then
                await self.turn()

    def api_goes_away(self) -> None:
        self.cluster.failure = ClusterError("no answer from the Kubernetes API")

    def api_comes_back(self) -> None:
        self.cluster.failure = None

    # --- what a test looks at

    @property
    def broker(self) -> FakeBroker:
        return self.brokers.broker(self.broker_url)

    def size(self, deployment: str) -> int:
        return int(self.cluster.object("Deployment", deployment)["spec"]["replicas"])

    def tended(self) -> set[str]:
        """Namespaces of the TaskQueues that the last turn decided and reported."""
        families = {family.name: family for family in self.metrics.registry.collect()}
        return {
            sample.labels["taskqueue_namespace"]
            for sample in families["umbel_taskqueue_ready"].samples
        }

    def sizes_written(self, deployment: str) -> list[int]:
        return [size for _, name, size in self.cluster.scales if name == deployment]

    def status(self, name: str = "shop") -> dict[str, Any]:
        return dict(self.cluster.object("TaskQueue", name).get("status") or {})

    def condition(self, type_: str, name: str = "shop") -> str:
        found = {c["type"]: c["status"] for c in self.status(name)["conditions"]}
        return str(found[type_])

    def reasons(self) -> list[str]:
        """Of every Event, in order."""
        return [event["reason"] for event in self.cluster.events]

    def errors(self, step: str) -> float:
        value = self.metrics.registry.get_sample_value("umbel_circle_errors_total", {"step": step})
        return value or 0.0

    # --- pods and workers

    def _run_deployments(self) -> None:
        now = self.clock.monotonic()
        for name in self.cluster.names("Deployment"):
            deployment = self.cluster.object("Deployment", name)
            if "template" not in deployment["spec"]:
                continue  # somebody else's
            if POOL_LABEL not in deployment["metadata"]["labels"]:
                continue  # beat's; a test puts its pod in
            mine = [p for p in self.pods if p.name.startswith(f"{name}-") and not p.stopping]
            wanted = deployment["spec"]["replicas"]
            mine += [self._new_pod(deployment) for _ in range(wanted - len(mine))]
            for pod in sorted(mine, key=self._order_of_end)[: len(mine) - wanted]:
                self._stop(pod)
            ready = sum(pod.running and not pod.stopping for pod in mine)
            self.cluster.edit("Deployment", "default", name, {"status": {"readyReplicas": ready}})
        for pod in self.pods:
            if not pod.running and now >= pod.starts_at:
                pod.running = True
                if not self.deaf:
                    self.broker.consumers[_node(pod)] = set(pod.queues)
                self._show(pod)

    def _order_of_end(self, pod: Pod) -> tuple[bool, int, int]:
        """As the ReplicaSet controller chooses; of equal ones the worst choice, the busiest."""
        annotations = self.cluster.object("Pod", pod.name)["metadata"].get("annotations") or {}
        return (pod.running, int(annotations.get(DELETION_COST) or 0), -len(pod.ends))

    def _new_pod(self, deployment: Mapping[str, Any]) -> Pod:
        template = deployment["spec"]["template"]
        arguments = template["spec"]["containers"][0]["args"]
        environment = template["spec"]["containers"][0]["env"]
        self.made += 1
        pod = Pod(
            name=f"{deployment['metadata']['name']}-{self.made}",
            namespace=deployment["metadata"]["namespace"],
            labels=template["metadata"]["labels"],
            starts_at=self.clock.monotonic() + self.start_seconds,
            slots=int(arguments[arguments.index("-c") + 1]),
            late='"acks_late": true' in environment[-1]["value"],
            queues=arguments[arguments.index("-Q") + 1].split(","),
        )
        self.pods.append(pod)
        self._show(pod)
        return pod

    def _show(self, pod: Pod) -> None:
        metadata: dict[str, Any] = {
            "name": pod.name,
            "namespace": pod.namespace,
            "labels": pod.labels,
            "annotations": self._annotations(pod),
        }
        if pod.stopping:
            metadata["deletionTimestamp"] = self.clock.now_rfc3339()
        state = {"running": {}} if pod.running else {"waiting": {"reason": "ContainerCreating"}}
        status: dict[str, Any] = {"containerStatuses": [{"name": "worker", "state": state}]}
        if pod.running:
            status["conditions"] = [{"type": "Ready", "status": "True"}]
        self.cluster.put({"kind": "Pod", "metadata": metadata, "status": status})

    def _annotations(self, pod: Pod) -> dict[str, str]:
        """Those that somebody gave it."""
        if pod.name not in self.cluster.names("Pod"):
            return {}
        return self.cluster.object("Pod", pod.name)["metadata"].get("annotations") or {}

    def _stop(self, pod: Pod) -> None:
        if pod.ends:
            self.stopped_busy.append(pod.name)
        pod.stopping = True
        self._show(pod)

    def _work(self) -> None:
        now = self.clock.monotonic()
        for pod in list(self.pods):
            for end, queue in [task for task in pod.ends if task[0] <= now]:
                pod.ends.remove((end, queue))
                self.done += 1
                if pod.late:
                    self.broker.acknowledge(queue, 1)
            if pod.stopping and not pod.ends:
                self.pods.remove(pod)
                self.broker.consumers.pop(_node(pod), None)
                self.cluster.remove("Pod", pod.namespace, pod.name)
            elif pod.running and self.broker.failure is None:
                self._take(pod, now)
                self._say(pod, now)

    def _take(self, pod: Pod, now: float) -> None:
        taken = self._taken(pod)
        for queue in [queue for queue in pod.queues if queue in taken]:
            counts = self.broker.queues.get(queue)
            while counts and counts.waiting and len(pod.ends) < pod.slots and not pod.stopping:
                self.broker.hold(queue, 1)
                self._begin(pod, queue, now)
                counts = self.broker.queues[queue]

    def _taken(self, pod: Pod) -> set[str]:
        """The queues that it takes from."""
        return self.broker.consumers.get(_node(pod), set(pod.queues))

    def _begin(self, pod: Pod, queue: str, now: float) -> None:
        if not pod.late:
            self.broker.acknowledge(queue, 1)
        pod.started += 1
        pod.ends.append((now + self.runtime_seconds, queue))

    def _say(self, pod: Pod, now: float) -> None:
        node, busy, done = _node(pod), len(pod.ends), pod.started - len(pod.ends)
        report = a_report(
            run=pod.name,
            busy=busy,
            slots=pod.slots,
            queues=len(pod.queues),
            taking=0 if pod.stopping else len(self._taken(pod)),
            rate_limits=self._limits_kept(pod).digest,
            shares=self._shares(pod),
            rest=TaskTotals(
                started=pod.started, succeeded=done, seconds=done * self.runtime_seconds
            ),
        )
        self.broker.workers[node] = WorkerView(
            hostname=node, active=busy, seen_at=now, report=report
        )

    def _limits_kept(self, pod: Pod) -> RateLimits:
        """Those it was told, or found when it started."""
        told = self.broker.rate_limits.get(_node(pod))
        if told is None:
            whose = f"{pod.namespace}/{pod.labels[TASKQUEUE_LABEL]}/"
            found = self.broker.limits.items()
            told = "".join(text for (_, owner), text in found if owner.startswith(whose))
            self.broker.rate_limits[_node(pod)] = told
        return RateLimits.from_json(told)

    def _shares(self, pod: Pod) -> SharesHeld | None:
        """What it was dealt, where there is no Redis to agree in."""
        if not self.shared_out:
            return None
        text = self.broker.deals.get(_node(pod))
        told = dealt(text, _node(pod)) if text else None
        if told is not None and told.run == pod.name and told.shares is not None:
            pod.shares = {name: ShareHeld(*one, 0) for name, one in told.shares.items()}
        return SharesHeld(told.stamp if told is not None else None, pod.shares)

    def give(self, pod: Pod, queue: str) -> None:
        """A task that the broker had sent already, whatever the worker was told since."""
        self.broker.put(queue, 1)
        self.broker.hold(queue, 1)
        self._begin(pod, queue, self.clock.monotonic())

    def cordoned(self) -> list[str]:
        """Pods whose workers take nothing more, though nobody stops them."""
        told = self.broker.consumers if not self.deaf else {}
        return [pod.name for pod in self.pods if not pod.stopping and told.get(_node(pod)) == set()]

    def marked(self) -> list[str]:
        """Pods that are to go first."""
        return [pod.name for pod in self.pods if DELETION_COST in self._annotations(pod)]

    def running(self) -> dict[str, int]:
        """Tasks that run, by TaskQueue."""
        counts: dict[str, int] = defaultdict(int)
        for pod in self.pods:
            counts[pod.labels[TASKQUEUE_LABEL]] += len(pod.ends)
        return counts


def _node(pod: Pod) -> str:
    return f"{pod.labels[POOL_LABEL]}@{pod.name}"
