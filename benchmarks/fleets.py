"""Workers that keep one rate limit together: through a Redis, or by shares that are dealt out.

The shares come from the operator's own code, over the broker; only the cluster is made up: a pod's
end is told as the kubelet would.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from itertools import count
from typing import Protocol

from redis import Redis
from tests.integration.worker.dealing import Dealing
from tests.integration.worker.harness import EARLY, Scene, Worker, until
from tests.integration.worker.limited import OWNER, leave_limits

from umbel.resources.rate_limits import LIMITER_ENV, RateLimit
from umbel_worker.contract import WorkerConfig

TASK = "quick"
PREFORK = "processes"
SETTLED = 0.98
"""Of the rate: what workers hold together once the shares are dealt out."""


class Fleet(Protocol):
    """The workers of one TaskQueue."""

    def start(self, slots: int, pool: str = PREFORK, log_level: str = "INFO") -> Worker:
        """One more."""
        ...

    def kill(self, worker: Worker) -> None:
        """End it without a chance to say goodbye."""
        ...

    def settle(self) -> None:
        """Wait until the workers that are there may use the limit."""
        ...


class RedisFleet:
    """They agree in a Redis."""

    def __init__(self, scene: Scene, url: str, config: WorkerConfig, app: str) -> None:
        self._scene, self._url, self._app = scene, url, app
        self._config = replace(config, task_queue=OWNER)

    def start(self, slots: int, pool: str = PREFORK, log_level: str = "INFO") -> Worker:
        return self._scene.worker(
            self._config,
            concurrency=slots,
            pool=pool,
            app=self._app,
            more={LIMITER_ENV: self._url},
            log_level=log_level,
        )

    def kill(self, worker: Worker) -> None:
        worker.kill()

    def settle(self) -> None:
        """There is nothing to wait for."""


class SharesFleet:
    """They are dealt shares; each is a pod's."""

    def __init__(
        self, scene: Scene, dealing: Dealing, rate: float, config: WorkerConfig, app: str
    ) -> None:
        self._scene, self._dealing, self._rate, self._app = scene, dealing, rate, app
        self._config = replace(config, task_queue=dealing.owner)
        self._workers: dict[str, Worker] = {}
        """By pod."""
        self._numbers = count()

    def start(self, slots: int, pool: str = PREFORK, log_level: str = "INFO") -> Worker:
        pod = self._dealing.add_pod(f"p{next(self._numbers)}")
        return self._start(pod, slots, pool, log_level)

    def start_again(self, worker: Worker, slots: int) -> Worker:
        """In the same pod, as a kubelet does."""
        return self._start(self._pod(worker), slots)

    def _start(self, pod: str, slots: int, pool: str = PREFORK, log_level: str = "INFO") -> Worker:
        worker = self._scene.worker(
            self._config,
            concurrency=slots,
            pool=pool,
            app=self._app,
            host=pod,
            log_level=log_level,
        )
        self._workers[pod] = worker
        return worker

    def kill(self, worker: Worker) -> None:
        worker.kill()
        self._dealing.ended(self._pod(worker))

    def settle(self) -> None:
        until("all is dealt out, for a while", lambda: sum(self._dealing.shares().values()),
              lambda dealt: dealt >= SETTLED * self._rate, 90, hold=5)  # fmt: skip

    def holder(self) -> Worker:
        """The worker with the largest share."""
        shares = self._dealing.shares()
        return self._workers[max(shares, key=lambda pod: shares[pod])]

    def stop_operator(self) -> None:
        self._dealing.stop()

    def start_operator(self) -> None:
        """Another one; meanwhile Kubernetes has given up the pods in which nothing runs."""
        pods = self._dealing.pods
        for pod in [pod for pod, one in self._workers.items() if one.exit_code is not None]:
            pods.pop(("default", pod), None)
        self._dealing = self._dealing.successor().start()

    def _pod(self, worker: Worker) -> str:
        return next(pod for pod, one in self._workers.items() if one is worker)


Through = Callable[[Scene, str, float], AbstractContextManager[Fleet]]
"""Takes also the URL of a Redis of its own, and tasks a second."""


@contextmanager
def by_redis(
    scene: Scene, url: str, rate: float, config: WorkerConfig = EARLY, app: str = "rated"
) -> Iterator[RedisFleet]:
    with Redis.from_url(url) as client:
        client.flushdb()
    leave_limits(url, RateLimit(TASK, float(rate), 1, 1, shared=True))
    yield RedisFleet(scene, url, config, app)


@contextmanager
def by_shares(
    scene: Scene, _: str, rate: float, config: WorkerConfig = EARLY, app: str = "rated"
) -> Iterator[SharesFleet]:
    dealing = Dealing(scene.url, None, {"task": TASK, "rate": f"{rate:g}/s"}).start()
    fleet = SharesFleet(scene, dealing, rate, config, app)
    try:
        until("the limits are left for workers", lambda: dealing.kept, lambda kept: kept, 20)
        yield fleet
    finally:
        fleet.stop_operator()
