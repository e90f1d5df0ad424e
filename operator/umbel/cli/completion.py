"""Completion in shells: commands, options, their choices, files, and names of TaskQueues.

argcomplete runs `umbel` itself at each Tab, so what is offered is what this version takes; nothing
is imported for it otherwise.
"""

import argparse
import asyncio
import os
from typing import Any, Final

SHELLS: Final = ("bash", "zsh", "fish")

_PROGRAMS: Final = ["umbel", "kubectl-umbel"]
_SECONDS: Final = 2.0
"""For the API server: who waits for a Tab waits no longer."""


def script(shell: str) -> str:
    """What the shell is to read at its start."""
    from argcomplete.shell_integration import shellcode

    return shellcode(_PROGRAMS, shell=shell).strip()


def answer(parser: argparse.ArgumentParser) -> None:
    """Offer what fits, and end, where a shell asks; else return."""
    if "_ARGCOMPLETE" in os.environ:
        import argcomplete

        argcomplete.autocomplete(parser)


def names(parsed_args: argparse.Namespace, **_: Any) -> list[str]:
    """The TaskQueues of the namespace; none where the cluster is silent, for nobody could read why.

    Args:
        parsed_args: what has been typed so far.
    """
    from umbel.cluster.errors import ClusterError

    try:
        return asyncio.run(asyncio.wait_for(_names(parsed_args), _SECONDS))
    except (ClusterError, TimeoutError):
        return []


async def _names(given: argparse.Namespace) -> list[str]:
    from umbel.cli.place import Place, connected, taskqueues

    place = Place(context=given.context, namespace=given.namespace)
    async with connected(place) as cluster:
        raws = await taskqueues(cluster, place.scope)
    return [str(raw["metadata"]["name"]) for raw in raws]
