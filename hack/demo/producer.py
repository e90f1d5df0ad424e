"""The producer: a Job that sends the tasks through the shop's own Celery application."""

import json
from typing import Any

from hack.demo.kubernetes import NAMESPACE, DemoError, kubectl

NAME = "shop-producer"
IMAGE = "localhost/umbel-demo:dev"


def job(long: int, short: int, seconds: float) -> dict[str, Any]:
    """The Job; it also forgets what the ledger knows of an earlier run.

    Args:
        long: tasks to send.
        short: tasks to send.
        seconds: of a long task.
    """
    command = ["python", "-m", "shop.produce", "--forget"]
    command += ["--long", str(long), "--short", str(short), "--seconds", str(seconds)]
    url = {"secretKeyRef": {"name": "shop-broker", "key": "url"}}
    container = {
        "name": "producer",
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": command,
        "env": [{"name": "CELERY_BROKER_URL", "valueFrom": url}],
        "resources": {"requests": {"cpu": "200m"}},  # else starting workers leave it no time
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": NAME},
        "spec": {"backoffLimit": 0, "template": {"spec": pod}},
    }


def finished() -> bool:
    """Whether all has been sent.

    Raises:
        DemoError: the Job failed; the message has the end of its log.
    """
    status = json.loads(kubectl("get", "job", NAME, "-o", "json")).get("status", {})
    if status.get("failed"):
        log = kubectl("logs", f"job/{NAME}", "--tail=5")
        message = f"the producer failed; kubectl -n {NAMESPACE} logs job/{NAME} says: {log}"
        raise DemoError(message)
    return bool(status.get("succeeded"))


def sent() -> dict[str, int]:
    """What the producer says it has sent, by pool.

    Raises:
        DemoError: its log does not say.
    """
    log = kubectl("logs", f"job/{NAME}")
    for line in log.splitlines():
        if line.startswith("{"):
            told = json.loads(line)
            return {"long": told["sent_long"], "short": told["sent_short"]}
    message = f"the producer did not say what it sent; its log: {log.strip() or 'empty'}"
    raise DemoError(message)
