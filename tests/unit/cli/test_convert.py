"""`umbel convert`: what becomes of Deployments and ScaledObjects as people have them."""

import copy
import io
import json
import sys
from collections.abc import Iterator
from itertools import islice, product
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.cli.conftest import Umbel
from tests.unit.cli.conversions import (
    BROKER,
    Convert,
    a_deployment,
    a_scaled_object,
    page_blocks,
)

from umbel.cli.convert.celery_options import worker_of
from umbel.cli.convert.notes import CannotConvert
from umbel.cli.main import main
from umbel.spec.parse import parse


def test_a_plain_deployment_becomes_a_taskqueue_that_is_good(
    convert: Convert, umbel: Umbel, tmp_path: Path
):
    done = convert(a_deployment())

    assert done.code == 0, done.err
    assert done.spec["app"] == "shop.celery"
    assert done.spec["broker"] == {"urlSecretRef": {"name": "shop-broker", "key": "url"}}
    assert "env" not in done.spec
    assert done.pool == {
        "name": "short",
        "profile": "Short",
        "queues": ["emails"],
        "concurrency": 4,
        "scaling": {"maxReplicas": 1},
    }
    made = tmp_path / "taskqueue.yaml"
    made.write_text(done.out)
    assert umbel("check", str(made))[0] == 0


OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "a pool": ("-P gevent -c 50", {"executionPool": "Gevent", "concurrency": 50}),
    "solo has one slot": ("-P solo -c 1", {"executionPool": "Solo"}),
    "limits": (
        "-c 2 --time-limit=120 --soft-time-limit 100",
        {"concurrency": 2, "timeLimits": {"hardSeconds": 120, "softSeconds": 100}},
    ),
    "joined": ("-c8 -Qemails,celery", {"concurrency": 8, "queues": ["emails", "celery"]}),
    "children": (
        "-c 1 --max-tasks-per-child 100 --max-memory-per-child=200000",
        {"concurrency": 1, "maxTasksPerChild": 100, "maxMemoryPerChildKiB": 200000},
    ),
    "prefetch": ("-c 1 --prefetch-multiplier 2", {"concurrency": 1, "prefetchMultiplier": 2}),
    "autoscale": ("--autoscale=10,3", {"concurrency": 10}),
    "before 5.0": ("-c 1 --maxtasksperchild 7", {"concurrency": 1, "maxTasksPerChild": 7}),
}


@pytest.mark.parametrize(("options", "want"), OPTIONS.values(), ids=OPTIONS.keys())
def test_options_become_fields(convert: Convert, options: str, want: dict[str, Any]):
    done = convert(a_deployment(f"-A shop worker -Q emails {options}"))

    assert done.code == 0, done.err
    usual = {"name": "short", "profile": "Short", "queues": ["emails"]}
    assert done.pool == usual | {"scaling": {"maxReplicas": 1}} | want


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("-Q a", "args --concurrency: not given, so Celery took the number of the node's CPUs"),
        ("-Q a --hostname w@%h", "args --hostname: umbel names workers POOL@POD"),
        ("-Q a --foo=secret", "args --foo: is no option of celery worker"),
        ("-Q a -b redis://:hunter2@r/0", "args --broker: the URL has to be in a Secret"),
        ("-Q a -P threads --time-limit 9", "args --time-limit: Celery enforces none"),
        ("-Q a -P gevent --soft-time-limit 9", "args --soft-time-limit: Celery does not enforce"),
        ("-Q a -P gevent --max-tasks-per-child 9", "has no child processes"),
        ("-Q a --time-limit 900 --prefetch-multiplier 4", "wait unseen behind a long one"),
        ("-Q a -c $(SLOTS)", "args --concurrency: is no number here"),
        ("-Q a --pool custom", "args --pool: there is no executionPool custom"),
        ("-Q a -B", "args --beat: beat becomes a pod of its own"),
        ("", "args -Q: not given: celery is taken"),
    ],
)
def test_what_is_not_carried_over_is_said_twice(convert: Convert, options: str, words: str):
    done = convert(a_deployment(f"-A shop worker {options}"))

    assert done.code == 0, done.err
    assert words in done.err
    assert words in "".join(line for line in done.out.splitlines() if line.startswith("# - "))
    assert "hunter2" not in done.out + done.err
    assert "secret" not in done.out + done.err.replace("a Secret", "")


