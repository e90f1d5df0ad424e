"""What a Redis' own words mean for a broker. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from umbel.cli.doctor.finding import Area, Finding
from umbel.spec.model import TaskQueue
from umbel.spec.profiles import longest_task_seconds
from umbel.status import redis_settings


def findings(queue: TaskQueue, info: Mapping[str, Any]) -> Iterator[Finding]:
    """Of the server and of what the TaskQueue asks of it.

    Args:
        queue: the TaskQueue.
        info: INFO, parsed.
    """
    area = Area(object=f"{queue.namespace}/{queue.name}", name="redis")
    yield area.ok(f"its version is {info.get('redis_version', 'not told')}")
    yield from _role(area, info)
    yield _memory(area, info)
    yield from _kept(area, info)
    yield _visibility(area, queue)
    for sentence in redis_settings.contradictions(queue):
        says, _, cure = sentence.partition(": ")
        yield area.fail(says, cure)


def server(area: Area, info: Mapping[str, Any]) -> Iterator[Finding]:
    """Of a Redis that holds rate limits and no tasks."""
    yield area.ok(f"it answers, its version is {info.get('redis_version', 'not told')}")
    yield from _role(area, info)


def _role(area: Area, info: Mapping[str, Any]) -> Iterator[Finding]:
    if info.get("role") == "slave":
        yield area.fail(
            "it is a replica: nothing can be written to it", "give the primary's address in the URL"
        )
    if info.get("cluster_enabled"):
        yield area.fail("it is a Redis Cluster, which Celery cannot use", "take a single primary")
    if info.get("loading"):
        yield area.warn("it loads its data and answers no command meanwhile", "wait")


def _memory(area: Area, info: Mapping[str, Any]) -> Finding:
    policy, limit = str(info.get("maxmemory_policy", "not told")), info.get("maxmemory")
    if not limit:
        return area.warn(
            f"it has no maxmemory (maxmemory-policy {policy}): it fills the node's memory",
            "set maxmemory and maxmemory-policy noeviction: producers then get an error in time",
        )
    if policy.startswith("allkeys"):
        return area.fail(
            f"its maxmemory-policy is {policy}: it throws tasks away where it is full",
            "set maxmemory-policy noeviction",
        )
    if policy != "noeviction":
        return area.warn(
            f"its maxmemory-policy is {policy}: it throws results away where it is full",
            "set maxmemory-policy noeviction, or keep results elsewhere",
        )
    return area.ok("its maxmemory-policy is noeviction, as a broker needs it")


def _kept(area: Area, info: Mapping[str, Any]) -> Iterator[Finding]:
    if info.get("evicted_keys"):
        yield area.warn(
            f"it has thrown away {info['evicted_keys']} keys since its start",
            "tasks may have been among them: set maxmemory-policy noeviction",
        )
    if info.get("aof_enabled") == 0:
        yield area.warn(
            "it keeps no log of its writes: a crash loses what came after its last snapshot",
            "set appendonly yes, unless tasks may be lost",
        )


def _visibility(area: Area, queue: TaskQueue) -> Finding:
    """That it is long enough is the CRD's own rule; here it is told."""
    seconds = queue.spec.broker.visibility_timeout_seconds
    late = [pool for pool in queue.spec.pools if pool.acks_late]
    longest = max(
        (longest_task_seconds(pool.profile, pool.time_limits) for pool in late), default=0
    )
    if queue.spec.broker.crash_safe:
        return area.ok(f"the visibility timeout is {seconds} s, and workers renew what they hold")
    if longest >= seconds:
        return area.fail(
            f"a task may run {longest} s, but the visibility timeout is {seconds} s: it runs twice",
            "raise broker.visibilityTimeoutSeconds, or set timeLimits",
        )
    return area.ok(f"the visibility timeout is {seconds} s, the longest late task {longest} s")
