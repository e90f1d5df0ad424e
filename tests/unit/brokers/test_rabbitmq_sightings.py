"""A busy queue never looks idle, although one witness is up to 5 s late."""

from hypothesis import given
from hypothesis import strategies as st

from umbel.brokers.rabbitmq_sightings import MEMORY_SECONDS, Sample, Sightings

QUEUE = "reports"


def test_where_both_agree_the_count_is_exact_at_once():
    seen = Sightings()
    assert seen.held(QUEUE, 500, Sample(500, 0), now=0) == 0
    assert seen.held(QUEUE, 0, Sample(0, 3), now=2) == 3
    assert seen.held(QUEUE, 0, Sample(0, 0), now=4) == 0


def test_messages_that_were_pushed_and_taken_between_two_reports_count_as_held():
    seen = Sightings()
    assert seen.held(QUEUE, 10, Sample(0, 0), now=0) == 0
    assert seen.held(QUEUE, 4, Sample(0, 0), now=2) == 6
    assert seen.held(QUEUE, 0, Sample(0, 0), now=4) == 10
    assert seen.held(QUEUE, 0, Sample(0, 10), now=5) == 10


def test_a_message_taken_between_the_two_questions_of_one_read_is_held():
    assert Sightings().held(QUEUE, 0, Sample(1, 0), now=0) == 1


def test_what_the_report_does_not_confirm_is_forgotten_after_a_while():
    seen = Sightings()
    seen.held(QUEUE, 10, Sample(0, 0), now=0)
    assert seen.held(QUEUE, 0, Sample(0, 0), now=MEMORY_SECONDS) == 10
    assert seen.held(QUEUE, 0, Sample(0, 0), now=MEMORY_SECONDS + 0.1) == 0


def test_queues_that_nobody_asks_for_any_more_are_forgotten():
    seen = Sightings()
    seen.held(QUEUE, 10, Sample(0, 0), now=0)
    seen.forget_others(["another"])
    assert seen.held(QUEUE, 0, Sample(0, 0), now=1) == 0


@given(
    taken_after=st.lists(st.floats(0, 20), min_size=1, max_size=8),
    phase=st.floats(0, 5, exclude_max=True),
)
def test_tasks_once_seen_waiting_are_seen_until_they_end(taken_after, phase):
    """They wait at 0 s, are taken one by one, and run on; reports are made every 5 s."""
    seen = Sightings()
    everything = len(taken_after)

    def running(at: float) -> int:
        return sum(taken < at for taken in taken_after)

    for now in range(0, 30, 2):
        reported_at = now - (now - phase) % 5
        known = running(reported_at) if reported_at >= 0 else 0
        report = Sample(everything - known if reported_at >= 0 else 0, known)
        ready = everything - running(now)
        assert ready + seen.held(QUEUE, ready, report, now) >= everything


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)), max_size=20),
)
def test_held_is_never_below_what_is_reported_nor_above_what_was_ever_seen(reads):
    seen, most = Sightings(), 0
    for now, (ready, reported_ready, reported_held) in enumerate(reads):
        held = seen.held(QUEUE, ready, Sample(reported_ready, reported_held), now)
        most = max(most, ready + reported_held, reported_ready + reported_held)
        assert reported_held <= held <= most - ready
