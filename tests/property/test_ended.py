"""Laws of who is dead, over every history of a pod's containers and every lag of its status."""

import math

from hypothesis import given
from hypothesis import strategies as st
from tests.builders import a_pod, an_incarnation

from umbel.cluster.objects import PodView
from umbel.control.ended import cause_of_death

Container = tuple[float, float]
"""(begun, ended)."""


@st.composite
def histories(draw: st.DrawFn) -> list[Container]:
    """A pod's containers, one after the other; the last one still runs."""
    gaps = draw(st.lists(st.tuples(st.floats(0, 400), st.floats(0, 10)), min_size=1, max_size=5))
    clock, containers = 1_000_000.0, []
    for runs, pause in gaps:
        containers.append((clock, clock + runs))
        clock += runs + pause
    return [*containers, (clock, math.inf)]


def told(containers: list[Container], at: float) -> PodView:
    """The pod as its kubelet told of it at that time; seconds are cut off."""
    ends = [float(int(ended)) for _, ended in containers if ended <= at]
    running = any(begun <= at < ended for begun, ended in containers)
    return a_pod(running=running, worker_ended_at=max(ends, default=None))


@given(histories(), st.floats(0, 3000), st.floats(0, 3000), st.none() | st.floats(0, 1e6))
def test_a_worker_in_a_running_container_is_never_taken_for_dead(
    containers: list[Container], into: float, lag: float, silent: float | None
):
    """However old the status is, and however long it has been silent."""
    now = containers[-1][0] + into + lag
    worker = an_incarnation(started=containers[-1][0] + into, seen_seconds_ago=silent or 0.0)

    assert cause_of_death(worker, told(containers, now - lag)) is None


@given(histories(), st.data())
def test_a_worker_of_an_ended_container_is_dead_once_the_kubelet_has_told(
    containers: list[Container], data: st.DataObject
):
    begun, ended = data.draw(st.sampled_from(containers[:-1]))
    started = data.draw(st.floats(begun, max(begun, ended)))
    worker = an_incarnation(started=started)

    dead = cause_of_death(worker, told(containers, containers[-1][0])) is not None

    later_ends = [end for _, end in containers[:-1] if end >= ended]
    assert dead == (started < int(max(later_ends)))
    if started < ended - 1:
        assert dead
