"""YAML files as a user writes them: every document with the lines that its fields stand on.

Stricter than PyYAML and as strict as kubectl: a key that stands twice in one map is an error, and
not silently the last of the two.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


class ManifestError(Exception):
    """A file that cannot be read as YAML; the message names the file, the line and the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One document of a file."""

    file: str
    body: Any
    """What the YAML says; a map in every useful manifest."""
    node: yaml.Node

    @property
    def kind(self) -> str:
        """As written; empty where there is none."""
        return str(self.body.get("kind", "")) if isinstance(self.body, dict) else ""

    def line(self, path: str) -> int:
        """Where a field stands, counted from 1; of the nearest part above it that exists.

        Args:
            path: as in a fault, e.g. `spec.pools[long].queues[0]`.
        """
        node = self.node
        line = node.start_mark.line
        for step in _steps(path):
            found = _inner(node, step)
            if found is None:
                break
            line, node = found
        return line + 1


def read(file: str) -> list[Manifest]:
    """Every document of a file that holds something; `-` is the standard input.

    Raises:
        ManifestError: it cannot be opened, is not text in UTF-8, or not YAML.
    """
    name = "standard input" if file == "-" else file
    try:
        raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return list(_documents(name, raw.decode("utf-8-sig")))
    except OSError as error:
        message = f"{name}: cannot be read: {error.strerror}"
        raise ManifestError(message) from error
    except UnicodeDecodeError as error:
        message = f"{name}: byte {error.start} is not UTF-8: save the file as UTF-8"
        raise ManifestError(message) from error
    except yaml.YAMLError as error:
        raise ManifestError(_in_words(name, error)) from error


def _documents(name: str, text: str) -> Iterator[Manifest]:
    loader = _Loader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            body = loader.construct_document(node) if node is not None else None
            if node is not None and body is not None:
                yield Manifest(file=name, body=body, node=node)
    finally:
        loader.dispose()


class _Loader(yaml.SafeLoader):
    """Refuses what kubectl refuses."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                message = f"the key {key.value!r} stands twice: remove one"
                raise yaml.MarkedYAMLError(problem=message, problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


# A date without quotes is text for Kubernetes, which knows JSON's types only.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _in_words(name: str, error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f"{name}:{mark.line + 1}: {problem}" if mark else f"{name}: {problem}"


def _steps(path: str) -> Iterator[str]:
    """`spec.pools[long].queues[0]` -> spec, pools, long, queues, 0."""
    return (
        match.group(1) or match.group(2) for match in re.finditer(r"([^.\[\]]+)|\[(.*?)\]", path)
    )


def _inner(node: yaml.Node, step: str) -> tuple[int, yaml.Node] | None:
    """The part of a node with this key, position, or `name`, and its line from 0."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == step:
                return key.start_mark.line, value
    if isinstance(node, yaml.SequenceNode):
        for position, item in enumerate(node.value):
            if str(position) == step or _name(item) == step:
                return item.start_mark.line, item
    return None


def _name(item: yaml.Node) -> str | None:
    if isinstance(item, yaml.MappingNode):
        for key, value in item.value:
            if key.value == "name":
                return str(value.value)
    return None
