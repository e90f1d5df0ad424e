"""Who of several operators leads: the one that holds the Lease, and knows for how long.

1. Whoever does not hold the Lease waits until he has seen nothing new in it for as long as it says,
   on a clock of his own that never goes back, and then replaces that very version of it: of several
   who do so, the API server lets one through.
2. The holder counts from the moment *before* he sent his last renewal, and stops a margin earlier.
   All others began to wait after that moment, so he has stopped when the first of them may begin.
3. Where the Lease vanishes, whoever does not lead at that moment waits as long: its holder, who is
   perhaps not the last one that he saw, may not have looked since.
4. Times in the Lease are for people; no clock is compared with another machine's.

The client library's own election is not used: it reads the wall clock, waits for answers without
limit, ends at a broken connection, gives nothing up, and cannot say for how long it leads.

The Lease belongs to the operator's Deployment and goes with it. One that is made anew while that
happens has the owner that was known before, so that it goes, too.

The trap: a machine whose clocks stand still while others' go on (a virtual machine that is paused)
wakes in the belief that it leads, until its next look. What it writes until then, the leader puts
right. And an operator that starts just after somebody deleted the Lease knows of no holder.
"""

import logging
from dataclasses import dataclass, replace

from umbel.cluster.errors import ClusterError, Conflict
from umbel.cluster.lease import Lease, Owner
from umbel.control.ports import Clock, Leases

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """Where the Lease is, who wants it, and how patient everybody is."""

    namespace: str
    name: str
    identity: str
    """Of this process: no other that lives has it. A pod's name will do, as its containers start
    one after the other: a restarted one finds the lease its own and need not wait."""
    deployment: str = ""
    """Of the operators, in the same namespace: the Lease goes with it. Empty: it stays."""
    lease_seconds: int = 10
    """After the holder's last renewal, so much passes before another one takes over."""
    margin_seconds: float = 2.0
    """Before the end, no write begins any more; one that has begun gets no longer than the end."""
    renew_seconds: float = 2.0
    """Between two renewals: three may fail in a row."""
    look_seconds: float = 1.0
    """Between two looks of those that wait."""


