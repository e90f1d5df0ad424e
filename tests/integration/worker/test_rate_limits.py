"""Celery's own rate limits, at the rate that was asked for."""

from dataclasses import replace

import pytest
from tests.integration.worker.harness import EARLY, Scene, Scenes, clock, until

pytestmark = pytest.mark.integration

RATE = 20
HELD = replace(EARLY, prefetch_multiplier=16)


def _per_second(scene: Scene) -> float:
    """From the first start that was seen to the last of three seconds."""
    times = scene.events.times("start")
    span = [at - times[0] for at in times if at - times[0] <= 3]
    return (len(span) - 1) / span[-1]


def test_a_rate_limit_that_gave_a_fraction_of_what_was_asked(scene_on: Scenes) -> None:
    """Celery started a timer for every message that waited, and slept after each ten of them."""
    scenes = [scene_on(kind) for kind in ("redis", "rabbitmq") * 2]
    for number, scene in enumerate(scenes):
        scene.send_many("limited", "t", 5 * RATE)
        more = {"TEST_RATE": f"{RATE}/s"}
        scene.worker(HELD, concurrency=2, app="trouble", stock=number < 2, more=more)
    for scene in scenes:
        until("it runs", scene.events.all, bool)
        first = scene.events.times("start")[0]
        until("3.2 s", lambda since=first: clock() - since, lambda seconds: seconds > 3.2)
    rates = [_per_second(scene) for scene in scenes]

    assert max(rates[:2]) < RATE / 2, "this Celery has it right by itself: umbel's cure can go"
    assert rates[2:] == [pytest.approx(RATE, rel=0.15)] * 2


def test_a_limit_that_is_lifted_lets_go_what_it_held(scenes: list[Scene]) -> None:
    for scene in scenes:
        scene.send_many("limited", "t", 20)
        scene.worker(HELD, app="trouble", more={"TEST_RATE": "1/h"}).wait_ready()
    for scene in scenes:
        until("held", scene.ready, lambda ready: ready == 3, hold=0.3)
        scene.control().rate_limit("limited", "1000/s")
        until("all ran", lambda s=scene: len(s.events.all()), lambda ran: ran == 20)
