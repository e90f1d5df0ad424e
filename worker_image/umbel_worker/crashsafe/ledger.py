"""What this process is and holds: talks to Redis for the others.

It outlives connections: a message whose task still runs when its channel is lost is *kept* here and
belongs to the next channel, which acknowledges it. Messages are told apart from those of the same
tag that somebody else holds by the score recorded (`redis_contract`), so an acknowledgement that
comes too late touches nothing.

Called from the main thread, from threads of a pool (acknowledgements) and from the renewal.
"""

import os
import time
import uuid
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Optional
from weakref import WeakSet

from celery.utils.log import get_logger
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import dumps
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from umbel_worker import redis_contract as contract
from umbel_worker.crashsafe import scripts
from umbel_worker.status import Status

UNREACHABLE = (RedisError, OSError)

log = get_logger(__name__)


class FencedError(RedisConnectionError):
    """Somebody took this worker for dead and put back what it held, or Redis has lost its memory.

    A connection error for Celery, which then forgets what has not begun and connects anew.
    """


class Keys(NamedTuple):
    """The whole names of what the scripts touch."""

    unacked: str
    scores: str
    held: str
    seen: str
    malformed: str
    workers: str


class Abandoned:
    """The channel of messages that are ours no longer: their tasks run on, and settle nothing."""

    closed = True
    no_ack_consumers: "frozenset[str]" = frozenset()

    def basic_ack(self, delivery_tag: str, **_: Any) -> None:
        """Say what happened instead of acknowledging."""
        log.warning("umbel: task of message %s ended, which was put back meanwhile", delivery_tag)

    def basic_reject(self, delivery_tag: str, **_: Any) -> None:
        """The same."""
        self.basic_ack(delivery_tag)