def test_log_level_and_events_go_by_celerys_own_variables(convert: Convert):
    done = convert(a_deployment("-A shop worker -l debug -E"))

    assert done.spec["env"] == [
        {"name": "CELERY_WORKER_LOGLEVEL", "value": "DEBUG"},
        {"name": "CELERY_WORKER_TASK_EVENTS", "value": "1"},
    ]


def test_beat_in_the_worker_becomes_beat_beside_it(convert: Convert):
    done = convert(a_deployment("-A shop worker -c 1 -B --scheduler redbeat.RedBeatScheduler"))

    schedule = {"scheduler": "redbeat.RedBeatScheduler"}
    assert done.spec["beat"] == {"enabled": True, "schedule": schedule}


SHELLS: dict[str, tuple[list[str], tuple[str, ...], str]] = {
    "plain": (["celery", "-A", "shop", "worker"], ("celery",), ""),
    "a path": (["/venv/bin/celery", "worker", "-A", "shop"], ("/venv/bin/celery",), ""),
    "a launcher": (
        ["poetry", "run", "celery", "-A=shop", "worker"],
        ("poetry", "run", "celery"),
        "",
    ),
    "a module": (
        ["python", "-m", "celery", "-A", "shop", "worker"],
        ("python", "-m", "celery"),
        "",
    ),
    "a shell": (["sh", "-c", "exec celery -A shop worker"], ("celery",), ""),
    "a script": (
        ["/bin/bash", "-ec", "./migrate --all &&\n  celery \\\n -A shop worker"],
        ("celery",),
        "./migrate --all",
    ),
}


@pytest.mark.parametrize(("words", "program", "around"), SHELLS.values(), ids=SHELLS.keys())
def test_the_worker_is_found_in_what_people_write(
    words: list[str], program: tuple[str, ...], around: str
):
    worker = worker_of(words, {})

    assert worker is not None
    assert worker.program == program
    assert worker.around == around
    assert worker.options["app"].lstrip("=") == "shop"


@pytest.mark.parametrize(
    "words",
    [
        ["celery", "-A", "shop", "beat"],
        ["celery", "-A", "worker", "beat"],
        ["gunicorn", "shop"],
        [],
        ["sh", "-c", "sleep 1"],
    ],
)
def test_what_is_no_worker_is_none(words: list[str]):
    assert worker_of(words, {}) is None


@pytest.mark.parametrize(
    "words",
    [
        ["celery", "worker", "--time-limit", "soon"],
        ["celery", "worker", "--time-limit", "inf"],
        ["sh", "-c", "celery worker '"],
    ],
)
def test_words_that_cannot_be_read_are_said(words: list[str]):
    with pytest.raises(CannotConvert, match="cannot be"):
        worker_of(words, {})


def test_variables_on_the_command_line_are_filled_in(convert: Convert):
    env = [
        BROKER,
        {"name": "QUEUES", "value": "a,b"},
        {"name": "CELERY_WORKER_CONCURRENCY", "value": "3"},
    ]
    done = convert(a_deployment("-A shop worker -Q $(QUEUES)", container={"env": env}))

    assert done.pool["queues"] == ["a", "b"]
    assert done.pool["concurrency"] == 3
    assert done.spec["env"] == [{"name": "QUEUES", "value": "a,b"}]


def test_a_secret_may_be_named(convert: Convert):
    done = convert(a_deployment(container={"env": []}), options=("--broker-secret", "redis/uri"))

    assert done.spec["broker"]["urlSecretRef"] == {"name": "redis", "key": "uri"}


