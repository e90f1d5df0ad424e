"""What can go wrong at the Kubernetes API, in one tree."""


class ClusterError(Exception):
    """A request to the Kubernetes API failed."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        """HTTP status; None where no answer came."""


class NotFound(ClusterError):  # noqa: N818 - the API's own word
    """There is no such object (404)."""


class Conflict(ClusterError):  # noqa: N818 - the API's own word
    """The object has changed since it was read, or exists already (409)."""


class NotLeading(ClusterError):  # noqa: N818 - a state of this process
    """Nothing was sent: another operator may lead by now."""
