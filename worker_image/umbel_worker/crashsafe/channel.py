"""Taking a message and recording it as held, as one step, in the place of kombu's BRPOP.

kombu sends a command on the taking connection (`_brpop_start`), goes on with its event loop, and
reads the reply when there is one (`_brpop_read`). So does this, with one more state: after a take
that found nothing, and `EXISTS` that said so, the channel *waits*, and no reply is due. kombu
believes it to be reading then (`_in_poll`), which keeps it from sending; to end the wait is to
forget that.

The traps: `close()` would read a reply that never comes; kombu's health check would miss it; and up
to kombu 5.6 a connection that is lost and made anew behind Celery's back is never polled again, so
every loss is an error that makes Celery connect anew.
"""

import os
from contextlib import suppress
from enum import Enum
from importlib import import_module
from queue import Empty
from time import monotonic
from typing import TYPE_CHECKING, Any, Optional

from kombu.asynchronous import get_event_loop
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import loads
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, ResponseError

from umbel_worker.crashsafe import scripts
from umbel_worker.crashsafe.ledger import UNREACHABLE, FencedError, Ledger, log
from umbel_worker.crashsafe.qos import SafeQoS
from umbel_worker.crashsafe.waiting import RECHECK_SECONDS, Poll, Races, RefusedError, Waker

transport: Any = import_module("kombu.transport.redis")

if TYPE_CHECKING:
    Base = Any
else:
    Base = object


MANY, AT_ONCE = 16, 8
"""After so many takes in a row that found something, so many messages at most are taken at once, as
far as the prefetch allows: before, they may be few, and other workers would have them sooner."""

LOOP_SECONDS = 1.0
"""The loop's own timers end longer waits in time: there is one every 1 to 2 s."""


class State(Enum):
    """What the taking connection is doing."""

    IDLE = "nothing is due"
    TAKING = "the reply of a take is due"
    ASKING = "the reply of EXISTS is due"
    WAITING = "nothing is due until something arrives"