def test_a_pod_keeps_what_is_not_umbels(convert: Convert):
    pod = {
        "serviceAccountName": "shop",
        "imagePullSecrets": [{"name": "pull"}],
        "terminationGracePeriodSeconds": 600,
        "nodeSelector": {"disk": "fast"},
        "restartPolicy": "Always",
        "volumes": [{"name": "tmp", "emptyDir": {}}],
        "initContainers": [{"name": "migrate", "image": "shop"}],
    }
    container = {
        "workingDir": "/srv",
        "envFrom": [{"configMapRef": {"name": "shop"}}],
        "resources": {"requests": {"cpu": "1"}},
        "volumeMounts": [{"name": "tmp", "mountPath": "/scratch"}],
        "livenessProbe": {"exec": {"command": ["true"]}},
        "securityContext": {"runAsUser": 1000},
    }
    done = convert(
        a_deployment(
            pod=pod
            | {
                "containers": [
                    a_deployment()["spec"]["template"]["spec"]["containers"][0] | container,
                    {"name": "proxy", "image": "proxy:1"},
                ]
            }
        )
    )

    assert done.code == 0, done.err
    shared = {name: done.spec[name] for name in ("serviceAccountName", "workingDir", "envFrom")}
    assert shared == {
        "serviceAccountName": "shop",
        "workingDir": "/srv",
        "envFrom": [{"configMapRef": {"name": "shop"}}],
    }
    assert done.spec["imagePullSecrets"] == [{"name": "pull"}]
    assert done.pool["profile"] == "Long"
    assert done.pool["resources"] == {"requests": {"cpu": "1"}}
    assert done.pool["podTemplate"]["spec"] == {
        "nodeSelector": {"disk": "fast"},
        "volumes": [{"name": "tmp", "emptyDir": {}}],
        "initContainers": [{"name": "migrate", "image": "shop"}],
        "containers": [
            {
                "name": "worker",
                "volumeMounts": [{"name": "tmp", "mountPath": "/scratch"}],
                "securityContext": {"runAsUser": 1000},
            },
            {"name": "proxy", "image": "proxy:1"},
        ],
    }
    assert "livenessProbe: umbel's own asks the running worker" in done.err
    assert "metadata.labels[app]: your Deployment selects its pods by it" in done.err
    assert "600 s would cut off tasks that may run 3600 s: 3630 is taken" in done.err


def test_deployments_of_one_application_become_pools(convert: Convert):
    video = a_deployment("-A shop.celery worker -Q video -c 1 --time-limit 7200", name="shop-video")
    env = video["spec"]["template"]["spec"]["containers"][0]["env"]
    video["spec"]["template"]["spec"]["containers"][0]["env"] = [
        *env,
        {"name": "GPU", "value": "1"},
    ]

    done = convert(a_deployment(), video)

    assert done.code == 0, done.err
    assert yaml.safe_load(done.out)["metadata"]["name"] == "shop-umbel"
    assert "would make a Deployment shop-emails, and there is one" in done.err
    assert [(pool["name"], pool["profile"]) for pool in done.spec["pools"]] == [
        ("emails", "Short"),
        ("video", "Long"),
    ]
    assert done.spec["pools"][1]["podTemplate"]["spec"]["containers"] == [
        {"name": "worker", "env": [{"name": "GPU", "value": "1"}]}
    ]


def test_deployments_that_differ_are_refused_with_what_differs(convert: Convert):
    other = a_deployment("-A bills worker -Q bills", name="bills", container={"image": "bills:1"})
    other["spec"]["template"]["spec"]["containers"][0].update(
        command=["celery"], args=["-A", "bills", "worker"]
    )

    done = convert(a_deployment(), other)

    assert (done.code, done.out) == (2, "")
    assert "differ in app, image" in done.err


def without(body: Any, *path: str) -> Any:
    changed = copy.deepcopy(body)
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    del inner[path[-1]]
    return changed


