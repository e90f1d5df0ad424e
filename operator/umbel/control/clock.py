"""The real clock: the only place where time is read."""

import time
from datetime import UTC, datetime


class SystemClock:
    """Time of this machine."""

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def now_rfc3339(self) -> str:
        """Wall-clock time, `2026-01-31T12:00:00Z`."""
        return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def now_rfc3339_micro(self) -> str:
        """Wall-clock time, `2026-01-31T12:00:00.000000Z`."""
        return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
