"""A script that Redis carries out as one step."""

import hashlib
from typing import Any, NamedTuple

from redis.exceptions import NoScriptError


class Script(NamedTuple):
    """A script and the name by which Redis knows it once it was sent."""

    text: str
    sha: str

    def __call__(self, client: Any, keys: "list[str]", *arguments: Any) -> Any:
        """Run it with a client that adds no prefix."""
        try:
            return client.execute_command("EVALSHA", self.sha, len(keys), *keys, *arguments)
        except NoScriptError:
            return client.execute_command("EVAL", self.text, len(keys), *keys, *arguments)


def script(text: str) -> Script:
    """Name it as Redis does."""
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())
