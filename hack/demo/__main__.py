"""Shows umbel's main job, checks it, and ends with a summary: `make demo`.

Two pools of one Celery application get the settings that fit their tasks and the size that fits
their queues. The exit status is 0 only if every task ran exactly once, the long pool went back to
0, and every running worker had the settings that were asked for. What it made stays, for you to
look at.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence

from hack.demo import kubernetes, producer, verdict
from hack.demo.broker import Broker, forwarded
from hack.demo.kubernetes import ENDING_SECONDS, NAMESPACE, ROOT, DemoError, kubectl, look
from hack.demo.show import Screen
from hack.demo.verdict import Seen
from hack.demo.watch import Watch, wait

QUICKSTART = "examples/quickstart"
INTERRUPTED = 130
FAREWELL = f"""
All of it holds. It is still there for you to look at:
  eval "$(hack/cluster env)"       # your shell, to this cluster
  kubectl -n {NAMESPACE} get taskqueues,deployments,pods
  kubectl -n {NAMESPACE} describe taskqueue shop
  kubectl explain taskqueue.spec.pools
Again: make demo.  Delete the cluster and all it left: make cluster-down"""


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m hack.demo", description=__doc__)
    parser.add_argument("--long", type=int, default=20, metavar="N", help="long tasks (20)")
    parser.add_argument("--short", type=int, default=500, metavar="N", help="short tasks (500)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of a long task (2)")
    only = f"only delete namespace {NAMESPACE}, which the demo made"
    parser.add_argument("--clean", action="store_true", help=only)
    chosen = parser.parse_args(arguments)
    if min(chosen.long, chosen.short) < 1 or chosen.seconds <= 0:
        parser.error("--long, --short and --seconds must be above 0")
    return chosen


def install() -> None:
    """The chart of the working tree."""
    done = subprocess.run([str(ROOT / "hack" / "install")], check=False)
    if done.returncode:
        message = f"the chart was not installed; see: {verdict.OPERATOR_LOG}"
        raise DemoError(message)


def clear() -> None:
    """Delete what an earlier run left, whatever state that is in; the namespace stays."""
    phase = kubectl(
        "get", "namespace", NAMESPACE, "--ignore-not-found", "-o", "jsonpath={.status.phase}"
    )
    if phase == "Terminating":
        wait("the end of the old namespace", 90, _namespace_left)
    elif phase:
        # Workers first: one that stops without its broker waits for it until it is killed.
        kubectl("delete", "taskqueues.umbel.dev", "--all", "--wait=false")
        wait("the end of an earlier run's workers", 60, lambda: _ending("umbel.dev/taskqueue"))
        kubectl("delete", "deployments,jobs", "--all", "--wait=false")
        wait("the end of an earlier run's Redis", 60, lambda: _ending("!umbel.dev/taskqueue"))


def _ending(selector: str) -> str | None:
    """Tells the pods to end soon, for their tasks are of no use any more; those still there."""
    left = kubectl("get", "deployments,replicasets,jobs,pods", "-l", selector, "-o", "name").split()
    soon = ("--wait=false", f"--grace-period={ENDING_SECONDS}")
    kubectl("delete", "pods", "-l", selector, *soon)
    return " ".join(left) or None


def _namespace_left() -> str | None:
    return kubectl("get", "namespace", NAMESPACE, "--ignore-not-found", "-o", "name") or None


def prepare() -> None:
    """A namespace with restricted Pod Security, and a broker in it."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    metadata = {"name": NAMESPACE, "labels": labels}
    kubernetes.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    kubernetes.apply_file(f"{QUICKSTART}/redis.yaml")
    kubectl("rollout", "status", "deployment/shop-redis", "--timeout=60s", seconds=70)


def describe() -> None:
    """Apply the TaskQueue, and wait until its pools stand."""
    kubernetes.apply_file(f"{QUICKSTART}/taskqueue.yaml")
    wait("Ready=True and a ready short pool", 90, _standing)


def _standing() -> str | None:
    scene = look()
    status, message = kubernetes.condition(scene.taskqueue, "Ready")
    short = scene.pools.get("short")
    if status == "True" and short is not None and short.ready:
        return None
    _, health = kubernetes.condition(scene.taskqueue, "WorkersHealthy")
    ready = f"{short.ready} of {short.replicas}" if short else "none"
    return (
        f"Ready is {status}: {message}; ready pods of the short pool: {ready}; "
        f"WorkersHealthy: {health}; see: {verdict.TASKQUEUE}"
    )


def work(screen: Screen, broker: Broker, chosen: argparse.Namespace) -> Seen:
    """Send the tasks and watch until they are done and the long pool is back at 0."""
    watch = Watch(broker, screen, {"long": chosen.long, "short": chosen.short})
    with screen.step(f"sending {chosen.long} long and {chosen.short} short tasks"):
        kubernetes.apply(producer.job(chosen.long, chosen.short, chosen.seconds))
        wait("the producer", 60, watch.sending)
        watch.seen.sent = producer.sent()
    with screen.step("until every task is done"):
        wait("every task done", 120 + chosen.long * chosen.seconds, watch.working)
    with screen.step("until the long pool is back at 0"):
        wait("the long pool back at 0", 90, watch.shrinking)
    watch.seen.decisions = kubernetes.events("ScaledUp", "ScaledDown")
    return watch.seen


def demo(screen: Screen, chosen: argparse.Namespace) -> list[str]:
    """The whole show; what did not hold."""
    with screen.step("installing the operator"):
        install()
    with screen.step("clearing what an earlier run left"):
        clear()
    with screen.step(f"starting Redis in namespace {NAMESPACE}"):
        prepare()
    with screen.step(f"applying {QUICKSTART}/taskqueue.yaml, until its pools stand"):
        describe()
    with forwarded() as broker:
        seen = work(screen, broker, chosen)
    screen.say(*verdict.summary(seen, screen.steps))
    return verdict.faults(seen)


def clean(screen: Screen) -> None:
    """Delete everything that the demo made but the operator."""
    with screen.step(f"deleting namespace {NAMESPACE}"):
        clear()
        kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", seconds=90)


def run(screen: Screen, chosen: argparse.Namespace) -> int:
    """Do what the command line asks; the exit status."""
    kubernetes.enter_cluster()
    if chosen.clean:
        clean(screen)
        return 0
    found = demo(screen, chosen)
    screen.say(*(f"demo: DOES NOT HOLD: {fault}" for fault in found) if found else [FAREWELL])
    return 1 if found else 0


def main() -> int:
    """Run it; the exit status."""
    chosen, screen = parse(), Screen()
    try:
        return run(screen, chosen)
    except DemoError as error:
        screen.say(f"demo: FAILED: {error}")
        return 1
    except KeyboardInterrupt:
        screen.say(
            "", "demo: stopped by you. `make demo` starts afresh; `make cluster-down` ends it."
        )
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
