"""The text of an idempotency key: the same for what means the same, different for what does not."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from umbel_worker.idempotency.keys import LONGEST, KeyOf, key_maker


def settle(order: object, amount: int = 1, *, currency: str = "EUR") -> None: ...


def key(of: KeyOf, *args: Any, **kwargs: Any) -> str:
    return key_maker(settle, of, "settle")(args, kwargs)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(key("order", "a"), key("order", order="a"), id="by position or by name"),
        pytest.param(key("order", "a", 1), key("order", "a", 2), id="what is not named is left"),
        pytest.param(
            key(["order", "amount"], "a"), key(["order", "amount"], "a", 1), id="defaults count"
        ),
        pytest.param(
            key("order", {"x": 1, "y": 2}), key("order", {"y": 2, "x": 1}), id="maps have no order"
        ),
        pytest.param(
            key("order", (1, 2)), key("order", [1, 2]), id="a tuple arrives as a list by JSON"
        ),
        pytest.param(
            key("order", UUID(int=7)), key("order", str(UUID(int=7))), id="a UUID is its text"
        ),
    ],
)
def test_the_same_effect_has_the_same_key(one: str, other: str) -> None:
    assert one == other


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(key("order", "1"), key("order", 1), id="text and number"),
        pytest.param(key("order", 1), key("order", True), id="number and truth"),
        pytest.param(
            key(["order", "currency"], "a:b", currency="c"),
            key(["order", "currency"], "a", currency="b:c"),
            id="a separator within a value",
        ),
        pytest.param(key("order", "x" * 300), key("order", "x" * 299 + "y"), id="late in a long"),
        pytest.param(
            key_maker(settle, "order", "a")(("b",), {}),
            key_maker(settle, "order", "b")(("b",), {}),
            id="names",
        ),
    ],
)
def test_different_effects_have_different_keys(one: str, other: str) -> None:
    assert one != other


def test_a_key_reads_well_and_stays_short() -> None:
    assert key(["order", "amount"], "a", 5) == 'settle:["a",5]'
    assert key("order", Decimal("1.50")) == 'settle:["1.50"]'
    assert key("order", date(2026, 1, 2)) == 'settle:["2026-01-02"]'
    assert key("order", datetime(2026, 1, 2, tzinfo=UTC)) == 'settle:["2026-01-02T00:00:00+00:00"]'
    assert len(key("order", "x" * 1000)) == LONGEST
    assert key_maker(settle, "order", None)(("a",), {}) == f'{__name__}.settle:["a"]'


def test_a_function_makes_the_key_of_the_arguments() -> None:
    assert key(lambda order, **_: order.lower(), "A", amount=3) == 'settle:"a"'


def test_a_value_without_a_stable_text_is_refused() -> None:
    with pytest.raises(TypeError, match="a object cannot be part of an idempotency key"):
        key("order", object())


@pytest.mark.parametrize("of", ["customer", ["order", "customer"], []])
def test_a_parameter_that_is_not_there_is_refused_when_decorating(of: KeyOf) -> None:
    with pytest.raises(TypeError, match="has no such parameter"):
        key_maker(settle, of, None)


def test_without_a_task_there_is_no_task_id() -> None:
    with pytest.raises(ValueError, match="no task id"):
        key(None, "a")
