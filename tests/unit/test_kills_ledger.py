"""How the campaign of kills reads what the tasks noted."""

from benchmarks.kills_ledger import Kill, Restarts, Stamp, restarts


def begun(at: float, task: str, pod: str) -> Stamp:
    return Stamp(at, task, pod, begun=True)


def done(at: float, task: str, pod: str) -> Stamp:
    return Stamp(at, task, pod, begun=False)


def test_a_task_that_was_in_hand_is_timed_to_its_next_begin_and_one_that_was_done_is_not():
    stamps = [begun(1, "a", "p"), begun(2, "b", "p"), done(3, "b", "p"), begun(7, "a", "q")]

    assert restarts(stamps, [Kill(pod="p", at=4.0)]) == Restarts(in_hand=1, seconds=[3.0])


def test_a_task_that_never_began_again_is_in_hand_without_a_time():
    assert restarts([begun(1, "a", "p")], [Kill(pod="p", at=4.0)]) == Restarts(in_hand=1)


def test_the_end_of_a_pod_that_was_deleted_is_its_last_word():
    stamps = [begun(1, "a", "p"), begun(2, "b", "p"), done(5, "b", "p"), begun(6, "a", "q")]

    assert restarts(stamps, [Kill(pod="p", at=None)]).seconds == [1.0]


def test_a_task_that_began_elsewhere_before_its_pod_was_dead_waited_for_nothing():
    stamps = [begun(1, "a", "p"), begun(3, "a", "q"), begun(4, "b", "p"), begun(6, "b", "q")]

    assert restarts(stamps, [Kill(pod="p", at=None)]).seconds == [0.0, 2.0]


def test_the_next_container_of_the_same_pod_may_begin_it_again():
    stamps = [begun(1, "a", "p"), begun(4, "a", "p"), done(5, "a", "p")]

    assert restarts(stamps, [Kill(pod="p", at=2.0)]) == Restarts(in_hand=1, seconds=[2.0])