class Between:
    """The channel of a kept message until there is another connection."""

    no_ack_consumers: "frozenset[str]" = frozenset()

    def __init__(self, ledger: "Ledger", message: Any) -> None:
        self._ledger, self._message = ledger, message

    def basic_ack(self, delivery_tag: str, **_: Any) -> None:
        """The task is done."""
        self._ledger.settle(delivery_tag)

    def basic_reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Hand the message back, or drop it."""
        self._ledger.settle(delivery_tag, *(("L", marked(self._message)) if requeue else ()))


@dataclass
class Ledger:
    """The incarnation of this process, and the messages it holds."""

    node: str
    task_queue: Optional[str]
    status: Status
    inline: bool = False
    """Whether tasks run in the thread that reads the messages."""
    pid: int = field(default_factory=os.getpid)
    """Children of a prefork pool have a copy, which is not to be used."""
    target: Any = None
    """Which broker and database this is; channels to others stay stock."""
    incarnation: Optional[contract.Incarnation] = None
    former: "list[contract.Incarnation]" = field(default_factory=list)
    prefix: str = ""
    client: Any = None
    """A client that adds no prefix; it connects anew where it must."""
    keys: Keys = field(default_factory=lambda: Keys(*[""] * 6))
    """Of the present incarnation."""
    channels: "WeakSet[Any]" = field(default_factory=WeakSet)
    kept: "dict[str, Any]" = field(default_factory=dict)
    """Messages by tag whose tasks run while there is no channel for them."""
    settled: "dict[str, tuple[str, ...]]" = field(default_factory=dict)
    """Tags whose acknowledgement has not reached Redis, and what to do with them."""
    off: bool = False
    """Redis refuses what this needs: everything is as stock kombu has it."""
    polls: bool = False
    """Redis does not tell of new messages: they are asked for."""
    doubted: bool = False
    """The renewal has found us fenced."""
    _predecessors_done: bool = False

    def own(self) -> contract.Incarnation:
        """The present incarnation.

        Raises:
            FencedError: there is none at the moment.
        """
        if self.incarnation is None:
            message = "this worker has no incarnation at the moment"
            raise FencedError(message)
        return self.incarnation

    def covers(self, client: Any) -> bool:
        """Whether this kombu connection goes to the broker that this worker consumes from."""
        return self.target is None or self.target == target_of(client)

    def refuse(self, why: str) -> None:
        """Leave everything to stock kombu from now on."""
        self.off = True
        self.status.crash_safe = f"off: {why}"
        log.error("umbel: not crash-safe, Redis refuses what that needs: %s", why)

    def poll(self, why: str) -> None:
        """Ask for messages from now on."""
        self.polls = True
        self.status.crash_safe = f"polling: {why}"
        log.warning("umbel: crash-safe, but asking for messages all the time: %s", why)

    def join(self, channel: Any) -> None:
        """Take over a new channel, before it takes its first message.

        Raises:
            RedisError: Redis cannot be reached, or refuses.
        """
        self.prefix, self.client = channel.global_keyprefix, Redis(connection_pool=channel.pool)
        if self.incarnation is not None and self.renew([]) is None:
            self.fence()
        self.doubted = False
        if self.incarnation is None:
            self._register(channel)
        self._recover_own()
        for tag, how in list(self.settled.items()):
            self._settle(tag, how)
            self.settled.pop(tag, None)
        records = self.records()
        known = self.known() | channel.qos.held
        left = [record for record in records if record.tag not in known]
        count = self._put_back(left, mark=False)
        if count:  # what was settled since the server was asked is not there any more
            log.warning("umbel: %d messages that had not begun are back in their queues", count)
        # Last: a channel that is lost while it joins answers for nothing yet.
        self._attach(channel, {record.tag for record in records})

    def _register(self, channel: Any) -> None:
        incarnation = contract.Incarnation(
            id=uuid.uuid4().hex,
            node=self.node,
            task_queue=self.task_queue,
            unacked=self.prefix + channel.unacked_key,
            index=self.prefix + channel.unacked_index_key,
            started=time.time(),
        )
        keys = Keys(
            incarnation.unacked,
            incarnation.index,
            contract.held_key(incarnation.id, self.prefix),
            contract.seen_key(self.prefix),
            f"{self.prefix}umbel.malformed",
            contract.workers_key(self.prefix),
        )
        # Redis may refuse what scripts call: find out before anything is held.
        nobody = f"{self.prefix}umbel.nobody.{incarnation.id}"
        scripts.PROBE(self.client, [f"{nobody}.{what}" for what in "hzl"])
        reply = scripts.REGISTER(
            self.client,
            [keys.workers, keys.seen, contract.gone_key(self.prefix)],
            incarnation.id,
            incarnation.entry(),
            incarnation.worker,
        )
        if bytes_to_str(reply) == scripts.GONE:
            message = "this worker's pod is gone, says Kubernetes: it takes nothing more"
            raise FencedError(message)
        self.incarnation, self.keys = incarnation, keys

    def _recover_own(self) -> None:
        """Put back what earlier incarnations of this worker held: they are dead for certain."""
        gone, self.former = self.former, []
        if not self._predecessors_done:
            everybody = contract.run(self.client, contract.incarnations(self.prefix))
            gone += [one for one in everybody if self._is_predecessor(one)]
        for one in gone:
            count = contract.run(self.client, contract.recover(one, self.prefix))
            log.warning("umbel: %d messages of this worker's last life are back", count)
        self._predecessors_done = True

    def _is_predecessor(self, other: contract.Incarnation) -> bool:
        same = (other.node, other.task_queue) == (self.node, self.task_queue)
        return same and other.id != self.own().id

    def _attach(self, channel: Any, held: "set[str]") -> None:
        self.channels.add(channel)
        kept, self.kept = self.kept, {}
        for tag, message in kept.items():
            if tag in held:
                channel.qos.adopt(message, tag)
            else:
                message.channel = ABANDONED
        if kept:
            log.warning("umbel: %d running tasks keep their messages", len(kept))

    def records(self) -> "list[contract.Record]":
        """What the server says that we hold."""
        flat = self.client.execute_command("HGETALL", self.keys.held)
        return [contract.Record(bytes_to_str(t), bytes_to_str(r)) for t, r in flat.items()]

    def known(self) -> "set[str]":
        """What this process knows that it holds."""
        tags = set(self.kept) | set(self.settled)
        for channel in list(self.channels):
            tags.update(channel.qos.held)
            tags.update(channel.umbel_coming)
        return tags

    def keep(self, channel: Any, waiting: "set[str]") -> None:
        """Hold on to what this channel held when it was lost, but for what has not begun."""
        self.channels.discard(channel)
        for message in channel.qos.forget():
            if message.delivery_tag not in waiting and message.channel is not ABANDONED:
                self.kept[message.delivery_tag] = message
                message.channel = Between(self, message)

    def settle(self, tag: str, *how: str) -> None:
        """Acknowledge or hand back; remembered for the next connection if Redis does not answer."""
        # Known until Redis has heard it: another greenlet may be making a new connection, which
        # puts back what nobody knows.
        self.settled[tag] = how
        self.kept.pop(tag, None)
        try:
            self._settle(tag, how)
        except UNREACHABLE as error:
            log.warning("umbel: Redis is to hear later that %s is settled: %r", tag, error)
        else:
            self.settled.pop(tag, None)

    def _settle(self, tag: str, how: "tuple[str, ...]") -> None:
        if self.incarnation is not None:
            scripts.SETTLE(self.client, list(self.keys[:3]), tag, *how)

    def renew(self, tags: "list[str]") -> "Optional[int]":
        """Show that we live, and that we still hold these.

        Returns:
            How many messages we hold by the server's account; None if we are fenced.
        """
        touched = [self.keys.scores, self.keys.held, self.keys.seen]
        reply = scripts.RENEW(self.client, touched, self.own().id, *tags)
        if bytes_to_str(reply) == scripts.GONE:
            return None
        return int(reply[0])

    def put_back(self, tags: "set[str]", *, mark: bool) -> int:
        """Return these messages to the head of their lists, as far as they are ours.

        Args:
            tags: Which.
            mark: Whether as redelivered: their tasks may have begun.
        """
        return self._put_back([record for record in self.records() if record.tag in tags], mark)

    def _put_back(self, records: "list[contract.Record]", mark: bool) -> int:
        steps = contract.put_back(self.own(), records, self.prefix, mark=mark)
        return contract.run(self.client, steps)

    def unknown(self) -> "set[str]":
        """What we hold by the server's account, but know nothing of."""
        on_server = {record.tag for record in self.records()}
        return on_server - self.known()

    def fence(self) -> None:
        """Give up this incarnation: what it held is put back, by us or by who fenced it."""
        if self.incarnation is None:
            return
        log.error(
            "umbel: this worker was taken for dead, or Redis has forgotten it: what it held is"
            " put back; it goes on under a new name"
        )
        self.former.append(self.incarnation)
        self.incarnation = None
        self.settled.clear()
        for message in self.kept.values():
            message.channel = ABANDONED
        self.kept.clear()
        for channel in list(self.channels):
            for message in channel.qos.forget():
                message.channel = ABANDONED
        self.channels.clear()

    def leave(self) -> None:
        """Take every trace of this incarnation out of Redis, if it holds nothing any more.

        At a cold shutdown it may; whoever ends the process hands that back.
        """
        own = self.incarnation
        if own is not None and self.pid == os.getpid() and not self.known():
            self.incarnation = None
            contract.run(self.client, contract.recover(own, self.prefix))


def target_of(client: Any) -> "tuple[object, ...]":
    """Which broker and database a kombu connection goes to."""
    options = client.transport_options or {}
    several = len(client.alt or ()) > 1  # then it may be any of them
    where = tuple(client.alt) if several else (client.hostname, client.port)
    return (*where, client.virtual_host, options.get("global_keyprefix"))


def marked(message: Any) -> str:
    """The message as it is to be stored again."""
    payload = message._raw
    payload.setdefault("headers", {})["redelivered"] = True
    payload["properties"]["delivery_info"]["redelivered"] = True
    return dumps(payload)  # type: ignore[no-any-return]


ABANDONED = Abandoned()
