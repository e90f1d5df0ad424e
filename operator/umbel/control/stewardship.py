"""Keeps the policies that TaskQueues need on RabbitMQ, beside the circle.

Each broker is looked at by a task of its own: when a TaskQueue on it changed, every few minutes,
and sooner while something is missing. No turn of the circle waits for it, and no broker for
another. What is remembered here can be lost: a new operator recognises the policies by their names.
A TaskQueue that is deleted while no operator runs leaves its policies behind.

The trap: a policy may hold the consumer timeout of a task that still runs. So nothing is taken away
while pods of the TaskQueue end.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from umbel.autoscaling.snapshot import BrokerFailure
from umbel.control.ports import Brokers, BrokerSteward
from umbel.control.reading import Source
from umbel.resources.rabbitmq_facts import Change, RabbitMQFacts, Refusal
from umbel.resources.rabbitmq_policies import plan, queues_of, removal
from umbel.spec.model import Paused, TaskQueue
from umbel.status import rabbitmq_settings, redis_settings

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 300.0
"""Between two looks where everything is as it should be."""

SOON_SECONDS: Final = 10.0
"""Between two looks while a queue does not exist, a look failed, or something has to be removed."""

ROUNDS: Final = 4
"""A dead-letter queue, then the policy that names it, then a look that finds nothing to do."""

REMOVAL_TRIES: Final = 360
"""An hour; then what is left of a deleted TaskQueue stays where it is."""

Key = tuple[str, str]


@dataclass(slots=True)
class _Charge:
    """One broker."""

    steward: BrokerSteward
    queues: dict[Key, TaskQueue] = field(default_factory=dict)
    leaving: dict[Key, int] = field(default_factory=dict)
    """TaskQueues whose policies have to go, and how often that was tried."""
    draining: frozenset[Key] = frozenset()
    due_at: float = 0.0
    task: asyncio.Task[None] | None = None
    told: frozenset[str] = frozenset()
    """Failures that are in the log already."""

    def take(self, queues: Mapping[Key, TaskQueue], now: float) -> None:
        """These TaskQueues use the broker; a new one or a new spec is looked at now."""
        for key, queue in queues.items():
            known = self.queues.get(key)
            if known is None or (known.uid, known.generation) != (queue.uid, queue.generation):
                self.due_at = now
            self.leaving.pop(key, None)
        self.queues |= queues

    def leave(self, key: Key) -> None:
        """This TaskQueue is gone, or uses another broker now."""
        del self.queues[key]
        self.leaving[key] = 0
        self.wake(0.0)

    def wake(self, when: float) -> None:
        """Look then at the latest."""
        self.due_at = min(self.due_at, when)

    def forget(self, key: Key) -> None:
        """Somebody else looks after this TaskQueue here."""
        self.queues.pop(key, None)


class Stewardship:
    """The stewards of all brokers."""

    def __init__(self, brokers: Brokers) -> None:
        self._brokers = brokers
        self._charges: dict[Source, _Charge | None] = {}
        """None: a broker without policies."""
        self._contradictions: dict[Key, Sequence[str]] = {}

    def contradictions(self, key: Key) -> Sequence[str] | None:
        """What the broker does against a TaskQueue's word; None while that is not known."""
        return self._contradictions.get(key)

    def tend(
        self,
        wanted: Mapping[Source, Sequence[TaskQueue]],
        alive: Collection[Key],
        draining: frozenset[Key],
        now: float,
    ) -> None:
        """Start the looks that are due. Waits for nothing.

        Args:
            wanted: the TaskQueues on each broker, as far as they can be read in this turn.
            alive: every TaskQueue there is, readable or not.
            draining: those, also of TaskQueues that are gone, of which a pod is ending.
            now: seconds of the circle's clock.
        """
        for source, queues in wanted.items():
            charge = self._charge(source)
            if charge is not None:
                charge.take({queue.key: queue for queue in queues}, now)
            else:
                told = {queue.key: redis_settings.contradictions(queue) for queue in queues}
                self._contradictions |= told
        self._dismiss(wanted, alive)
        for source, charge in list(self._charges.items()):
            if charge is None:
                continue
            charge.draining = draining
            if charge.task is None and now >= charge.due_at:
                charge.due_at = now + LOOK_SECONDS
                charge.task = asyncio.create_task(self._tend(source, charge, now))

    async def settle(self) -> None:
        """Wait until every look that has begun is over."""
        running = [c.task for c in self._charges.values() if c is not None and c.task is not None]
        await asyncio.gather(*running)

    async def close(self) -> None:
        """Give up what runs, and release every connection."""
        charges = [charge for charge in self._charges.values() if charge is not None]
        running = [charge.task for charge in charges if charge.task is not None]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await asyncio.gather(*(charge.steward.close() for charge in charges))
        self._charges.clear()

    def _charge(self, source: Source) -> _Charge | None:
        if source not in self._charges:
            access = source.access
            steward = self._brokers.steward(access.url, access.management_url)
            self._charges[source] = None if steward is None else _Charge(steward)
        return self._charges[source]

    def _dismiss(
        self, wanted: Mapping[Source, Sequence[TaskQueue]], alive: Collection[Key]
    ) -> None:
        """Part from TaskQueues that are gone or went to another broker.

        One that merely cannot be read in this turn (its spec, its Secret) keeps what it has.
        """
        homes = {queue.key: source for source, queues in wanted.items() for queue in queues}
        for source, charge in self._charges.items():
            for key in list(charge.queues) if charge is not None else ():
                assert charge is not None  # noqa: S101 - or there was no key
                home = homes.get(key)
                if home == source or (home is None and key in alive):
                    continue
                new = self._charges.get(home) if home is not None else None
                if new is not None and new.steward.place == charge.steward.place:
                    charge.forget(key)  # another account on the same virtual host
                else:
                    charge.leave(key)
        for key in self._contradictions.keys() - alive:
            del self._contradictions[key]

    async def _tend(self, source: Source, charge: _Charge, now: float) -> None:
        try:
            await self._look(charge, now)
        except Exception as error:  # noqa: BLE001 - the outermost edge of a task of its own
            # Only its type is told: nobody knows whether its words hold a password.
            log.error("a steward failed with %s", type(error).__name__)
        finally:
            charge.task = None
        if not charge.queues and not charge.leaving and self._charges.get(source) is charge:
            del self._charges[source]
            await charge.steward.close()

    async def _look(self, charge: _Charge, now: float) -> None:
        queues = tuple(charge.queues.values())
        refused: list[Refusal] = []
        facts = await _bring_about(charge, queues, refused)
        if isinstance(facts, BrokerFailure):
            self._failed(charge, queues, facts, now)
            return
        self._contradictions |= {
            queue.key: rabbitmq_settings.contradictions(queue, facts) for queue in queues
        }
        if charge.leaving or any(not _exists(queue, facts) for queue in queues):
            charge.wake(now + SOON_SECONDS)
        _tell_failures(charge, [refusal.failure for refusal in refused])

    def _failed(
        self, charge: _Charge, queues: Sequence[TaskQueue], failure: BrokerFailure, now: float
    ) -> None:
        """What was known before still counts; where nothing was, RabbitMQ's defaults do."""
        for queue in queues:
            told = rabbitmq_settings.contradictions(queue, None)
            self._contradictions.setdefault(queue.key, told)
        _tell_failures(charge, [failure])
        charge.wake(now + SOON_SECONDS)


