"""How old the oldest task is, as far as Redis and RabbitMQ let on."""

import pytest

from umbel.brokers import rabbitmq_oldest, redis_oldest
from umbel.brokers.rabbitmq_oldest import Oldest
from umbel.brokers.redis_oldest import Heads

TIME = b"1000.000000"


def learn(heads: Heads, answer: list[bytes], now: float = 0.0) -> dict[str, redis_oldest.Age]:
    """Redis answers to one look at the lists `a` and `b`."""
    return heads.learn(heads.chunks(["a", "b"])[:1], [[TIME, *answer]], now)


def test_a_stamp_is_believed_and_a_clock_ahead_gives_no_negative_age() -> None:
    ages = learn(Heads(), [b"910.5", b"x", b"1003", b"y"])
    assert (ages["a"].seconds, ages["a"].is_bound) == (89.5, False)
    assert (ages["b"].seconds, ages["b"].is_bound) == (0.0, False)


@pytest.mark.parametrize("stamp", [b"", b"1.2.3", b"..", b"0"])
def test_without_a_stamp_of_use_the_same_message_is_as_old_as_it_is_known(stamp: bytes) -> None:
    heads = Heads()
    assert learn(heads, [stamp, b"x", b"", b""], now=5)["a"] == redis_oldest.Age(0, is_bound=True)
    assert learn(heads, [stamp, b"x", b"", b""], now=9)["a"] == redis_oldest.Age(4, is_bound=True)
    assert learn(heads, [stamp, b"y", b"", b""], now=9)["a"].seconds == 0, "another is next"


def test_an_empty_list_has_no_age_and_is_forgotten() -> None:
    heads = Heads()
    learn(heads, [b"", b"x", b"", b""], now=1)
    assert learn(heads, [b"", b"", b"", b""], now=2) == {}
    assert learn(heads, [b"", b"x", b"", b""], now=9)["a"].seconds == 0


def test_what_was_not_looked_at_is_first_the_next_time() -> None:
    heads = Heads()
    assert heads.chunks(["a", "b"]) == [["a", "b"]]
    assert set(learn(heads, [b"910", b"x"])) == {"a"}
    assert heads.chunks(["a", "b"]) == [["b", "a"]]


def test_hundreds_of_lists_are_looked_at_in_calls_of_a_hundred() -> None:
    sizes = [len(chunk) for chunk in Heads().chunks([str(n) for n in range(250)])]
    assert sizes == [100, 100, 50]
    assert Heads().chunks([]) == []


def test_a_queue_is_as_old_as_the_oldest_of_its_lists_and_as_sure_as_the_least() -> None:
    ages = {
        "a": redis_oldest.Age(5, is_bound=False),
        "b": redis_oldest.Age(2, is_bound=True),
        "c": redis_oldest.Age(3, is_bound=False),
    }
    assert redis_oldest.oldest(["a", "c"], ages, 2) == redis_oldest.Age(5, is_bound=False)
    assert redis_oldest.oldest(["a", "b"], ages, 2) == redis_oldest.Age(5, is_bound=True)
    assert redis_oldest.oldest(["a"], ages, 0) is None
    assert redis_oldest.oldest(["z"], ages, 1) is None


def test_rabbitmqs_age_is_that_of_its_statistics_until_they_are_too_old() -> None:
    oldest = Oldest()
    oldest.hear([{"name": "q", "head_message_timestamp": 900}, {"name": "r"}], 1000.0, now=0)
    assert oldest.age("q", ready=1, consumers=3, now=10) == rabbitmq_oldest.Age(100, is_bound=False)
    assert oldest.age("r", ready=1, consumers=3, now=10) is None
    assert oldest.age("q", ready=0, consumers=3, now=10) is None
    assert oldest.age("q", ready=1, consumers=3, now=21) is None


def test_nobody_takes_so_the_oldest_waits_since_then() -> None:
    oldest = Oldest()
    assert oldest.age("q", ready=1, consumers=0, now=5) == rabbitmq_oldest.Age(0, is_bound=True)
    assert oldest.age("q", ready=1, consumers=0, now=9) == rabbitmq_oldest.Age(4, is_bound=True)
    assert oldest.age("q", ready=1, consumers=1, now=9) is None
    assert oldest.age("q", ready=1, consumers=0, now=11) == rabbitmq_oldest.Age(0, is_bound=True)
    oldest.forget_others([])
    assert oldest.age("q", ready=1, consumers=0, now=19) == rabbitmq_oldest.Age(0, is_bound=True)


def test_without_rabbitmqs_own_time_its_stamps_say_nothing() -> None:
    oldest = Oldest()
    oldest.hear([{"name": "q", "head_message_timestamp": 900}], None, now=0)
    assert oldest.age("q", ready=1, consumers=1, now=0) is None
