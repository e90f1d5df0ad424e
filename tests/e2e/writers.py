"""Which operators write, from a moment on, by the API server's audit log.

On another cluster than the local one there is no such log, and nothing is proved.
"""

from tests.e2e import audit
from tests.e2e.audit import Request
from tests.e2e.cluster import OPERATOR_NAMESPACE

ACCOUNT = f"{OPERATOR_NAMESPACE}:umbel"
LEASE = "umbel"


class Writers:
    """Of the objects of the whole cluster, since this was made."""

    def __init__(self) -> None:
        self._log = audit.log_of_the_local_cluster()
        self._since = ""
        self._since = next((one.begun for one in self._asked()[:1]), "")

    def _asked(self) -> list[Request]:
        if self._log is None:
            return []
        asked = audit.requests(self._log, ACCOUNT)
        if not self._since:
            return audit.from_last_renewal(asked, LEASE)
        return [one for one in asked if one.begun >= self._since]

    def were_one_at_a_time(self, *leaders: str) -> None:
        """Nobody wrote in another one's term; and these pods led in turn, where any are named."""
        if self._log is None:
            return
        asked = self._asked()
        story = audit.timeline(asked, LEASE)
        assert audit.second_writers(asked, LEASE) == [], story
        assert not leaders or audit.holders(asked, LEASE) == list(leaders), story

    def sizes(self, namespace: str) -> list[str] | None:
        """Every Deployment of a namespace whose size was written, in turn; None: unknown."""
        if self._log is None:
            return None
        return [
            one.name
            for one in self._asked()
            if one.namespace == namespace and one.right.resource == "deployments/scale"
        ]