class Taking(Base):
    """Mixed into kombu's channels."""

    QoS = SafeQoS
    umbel_ledger: Ledger
    umbel_taken: Optional[str] = None
    """The tag that is being delivered."""
    umbel_state = State.IDLE
    umbel_waker: Optional[Waker] = None
    _look_at = 0.0
    _brpop_sent_at: Optional[float] = None
    _woken = False
    _called = False
    """What is to be sent, or was sent, answers a wake-up that others got too."""
    _script_known = False
    _in_a_row = 0
    """Takes since one found nothing."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._unrecorded: set[str] = set()
        self.umbel_coming: set[str] = set()
        """Tags that were taken together with the one that is being delivered."""
        self._list_keys: dict[tuple[str, ...], list[str]] = {}
        self._poll, self._races = Poll(), Races()
        super().__init__(*arguments, **options)
        stock = not issubclass(self.QoS, SafeQoS)  # ack_emulation is off
        self._other = stock or not self.umbel_ledger.covers(self.connection.client)

    def basic_consume(self, queue: str, no_ack: bool = False, *rest: Any, **options: Any) -> Any:
        """Remember who needs no acknowledgement: nothing is to be recorded for them."""
        (self._unrecorded.add if no_ack else self._unrecorded.discard)(queue)
        return super().basic_consume(queue, no_ack, *rest, **options)

    def _update_queue_cycle(self) -> None:
        super()._update_queue_cycle()
        self._woken = True
        self.umbel_stop_waiting()  # take from the new set of queues

    def _is_ours(self) -> bool:
        ledger = self.umbel_ledger
        return not (self._other or ledger.off or ledger.pid != os.getpid())

    # --- taking

    def _brpop_start(self, *timeout: Any) -> None:
        if not self._is_ours():
            super()._brpop_start(*timeout)
            return
        queues = tuple(self._queue_cycle.consume(len(self.active_queues)))
        if not queues:
            return
        if self not in self.umbel_ledger.channels and not self._join():
            super()._brpop_start(*timeout)
            return
        self._watch()
        self._queues, self._keys = queues, self._lists(queues)
        self._in_poll = self.client.connection
        self._woken = False
        self._send_take()

    def _join(self) -> bool:
        ledger = self.umbel_ledger
        try:
            ledger.join(self)
        except ResponseError as error:
            if not refused(error):  # such as a replica after a failover: connect anew
                raise RedisConnectionError(str(error)) from error
            ledger.refuse(str(error))
            return False
        return True

    def _lists(self, queues: "tuple[str, ...]") -> "list[str]":
        keys = self._list_keys.get(queues)
        if keys is None:
            steps = [(pri, queue) for pri in self.priority_steps for queue in queues]
            keys = [self.global_keyprefix + self._q_for_pri(queue, pri) for pri, queue in steps]
            self._list_keys[queues] = keys
        return keys

    def _send_take(self) -> None:
        ledger = self.umbel_ledger
        recorded = "".join("01"[queue not in self._unrecorded] for queue in self._queues)
        keys = [*ledger.keys[:5], *self._keys]
        most = self._most(recorded)
        call = [len(keys), *keys, ledger.own().id, len(self._queues), recorded, most]
        if self._script_known:
            self._send(State.TAKING, "EVALSHA", scripts.TAKE.sha, *call)
        else:
            self._send(State.TAKING, "EVAL", scripts.TAKE.text, *call)
        self._script_known = True

    def _most(self, recorded: str) -> int:
        """How many to take at once: several where there is much to do.

        From one queue only, which gives them in the same order as one by one; and not where to
        deliver a message is to run its task: the next ones would wait for it unseen.
        """
        if self._in_a_row < MANY or recorded != "1" or self.umbel_ledger.inline:
            return 1
        room = self.qos.can_consume_max_estimate()  # None: as many as it likes
        return AT_ONCE if room is None else max(1, min(int(room), AT_ONCE))

    def _send(self, state: State, *command: Any) -> None:
        self._brpop_sent_at = monotonic()
        self.umbel_state = state
        self.client.connection.send_command(*command)

    def _brpop_read(self, **options: Any) -> Any:
        state = self.umbel_state
        if state is State.IDLE:  # a stock channel
            return super()._brpop_read(**options)
        if state is State.WAITING:
            self._lost("the server closed the connection")
        self.umbel_state = State.IDLE
        try:
            reply = self.client.parse_response(self.client.connection, "EVALSHA", **options)
        except NoScriptError:
            self._script_known = False
            self._send_take()
            raise Empty from None
        except self.connection_errors:
            self._in_poll = None
            self.client.connection.disconnect()
            raise
        except ResponseError as error:
            self._lost(str(error))
        if state is State.ASKING:
            self._asked(bool(reply))
        elif not reply:
            self._found_nothing()
        return self._deliver(reply)

    def _lost(self, why: str) -> None:
        """Have Celery connect anew."""
        self.umbel_state, self._in_poll = State.IDLE, None
        self.client.connection.disconnect()
        raise RedisConnectionError(why)

    def _deliver(self, reply: Any) -> bool:
        self._in_poll = None
        self._called = False
        self._races.won()
        self._poll.reset()
        if isinstance(reply, (bytes, str)):
            self.umbel_ledger.fence()
            self._lost("umbel: this worker is fenced")
        flush = getattr(self, "_flush_brpop_reauth", None)
        if flush is not None:
            flush()
        self._in_a_row += 1
        taken = [self._parsed(int(n), bytes_to_str(t)) for n, t in zip(reply[::2], reply[1::2])]
        messages = [one for one in taken if one is not None]
        self.umbel_coming = {tag for _, tag, _ in messages}
        delivered = False
        try:
            for queue, tag, payload in messages:
                self.umbel_coming.discard(tag)
                delivered |= self._deliver_one(queue, tag, payload)
        finally:
            self._put_back_coming()
        if not delivered:
            raise Empty
        return True

    def _parsed(self, number: int, text: str) -> "Optional[tuple[str, str, Any]]":
        """Queue, tag and payload."""
        if number < 0:
            aside = self.umbel_ledger.keys.malformed
            log.error("umbel: this is no message; it is put aside in %s: %.200r", aside, text)
            return None
        payload = loads(text)
        queue = self._queues[(number - 1) % len(self._queues)]
        return queue, payload["properties"]["delivery_tag"], payload

    def _deliver_one(self, queue: str, tag: str, payload: Any) -> bool:
        self._queue_cycle.rotate(queue)
        if queue not in self.connection._callbacks:  # its consumer was cancelled meanwhile
            self.umbel_ledger.put_back({tag}, mark=False)
            return False
        self.umbel_taken = None if queue in self._unrecorded else tag
        try:
            self.connection._deliver(payload, queue)
        finally:
            self.umbel_taken = None
        return True

    def _put_back_coming(self) -> None:
        """What will not be delivered, as the worker ends or the connection is lost.

        If this fails nobody knows them any more, so the next connection puts them back.
        """
        coming, self.umbel_coming = self.umbel_coming, set()
        if coming:
            with suppress(*UNREACHABLE):
                self.umbel_ledger.put_back(coming, mark=False)

    # --- waiting

    def _watch(self) -> None:
        """Have the server tell of changes to what this connection will ask for."""
        ledger = self.umbel_ledger
        if ledger.polls:
            return
        try:
            if self.umbel_waker is None:
                self.umbel_waker = Waker(self.pool)
                self.connection.cycle._register(self, self.umbel_waker, "WAKE")
            self.umbel_waker.arm(self.client.connection)
        except RefusedError as error:
            ledger.poll(str(error))

    def _found_nothing(self) -> None:
        self._in_a_row = 0
        self._count_race()
        if self._woken:
            self._in_poll = None
        elif self.umbel_ledger.polls:
            self._wait(self._poll.next_look())
        else:
            self._send(State.ASKING, "EXISTS", *self._keys)
        raise Empty

    def _asked(self, something: bool) -> None:
        if something or self._woken:
            self._in_poll = None
        else:
            self._count_race()
            self._wait(monotonic() + RECHECK_SECONDS)
        raise Empty

    def _count_race(self) -> None:
        """Nothing is there; if we were called, others were quicker."""
        if self._called:
            self._races.lost()
        self._called = False

    def _wait(self, until: float) -> None:
        self._brpop_sent_at = None  # no reply is due, so kombu must not miss it
        self.umbel_state, self._look_at = State.WAITING, until
        left = max(0.0, until - monotonic())
        loop = get_event_loop() if left < LOOP_SECONDS else None
        if loop is not None:
            loop.call_later(left, _nothing)

    def umbel_stop_waiting(self) -> None:
        """Send a take at the next turn of the loop, if waiting."""
        if self.umbel_state is State.WAITING:
            self.umbel_state, self._in_poll = State.IDLE, None

    def umbel_look(self, now: float) -> None:
        """Called at each turn of the loop: end a wait that is over."""
        if self.umbel_ledger.doubted and self._is_ours():
            message = "umbel: this worker is fenced"
            raise FencedError(message)
        if self.umbel_state is State.WAITING and now >= self._look_at:
            if self.umbel_ledger.polls:
                self.umbel_stop_waiting()
            else:
                self._send(State.ASKING, "EXISTS", *self._keys)

    def umbel_wake(self) -> None:
        """Something was said on the waker's connection."""
        if self.umbel_waker is not None:
            self.umbel_waker.drain()
        self._called = True
        delay = self._races.handicap()
        if not delay or self.umbel_state is not State.WAITING:
            self._woken = True
            self.umbel_stop_waiting()
        elif self._nothing_else_for(delay):
            self._send(State.ASKING, "EXISTS", *self._keys)
        else:  # not later, if called again meanwhile by another list
            self._wait(min(self._look_at, monotonic() + delay))
        raise Empty  # no message yet

    def _nothing_else_for(self, seconds: float) -> bool:
        """Sleep for so long, or until the loop has something else to do: whether it had not.

        An idle loop would only turn before it sleeps, which costs 0.2 ms: too much where all who
        were called do it at once.
        """
        loop = get_event_loop()
        return loop is not None and not self.qos.held and not loop.poller.poll(seconds)

    # --- ending

    def umbel_finish_reading(self) -> None:
        """Take in what the server may just be giving to us; at once, where nothing is due."""
        while self.umbel_state in (State.TAKING, State.ASKING):
            with suppress(Empty):
                self._brpop_read()
        self.umbel_stop_waiting()

    def close(self) -> None:
        """Leave no reply unread: it may be a message."""
        if self.umbel_state is not State.IDLE:
            try:
                self.umbel_finish_reading()
            except self.connection_errors:
                self.umbel_state, self._in_poll = State.IDLE, None
        if self.umbel_waker is not None:
            self.umbel_waker.close()
            self.umbel_waker = None
        super().close()
        self.umbel_ledger.channels.discard(self)


def refused(error: ResponseError) -> bool:
    """Whether the server will say the same tomorrow."""
    text = str(error).lower()
    signs = ("noperm", "permission", "can't run", "acl failure", "unknown command", "unknown redis")
    return any(sign in text for sign in signs)


def _nothing() -> None:
    """Only there to wake the event loop."""
