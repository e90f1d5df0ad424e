"""What the whole of umbel_worker costs: tasks a second and memory, against stock Celery.

A queue is filled with no-op tasks, tasks of 1 ms and tasks of 10 ms; then one worker is started
and empties it. A worker under umbel gets the command line and the settings that the operator
would give the pod. A stock worker gets the same but for umbel itself, its settings by app.conf.
The two alternate, in an order that flips each time, so that what slows the machine slows both.

Marks in the queue tell when each kind of task began and ended. CPU time and memory are those of
the worker's main process and its children.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from urllib.request import urlopen

from celery import Celery
from tests.builders import a_pool_body, a_short_pool_body, a_taskqueue
from tests.integration.servers import free_port, wait_until

from benchmarks.brokers import server
from umbel.resources.worker import POD_ENV, arguments, worker_config
from umbel.resources.worker_contract import BOOT_MODULE, CONFIG_ENV, METRICS_PATH
from umbel.spec.model import Pool, TaskQueue, TaskQueueSpec

ROOT = Path(__file__).parent.parent
QUEUE = "bench"
KINDS = {"no-op": (0.0, 2000), "1 ms": (0.001, 1500), "10 ms": (0.01, 900)}
"""Seconds of one task and how many there are."""
WARM_UP = 400
CONCURRENCY = 2
BARS = {"redis": 1.00, "rabbitmq": 0.98}
"""Least throughput, as a part of stock's."""
MEMORY_BAR_MIB = 6.0
HEADINGS = ("benchmark", "broker", "pool", "tasks", "pairs", "stock/s", "umbel/s",
            "median", "worst", "bar", "holds")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One worker that emptied the queue."""

    rates: dict[str, float]
    """Tasks a second by kind."""
    cpu_us: float
    """CPU microseconds of the worker a task, over all kinds."""
    pss_mib: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """All pairs with one broker."""

    broker: str
    pairs: dict[str, list[tuple[Run, Run]]]
    """(stock, umbel) by pool."""

    def ratios(self, pool: str, kind: str) -> list[float]:
        return [umbel.rates[kind] / stock.rates[kind] for stock, umbel in self.pairs[pool]]

    def memory(self, pool: str) -> list[float]:
        return [umbel.pss_mib - stock.pss_mib for stock, umbel in self.pairs[pool]]

    @property
    def passed(self) -> bool:
        fast = all(
            median(self.ratios(pool, kind)) >= BARS[self.broker]
            for pool in self.pairs
            for kind in KINDS
        )
        return fast and all(median(self.memory(pool)) <= MEMORY_BAR_MIB for pool in self.pairs)

    def rows(self) -> Iterator[tuple[str, ...]]:
        for pool, pairs in self.pairs.items():
            first = ("throughput", self.broker, pool)
            for kind in KINDS:
                ratios = self.ratios(pool, kind)
                stock, umbel = (median(pair[i].rates[kind] for pair in pairs) for i in (0, 1))
                yield (*first, kind, str(len(pairs)), f"{stock:.0f}", f"{umbel:.0f}",
                       f"{median(ratios):.1%}", f"{min(ratios):.1%}", f"{BARS[self.broker]:.0%}",
                       _told(median(ratios) >= BARS[self.broker]))  # fmt: skip
            stock, umbel = (median(pair[i].cpu_us for pair in pairs) for i in (0, 1))
            more = [umbel.cpu_us / stock.cpu_us for stock, umbel in pairs]
            yield (*first, "CPU us a task", str(len(pairs)), f"{stock:.0f}", f"{umbel:.0f}",
                   f"{median(more):.1%}", f"{max(more):.1%}", "", "")  # fmt: skip
            stock, umbel = (median(pair[i].pss_mib for pair in pairs) for i in (0, 1))
            memory = self.memory(pool)
            yield (*first, "PSS MiB", str(len(pairs)), f"{stock:.1f}", f"{umbel:.1f}",
                   f"{median(memory):+.1f}", f"{max(memory):+.1f}", f"{MEMORY_BAR_MIB:+.0f}",
                   _told(median(memory) <= MEMORY_BAR_MIB))  # fmt: skip


def _told(holds: bool) -> str:
    return "yes" if holds else "NO"


def run(broker: str, trials: int) -> Outcome:
    """Measure so many pairs for each profile."""
    pools = {"Short": a_short_pool_body, "Long": a_pool_body}
    pairs: dict[str, list[tuple[Run, Run]]] = {name: [] for name in pools}
    with TemporaryDirectory(prefix="umbel-bench-") as home, server(broker, Path(home)) as url_of:
        url = url_of(0)
        for number in range(trials):
            for name, body in pools.items():
                bench = Bench(
                    Path(home), url, _queue(body(queues=[QUEUE], concurrency=CONCURRENCY))
                )
                pairs[name].append(_pair(bench, flipped=number % 2 == 1))
                stock, umbel = pairs[name][-1]
                figures = ", ".join(f"{k} {umbel.rates[k] / stock.rates[k]:.1%}" for k in KINDS)
                print(f"throughput, {broker}, {name}, {number + 1}: {figures}; "
                      f"CPU {umbel.cpu_us / stock.cpu_us:.1%}; "
                      f"PSS {umbel.pss_mib - stock.pss_mib:+.1f} MiB", flush=True)  # fmt: skip
    return Outcome(broker=broker, pairs=pairs)


def _pair(bench: "Bench", *, flipped: bool) -> tuple[Run, Run]:
    if flipped:
        umbel, stock = bench.measure(umbel=True), bench.measure(umbel=False)
    else:
        stock, umbel = bench.measure(umbel=False), bench.measure(umbel=True)
    return stock, umbel


def _queue(pool: dict[str, object]) -> TaskQueue:
    return a_taskqueue(pools=[pool], app="throughput_app")


class Bench:
    """One pool's workers, each of them started to empty the queue once."""

    def __init__(self, home: Path, url: str, queue: TaskQueue) -> None:
        self._home, self._url, self._queue = home, url, queue
        self._pool = queue.spec.pools[0]
        self._marks = home / "marks"
        self._port = free_port()

    def measure(self, *, umbel: bool) -> Run:
        """Fill the queue, start a worker, and see it through."""
        self._marks.unlink(missing_ok=True)
        self._fill()
        with (self._home / "log").open("wb") as log:
            worker = subprocess.Popen(
                self._command(umbel=umbel), env=self._environment(umbel=umbel), cwd=self._home,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        try:
            wait_until("the queue is empty", lambda: self._emptied(worker), 600)
            if umbel:
                self._scrape()
            time.sleep(1)  # acknowledgements and what the children still let go of
            tasks = sum(count for _, count in KINDS.values()) + WARM_UP
            pids = _family(worker.pid)
            return Run(
                rates=self._rates(),
                cpu_us=sum(map(_cpu_seconds, pids)) / tasks * 1e6,
                pss_mib=sum(map(_pss_mib, pids)),
            )
        finally:
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait(10)

    def _fill(self) -> None:
        with Celery(broker=self._url, set_as_current=False) as producer:
            with producer.connection_for_write() as connection:
                connection.default_channel.queue_declare(QUEUE, durable=True, auto_delete=False)
                connection.default_channel.queue_purge(QUEUE)
            for _ in range(WARM_UP):
                producer.send_task("work", (0,), queue=QUEUE)
            producer.send_task("mark", ("warm",), queue=QUEUE)
            for name, (seconds, count) in KINDS.items():
                for _ in range(count):
                    producer.send_task("work", (seconds,), queue=QUEUE)
                producer.send_task("mark", (name,), queue=QUEUE)

    def _scrape(self) -> None:
        with urlopen(f"http://127.0.0.1:{self._port}{METRICS_PATH}", timeout=5) as answer:
            answer.read()

    def _emptied(self, worker: "subprocess.Popen[bytes]") -> bool:
        if worker.poll() is not None:
            message = f"the worker ended: {(self._home / 'log').read_text()[-2000:]}"
            raise RuntimeError(message)
        return len(self._times()) == len(KINDS) + 1

    def _times(self) -> dict[str, float]:
        if not self._marks.exists():
            return {}
        lines = map(json.loads, self._marks.read_text().splitlines())
        return {line["name"]: line["at"] for line in lines}

    def _rates(self) -> dict[str, float]:
        times = self._times()
        begins = dict(zip(KINDS, ["warm", *KINDS], strict=False))
        return {
            name: count / (times[name] - times[begins[name]])
            for name, (_, count) in KINDS.items()
        }  # fmt: skip

    def _command(self, *, umbel: bool) -> list[str]:
        given = arguments(self._queue.spec, self._pool)
        if not umbel:
            at = given.index(BOOT_MODULE)
            given = given[: at - 1] + given[at + 1 :]
        given = [word.replace(f"$({POD_ENV})", "pod") for word in given]  # as the kubelet does
        return [sys.executable, "-m", "celery", *given]

    def _environment(self, *, umbel: bool) -> dict[str, str]:
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{ROOT / 'benchmarks'}:{ROOT / 'worker_image'}",
            "CELERY_BROKER_URL": self._url,
            "BENCH_MARKS": str(self._marks),
            POD_ENV: "pod",
        }
        if not umbel:
            return environment | {"BENCH_CONF": json.dumps(_stock(self._queue.spec, self._pool))}
        config = worker_config(self._queue, self._pool)
        if not self._url.startswith("redis"):
            config = replace(config, visibility_timeout=None)
        return environment | {
            CONFIG_ENV: config.to_json(),
            "UMBEL_WORKER_HEALTH_ADDRESS": f"127.0.0.1:{self._port}",
        }


def _stock(spec: TaskQueueSpec, pool: Pool) -> dict[str, object]:
    return {
        "task_acks_late": pool.acks_late,
        "task_reject_on_worker_lost": pool.reject_on_worker_lost,
        "broker_transport_options": {"visibility_timeout": spec.broker.visibility_timeout_seconds},
    }


def _family(pid: int) -> list[int]:
    """The process and its children, which have no children of their own."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _pss_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    message = f"/proc/{pid}/smaps_rollup has no Pss"
    raise RuntimeError(message)