class Election:
    """One candidate. `step` is called again and again; everything else only answers."""

    def __init__(self, leases: Leases, clock: Clock, campaign: Campaign) -> None:
        self._leases = leases
        self._clock = clock
        self._campaign = campaign
        self._seen: Lease | None = None
        self._seen_at = 0.0
        """When the newest version was first seen, or that it is gone."""
        self._vanished = False
        """Whether there was a Lease, and is none."""
        self._owner: Owner | None = None
        """As last read."""
        self._ends_at = 0.0
        """Of the own lease, on the own clock."""
        self._trouble: str | None = None
        self.term = 0
        """Grows whenever this candidate takes the Lease from somebody else, or from nobody."""
        self.epoch = 0
        """As `Leadership.epoch`: the version of the Lease with which this term began."""

    @property
    def holder(self) -> str:
        """Who leads, as last seen; empty: nobody, or unknown."""
        return self._seen.holder if self._seen is not None else ""

    @property
    def elected(self) -> bool:
        """Whether the Lease, as last seen, is this candidate's; it may have run out since."""
        return self.holder == self._campaign.identity

    def write_seconds(self) -> float:
        """How long a write that begins now may take; 0: none may begin."""
        left = self._ends_at - self._clock.monotonic()
        return left if left > self._campaign.margin_seconds else 0.0

    def leads(self) -> bool:
        """Whether a write may begin now."""
        return self.write_seconds() > 0

    def led_at(self) -> float:
        """As `Leadership.led_at`."""
        return self._ends_at - self._campaign.lease_seconds

    async def step(self) -> float:
        """Look at the Lease, renew or take it if that may be.

        Returns:
            Seconds until the next step. Never raises for a failure of the API: an own lease then
            goes on to run out, and nobody else's is taken.
        """
        try:
            await self._step()
        except Conflict:
            log.debug("somebody else wrote the lease first")  # the next look tells who
        except ClusterError as error:
            self._tell(error)
            return self._campaign.look_seconds
        self._trouble = None
        return self._campaign.renew_seconds if self.leads() else self._campaign.look_seconds

    async def give_up(self) -> None:
        """Let others lead at once, rather than when the lease has run out. For a clean end."""
        mine, self._ends_at = self._seen if self.elected else None, 0.0
        if mine is None:
            return
        try:
            await self._leases.write_lease(mine.given_up(self._clock.now_rfc3339_micro()))
        except ClusterError as error:
            log.warning("the lease runs out by itself, it could not be given up: %s", error)
            return
        log.info("gave up the lease")

    async def _step(self) -> None:
        found = await self._leases.read_lease(self._campaign.namespace, self._campaign.name)
        led, leads = self.elected, self.leads()
        self._see(found)
        if not (leads and found is None) and not self._may_take(found):
            return
        begins = found is None or not led or found.holder != self._campaign.identity
        lease = found or Lease(namespace=self._campaign.namespace, name=self._campaign.name)
        if begins:
            lease = await self._owned(lease)
        # before the request: what the others see, they see later than this
        begun = self._clock.monotonic()
        wanted = lease.taken(
            self._campaign.identity,
            seconds=self._campaign.lease_seconds,
            now=self._clock.now_rfc3339_micro(),
        )
        made = await self._leases.write_lease(wanted)
        if begins:
            self.term += 1
            self.epoch = int(made.version or 0)
            log.info("leads: %s", _how(found, self._campaign.identity))
        self._see(made)
        self._ends_at = begun + self._campaign.lease_seconds

    async def _owned(self, lease: Lease) -> Lease:
        """With the Deployment as its owner, as far as it is known."""
        if not self._campaign.deployment:
            return lease
        try:
            self._owner = await self._leases.owner(
                self._campaign.namespace, self._campaign.deployment
            )
        except ClusterError as error:
            log.warning("nobody knows whose the lease is: %s", error)
        return lease if self._owner is None else replace(lease, owners=(self._owner,))

    def _see(self, lease: Lease | None) -> None:
        before, self._seen = self._seen, lease
        if _version(lease) != _version(before):
            self._seen_at = self._clock.monotonic()
            self._vanished = lease is None
        if not self.elected and self._ends_at:
            self._ends_at = 0.0
            log.warning("leads no longer: the lease is %s's", self.holder or "nobody")

    def _may_take(self, lease: Lease | None) -> bool:
        waited = self._clock.monotonic() - self._seen_at
        if lease is None:
            return not self._vanished or waited >= self._campaign.lease_seconds
        return lease.holder in ("", self._campaign.identity) or waited >= lease.seconds

    def _tell(self, error: ClusterError) -> None:
        """Once, until it is over."""
        if self._trouble is None:
            log.warning("the lease cannot be read or written: %s", error)
        self._trouble = str(error)


def _version(lease: Lease | None) -> str:
    return lease.version if lease is not None else ""


def _how(found: Lease | None, identity: str) -> str:
    if found is None:
        return "the lease is new"
    if found.holder == identity:
        return "the lease is its own already: of before a restart, or of a write without an answer"
    if not found.holder:
        return "the lease was given up"
    return f"{found.holder} has not renewed the lease for {found.seconds} s"


class Alone:
    """The election where there is nobody to stand against: always won."""

    term = 1
    holder = ""
    elected = True

    def __init__(self, epoch: int = 0) -> None:
        """Lead at once.

        Args:
            epoch: As `Leadership.epoch`; it should be greater at every start.
        """
        self.epoch = epoch

    def write_seconds(self) -> float:
        """As long as it takes."""
        return float("inf")

    def leads(self) -> bool:
        """Always."""
        return True

    def led_at(self) -> float:
        """Always."""
        return float("inf")

    async def step(self) -> float:
        """Nothing to look at."""
        return 60.0

    async def give_up(self) -> None:
        """Nothing to give."""
