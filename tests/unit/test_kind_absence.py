"""Answers that stay out: beside their twin, and in stories."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.model.quantities import QUANTITIES, coded
from hub.rules.kinds.kind import Trigger as Awaited
from tests.support import twins
from tests.support.twins import Leap, Player, Say, Step, agrees_with_twin, compiled, quantities_of, stories, values_of

CUT = {"after": {"quantity": "relay_wanted", "equals": False}, "expect": {"equals": False}, "within_s": 5}
RELEASE = {
    "after": {"rule": "fire-confirmed", "area": "compound"},
    "expect": {"equals": ["unlocked", "unlocking"]},
    "within_s": 10,
    "keep": True,
}
RULES: list[tuple[str, dict[str, Any]]] = [
    ("relay_on", CUT),
    ("relay_on", {**CUT, "fresh_s": 60}),
    ("relay_on", {**CUT, "keep": True}),
    ("lock_state", RELEASE),
    ("lock_state", {**RELEASE, "keep": False, "fresh_s": 3_600}),
    ("power_w", {"after": {"quantity": "door_open", "equals": True}, "expect": {"at_most": 5}, "within_s": 60}),
    (
        "relay_on",
        {
            "after": {"quantity": "current_ratio", "above": 10, "clear_below": 2.5},
            "expect": {"equals": False},
            "within_s": 5,
            "keep": True,
        },
    ),
    (
        "water_pressure_kpa",
        {"after": {"rule": ["fire", "drill"], "area": "building"}, "expect": {"above": 141}, "within_s": 30},
    ),
]
T = twins.START
NAN = float("nan")


def told(quantity: str, when: dict[str, Any], *steps: tuple[float, str, Any] | Leap) -> list[str]:
    """What the rule says of (seconds, quantity, word) of one device; quantity "fire": the condition begins or ends."""
    run, _ = compiled("absence", quantity, when)
    story: list[Step] = []
    for step in steps:
        if isinstance(step, Leap):
            story.append(step)
            continue
        after_s, name, word = step
        at_ms = T + int(after_s * 1_000)
        if name == "fire":
            story.append(twins.Trigger(0, word, at_ms))
            continue
        value = NAN if word is None else coded(QUANTITIES[name], word)
        assert value is not None
        story.append(Say(0, name, value, at_ms, 0))
    return Player(run, 1).play(story)


@pytest.mark.parametrize(("quantity", "when"), RULES)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_it_says_what_its_twin_says(quantity: str, when: dict[str, Any], data: st.DataObject) -> None:
    run, _ = compiled("absence", quantity, when)
    watched = quantities_of(run, quantity)
    values = sorted({value for one in watched for value in values_of(one)})
    story = data.draw(stories(values, quantities=watched, triggers=bool(run.triggers)))
    fitting = [s for s in story if not isinstance(s, Say) or not s.value > QUANTITIES[s.quantity].high]
    agrees_with_twin("absence", quantity, when, fitting, 3)


def test_a_command_that_is_not_confirmed_is_a_breach_whose_delay_is_the_time_to_answer() -> None:
    run, _ = compiled("absence", "relay_on", CUT)
    assert (run.hold_ms, run.also, run.triggers) == (5_000, ("relay_wanted",), ())
    story = ((0, "relay_on", True), (1, "relay_wanted", False), (2, "relay_on", True), (4, "relay_on", False))
    assert told("relay_on", CUT, *story) == ["clear", "breach", "breach", "clear"]


def test_the_end_of_what_it_came_after_clears() -> None:
    story = ((0, "relay_on", True), (1, "relay_wanted", False), (9, "relay_wanted", True), (10, "relay_on", True))
    assert told("relay_on", CUT, *story) == ["clear", "breach", "clear", "clear"]


def test_a_last_known_value_that_fits_counts_unless_it_is_too_old() -> None:
    assert told("relay_on", CUT, (0, "relay_on", False), (900, "relay_wanted", False)) == ["clear", "clear"]
    fresh = {**CUT, "fresh_s": 60}
    assert told("relay_on", fresh, (0, "relay_on", False), (60, "relay_wanted", False)) == ["clear", "clear"]
    assert told("relay_on", fresh, (0, "relay_on", False), (60.001, "relay_wanted", False)) == ["clear", "breach"]


def test_a_device_that_never_said_anything_has_not_answered() -> None:
    assert told("relay_on", CUT, (0, "relay_wanted", False)) == ["breach"]
    assert told("lock_state", RELEASE, (0, "fire", True)) == ["breach"]


def test_an_unknown_value_is_no_answer_and_takes_none_back() -> None:
    assert told("relay_on", CUT, (0, "relay_wanted", False), (1, "relay_on", None)) == ["breach", "unknown"]
    story = ((0, "relay_on", False), (1, "relay_on", None), (2, "relay_wanted", False))
    assert told("relay_on", CUT, *story) == ["clear", "unknown", "clear"]
    assert told("relay_on", CUT, (0, "relay_wanted", False), (1, "relay_wanted", None), (2, "relay_on", True)) == [
        "breach", "unknown", "breach",
    ]  # fmt: skip


def test_an_answer_once_given_will_do_unless_it_has_to_last() -> None:
    opened = ((0, "fire", True), (3, "lock_state", "unlocked"), (60, "lock_state", "locked"))
    assert told("lock_state", RELEASE, *opened) == ["breach", "clear", "breach"]
    assert told("lock_state", {**RELEASE, "keep": False}, *opened) == ["breach", "clear", "clear"]


def test_after_the_fire_the_gate_may_close() -> None:
    story = ((0, "fire", True), (3, "lock_state", "unlocked"), (60, "fire", False), (61, "lock_state", "locked"))
    assert told("lock_state", RELEASE, *story) == ["breach", "clear", "clear", "clear"]
    assert told("lock_state", RELEASE, (0, "fire", True), (60, "fire", False)) == ["breach", "clear"]


def test_a_second_command_after_the_answer_wants_an_answer_of_its_own() -> None:
    story = ((0, "relay_wanted", False), (1, "relay_on", False), (2, "relay_on", True), (3, "relay_wanted", False))
    assert told("relay_on", CUT, *story) == ["breach", "clear", "clear", "breach"]


def test_a_leap_of_time_makes_no_answer_older() -> None:
    fresh = {**CUT, "fresh_s": 60}
    leap = Leap(7_200_000, T + 7_210_000)
    assert told("relay_on", fresh, (0, "relay_on", False), leap, (7_240, "relay_wanted", False)) == ["clear", "clear"]
    assert told("relay_on", fresh, (0, "relay_on", False), leap, (7_261, "relay_wanted", False)) == ["clear", "breach"]


def test_what_it_waits_for_is_told_to_the_engine() -> None:
    run, _ = compiled("absence", "lock_state", RELEASE)
    assert run.triggers == (Awaited(rules=("fire-confirmed",), area="compound"),)
    lone, _ = compiled("absence", "lock_state", {**RELEASE, "after": {"rule": ["a1", "b2"]}})
    assert lone.triggers == (Awaited(rules=("a1", "b2"), area="device"),)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"after": {"equals": False}}, "give quantity"),
        ({"after": {"quantity": "relay_wanted", "rule": "fire"}}, "one of the two"),
        ({"after": {"quantity": "relay_wanted"}}, "exactly one of above"),
        ({"after": {"quantity": "current_ratio", "above": 1, "clear_below": 2}}, "must not be higher"),
        ({"after": {"quantity": "relay_wanted", "equals": False, "area": "unit"}}, "area goes with rule"),
        ({"after": {"rule": "fire", "equals": True}}, "has its own limit"),
        ({"after": {"rule": []}}, "names none"),
        ({"after": {"rule": "fire", "area": "town"}}, "'compound'"),
        ({"after": {"quantity": "relay_on", "equals": True}}, "name another one"),
        ({"after": {"quantity": "relay", "equals": True}}, "unknown quantity 'relay'"),
        ({"after": {"quantity": "lock_wanted", "equals": True}}, "after: lock_wanted cannot equal True"),
        ({"expect": {"above": 1}}, "expect: relay_on is a switch"),
        ({"expect": {}}, "exactly one"),
        ({"expect": {"equals": False, "clear_below": 3}}, "Extra inputs"),
        ({"within_s": 0}, "greater than 0"),
        ({"fresh_s": 0}, "greater than 0"),
    ],
)
def test_what_makes_no_sense_is_refused_with_words(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        compiled("absence", "relay_on", {**CUT, **change})
