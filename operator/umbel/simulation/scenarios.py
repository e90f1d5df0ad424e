"""The scenarios that umbel must end well: one function each, which draws its trace from chance."""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from umbel.simulation import shapes
from umbel.simulation.shapes import Rate, Runtime
from umbel.simulation.site import PodStart
from umbel.simulation.trace import Arrival
from umbel.simulation.world import Outage, Setting, StuckWorker
from umbel.spec.model import TaskQueue
from umbel.spec.parse import parse

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0

REST = 15 * MINUTE
"""After the last task of most scenarios: also what is slow to shrink gets there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One of them."""

    name: str
    about: str
    """A line for `--help` and tables."""
    make: Callable[[random.Random], Setting]


def setting(scenario: Scenario, seed: int = 1) -> Setting:
    """The scenario with this luck."""
    return scenario.make(random.Random(seed))  # noqa: S311 - a simulation, no secret


def taskqueue(*pools: Mapping[str, Any], name: str = "shop", **broker: Any) -> TaskQueue:
    """A TaskQueue with these pools and fields of its broker, through the operator's own parser."""
    return parse(
        {
            "metadata": {"namespace": "default", "name": name, "uid": name, "generation": 1},
            "spec": {
                "app": "shop.celery",
                "image": "registry.example/shop:1",
                "broker": {"urlSecretRef": {"name": "broker", "key": "url"}} | broker,
                "pools": list(pools),
            },
        }
    )


def _long(most: int = 10, **fields: Any) -> dict[str, Any]:
    scaling = {"maxReplicas": most}
    return {"name": "long", "profile": "Long", "queues": ["reports"], "scaling": scaling} | fields


def _short(most: int = 10, **fields: Any) -> dict[str, Any]:
    scaling = {"maxReplicas": most}
    return {"name": "short", "profile": "Short", "queues": ["emails"], "scaling": scaling} | fields


def _stream(
    queue: str,
    runtime: Runtime,
    moments: Iterable[float],
    chance: random.Random,
) -> Iterator[Arrival]:
    return (Arrival(moment, queue, runtime(chance)) for moment in moments)


def _poisson(
    queue: str,
    runtime: Runtime,
    rate: Rate,
    span: tuple[float, float, float],
    chance: random.Random,
) -> list[Arrival]:
    """Args: span: the highest rate, and from when to when."""
    highest, start, end = span
    moments = shapes.arrivals(rate, highest, start, end, chance)
    return list(_stream(queue, runtime, moments, chance))


def burst(chance: random.Random) -> Setting:
    """200 reports at once, at an empty pool."""
    runtime = shapes.lognormal(30.0, 0.5)
    return Setting(
        taskqueues=(taskqueue(_long(20)),),
        arrivals=sorted(_stream("reports", runtime, [60.0] * 200, chance)),
        seconds=30 * MINUTE,
    )


def batches(chance: random.Random) -> Setting:
    """40 reports every ten minutes: up and down again and again."""
    runtime = shapes.lognormal(20.0, 0.5)
    moments = [60.0 + 10 * MINUTE * n for n in range(9) for _ in range(40)]
    return Setting(
        taskqueues=(taskqueue(_long(20)),),
        arrivals=sorted(_stream("reports", runtime, moments, chance)),
        seconds=105 * MINUTE,
    )


def ramp(chance: random.Random) -> Setting:
    """From nothing to 12 emails in a second within ten minutes, then steady."""
    runtime = shapes.lognormal(0.8, 0.5)
    rate = shapes.ramp(12.0, 10 * MINUTE)
    return Setting(
        taskqueues=(taskqueue(_short(10)),),
        arrivals=_poisson("emails", runtime, rate, (12.0, 0.0, 15 * MINUTE), chance),
        seconds=15 * MINUTE + REST,
    )


def day(chance: random.Random) -> Setting:
    """A day in two hours: a quiet night, a morning, an afternoon."""
    return _day(2 * HOUR, 4.0, chance)


def whole_day(chance: random.Random) -> Setting:
    """A day of 24 hours with about 100,000 tasks."""
    return _day(DAY, 3.2, chance)


def _day(seconds: float, peak: float, chance: random.Random) -> Setting:
    runtime = shapes.lognormal(4.0, 0.7, 50.0)
    rate = shapes.day(peak, seconds)
    return Setting(
        taskqueues=(taskqueue(_short(12)),),
        arrivals=_poisson("emails", runtime, rate, (peak, 0.0, seconds), chance),
        seconds=seconds,
    )


def trickle(chance: random.Random) -> Setting:
    """A task of about an hour every seven minutes, for eight hours."""
    runtime = shapes.lognormal(2700.0, 0.25, 3500.0)
    rate = shapes.constant(1 / (7 * MINUTE))
    return Setting(
        taskqueues=(taskqueue(_long(20)),),
        arrivals=_poisson("reports", runtime, rate, (1 / (7 * MINUTE), 0.0, 8 * HOUR), chance),
        seconds=9.5 * HOUR,
    )


def mixed(chance: random.Random) -> Setting:
    """Reports of minutes and emails of a moment, each in their pool, for an hour."""
    reports = shapes.lognormal(150.0, 0.8, 3500.0)
    emails = shapes.lognormal(0.4, 0.5)
    some = _poisson("reports", reports, shapes.constant(0.04), (0.04, 0.0, HOUR), chance)
    rate = shapes.blinking(8.0, 4 * MINUTE, 4 * MINUTE)
    some += _poisson("emails", emails, rate, (8.0, 0.0, HOUR), chance)
    return Setting(
        taskqueues=(taskqueue(_long(20), _short(10)),),
        arrivals=sorted(some),
        seconds=HOUR + 30 * MINUTE,
    )


