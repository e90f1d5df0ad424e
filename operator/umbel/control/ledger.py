"""What each worker process holds of the shared rate limits, at most. Pure. Rule R.

A share may be given away only when it is certain that its former holder has it no more. So this
keeps an upper bound for each process: what it said it held, and whatever it was told since. Only
two things lower that:

1. a report with the stamp of one of *our* commands: the process took that one, so of all that it
   was told before nothing can reach it any more, whoever sent it;
2. its end (`umbel.control.ended`'s facts): its pod is gone or over, its container ended after it
   began, a later process reports under its name, or it said itself that it stops.

Silence is neither. A report that is late says less than a newer one, and is passed over.

A new operator knows nothing. Until every pod that it found at its start has taken one of its
commands, or is gone, it gives nobody more (`settled`): the last operator's commands may be under
way. A pod that came later cannot have any: whoever dealt to it had heard it, and led afterwards
(`Leadership.led_at`), so the pod was there before the lease changed hands. The same holds against
an operator that leads no longer and does not know.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from umbel.autoscaling.worker_report import SharesHeld, WorkerReport
from umbel.cluster.objects import PodView
from umbel.control.crew import SILENT_AFTER_SECONDS
from umbel.resources.rate_limits import Share, Stamp

Process: TypeAlias = tuple[str, str]
"""Node name and run."""

Shares: TypeAlias = Mapping[str, Share]
"""By a limit's id."""

NEVER_RAN_SECONDS: Final = 60.0
"""A pod that was found at the start, and whose container has not run for so long since, holds
nothing: a kubelet tells the start of one within seconds."""

BACK_FROM_THE_DEAD_SECONDS: Final = 30.0
"""Whoever speaks so long after its end is not dead: its pod was deleted by force."""

NONE: Final = Share(0.0, 0)


@dataclass(slots=True)
class Account:
    """One process."""

    node: str
    run: str
    began: float
    """Seconds since 1970 on its node's clock; 0: unknown."""
    heard_at: float
    """When it was first heard, on the circle's clock."""
    seen_at: float
    """When it was heard last."""
    stamp: Stamp | None = None
    """Of the last command that it says it took."""
    held: Shares = field(default_factory=dict)
    """What it says it holds."""
    given: list[tuple[Stamp, Shares | None]] = field(default_factory=list)
    """What it was told since, oldest first; None: to keep what it has."""

    @property
    def pod(self) -> str:
        """The name of its pod."""
        return _pod_of(self.node)

    @property
    def last(self) -> Shares:
        """What it will hold if it takes the last command."""
        told = [shares for _, shares in self.given if shares is not None]
        return told[-1] if told else self.held

    def most(self, limit: str) -> Share:
        """What it may hold of a limit."""
        states = [self.held, *(shares for _, shares in self.given if shares is not None)]
        several = [state.get(limit, NONE) for state in states]
        return Share(max(one.rate for one in several), max(one.burst for one in several))


