"""The Deployment of `celery beat`: one pod, and as seldom as Kubernetes can help it two.

Recreate ends the old pod before it makes a new one, but only where the template changes; a pod that
was deleted, or whose node is lost, is replaced at once. What really keeps two from running is the
claim with the schedule, where its access mode is ReadWriteOncePod (docs/decisions/0012-beat.md).
"""

from typing import Any

from umbel.resources import application
from umbel.resources.names import BEAT, SCHEDULE_VOLUME, beat_labels, beat_metadata
from umbel.resources.pod import RuntimeImage, pod_of, template
from umbel.spec.model import Beat, TaskQueue

SCHEDULE_PATH = "/var/lib/umbel-beat"

GRACE_SECONDS = 30
"""Beat writes its schedule and ends within a second; the rest is for an application that is still
being imported."""

REPLICAS = 1


def arguments(queue: TaskQueue, beat: Beat) -> list[str]:
    """What follows the `celery` command.

    The schedule is written after each task that is published, not every three minutes: else a beat
    that is killed publishes anew what it had published since. A scheduler that the user chose keeps
    its own habits.
    """
    given = ["-A", queue.spec.app, "beat", "--pidfile="]
    given += ["-s", f"{SCHEDULE_PATH}/{queue.name}"]
    if beat.scheduler is not None:
        return [*given, "-S", beat.scheduler]
    return [*given, "--", "beat.sync_every=1"]


def container(queue: TaskQueue, beat: Beat) -> dict[str, Any]:
    """The container `beat`, complete but for the user's overlay.

    It answers nobody, so that there is nothing to probe.
    """
    described = application.container(
        queue.spec,
        name=BEAT,
        args=arguments(queue, beat),
        env=application.environment(queue.spec),
        resources=beat.resources,
    )
    described["volumeMounts"].append({"name": SCHEDULE_VOLUME, "mountPath": SCHEDULE_PATH})
    return described


def _schedule(beat: Beat) -> dict[str, Any]:
    if beat.claim_name is None:
        return {"name": SCHEDULE_VOLUME, "emptyDir": {}}
    claim = {"claimName": beat.claim_name}
    return {"name": SCHEDULE_VOLUME, "persistentVolumeClaim": claim}


def beat_deployment(queue: TaskQueue, beat: Beat, runtime: RuntimeImage) -> dict[str, Any]:
    """The Deployment `NAME-beat`, its size included: nobody scales it."""
    pod = pod_of(queue.spec, container(queue, beat), runtime, grace_seconds=GRACE_SECONDS)
    pod["volumes"].append(_schedule(beat))
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": beat_metadata(queue),
        "spec": {
            "replicas": REPLICAS,
            "selector": {"matchLabels": beat_labels(queue)},
            "revisionHistoryLimit": 2,
            "strategy": {"type": "Recreate"},
            "template": template(beat_labels(queue), pod, beat.pod_template),
        },
    }