def flapping(chance: random.Random) -> Setting:
    """Emails for 40 s, none for 40 s, so that the need swings around one pod's worth."""
    runtime = shapes.lognormal(1.5, 0.4)
    rate = shapes.blinking(4.0, 40.0, 40.0)
    return Setting(
        taskqueues=(taskqueue(_short(10)),),
        arrivals=_poisson("emails", runtime, rate, (4.0, 0.0, HOUR), chance),
        seconds=HOUR + REST,
    )


def outage(chance: random.Random) -> Setting:
    """The broker is away for two minutes in the middle of steady work."""
    runtime = shapes.lognormal(10.0, 0.5)
    rate = shapes.constant(0.8)
    return Setting(
        taskqueues=(taskqueue(_long(25)),),
        arrivals=_poisson("reports", runtime, rate, (0.8, 0.0, 20 * MINUTE), chance),
        seconds=20 * MINUTE + REST,
        incidents=(Outage(at=10 * MINUTE, seconds=2 * MINUTE),),
    )


def slow_pods(chance: random.Random) -> Setting:
    """Pods need about 40 s until they take a task: large images, slow imports."""
    runtime = shapes.lognormal(20.0, 0.5)
    rate = shapes.blinking(0.8, 5 * MINUTE, 10 * MINUTE)
    return Setting(
        taskqueues=(taskqueue(_long(25)),),
        arrivals=_poisson("reports", runtime, rate, (0.8, 0.0, HOUR), chance),
        seconds=HOUR + REST,
        pod_start=PodStart(median_seconds=40.0, spread=0.2),
    )


def stuck_worker(chance: random.Random) -> Setting:
    """A worker hangs with its task, says nothing, and is restarted after ten minutes."""
    runtime = shapes.lognormal(20.0, 0.5)
    rate = shapes.constant(0.2)
    return Setting(
        taskqueues=(taskqueue(_long(20)),),
        arrivals=_poisson("reports", runtime, rate, (0.2, 0.0, 25 * MINUTE), chance),
        seconds=25 * MINUTE + REST,
        incidents=(StuckWorker(at=5 * MINUTE, seconds=10 * MINUTE),),
    )


def poison(chance: random.Random) -> Setting:
    """One report in twenty kills its process whenever it runs."""
    runtime = shapes.lognormal(15.0, 0.5)
    rate = shapes.constant(0.2)
    some = _poisson("reports", runtime, rate, (0.2, 0.0, 30 * MINUTE), chance)
    return Setting(
        taskqueues=(taskqueue(_long(20)),),
        arrivals=[one._replace(kills_its_process=chance.random() < 0.05) for one in some],
        seconds=30 * MINUTE + REST,
    )


def later(chance: random.Random) -> Setting:
    """Reports that are not to begin before ten minutes have passed."""
    runtime = shapes.lognormal(30.0, 0.5)
    some = _stream("reports", runtime, [60.0 * n for n in range(1, 31)], chance)
    return Setting(
        taskqueues=(taskqueue(_long(10)),),
        arrivals=[one._replace(eta_seconds=10 * MINUTE) for one in some],
        seconds=HOUR,
    )


def budget(chance: random.Random) -> Setting:
    """200 TaskQueues that may use a broker's 400 connections, fewer than their pods would make."""
    runtime = shapes.lognormal(20.0, 0.5)
    names = [f"team-{n:03}" for n in range(200)]
    some = [
        Arrival(60.0 + chance.uniform(0, 120.0), name, runtime(chance))
        for name in names
        for _ in range(5)
    ]
    pools = (_long(5, queues=[name]) for name in names)
    all_of_them = {"maxConnections": 400}  # without it a tenth would be left to everybody else
    return Setting(
        taskqueues=tuple(
            taskqueue(pool, name=name, protection=all_of_them)
            for name, pool in zip(names, pools, strict=True)
        ),
        arrivals=sorted(some),
        seconds=8 * MINUTE,
        max_connections=all_of_them["maxConnections"],
    )


def overload(chance: random.Random) -> Setting:
    """Three times what the most replicas can do, for five minutes."""
    runtime = shapes.lognormal(10.0, 0.4)
    rate = shapes.constant(3.0)
    return Setting(
        taskqueues=(taskqueue(_long(10)),),
        arrivals=_poisson("reports", runtime, rate, (3.0, 60.0, 6 * MINUTE), chance),
        seconds=35 * MINUTE,
    )


_MAKERS = {
    "burst": burst,
    "batches": batches,
    "ramp": ramp,
    "day": day,
    "whole-day": whole_day,
    "trickle": trickle,
    "mixed": mixed,
    "flapping": flapping,
    "outage": outage,
    "slow-pods": slow_pods,
    "stuck-worker": stuck_worker,
    "poison": poison,
    "later": later,
    "budget": budget,
    "overload": overload,
}

SCENARIOS: Mapping[str, Scenario] = {
    name: Scenario(name=name, about=(make.__doc__ or "").rstrip("."), make=make)
    for name, make in _MAKERS.items()
}
