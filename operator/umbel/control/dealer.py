"""Deals out the shares of one TaskQueue's rate limits, where its workers have no Redis. Rule R.

In each turn: take in what workers say and how pods are (`umbel.control.ledger`), see who should
have how much (`share_sizes`), take from whom has too much, and give what is free beyond doubt. No
clock and no connection; what is remembered may be lost, with `umbel.control.ledger`'s care.

What is free is not only a matter of sums. Who gave up a share may have used up its bucket just
before, so for `HELD_SECONDS` the tasks that could begin at once count as many as there were.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from umbel.autoscaling.snapshot import WorkerView
from umbel.autoscaling.worker_report import ShareHeld, TaskTotals, WorkerReport, summed
from umbel.control.crew import SILENT_AFTER_SECONDS
from umbel.control.ledger import NONE, Ledger, Process, Shares
from umbel.control.share_sizes import Asking, has_backlog, pace, room, sizes
from umbel.resources.rate_limits import RateLimit, RateLimits, Share, Stamp

HELD_SECONDS: Final = 1.1
"""For a second, the shortest time that a limit is promised for, and a task that begins late."""

TELL_AGAIN_SECONDS: Final = 3.0
"""A worker reports every 2 s, and at once when it was told."""

TURN_SECONDS: Final = 60.0
TURN_INTERVALS: Final = 100
LONGEST_TURN_SECONDS: Final = 600.0
"""How long a share stays with its holder while others wait: handing it over costs about a second,
and the time from one task to the next."""

LEAST_PART: Final = 0.1
"""Of what a process should have: less than that is not worth a command."""

NEARLY_ALL: Final = 0.99
"""Of what all should have together: with less, somebody gets more."""

ROUNDING: Final = 1e-9
"""By how much sums of parts may differ from the whole; far less than is kept back
(`umbel_worker.ratelimit.gcra.SHARE`)."""

SLOWER: Final = 0.98
"""Than the limit, what nobody had is saved: as workers count, and a little less."""

NOTHING_HELD: Final = ShareHeld(0.0, 0, 0)

Told = tuple[str, Shares | None, Mapping[str, float]]
"""A run, its shares (None: it keeps what it has), and what it may begin at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deal:
    """One command."""

    stamp: Stamp
    told: Mapping[str, Told]
    """By node name."""


@dataclass(slots=True)
class _Peaks:
    """How many tasks could begin at once, lately."""

    told: list[tuple[float, int]] = field(default_factory=list)
    """(since when, how many), oldest first."""

    def note(self, burst: int, now: float) -> None:
        if not self.told or self.told[-1][1] != burst:
            self.told.append((now, burst))
        while len(self.told) > 1 and self.told[1][0] <= now - HELD_SECONDS:
            del self.told[0]

    @property
    def most(self) -> int:
        return max((burst for _, burst in self.told), default=0)


