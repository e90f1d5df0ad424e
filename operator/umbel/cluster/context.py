"""The namespace that a person works in: of the kubeconfig's context, or of the pod."""

import os
from pathlib import Path
from typing import Final

from kubernetes.aio import config

ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
DEFAULT: Final = "default"


def in_a_pod() -> bool:
    """Whether this process runs in a pod with an account of its own."""
    return "KUBERNETES_SERVICE_HOST" in os.environ and (ACCOUNT / "token").exists()


def namespace_of(context: str | None) -> str:
    """Where `kubectl` would look without `-n`; `default` where nobody says.

    Args:
        context: of the kubeconfig; None for the pod's own, or the current one.
    """
    try:
        if context is None and in_a_pod():
            return (ACCOUNT / "namespace").read_text().strip() or DEFAULT
        contexts, current = config.list_kube_config_contexts()
    except (config.ConfigException, OSError):
        return DEFAULT  # whoever connects next says what is wrong
    named = {one["name"]: one["context"] for one in contexts}
    chosen = named.get(context) if context else current["context"]
    return str((chosen or {}).get("namespace") or DEFAULT)
