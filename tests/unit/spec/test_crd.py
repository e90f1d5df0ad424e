"""The CRD teaches, is bounded, and says the same as the parser."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from umbel.resources import beat, names, worker, worker_contract
from umbel.spec import bounds, environment, pod_template, sentences
from umbel.spec.beat import BEAT

CRD = Path(__file__).parents[3] / "crds" / "umbel.dev_taskqueues.yaml"


@pytest.fixture(scope="module")
def crd() -> dict[str, Any]:
    return yaml.safe_load(CRD.read_text())


@pytest.fixture(scope="module")
def schema(crd: dict[str, Any]) -> dict[str, Any]:
    return crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def parts(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema in the schema, with the path of what it describes."""
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from parts(inner, f"{path}.{name}")
    if "items" in schema:
        yield from parts(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from parts(schema["additionalProperties"], f"{path}{{}}")


def rules(schema: dict[str, Any]) -> list[dict[str, str]]:
    return [rule for _, part in parts(schema) for rule in part.get("x-kubernetes-validations", ())]


def test_explains_every_field(schema: dict[str, Any]) -> None:
    silent = [
        path
        for path, part in parts(schema)
        if path != ".metadata" and not path.endswith(("[]", "{}")) and not part.get("description")
    ]

    assert silent == []


def test_bounds_every_field_of_the_spec(schema: dict[str, Any]) -> None:
    spec = schema["properties"]["spec"]

    assert [path for path, part in parts(spec, "spec") if not is_bounded(part)] == []


def is_bounded(part: dict[str, Any]) -> bool:
    if part.get("x-kubernetes-int-or-string"):
        return "maxLength" in part
    match part.get("type"):
        case "string":
            return "maxLength" in part or "enum" in part
        case "array":
            return "maxItems" in part
        case "integer":
            return {"minimum", "maximum"} <= part.keys()
        case "object":
            return "additionalProperties" not in part or "maxProperties" in part
        case kind:
            return kind == "boolean"


def test_says_the_sentences_of_the_parser(schema: dict[str, Any]) -> None:
    ours = {text for name, text in vars(sentences).items() if name.isupper()}

    assert {rule["message"] for rule in rules(schema)} == ours


@pytest.mark.parametrize(
    ("sentence", "names"),
    [
        (sentences.ENV_OWNED, environment.OWNED),
        (sentences.ENV_READ_BY_CELERY, environment.READ_BY_CELERY),
        (sentences.ENV_CONTRADICTS_POOL, environment.CONTRADICTS_POOL),
    ],
    ids=["umbel's", "the celery program's", "the pool's"],
)
def test_refuses_the_variables_that_the_parser_refuses(
    schema: dict[str, Any], sentence: str, names: frozenset[str]
) -> None:
    [rule] = [rule["rule"] for rule in rules(schema) if rule["message"] == sentence]

    assert set(rule.split("'")[1::2]) == names


def test_fits_into_a_client_side_apply() -> None:
    limit = 262_144  # of all annotations together; kubectl apply keeps a copy there

    assert len(CRD.read_bytes()) < limit / 2


def test_shows_the_columns_of_the_contract(crd: dict[str, Any]) -> None:
    columns = crd["spec"]["versions"][0]["additionalPrinterColumns"]

    assert [column["name"] for column in columns] == [
        "Ready",
        "Pools",
        "Replicas",
        "Backlog",
        "Oldest",
        "Age",
    ]


def test_answers_to_its_short_name_and_categories(crd: dict[str, Any]) -> None:
    assert crd["spec"]["names"]["shortNames"] == ["tq"]
    assert crd["spec"]["names"]["categories"] == ["all", "celery"]
    assert crd["spec"]["versions"][0]["subresources"] == {"status": {}}


def test_the_overlay_is_kept_from_the_names_that_umbel_really_uses() -> None:
    assert pod_template.WORKER == names.WORKER_CONTAINER
    assert pod_template.RUNTIME_INIT_CONTAINER == names.RUNTIME_CONTAINER
    assert pod_template.RUNTIME_VOLUME == names.RUNTIME_VOLUME
    assert pod_template.RUNTIME_MOUNT_PATH == worker_contract.MOUNT_PATH
    assert pod_template.PROBE_PORT == worker_contract.PORT
    assert pod_template.PROBE_PORT_NAME == worker.PORT_NAME
    assert worker_contract.CONFIG_ENV in environment.OWNED
    assert pod_template.BEAT_CONTAINER == names.BEAT == BEAT
    assert pod_template.SCHEDULE_VOLUME == names.SCHEDULE_VOLUME
    assert pod_template.SCHEDULE_MOUNT_PATH == beat.SCHEDULE_PATH


def test_the_longest_name_that_beat_takes_makes_the_longest_name_of_a_deployment() -> None:
    assert bounds.BEAT_TASKQUEUE_LENGTH + len(f"-{BEAT}") == bounds.DEPLOYMENT_NAME_LENGTH


def test_the_variables_of_the_pool_are_options_of_celery_worker() -> None:
    from celery.bin.worker import worker as command  # slow to import, and needed here only

    options = {f"CELERY_WORKER_{option.name.upper()}" for option in command.params if option.name}

    assert environment.CONTRADICTS_POOL - {"REMAP_SIGTERM"} <= options
