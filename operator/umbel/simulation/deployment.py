"""One pool: its queues, its workers, and the ReplicaSet controller that keeps their number.

Workers take messages as Celery's do: up to `concurrency x prefetchMultiplier` unacknowledged ones,
whoever has room in turn, whether it has a free slot or not. A message is acknowledged when its task
ends (late) or begins (early).
"""

import itertools
import math
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from umbel.simulation.agenda import Agenda
from umbel.simulation.site import Broker, Manners, Nodes
from umbel.simulation.tasks import Fate, Pod, Stage, Task
from umbel.spec.model import Pool

RECONNECT_SECONDS = 2.0
"""After a broker refused a worker it tries again: Celery's first patience."""

STOP_SECONDS = 2.0
"""What Celery's warm shutdown takes once nothing runs."""

RELEASE_SECONDS = 15.0
"""umbel's workers give late tasks back so long before the kill (rule L)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a pool runs on."""

    agenda: Agenda
    nodes: Nodes
    broker: Broker
    chance: random.Random
    manners: Manners


class Deployment:
    """A pool as it stands; the policy reads it and calls `scale`, `cordon` and `uncordon`."""

    def __init__(self, taskqueue: tuple[str, str], pool: Pool, place: Place) -> None:
        self.taskqueue = taskqueue
        self.pool = pool
        self.replicas = 0
        self.pods: list[Pod] = []
        """Those that count as replicas: not the ones that end."""
        self.leaving: list[Pod] = []
        self.waiting: dict[str, deque[Task]] = {name: deque() for name in pool.queues}
        self.unacknowledged: dict[str, int] = dict.fromkeys(pool.queues, 0)
        self.tasks: list[Task] = []
        self.scalings = 0
        self.start_seconds: float | None = None
        """What pods have taken from their creation to their first task; None before the first."""
        self.pod_seconds = 0.0
        """Of the pods that are gone."""
        self._place = place
        self._made = 0
        self._takers: deque[Pod] = deque()
        self._turn = itertools.cycle(pool.queues)
        multiplier = pool.prefetch_multiplier
        self._window = pool.concurrency * multiplier if multiplier else math.inf

    # --- what is seen from outside

    @property
    def now(self) -> float:
        """The simulation's moment."""
        return self._place.agenda.now

    @property
    def waiting_total(self) -> int:
        """Ready messages of all its queues."""
        return sum(map(len, self.waiting.values()))

    @property
    def running_total(self) -> int:
        """Tasks that run, in pods that end too."""
        return sum(len(pod.running) for pod in (*self.pods, *self.leaving))

    @property
    def ready(self) -> int:
        """Replicas that take tasks, or could."""
        return sum(pod.stage is Stage.READY for pod in self.pods)

    def pod_seconds_until(self, now: float) -> float:
        """Seconds from each pod's creation to its end, or to now."""
        alive = sum(now - pod.created for pod in (*self.pods, *self.leaving))
        return self.pod_seconds + alive

    # --- messages

    def publish(self, task: Task) -> None:
        """A task arrives at the broker."""
        self.tasks.append(task)
        self.waiting[task.queue].append(task)
        self.deliver()

    def deliver(self) -> None:
        """Hand out what waits to those that have room, one each in turn."""
        if not self._place.broker.reachable:
            return
        late = self.pool.acks_late
        while self._takers and (task := self._next_task()) is not None:
            pod = self._takers.popleft()
            pod.takes = False
            self.unacknowledged[task.queue] += 1
            self._receive(pod, task)
            self._offer(pod, late=late)

    def _next_task(self) -> Task | None:
        for _ in self.waiting:
            queue = self.waiting[next(self._turn)]
            if queue:
                return queue.popleft()
        return None

    def _offer(self, pod: Pod, *, late: bool) -> None:
        """Let it stand for messages, if it may and has room."""
        if pod.takes or pod.cordoned_at is not None or pod.stuck or pod.stage is not Stage.READY:
            return
        if pod.has_room(late=late):
            pod.takes = True
            self._takers.append(pod)

    def _withdraw(self, pod: Pod) -> None:
        if pod.takes:
            pod.takes = False
            self._takers.remove(pod)

    def _receive(self, pod: Pod, task: Task) -> None:
        if task.due > self.now:
            pod.scheduled[task] = None
            self._place.agenda.at(task.due, self._is_due, pod, task)
            return
        pod.reserved.append(task)
        self._fill(pod)

    def _is_due(self, pod: Pod, task: Task) -> None:
        if task in pod.scheduled:
            del pod.scheduled[task]
            pod.reserved.append(task)
            self._fill(pod)

    def _fill(self, pod: Pod) -> None:
        """Begin what is reserved while slots are free."""
        if pod.stuck or pod.stage is Stage.STOPPING:
            return
        while pod.reserved and len(pod.running) < pod.slots:
            self._begin(pod, pod.reserved.popleft())

    def _begin(self, pod: Pod, task: Task) -> None:
        now = self.now
        if task.started is None:
            task.started = now
        task.runs += 1
        pod.started += 1
        pod.running[task] = now
        if not self.pool.acks_late:
            self.unacknowledged[task.queue] -= 1
        self._place.agenda.at(now + task.runtime_seconds, self._end, pod, task, task.runs)

    def _end(self, pod: Pod, task: Task, run: int) -> None:
        """A task is done, unless this run of it was cut off before."""
        if task.runs != run or task not in pod.running or pod.stuck:
            return
        began = pod.running.pop(task)
        pod.ended += 1
        pod.seconds += self.now - began
        if task.kills_its_process:
            self._died(task)
        else:
            task.fate = Fate.DONE
            if self.pool.acks_late:
                self.unacknowledged[task.queue] -= 1
        self._after(pod)

    def _died(self, task: Task) -> None:
        """Its process died of it: late ones come back, so often."""
        task.deaths += 1
        if self.pool.acks_late:
            self.unacknowledged[task.queue] -= 1
        if self._comes_back(task):
            self.waiting[task.queue].append(task)
        else:
            task.fate = Fate.SET_ASIDE

    def _comes_back(self, task: Task) -> bool:
        pool = self.pool
        if not pool.acks_late or not pool.reject_on_worker_lost:
            return False
        return pool.max_redeliveries is None or task.deaths <= pool.max_redeliveries

    def _after(self, pod: Pod) -> None:
        """What follows for a pod with a slot that has become free."""
        if pod.stage is Stage.STOPPING:
            if not pod.running:
                self._place.agenda.after(STOP_SECONDS, self._gone, pod)
            return
        self._fill(pod)
        self._offer(pod, late=self.pool.acks_late)
        self.deliver()

    # --- pods

    def scale(self, replicas: int, victims: Sequence[str] = ()) -> None:
        """Write `spec.replicas`, having marked those that are to go first."""
        if replicas == self.replicas:
            return
        self.replicas = replicas
        self.scalings += 1
        chosen = frozenset(victims)
        for pod in self.pods:
            pod.cost = -1 if pod.name in chosen else 0
        while len(self.pods) < replicas:
            self._create()
        extra = len(self.pods) - replicas
        if extra > 0:
            for pod in sorted(self.pods, key=self._rank)[:extra]:
                self._stop(pod)

    def start_at(self, replicas: int) -> None:
        """Stand at this size from the beginning; no scaling."""
        self.scale(replicas)
        self.scalings = 0

    def _rank(self, pod: Pod) -> tuple[bool, int, int, float]:
        """Who goes first, as the ReplicaSet controller ranks: not ready, cheap, then young.

        Ages count by powers of two; among the same, chance stands for the pods' UIDs.
        """
        ready = pod.stage is Stage.READY
        age = int(math.log2(max(1.0, self.now - pod.ready_at))) if ready else 0
        return (ready, pod.cost, age, self._place.chance.random())

    def _create(self) -> None:
        self._made += 1
        pod = Pod(
            name=f"{self.taskqueue[1]}-{self.pool.name}-{self._made}",
            created=self.now,
            slots=self.pool.concurrency,
            window=self._window,
        )
        self.pods.append(pod)
        self._place.agenda.at(self._place.nodes.ready_at(self.now), self._start, pod)

    def _start(self, pod: Pod) -> None:
        if pod.stage is not Stage.STARTING:
            return
        if not (self._place.broker.reachable and self._place.broker.connect()):
            self._place.agenda.after(RECONNECT_SECONDS, self._start, pod)
            return
        pod.stage = Stage.READY
        pod.ready_at = self.now
        if pod.run == 1:
            self._note_start(pod.ready_at - pod.created)
        self._offer(pod, late=self.pool.acks_late)
        self.deliver()

    def _note_start(self, seconds: float) -> None:
        known = seconds if self.start_seconds is None else self.start_seconds
        self.start_seconds = known + 0.2 * (seconds - known)

    def _stop(self, pod: Pod) -> None:
        """SIGTERM: it takes nothing new, and ends when what runs has ended, or by force."""
        self.pods.remove(pod)
        self._withdraw(pod)
        self.leaving.append(pod)
        was, pod.stage = pod.stage, Stage.STOPPING
        if was is Stage.STARTING:
            self._gone(pod, connected=False)
            return
        manners = self._place.manners
        if manners.hands_back:
            self._hand_back(pod)
        if not pod.running:
            self._place.agenda.after(STOP_SECONDS, self._gone, pod)
        grace = manners.grace_seconds
        if grace is None:
            margin = RELEASE_SECONDS if self.pool.acks_late else 0.0
            grace = self.pool.termination_grace_period_seconds - margin
        self._place.agenda.after(grace, self._kill, pod)

    def _kill(self, pod: Pod) -> None:
        """The grace period is over: what still runs is cut off."""
        if pod.stage is Stage.GONE:
            return
        self._cut_off(pod)
        self._gone(pod)

    def _cut_off(self, pod: Pod) -> None:
        for task in pod.running:
            task.interrupted += 1
            if self.pool.acks_late:
                self.unacknowledged[task.queue] -= 1
                self.waiting[task.queue].appendleft(task)
            else:
                task.fate = Fate.LOST
        pod.running.clear()
        self._hand_back(pod)

    def _hand_back(self, pod: Pod) -> None:
        """What it holds and has not begun goes to the head of its queue."""
        for task in (*reversed(pod.reserved), *pod.scheduled):
            self.unacknowledged[task.queue] -= 1
            self.waiting[task.queue].appendleft(task)
        pod.reserved.clear()
        pod.scheduled.clear()
        self.deliver()

    def _gone(self, pod: Pod, *, connected: bool = True) -> None:
        if pod.stage is Stage.GONE:
            return
        pod.stage = Stage.GONE
        self.leaving.remove(pod)
        self.pod_seconds += self.now - pod.created
        if connected:
            self._place.broker.disconnect()
        self._hand_back(pod)

    # --- commands to workers, and what befalls them

    def cordon(self, name: str) -> None:
        """Ask a worker to take nothing more from its queues; it goes on with what it holds."""
        for pod in self.pods:
            if pod.name == name:
                pod.cordoned_at = self.now
                self._withdraw(pod)

    def uncordon(self, name: str) -> None:
        """Ask it to take from its queues again."""
        for pod in self.pods:
            if pod.name == name:
                pod.cordoned_at = None
                self._offer(pod, late=self.pool.acks_late)
        self.deliver()

    def get_stuck(self, seconds: float) -> None:
        """Its busiest worker hangs until its container is killed and starts anew."""
        ready = [pod for pod in self.pods if pod.stage is Stage.READY]
        if ready:
            pod = max(ready, key=lambda pod: len(pod.running))
            pod.stuck = True
            self._withdraw(pod)
            self._place.agenda.after(seconds, self._restart, pod)

    def _restart(self, pod: Pod) -> None:
        if pod.stage is not Stage.READY:
            return
        self._cut_off(pod)
        pod.stuck, pod.report, pod.cordoned_at = False, None, None
        pod.run += 1
        pod.started = pod.ended = 0
        pod.seconds = 0.0
        pod.stage = Stage.STARTING
        self._place.broker.disconnect()
        self._place.agenda.at(self._place.nodes.ready_at(self.now), self._start, pod)
