"""What must hold at the end, and the summary that shows whether it does. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hack.demo.broker import Counts
from hack.demo.kubernetes import NAMESPACE
from hack.demo.settings import Compared, Settings, compare
from hack.demo.show import columns

OPERATOR_LOG = "kubectl -n umbel-system logs deployment/umbel"
WORKER_LOG = f"kubectl -n {NAMESPACE} logs -l umbel.dev/taskqueue=shop --tail=50"
TASKQUEUE = f"kubectl -n {NAMESPACE} describe taskqueue shop"


@dataclass(slots=True, kw_only=True)
class Seen:
    """What was seen while the demo ran."""

    wanted: Mapping[str, int]
    """Tasks to send, by pool."""
    asked: Mapping[str, Settings] = field(default_factory=dict)
    sent: Mapping[str, int] = field(default_factory=dict)
    counts: Counts | None = None
    """Of the last look; None if the broker could not be read."""
    most: dict[str, int] = field(default_factory=dict)
    """The largest size of each pool."""
    workers: dict[str, str] = field(default_factory=dict)
    """The pool of every worker that was ever ready, by pod."""
    read: dict[str, Settings] = field(default_factory=dict)
    """What the workers said they have, by pod."""
    long_replicas: int = -1
    long_pods: int = -1
    decisions: list[str] = field(default_factory=list)
    """The Events about sizes, oldest first, each with its time."""

    def settings(self) -> dict[str, list[Compared]]:
        """Every setting of every pool, asked and read."""
        return {pool: compare(wanted, self._read_of(pool)) for pool, wanted in self.asked.items()}

    def _read_of(self, pool: str) -> list[Settings]:
        return [read for pod, read in self.read.items() if self.workers[pod] == pool]


def faults(seen: Seen) -> list[str]:
    """Every expectation that does not hold, each with where to look; empty if all is well."""
    return [*_task_faults(seen), *_size_faults(seen), *_settings_faults(seen)]


def _task_faults(seen: Seen) -> list[str]:
    found = []
    if seen.sent != seen.wanted:
        found.append(f"to be sent: {_by_pool(seen.wanted)}; sent: {_by_pool(seen.sent)}")
    counts = seen.counts
    if counts is None:
        return [*found, f"the broker cannot be read: kubectl -n {NAMESPACE} get pods"]
    if counts.done != seen.sent or counts.tasks != sum(seen.sent.values()):
        found.append(
            f"sent: {_by_pool(seen.sent)}; done: {_by_pool(counts.done)}, "
            f"{counts.tasks} different ones: {WORKER_LOG}"
        )
    if counts.repeated:
        found.append(f"{counts.repeated} tasks ran more than once: {WORKER_LOG}")
    if not counts.idle:
        found.append(
            f"left in the queues: {_by_pool(counts.waiting)} waiting, {_by_pool(counts.held)} held"
        )
    return found


def _size_faults(seen: Seen) -> list[str]:
    found = []
    if not seen.most.get("long"):
        found.append(f"the long pool never grew: {OPERATOR_LOG}; {TASKQUEUE}")
    if seen.long_replicas or seen.long_pods:
        found.append(
            f"the long pool is not back at 0: {seen.long_replicas} replicas, "
            f"{seen.long_pods} pods: {TASKQUEUE}"
        )
    return found


def _settings_faults(seen: Seen) -> list[str]:
    found = [
        f"pool {pool}: {each.name}: asked: {each.asked}, its workers have: {each.read}: {TASKQUEUE}"
        for pool, compared in seen.settings().items()
        for each in compared
        if not each.agree
    ]
    silent = sorted(seen.workers.keys() - seen.read.keys())
    if silent:
        found.append(f"workers that did not tell their settings: {', '.join(silent)}; {WORKER_LOG}")
    if missing := {"long", "short"} - seen.asked.keys():
        found.append(f"the TaskQueue has no pool {', '.join(sorted(missing))}")
    return found


def _by_pool(numbers: Mapping[str, int]) -> str:
    return " and ".join(f"{number} {pool}" for pool, number in sorted(numbers.items())) or "nothing"


def summary(seen: Seen, steps: Sequence[tuple[str, float]]) -> list[str]:
    """The end of the demo, as lines."""
    decided = ["", "Sizes, and why (kubectl get events)", *_indented(seen.decisions)]
    return ["", "Times", *_times(steps), "", "Tasks", *_tasks(seen), *decided, *_settings(seen)]


def _times(steps: Sequence[tuple[str, float]]) -> list[str]:
    total = sum(took for _, took in steps)
    rows = [(what, f"{took:.1f} s") for what, took in (*steps, ("together", total))]
    return _indented(columns(rows))


def _tasks(seen: Seen) -> list[str]:
    head = ("pool", "sent", "done", "most replicas")
    rows = [
        (
            pool,
            str(seen.sent.get(pool, "?")),
            str(seen.counts.done[pool]) if seen.counts else "?",
            str(seen.most.get(pool, "?")),
        )
        for pool in sorted(seen.wanted)
    ]
    repeated = seen.counts.repeated if seen.counts else "?"
    return _indented([*columns([head, *rows]), f"run twice: {repeated}"])


def _settings(seen: Seen) -> list[str]:
    lines = ["", "Settings (the application's own code says otherwise: images/demo/app/shop)"]
    for pool, compared in seen.settings().items():
        of_pool = [pod for pod, of in seen.workers.items() if of == pool]
        read = sum(pod in seen.read for pod in of_pool)
        rows = [("", "asked", "read", "")]
        rows += [(c.name, c.asked, c.read, "ok" if c.agree else "DIFFERS") for c in compared]
        lines += ["", f"  Pool {pool}, read from {read} of {len(of_pool)} running workers"]
        lines += _indented(columns(rows))
    return lines


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"  {line}" for line in lines]
