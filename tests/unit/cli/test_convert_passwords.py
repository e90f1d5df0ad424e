"""`umbel convert` prints no password, wherever in a Deployment it stands."""

from typing import Any

import pytest
from tests.unit.cli.conversions import Convert, a_deployment

from umbel.cli.convert.notes import hidden

URL = "amqp://shop:s3cret@rabbitmq:5672//"
PROXY = {"name": "proxy", "image": "proxy:1"}


def beside(**proxy: Any) -> Any:
    """The worker with another container."""
    own = a_deployment()["spec"]["template"]["spec"]["containers"][0]
    return a_deployment(pod={"containers": [own, PROXY | proxy]})


PLACES = {
    "another container's variable": beside(
        env=[{"name": "CELERY_BROKER_URL", "value": URL}, {"name": "LEVEL", "value": "info"}]
    ),
    "another container's arguments": beside(args=["--upstream", URL]),
    "an init container's variable": a_deployment(
        pod={"initContainers": [PROXY | {"env": [{"name": "DATABASE_URL", "value": URL}]}]}
    ),
    "an assignment in a shell": a_deployment(
        container={"command": ["sh", "-c", f"BROKER_URL={URL} celery -A shop worker"], "args": []}
    ),
    "an option that nobody knows": a_deployment(f"-A shop worker --results={URL}"),
    "the worker's variable": a_deployment(
        container={"env": [{"name": "CACHE_URL", "value": "redis://:s3cret/1@cache/1"}]}
    ),
}


@pytest.mark.parametrize("body", PLACES.values(), ids=PLACES.keys())
def test_no_password_is_printed(convert: Convert, body: Any):
    done = convert(body)

    assert done.code == 0, done.err
    assert "s3cret" not in done.out + done.err


def test_a_url_that_is_written_down_is_not_passed_on(convert: Convert):
    env = [
        {"name": "CELERY_BROKER_URL", "value": "redis://:hunter2@redis/0"},
        {"name": "DATABASE_URL", "value": "postgres://shop:hunter2@db/shop"},
    ]
    done = convert(a_deployment(container={"env": env}))

    assert done.code == 0, done.err
    assert done.spec["broker"]["urlSecretRef"] == {"name": "shop-emails-broker", "key": "url"}
    assert "env" not in done.spec
    assert "kubectl create secret generic shop-emails-broker" in done.err
    assert "env[DATABASE_URL]: left out: its value holds a password" in done.err
    assert "hunter2" not in done.out + done.err


def test_what_else_stands_there_is_kept(convert: Convert):
    done = convert(PLACES["another container's variable"])

    [proxy] = done.pool["podTemplate"]["spec"]["containers"]
    assert proxy["env"] == [{"name": "LEVEL", "value": "info"}]
    assert "env[CELERY_BROKER_URL]: left out: its value holds a password" in done.err


def test_the_program_is_not_what_a_shell_assigns(convert: Convert):
    command = ["sh", "-c", "C_FORCE_ROOT=1 exec celery -A shop worker"]
    done = convert(a_deployment(container={"command": command, "args": []}))

    assert "command" not in done.spec
    assert "what the shell does besides is left out" in done.err


@pytest.mark.parametrize(
    ("text", "want"),
    [
        (URL, "amqp://shop:***@rabbitmq:5672//"),
        ("redis://:p/w@h/1", "redis://:***@h/1"),
        ("http://proxy:3128/path", "http://proxy:3128/path"),
        ("plain", "plain"),
    ],
)
def test_only_passwords_are_hidden(text: str, want: str):
    assert hidden(text) == want