class Dealer:
    """Of one TaskQueue."""

    def __init__(self, ledger: Ledger, *, fresh: bool) -> None:
        """Know nothing of the limits.

        Args:
            ledger: of the TaskQueue.
            fresh: nobody can have run a task of it yet.
        """
        self.ledger = ledger
        self._fresh_limits = fresh
        self._credits: dict[str, float] = {}
        """Tasks that may begin at once on top of all shares, by a limit's id: what others have
        left. With the bursts of all shares it is never more than the limit's burst."""
        self._saved_at: dict[str, float] = {}
        """Until when that holds what flowed in, where nobody has a share."""
        self._peaks: dict[str, _Peaks] = {}
        """By a limit's id."""
        self._backlogs: set[str] = set()
        self._turns: dict[Process, float] = {}
        """Since when each holder has had a share."""
        self._served: dict[Process, float] = {}
        """When each that has had one had it last."""
        self._sent: dict[Process, tuple[str, Shares | None, float]] = {}
        """Digest of the limits, shares, and when."""

    def turn(
        self,
        limits: RateLimits,
        workers: Mapping[str, WorkerView],
        led_at: float,
        now: float,
    ) -> Deal | None:
        """What is to be told now, and is taken down as told.

        Args:
            limits: of the TaskQueue.
            workers: its workers' last words, by node name; the ledger has heard them.
            led_at: as `umbel.control.ports.Leadership.led_at`.
            now: seconds of the circle's clock.
        """
        shared = [limit for limit in limits.limits if limit.shared]
        self._note(shared, now)
        self._save(shared, now)
        plan = self._plan(limits, shared, workers, led_at, now)
        due = {
            process: shares
            for process, shares in plan.items()
            if self._is_due(process, shares, limits.digest, workers, now)
        }
        if not due:
            return None
        along = {process: self._spend(process, shares) for process, shares in due.items()}
        stamp = self.ledger.give(due)
        self._sent.update((process, (limits.digest, told, now)) for process, told in due.items())
        self._note(shared, now)
        told = {node: (run, shares, along[node, run]) for (node, run), shares in due.items()}
        return Deal(stamp=stamp, told=told)

    def _plan(
        self,
        limits: RateLimits,
        shared: Sequence[RateLimit],
        workers: Mapping[str, WorkerView],
        led_at: float,
        now: float,
    ) -> dict[Process, Shares | None]:
        """What each process should be told, whether or not it was."""
        accounts = self.ledger.accounts
        fresh = self._fresh(workers, now)
        wanted = self._wanted(limits, shared, fresh, now)
        settled = self.ledger.settled
        plan: dict[Process, dict[str, Share]] = {process: {} for process in accounts}
        for limit in shared:
            want = self._steady(limit, wanted[limit.id], settled=settled)
            for process, account in accounts.items():
                lowered = _least(account.last.get(limit.id, NONE), want.get(process, NONE))
                if lowered.burst and lowered.rate:
                    plan[process][limit.id] = lowered
            if settled:
                may = [p for p in want if p in fresh and accounts[p].heard_at < led_at]
                self._raise(limit, want, may, plan)
        return {
            process: shares if self.ledger.knows(accounts[process]) else None
            for process, shares in plan.items()
        }

    def _fresh(self, workers: Mapping[str, WorkerView], now: float) -> dict[Process, WorkerReport]:
        """The reports of those that are not silent."""
        reports = {
            process: (view.report, view.seen_at)
            for process in self.ledger.accounts
            if (view := workers.get(process[0])) is not None and view.report is not None
        }
        return {
            process: report
            for process, (report, seen_at) in reports.items()
            if report.run == process[1] and now - seen_at <= SILENT_AFTER_SECONDS
        }

    def _wanted(
        self,
        limits: RateLimits,
        shared: Sequence[RateLimit],
        fresh: Mapping[Process, WorkerReport],
        now: float,
    ) -> dict[str, dict[Process, Share]]:
        """What each should have, by a limit's id; those in front of the line come first."""
        longest = max((limit.interval for limit in shared), default=0.0)
        over_at = now - min(max(TURN_SECONDS, TURN_INTERVALS * longest), LONGEST_TURN_SECONDS)
        names = {name for report in fresh.values() for name in report.tasks}
        under = {name: frozenset(one.id for one in limits.of(name)) for name in names}
        wanted = {}
        for limit in shared:
            done = {
                process: summed(
                    [one for name, one in report.tasks.items() if limit.id in under[name]]
                )
                for process, report in fresh.items()
            }
            all_done = summed(list(done.values()))
            asking = [
                self._asking(limit, process, report, (done[process], all_done), over_at)
                for process, report in fresh.items()
                if report.taking != 0 or _held(report, limit).waiting
            ]
            backlog = has_backlog(limit, asking, limit.id in self._backlogs)
            (self._backlogs.add if backlog else self._backlogs.discard)(limit.id)
            wanted[limit.id] = sizes(limit, asking, backlog)
        self._take_turns({process for want in wanted.values() for process in want}, now)
        return wanted

    def _asking(
        self,
        limit: RateLimit,
        process: Process,
        report: WorkerReport,
        done: tuple[TaskTotals, TaskTotals],
        over_at: float,
    ) -> Asking:
        """It; `done` is by itself and by all of them."""
        one, since = _held(report, limit), self._turns.get(process)
        return Asking(
            process=process,
            waiting=one.waiting,
            full=one.full,
            uses=one.waiting > 0 or done[0].started > 0,
            can=pace(report.slots, *done),
            holds=since is not None,
            turn_over=since is not None and since <= over_at,
            served_at=self._served.get(process, float("-inf")),
        )

    def _take_turns(self, holders: Collection[Process], now: float) -> None:
        self._turns = {process: self._turns.get(process, now) for process in holders}
        self._served.update(dict.fromkeys(holders, now))
        for gone in self._served.keys() - self.ledger.accounts.keys():
            del self._served[gone]
        for gone in self._sent.keys() - self.ledger.accounts.keys():
            del self._sent[gone]

    def _steady(
        self, limit: RateLimit, want: Mapping[Process, Share], *, settled: bool
    ) -> Mapping[Process, Share]:
        """What they have, where that is nearly what they should: each change costs a little.

        So it is where nothing can be given, whatever was taken.
        """
        last = {
            process: account.last[limit.id]
            for process, account in self.ledger.accounts.items()
            if limit.id in account.last
        }
        have, should = (sum(one.rate for one in several.values()) for several in (last, want))
        if have > room(limit, sum(one.burst for one in last.values())) * (1 + ROUNDING):
            return want
        if not settled:
            return last
        near = last.keys() == want.keys() and all(
            last[process].burst == share.burst
            and abs(last[process].rate - share.rate) <= LEAST_PART * share.rate
            for process, share in want.items()
        )
        return last if near and have >= NEARLY_ALL * should else want

    def _raise(
        self,
        limit: RateLimit,
        want: Mapping[Process, Share],
        may: Sequence[Process],
        plan: dict[Process, dict[str, Share]],
    ) -> None:
        """Give what is free to those that should have more, in the order of the line."""
        all_rates, all_bursts = self.ledger.total(limit.id)
        peak = self._peaks[limit.id].most
        for process in may:
            target, before = want[process], plan[process].get(limit.id, NONE)
            if target == before:
                continue
            mine = self.ledger.accounts[process].most(limit.id)
            burst = max(mine.burst, target.burst)
            at_once = all_bursts - mine.burst + burst
            free = room(limit, max(peak, at_once)) - (all_rates - mine.rate)
            rate = min(target.rate, free)
            worth_it = rate == target.rate or rate >= before.rate + LEAST_PART * target.rate
            if rate > 0 and free >= mine.rate and worth_it:
                plan[process][limit.id] = Share(rate, target.burst)
                all_rates += max(mine.rate, rate) - mine.rate
                all_bursts = at_once

    def _is_due(
        self,
        process: Process,
        shares: Shares | None,
        digest: str,
        workers: Mapping[str, WorkerView],
        now: float,
    ) -> bool:
        account = self.ledger.accounts[process]
        view = workers.get(account.node)
        keeps = view.report.rate_limits if view is not None and view.report is not None else ""
        if shares is not None and shares == account.held and not account.given and keeps == digest:
            return False
        told = self._sent.get(process)
        if told is None or told[:2] != (digest, shares):
            return True
        return now - told[2] >= TELL_AGAIN_SECONDS

    def _save(self, shared: Sequence[RateLimit], now: float) -> None:
        """Keep what was left, and what flows in while nobody has a share."""
        for limit in shared:
            credit = self._credits.get(limit.id)
            if credit is None:
                credit = float(limit.burst) if self._fresh_limits else 0.0
            held = self.ledger.total(limit.id).burst
            if held or not self.ledger.settled:
                self._saved_at.pop(limit.id, None)
            else:
                since = self._saved_at.setdefault(limit.id, now + HELD_SECONDS)
                credit += SLOWER * max(0.0, now - since) / limit.interval
                self._saved_at[limit.id] = max(since, now)
            credit += self.ledger.left.get(limit.id, 0.0)
            self._credits[limit.id] = min(credit, max(0.0, limit.burst - held))
        self.ledger.left.clear()
        self._fresh_limits = True  # who comes later is new

    def _spend(self, process: Process, shares: Shares | None) -> dict[str, float]:
        """The credit that goes along with shares that grow."""
        spent = {}
        before = self.ledger.accounts[process].last
        for limit, share in (shares or {}).items():
            more = share.burst - before.get(limit, NONE).burst
            spent[limit] = min(self._credits[limit], max(0.0, more))
            self._credits[limit] -= spent[limit]
        return {limit: credit for limit, credit in spent.items() if credit}

    def _note(self, shared: Sequence[RateLimit], now: float) -> None:
        known = {limit.id for limit in shared}
        for limit in known:
            peaks = self._peaks.setdefault(limit, _Peaks())
            peaks.note(self.ledger.total(limit).burst, now)
        self._backlogs &= known
        for gone in self._peaks.keys() - known:
            del self._peaks[gone]
            self._credits.pop(gone, None)
            self._saved_at.pop(gone, None)


def _least(one: Share, other: Share) -> Share:
    return Share(min(one.rate, other.rate), min(one.burst, other.burst))


def _held(report: WorkerReport, limit: RateLimit) -> ShareHeld:
    held = report.shares.held.get(limit.id) if report.shares is not None else None
    return held if held is not None else NOTHING_HELD
