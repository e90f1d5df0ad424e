"""The Celery versions that a worker may have, and where each is installed.

`hack/tools celery` (part of `make test`) installs one environment for each of
requirements/celery-*.txt: that Celery with kombu and the broker clients of its time. It is
<cache>/celery/<version>-<first 12 digits of the lock's sha256>, the cache as hack/lib.sh has it.

`UMBEL_TEST_CELERY=5.3.6 pytest tests/integration/worker` runs every worker of those tests on that
version; without it, and without a version asked for, they run on the Celery of the tests' own
environment.
"""

import os
import sys
from hashlib import sha256
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LOCKS = {
    lock.stem.removeprefix("celery-"): lock
    for lock in sorted((ROOT / "requirements").glob("celery-*.txt"))
}
VERSIONS = tuple(LOCKS)
"""As requirements/ has them, oldest first."""

DEFAULT = os.environ.get("UMBEL_TEST_CELERY")


def python_of(version: str | None) -> str:
    """The Python that has this Celery; None: the one asked for by UMBEL_TEST_CELERY, or our own.

    Where it is not installed, the test is skipped; with CI set, it fails.
    """
    version = version or DEFAULT
    if version is None:
        return sys.executable
    key = sha256(LOCKS[version].read_bytes()).hexdigest()[:12]
    python = _cache() / "celery" / f"{version}-{key}" / "bin" / "python"
    if python.exists():
        return str(python)
    message = f"Celery {version} is not installed at {python}; `hack/tools celery` does that"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("UMBEL_CACHE") or Path(home) / "umbel")