async def _bring_about(
    charge: _Charge, queues: Sequence[TaskQueue], refused: list[Refusal]
) -> RabbitMQFacts | BrokerFailure:
    """Look and change until there is nothing to change; what was seen last."""
    names = frozenset[str]().union(*(queues_of(queue) for queue in queues))
    for _ in range(ROUNDS):
        facts = await charge.steward.look(names)
        if isinstance(facts, BrokerFailure):
            break
        leaving = [key for key in charge.leaving if key not in charge.draining]
        tried = [refusal.change for refusal in refused]
        changes = [c for c in _changes(charge, queues, leaving, facts) if c not in tried]
        if changes:
            refused += await charge.steward.change(changes)
            _tell_changes(charge, changes, refused)
        _count_removals(charge, leaving, refused)
        if not changes:
            break
    return facts


def _changes(
    charge: _Charge, queues: Sequence[TaskQueue], leaving: Collection[Key], facts: RabbitMQFacts
) -> list[Change]:
    changes = [change for key in leaving for change in removal(key, facts)]
    for queue in queues:
        if queue.spec.paused is not Paused.ALL:
            changes += plan(queue, facts, draining=queue.key in charge.draining)
    return changes


def _count_removals(charge: _Charge, leaving: Collection[Key], refused: Sequence[Refusal]) -> None:
    """A TaskQueue has left once nothing of it was refused; or nobody could do it for too long."""
    for key in leaving:
        tries = charge.leaving.get(key, 0) + 1
        if not refused or tries >= REMOVAL_TRIES:
            charge.leaving.pop(key, None)
        else:
            charge.leaving[key] = tries


def _exists(queue: TaskQueue, facts: RabbitMQFacts) -> bool:
    return all(name in facts.queues for pool in queue.spec.pools for name in pool.queues)


def _tell_changes(charge: _Charge, changes: Sequence[Change], refused: Sequence[Refusal]) -> None:
    tried = [refusal.change for refusal in refused]
    done = "; ".join(str(change) for change in changes if change not in tried)
    if done:
        log.info("changed on RabbitMQ at %s: %s", charge.steward.place, done)


def _tell_failures(charge: _Charge, failures: Sequence[BrokerFailure]) -> None:
    """Once each, until it is over."""
    messages = frozenset(failure.message for failure in failures)
    for message in messages - charge.told:
        log.warning("%s", message)
    charge.told = messages