UNUSABLE: dict[str, tuple[list[Any], str]] = {
    "no Deployment": ([{"kind": "Secret"}], "the files hold no Deployment"),
    "no worker": ([a_deployment("-A shop beat")], "no container runs `celery ... worker`"),
    "no application": ([a_deployment("worker -Q a")], "add -A to its command"),
    "no target": (
        [a_deployment(), a_scaled_object() | {"spec": {"scaleTargetRef": {"name": "x"}}}],
        "scales x, of which there is no Deployment here",
    ),
    "no form": ([{"kind": "Deployment", "spec": "text"}], "is not as Kubernetes takes it"),
    "a list for a map": ([a_deployment(pod={"containers": "none"})], "kubectl apply --dry-run"),
}


@pytest.mark.parametrize(("bodies", "words"), UNUSABLE.values(), ids=UNUSABLE.keys())
def test_what_cannot_be_converted_is_said(convert: Convert, bodies: list[Any], words: str):
    done = convert(*bodies)

    assert (done.code, done.out) == (2, "")
    assert words in done.err
    assert done.err.startswith("umbel: ")


NONSENSE = (None, 0, -1, 1.5, "", "x", [], {}, [None], [{}], {"a": None}, True, "$(X)", 10**12)


def places(part: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    items = part.items() if isinstance(part, dict) else enumerate(part)
    for step, inner in items:
        yield from places(inner if isinstance(inner, dict | list) else (), (*path, step))


@pytest.mark.parametrize("which", [0, 1], ids=["Deployment", "ScaledObject"])
def test_whatever_stands_in_a_field_it_is_converted_or_refused_in_words(
    which: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    good = list(yaml.safe_load_all(page_blocks()[0]))
    file = tmp_path / "given.json"
    for path, value in islice(product(places(good[which]), NONSENSE), 0, None, 9):
        bodies = copy.deepcopy(good)
        inner: Any = bodies[which]
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = value
        file.write_text(json.dumps({"kind": "List", "items": bodies}))

        assert main(["convert", "-f", str(file)]) in (0, 1, 2), (path, value)
    assert "Traceback" not in capsys.readouterr().err


def test_what_umbel_check_would_refuse_is_printed_and_told(convert: Convert):
    done = convert(a_deployment("-A shop worker -c 1 --time-limit 50 --soft-time-limit 60"))

    assert done.code == 1
    assert done.pool["timeLimits"] == {"hardSeconds": 50, "softSeconds": 60}
    assert "to mend: spec.pools[short].timeLimits.softSeconds" in done.err


def test_other_kinds_are_worth_a_word_or_none(convert: Convert):
    hpa = {"kind": "HorizontalPodAutoscaler", "metadata": {"name": "shop"}}
    listed = {"kind": "List", "items": [a_deployment(), hpa, {"kind": "Service"}]}
    done = convert(listed)

    assert done.code == 0
    assert "HorizontalPodAutoscaler/shop: kind: umbel sizes the pool itself" in done.err


def test_a_script_gets_json(convert: Convert):
    done = convert(a_deployment(), options=("-o", "json", "--name", "shop"))

    whole = json.loads(done.out)
    assert whole["taskqueue"]["metadata"] == {"name": "shop"}
    assert whole["faults"] == []
    assert {"object", "path", "reason"} == set(whole["notes"][0])


def test_standard_input_is_a_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    text = io.TextIOWrapper(io.BytesIO(yaml.safe_dump(a_deployment()).encode()))
    monkeypatch.setattr(sys, "stdin", text)

    assert main(["convert", "-f", "-"]) == 0
    assert "kind: TaskQueue" in capsys.readouterr().out


def test_the_page_on_moving_over_shows_what_it_makes(convert: Convert):
    before, after = page_blocks()

    done = convert(*yaml.safe_load_all(before))

    assert done.code == 0, done.err
    assert yaml.safe_load(done.out) == yaml.safe_load(after)
    body = yaml.safe_load(after)
    assert parse(body | {"metadata": {"namespace": "web", "uid": "1"} | body["metadata"]})
