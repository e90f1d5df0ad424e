"""Every wrong spec is refused by the parser, at its field, in a sentence with the cure."""

import pytest
from tests.unit.spec.wrong_spec import WrongSpec, as_stored, manifest_of, valid_manifest
from tests.unit.spec.wrong_specs import WRONG_SPECS

from umbel.spec.faults import InvalidSpec
from umbel.spec.parse import parse


@pytest.mark.parametrize("wrong", WRONG_SPECS, ids=lambda wrong: wrong.id)
def test_the_parser_refuses(wrong: WrongSpec) -> None:
    with pytest.raises(InvalidSpec) as raised:
        parse(as_stored(manifest_of(wrong)))

    sentences = [fault.message for fault in raised.value.faults if fault.path == wrong.path]
    assert sentences, f"no fault at {wrong.path} in {[*map(str, raised.value.faults)]}"
    assert any(all(word in sentence for word in wrong.words) for sentence in sentences), sentences


@pytest.mark.parametrize("wrong", WRONG_SPECS, ids=lambda wrong: wrong.id)
def test_no_sentence_repeats_a_password(wrong: WrongSpec) -> None:
    with pytest.raises(InvalidSpec) as raised:
        parse(as_stored(manifest_of(wrong)))

    assert "hunter2" not in str(raised.value)


def test_one_mistake_makes_one_fault_or_two_at_most() -> None:
    noisy = {}
    for wrong in WRONG_SPECS:
        with pytest.raises(InvalidSpec) as raised:
            parse(as_stored(manifest_of(wrong)))
        if len(raised.value.faults) > 2:
            noisy[wrong.id] = [str(fault) for fault in raised.value.faults]

    assert noisy == {}


def test_what_the_table_starts_from_is_right() -> None:
    assert parse(as_stored(valid_manifest())).key == ("default", "shop")


def test_the_table_names_each_wrong_spec_once() -> None:
    ids = [wrong.id for wrong in WRONG_SPECS]

    assert len(set(ids)) == len(ids) >= 35
