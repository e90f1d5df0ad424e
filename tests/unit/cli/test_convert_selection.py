"""`umbel convert` on all that a namespace holds: workers are converted, the rest is named."""

import json
from typing import Any

import pytest
from tests.unit.cli.conversions import Convert, a_deployment, a_scaled_object, redis

WEB = a_deployment("", name="shop-web", container={"command": ["gunicorn", "shop.web"]})
BEAT = a_deployment("-A shop beat -s /tmp/schedule", name="shop-beat")
SHELL = a_deployment("", name="odd", container={"command": ["sh", "-c", "echo 'it"], "args": []})
CONTAINERS = "spec.template.spec.containers"
NO_WORKER = "left out: no container runs `celery ... worker`"

LEFT_OUT: dict[str, tuple[Any, str]] = {
    "a web server": (WEB, f"Deployment/shop-web: {CONTAINERS}: {NO_WORKER}"),
    "beat": (BEAT, f"Deployment/shop-beat: {CONTAINERS}: left out: it runs `celery beat`"),
    "a shell's words that nobody can read": (SHELL, f"Deployment/odd: {CONTAINERS}: {NO_WORKER}"),
}


def a_list(*items: Any) -> Any:
    """As `kubectl get -o yaml` prints it."""
    return {"apiVersion": "v1", "kind": "List", "items": list(items)}


@pytest.mark.parametrize(("other", "words"), LEFT_OUT.values(), ids=LEFT_OUT.keys())
def test_a_deployment_without_a_worker_is_left_out_with_a_word(
    convert: Convert, other: Any, words: str
):
    done = convert(a_list(other, a_deployment()))

    assert done.code == 0, done.err
    assert done.spec == convert(a_deployment()).spec
    assert words in done.err
    assert words in done.out, "it is said above the YAML, too"


def test_a_scaled_object_goes_with_its_deployment(convert: Convert):
    of_web = a_scaled_object({"type": "cron", "metadata": {}}, scaleTargetRef={"name": "shop-web"})
    of_web["metadata"]["name"] = "web"

    done = convert(a_list(WEB, of_web, a_deployment(), a_scaled_object(redis(), maxReplicaCount=7)))

    assert done.code == 0, done.err
    assert done.pool["scaling"]["maxReplicas"] == 7
    assert "ScaledObject/web: spec.scaleTargetRef: left out, as shop-web is" in done.err
    assert "cron" not in done.err


def test_every_worker_of_a_list_becomes_a_pool(convert: Convert):
    video = a_deployment("-A shop.celery worker -Q video -c 1", name="shop-video")

    done = convert(a_list(a_deployment(), WEB, video, BEAT))

    assert done.code == 0, done.err
    assert [pool["name"] for pool in done.spec["pools"]] == ["emails", "video"]


def test_a_list_without_a_worker_is_refused(convert: Convert):
    done = convert(a_list(WEB, BEAT))

    assert (done.code, done.out) == (2, "")
    assert "Deployment/shop-web: no container runs `celery ... worker`" in done.err


def test_a_worker_that_cannot_be_read_is_refused_and_not_left_out(convert: Convert):
    bad = a_deployment("-A shop worker --concurrency", name="shop-bad")

    done = convert(a_list(a_deployment(), bad))

    assert (done.code, done.out) == (2, "")
    assert "the options of celery worker cannot be read" in done.err


def test_what_is_left_out_is_in_json(convert: Convert):
    done = convert(a_list(WEB, a_deployment()), options=("-o", "json"))

    objects = [note["object"] for note in json.loads(done.out)["notes"]]
    assert "Deployment/shop-web" in objects
