"""The simulation itself: tasks arrive, pods come and go, a policy looks and acts."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from umbel.simulation.agenda import Agenda
from umbel.simulation.deployment import Deployment, Place
from umbel.simulation.outcome import Outcome, Recorder, figures
from umbel.simulation.policy import Policy
from umbel.simulation.site import Broker, Nodes, PodStart
from umbel.simulation.tasks import Fate, Stage, Task
from umbel.simulation.trace import Arrival
from umbel.spec.model import TaskQueue

HEARTBEAT_SECONDS = 2.0
"""How often workers report (`umbel_worker`)."""

HEARTBEAT_PHASE_SECONDS = 1.0
"""So old reports are when the policy looks: the mean."""

SAMPLES = 240
"""Moments that a plot has."""

FINISH_STEP_SECONDS = 10.0
"""How often it is asked, after the trace, whether all is done."""

Progress = Callable[[float], None]
"""Told the share that is done, 0 to 1, at every sample."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """The broker is away: nothing is delivered, read or reported; producers keep what they have."""

    at: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StuckWorker:
    """The busiest worker of every pool hangs, and is restarted after so long."""

    at: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What is simulated, whoever sizes the pools."""

    taskqueues: tuple[TaskQueue, ...]
    """All on one broker."""
    arrivals: Sequence[Arrival]
    """By time. Each queue is of one pool."""
    seconds: float
    """How long is simulated at least; see `simulate`."""
    pod_start: PodStart = field(default_factory=PodStart)
    max_connections: int | None = None
    """Of the broker itself."""
    connections_per_pod: int = 1
    incidents: tuple[Outage | StuckWorker, ...] = ()
    seed: int = 1
    """Of chance; the same gives the same outcome."""


class UnusableSettingError(Exception):
    """Tasks of a queue have no pool, or two; the message says which queue."""


def simulate(setting: Setting, policy: Policy, progress: Progress | None = None) -> Outcome:
    """Let a policy size the pools while the trace goes by, and until every task is done.

    A policy that leaves tasks open would else look cheap: the pods that they take are counted too.
    Where they are not done after as long again, as with a policy that cuts the same task off for
    ever, that is the end.

    Raises:
        UnusableSettingError: no pool works on a queue of the trace, or two do.
    """
    return _World(setting, policy, progress).run()


class _World:
    def __init__(self, setting: Setting, policy: Policy, progress: Progress | None) -> None:
        self._setting = setting
        self._policy = policy
        self._progress = progress
        self._agenda = Agenda()
        self._broker = Broker(
            max_connections=setting.max_connections,
            connections_per_pod=setting.connections_per_pod,
        )
        self._deployments = self._deploy()
        self._of_queue = {
            name: deployment for deployment in self._deployments for name in deployment.waiting
        }
        self._unpublished: list[Task] = []
        """What producers keep while the broker is away."""
        every = setting.seconds / SAMPLES
        self._recorder = Recorder(self._deployments, every)

    def _deploy(self) -> list[Deployment]:
        chance = random.Random(self._setting.seed)  # noqa: S311 - a simulation, no secret
        place = Place(
            agenda=self._agenda,
            nodes=Nodes(self._setting.pod_start, chance),
            broker=self._broker,
            chance=chance,
            manners=self._policy.manners,
        )
        return [
            Deployment(queue.key, pool, place)
            for queue in self._setting.taskqueues
            for pool in queue.spec.pools
        ]

    def run(self) -> Outcome:
        self._check()
        agenda, setting = self._agenda, self._setting
        for deployment in self._deployments:
            deployment.start_at(deployment.pool.scaling.min_replicas)
        if setting.arrivals:
            agenda.at(setting.arrivals[0].at, self._arrive, 0)
        for incident in setting.incidents:
            agenda.at(incident.at, self._befall, incident)
        agenda.at(HEARTBEAT_PHASE_SECONDS, self._heartbeat)
        agenda.at(0.0, self._sample)
        agenda.at(0.0, self._act)
        agenda.run(setting.seconds)
        self._finish()
        return self._outcome()

    def _finish(self) -> None:
        """Go on while tasks are open, for as long again at most."""
        agenda, last = self._agenda, 2 * self._setting.seconds
        tasks = [task for deployment in self._deployments for task in deployment.tasks]
        while (tasks := [task for task in tasks if task.fate is Fate.OPEN]) and agenda.now < last:
            agenda.run(min(agenda.now + FINISH_STEP_SECONDS, last))

    def _check(self) -> None:
        names = [name for one in self._deployments for name in one.waiting]
        if len(names) != len(self._of_queue):
            twice = next(name for name in names if names.count(name) > 1)
            message = f"two pools work on queue {twice!r}: simulate one TaskQueue of them at a time"
            raise UnusableSettingError(message)
        for arrival in self._setting.arrivals:
            if arrival.queue not in self._of_queue:
                known = ", ".join(sorted(self._of_queue)[:10])
                message = f"no pool works on queue {arrival.queue!r}: the pools have {known}"
                raise UnusableSettingError(message)

    def _arrive(self, position: int) -> None:
        arrivals, now = self._setting.arrivals, self._agenda.now
        while position < len(arrivals) and arrivals[position].at <= now:
            self._publish(arrivals[position])
            position += 1
        if position < len(arrivals):
            self._agenda.at(arrivals[position].at, self._arrive, position)

    def _publish(self, arrival: Arrival) -> None:
        deployment = self._of_queue[arrival.queue]
        limits = deployment.pool.time_limits
        longest = limits.hard_seconds if limits else arrival.runtime_seconds
        task = Task(
            queue=arrival.queue,
            published=arrival.at,
            due=arrival.at + arrival.eta_seconds,
            runtime_seconds=min(arrival.runtime_seconds, longest),
            kills_its_process=arrival.kills_its_process,
        )
        if self._broker.reachable:
            deployment.publish(task)
        else:
            self._unpublished.append(task)

    def _befall(self, incident: Outage | StuckWorker) -> None:
        if isinstance(incident, Outage):
            self._broker.reachable = False
            self._agenda.after(incident.seconds, self._return)
            return
        for deployment in self._deployments:
            deployment.get_stuck(incident.seconds)

    def _return(self) -> None:
        self._broker.reachable = True
        kept, self._unpublished = self._unpublished, []
        for task in kept:
            self._of_queue[task.queue].publish(task)
        for deployment in self._deployments:
            deployment.deliver()

    def _heartbeat(self) -> None:
        now = self._agenda.now
        self._agenda.after(HEARTBEAT_SECONDS, self._heartbeat)
        if not self._broker.reachable:
            return
        for deployment in self._deployments:
            for pod in deployment.pods:
                if pod.stage is Stage.READY and not pod.stuck:
                    pod.say(now)

    def _act(self) -> None:
        moment = self._policy.act(self._agenda.now, self._deployments, self._broker)
        self._agenda.at(moment, self._act)

    def _sample(self) -> None:
        self._recorder.note()
        share = self._agenda.now / self._setting.seconds
        if share < 1.0 - 0.5 / SAMPLES:
            self._agenda.after(self._setting.seconds / SAMPLES, self._sample)
        if self._progress is not None:
            self._progress(share)

    def _outcome(self) -> Outcome:
        now = self._agenda.now
        return Outcome(
            policy=self._policy.name,
            seconds=self._setting.seconds,
            ended_seconds=now,
            pools=self._recorder.outcomes(now),
            total=figures(self._deployments, now),
            series=self._recorder.together(),
            most_connections=self._broker.most_connections,
            refused_connections=self._broker.refused,
        )
