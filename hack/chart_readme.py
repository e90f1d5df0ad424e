"""Writes charts/umbel/README.md: every value with its default, its type and its comment.

    .venv/bin/python -m hack.chart_readme

Comments and defaults are those of values.yaml, types those of values.schema.json. A comment belongs
to the key right below it. What the schema does not look into is one row, whatever it holds.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parents[1] / "charts" / "umbel"
README = CHART / "README.md"
Schema = dict[str, Any]

PAGE = """\
<!-- Written by hack/chart_readme.py from values.yaml and values.schema.json; change those. -->
# The chart of umbel

{description}
Version {version}, for Kubernetes {kubernetes}.

```sh
helm upgrade --install umbel charts/umbel --namespace umbel-system --create-namespace
helm test umbel --namespace umbel-system
```
- [docs/installation.md](../../docs/installation.md): single namespaces, rights, the network
- [docs/metrics.md](../../docs/metrics.md): Prometheus and Grafana
- [docs/taskqueue.md](../../docs/taskqueue.md): what to do next

A value that the chart does not know, or of another type, is refused.

## Values
| value | default | type | |
|---|---|---|---|
{rows}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A value, or a group of them, which has no default of its own."""

    path: str
    comment: str
    default: str
    type: str

    def __str__(self) -> str:
        cells = (f"`{self.path}`", self.default, self.type, self.comment)
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def page() -> str:
    """The page as it should be."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    return PAGE.format(
        description=chart["description"],
        version=chart["version"],
        kubernetes=chart["kubeVersion"].removesuffix("-0"),
        rows="\n".join(str(row) for row in rows()),
    )


def rows() -> Iterator[Row]:
    """Of every value, in the order of values.yaml."""
    text = (CHART / "values.yaml").read_text()
    schema = json.loads((CHART / "values.schema.json").read_text())
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    yield from _rows(root, schema, "", Document(text.splitlines(), schema["definitions"]))


@dataclass(frozen=True, slots=True)
class Document:
    """What rows are made of."""

    lines: list[str]
    definitions: dict[str, Schema]

    def comment_above(self, line: int) -> str:
        """The comment that ends right above a line, indented as it is."""
        indent = _indent(self.lines[line])
        first = line
        while first > 0 and self._is_comment(first - 1, indent):
            first -= 1
        words = (text.strip().removeprefix("#").strip() for text in self.lines[first:line])
        return " ".join(words)

    def _is_comment(self, line: int, indent: int) -> bool:
        text = self.lines[line]
        return text.lstrip().startswith("#") and _indent(text) == indent

    def resolved(self, schema: Schema) -> Schema:
        """What a reference points at."""
        reference: str | None = schema.get("$ref")
        return self.definitions[reference.rpartition("/")[2]] if reference else schema


def _rows(node: yaml.Node, schema: Schema, above: str, document: Document) -> Iterator[Row]:
    for key, value in node.value:
        path = f"{above}{key.value}"
        known = document.resolved(schema["properties"][key.value])
        comment = document.comment_above(key.start_mark.line)
        if "properties" not in known:
            yield Row(path=path, comment=comment, default=_default(value), type=_type(known))
            continue
        if comment:
            yield Row(path=path, comment=comment, default="", type="")
        yield from _rows(value, known, f"{path}.", document)


def _default(node: yaml.Node) -> str:
    value = yaml.SafeLoader("").construct_document(node)
    return f"`{json.dumps(value)}`"


def _type(schema: Schema) -> str:
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema:
        return _type(schema["anyOf"][0])
    kind: str = schema["type"]
    low, high = schema.get("minimum"), schema.get("maximum")
    if high is not None:
        return f"{kind}, {low} to {high}"
    return kind if low is None else f"{kind}, at least {low}"


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


if __name__ == "__main__":
    README.write_text(page())
