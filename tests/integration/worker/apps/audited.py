"""An application that writes down every file that umbel changes or creates in its worker."""

import os
import sys
from pathlib import Path

from outcomes import app  # noqa: F401

CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate")
TOLD = str(Path(os.environ["TEST_HOME"]) / "changes")


def audit(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open":
        flags = arguments[2]
        changes = isinstance(flags, int) and bool(flags & os.O_ACCMODE) and arguments[0] != TOLD
    else:
        changes = event in CHANGES
    if changes and umbels():
        with Path(TOLD).open("a") as told:
            told.write(f"{event} {arguments}\n")


def umbels() -> bool:
    """Whether umbel's code called, however far away."""
    frame = sys._getframe()
    while frame := frame.f_back:
        if str(frame.f_globals.get("__name__")).startswith("umbel_worker"):
            return True
    return False


sys.addaudithook(audit)
