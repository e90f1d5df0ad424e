"""Tasks rejected after too many repeats: counted once, told at a bounded rate."""

from umbel.status.poison import OTHERS, Poison, count, tell

A, B, A2 = ("long@a", "1"), ("long@b", "1"), ("long@a", "2")
PODS = ("long@a", "long@b")


def step(before: Poison, reports, *, meeting: bool = False, pods=PODS) -> tuple[Poison, int]:
    return count(before, reports, pods, meeting=meeting)


def test_an_increase_is_counted_once():
    poison, grown = step(Poison(), {A: {"t": 0}})
    assert grown == 0
    poison, grown = step(poison, {A: {"t": 2}})
    assert grown == 2
    poison, grown = step(poison, {A: {"t": 2}})
    assert (grown, poison.untold) == (0, {"t": 2})


def test_a_new_operator_tells_no_old_news():
    poison, grown = step(Poison(), {A: {"t": 5}}, meeting=True)
    assert grown == 0
    poison, grown = step(poison, {A: {"t": 6}}, meeting=True)
    assert grown == 1


def test_a_new_worker_counts_from_its_start():
    _, grown = step(Poison(), {A: {"t": 3}})
    assert grown == 3


def test_a_worker_that_starts_again_counts_anew():
    poison, _ = step(Poison(), {A: {"t": 3}})
    _, grown = step(poison, {A2: {"t": 1}})
    assert grown == 1


def test_a_worker_that_was_silent_is_not_counted_twice():
    poison, _ = step(Poison(), {A: {"t": 3}})
    poison, _ = step(poison, {})
    _, grown = step(poison, {A: {"t": 4}})
    assert grown == 1


def test_a_pod_that_is_gone_is_forgotten():
    poison, _ = step(Poison(), {A: {"t": 3}, B: {"t": 1}})
    poison, _ = step(poison, {B: {"t": 1}}, pods=("long@b",))
    assert set(poison.seen) == {B}


def test_a_task_that_leaves_the_named_ones_is_not_counted_backwards():
    poison, _ = step(Poison(), {A: {"t": 3, OTHERS: 1}})
    poison, grown = step(poison, {A: {OTHERS: 4}})
    assert grown == 0
    poison, grown = step(poison, {A: {"t": 3, OTHERS: 3}})
    assert grown == 2
    assert sum(poison.untold.values()) == 6


def test_the_first_is_told_at_once_and_the_next_a_minute_later_in_one():
    poison, _ = step(Poison(), {A: {"t": 1}})
    poison, said = tell(poison, 100.0)
    assert said is not None
    assert said.startswith("1 task was rejected")
    assert said.endswith("t (1)")
    for total in range(2, 30):
        poison, _ = step(poison, {A: {"t": total}})
        poison, said = tell(poison, 100.0 + total)
        assert said is None
    poison, said = tell(poison, 160.0)
    assert said is not None
    assert said.endswith("t (28)")
    assert tell(poison, 400.0)[1] is None


def test_many_names_make_no_long_event():
    totals = {f"task{number}": number for number in range(1, 50)} | {OTHERS: 7}
    _, said = tell(step(Poison(), {A: totals})[0], 0.0)
    assert said is not None
    assert said.startswith("1232 tasks were rejected")
    assert "task49 (49), task48 (48)" in said
    assert said.endswith("others (997)")
