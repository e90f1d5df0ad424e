"""Deployments and ScaledObjects as people have them, and what becomes of them."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

MIGRATING = Path(__file__).parents[3] / "docs" / "migrating.md"

BROKER = {
    "name": "CELERY_BROKER_URL",
    "valueFrom": {"secretKeyRef": {"name": "shop-broker", "key": "url"}},
}


def a_deployment(args: str = "-A shop.celery worker -Q emails -c 4", **changes: Any) -> Any:
    """Of the worker `shop-emails`; `changes` are laid over its container, pod and spec."""
    container = {
        "name": "celery",
        "image": "registry.example/shop:1",
        "command": ["celery"],
        "args": args.split(),
        "env": [BROKER],
    } | changes.pop("container", {})
    pod = {"containers": [container]} | changes.pop("pod", {})
    labels = {"app": "shop-emails"}
    template = {"metadata": {"labels": labels}, "spec": pod}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": changes.pop("name", "shop-emails")},
        "spec": {"selector": {"matchLabels": labels}, "template": template} | changes,
    }


def a_scaled_object(*triggers: Any, **spec: Any) -> Any:
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": "shop-emails"},
        "spec": {"scaleTargetRef": {"name": "shop-emails"}, "triggers": list(triggers)} | spec,
    }


def redis(queue: str = "emails", length: str = "5", **metadata: str) -> Any:
    return {
        "type": "redis",
        "metadata": {"address": "redis:6379", "listName": queue, "listLength": length, **metadata},
    }


def rabbitmq(queue: str = "emails", **metadata: str) -> Any:
    return {"type": "rabbitmq", "metadata": {"queueName": queue, **metadata}}


def page_blocks() -> list[str]:
    """The Deployment with its ScaledObject, and what they become."""
    return re.findall(r"```yaml\n(.*?)```", MIGRATING.read_text(), re.DOTALL)[:2]


class Result:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def spec(self) -> Any:
        return yaml.safe_load(self.out)["spec"]

    @property
    def pool(self) -> Any:
        [pool] = self.spec["pools"]
        return pool


Convert = Callable[..., Result]