class Ledger:
    """The processes of one TaskQueue."""

    def __init__(self, word: str, epoch: int, pods: Iterable[PodView], now: float) -> None:
        """Begin to lead.

        Args:
            word: of this operator alone.
            epoch: greater than that of every operator before.
            pods: those of the TaskQueue, listed after this operator began to lead.
            now: seconds of the circle's clock.
        """
        self._word, self._number, self._sequence = word, epoch, 0
        self._inherited = {pod.name: pod.restarts for pod in pods}
        """Restarts at the start of pods that the last operator may still have a word with."""
        self._ran = {pod.name: now for pod in pods}
        """When they were last seen running, or at the start."""
        self._foreign: tuple[Stamp, float] | None = None
        """The greatest of somebody else, and when it was first heard."""
        self._dead: dict[Process, float] = {}
        self.accounts: dict[Process, Account] = {}
        self.left: dict[str, float] = {}
        """Tasks that were not begun under shares that were given up, by a limit's id."""

    def hear(self, node: str, report: WorkerReport, seen_at: float) -> None:
        """Take in the last word of a worker that goes by shares."""
        process, shares = (node, report.run), report.shares
        if report.draining:
            self._inherited.pop(_pod_of(node), None)
        if shares is None or self._is_dead(process, seen_at):
            return
        if report.draining and process in self.accounts and self.knows(self.accounts[process]):
            self._keep_what_is_left(shares)
        if report.draining or self._is_superseded(node, report):
            self._bury(process, seen_at)
            return
        account = self.accounts.setdefault(
            process, Account(node, report.run, report.began, seen_at, seen_at)
        )
        account.seen_at = seen_at
        if shares.stamp is not None:
            self._take_word(account, shares.stamp, shares)

    def _take_word(self, account: Account, stamp: Stamp, shares: SharesHeld) -> None:
        if stamp[1] != self._word:
            self._hear_of_another(stamp, account.seen_at)
        if account.stamp is not None and stamp < account.stamp:
            return  # it is late
        if self._is_ours(stamp) and stamp != account.stamp:
            self._keep_what_is_left(shares)
        account.stamp = stamp
        account.held = {
            limit: Share(one.rate, one.burst) for limit, one in shares.held.items() if one.rate
        }
        account.given = [one for one in account.given if one[0] > stamp]
        if self._is_ours(stamp):
            self._inherited.pop(account.pod, None)

    def _keep_what_is_left(self, shares: SharesHeld) -> None:
        """Once for each command, and at the end."""
        for limit, one in shares.held.items():
            if one.left:
                self.left[limit] = self.left.get(limit, 0.0) + one.left

    def look(self, pods: Mapping[str, PodView], gone: Collection[str], now: float) -> None:
        """Take in how the pods are.

        Args:
            pods: by name, as last seen.
            gone: names of which the API server says that there is no such pod.
            now: seconds of the circle's clock.
        """
        for process, account in list(self.accounts.items()):
            pod = pods.get(account.pod)
            silent = now - account.seen_at > SILENT_AFTER_SECONDS
            lost = account.pod in gone and silent  # deleted by force, it may run on
            if lost or (pod is not None and _has_ended(pod, account.began)):
                self._bury(process, now)
                self._inherited.pop(account.pod, None)
        for name in list(self._inherited):
            if name in gone or self._holds_nothing(name, pods.get(name), now):
                del self._inherited[name]
        self._forget(pods, now)

    def missing(self, pods: Collection[str]) -> set[str]:
        """Names of pods that matter, and that nobody sees."""
        names = {account.pod for account in self.accounts.values()} | self._inherited.keys()
        return {name for name in names if name not in pods}

    def give_way(self, led_at: float) -> None:
        """Go beyond stamps of somebody else that are greater than ours, if it is we who lead.

        It happens where the Lease was lost and made anew, or there was none.
        """
        if self._foreign is not None:
            (number, word, _), heard_at = self._foreign
            if (number, word) > (self._number, self._word) and heard_at < led_at:
                self._number = number + 1

    def knows(self, account: Account) -> bool:
        """Whether its bounds are bounds."""
        if account.stamp is None:
            return account.pod not in self._inherited
        return self._is_ours(account.stamp)

    @property
    def settled(self) -> bool:
        """Whether all that anybody may hold is known."""
        return not self._inherited and all(map(self.knows, self.accounts.values()))

    @property
    def unsettled(self) -> list[str]:
        """Names of the pods that keep it from being so."""
        unknown = {one.pod for one in self.accounts.values() if not self.knows(one)}
        return sorted(unknown | self._inherited.keys())

    def total(self, limit: str) -> Share:
        """What all of them together may hold of a limit."""
        several = [account.most(limit) for account in self.accounts.values()]
        return Share(sum(one.rate for one in several), sum(one.burst for one in several))

    def give(self, shares: Mapping[Process, Shares | None]) -> Stamp:
        """Take down what these are told with one command, before it is sent; its stamp."""
        self._sequence += 1
        stamp = (self._number, self._word, self._sequence)
        for process, told in shares.items():
            account = self.accounts[process]
            if account.given and account.given[-1][1] == told:
                account.given.pop()  # told again: the later stamp stands for both
            account.given.append((stamp, told))
        return stamp

    def _is_ours(self, stamp: Stamp) -> bool:
        return stamp[:2] == (self._number, self._word)

    def _hear_of_another(self, stamp: Stamp, seen_at: float) -> None:
        if self._foreign is None or stamp > self._foreign[0]:
            self._foreign = (stamp, seen_at)

    def _is_superseded(self, node: str, report: WorkerReport) -> bool:
        """Whether a later process has spoken under the same name; earlier ones are buried."""
        others = [
            one for one in self.accounts.values() if one.node == node and one.run != report.run
        ]
        for other in others:
            if other.began < report.began:
                self._bury((other.node, other.run), other.seen_at)
        return any(other.began > report.began for other in others)

    def _is_dead(self, process: Process, seen_at: float) -> bool:
        died_at = self._dead.get(process)
        if died_at is not None and seen_at > died_at + BACK_FROM_THE_DEAD_SECONDS:
            del self._dead[process]
            return False
        return died_at is not None

    def _bury(self, process: Process, now: float) -> None:
        self.accounts.pop(process, None)
        self._dead[process] = now

    def _holds_nothing(self, name: str, pod: PodView | None, now: float) -> bool:
        """Whether what ran in a pod at the start has ended, or nothing did."""
        if pod is None:
            return False
        if pod.running:
            self._ran[name] = now
        # One restart may have been before the start, and be told of only now.
        ended = pod.over or pod.restarts > self._inherited[name] + 1
        return ended or bool(pod.unplaced) or now - self._ran[name] > NEVER_RAN_SECONDS

    def _forget(self, pods: Collection[str], now: float) -> None:
        """The dead of whom nothing will be heard any more."""
        late = now - 4 * BACK_FROM_THE_DEAD_SECONDS
        self._dead = {
            process: at
            for process, at in self._dead.items()
            if at >= late or _pod_of(process[0]) in pods
        }


def _pod_of(node: str) -> str:
    return node.rpartition("@")[2]


def _has_ended(pod: PodView, began: float) -> bool:
    """Whether a process that began then in this pod has ended."""
    return pod.over or (
        pod.worker_ended_at is not None and bool(began) and began < pod.worker_ended_at
    )
