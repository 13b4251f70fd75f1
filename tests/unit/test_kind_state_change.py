"""Changes of doors, locks and gates: beside their twin, and in stories."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub import documents
from hub.model.quantities import QUANTITIES, coded
from hub.rules.kinds.state_change import When
from tests.support.twins import Leap, Player, Say, Step, agrees_with_twin, compiled, quantities_of, stories, values_of

GRANTED = {"quantity": "access_result", "equals": "granted", "within_s": 10}
UNLOCKED = {"quantity": "lock_state", "equals": ["unlocked", "unlocking"]}
FORCED = {"to": True, "unless": [GRANTED, UNLOCKED]}
PATIENT = {"to": True, "unless": GRANTED, "wait_s": 3}
RULES: list[tuple[str, dict[str, Any]]] = [
    ("door_open", {"to": True, "for_s": 60}),
    ("door_open", {"from": True}),
    ("door_open", FORCED),
    ("door_open", PATIENT),
    ("gate_state", {"to": ["open", "opening"], "outside": {"from": "07:00", "to": "09:00"}}),
    ("gate_state", {"from": "closed", "to": "open"}),
    ("lock_state", {"from": ["locked", "locking"], "unless": {**GRANTED, "within_s": 1}, "outside": {"to": "08:05"}}),
    ("lock_state", {"to": "jammed"}),
]
NAN = float("nan")
T = int(datetime(2024, 3, 4, 12, tzinfo=ZoneInfo("Asia/Shanghai")).timestamp() * 1_000)


def told(quantity: str, when: dict[str, Any], *steps: tuple[float, str, Any] | Step) -> list[str]:
    """What the rule says of (seconds, quantity, word) of one device."""
    run, _ = compiled("state_change", quantity, when)
    story: list[Step] = []
    for step in steps:
        if isinstance(step, Leap):
            story.append(step)
            continue
        after_s, name, word = step
        value = NAN if word is None else coded(QUANTITIES[name], word)
        assert value is not None
        story.append(Say(0, name, value, T + int(after_s * 1_000), 0))
    return Player(run, 1).play(story)


def door(after_s: float, word: bool | None) -> tuple[float, str, Any]:
    return after_s, "door_open", word


def access(after_s: float, word: str | None) -> tuple[float, str, Any]:
    return after_s, "access_result", word


@pytest.mark.parametrize(("quantity", "when"), RULES)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_it_says_what_its_twin_says(quantity: str, when: dict[str, Any], data: st.DataObject) -> None:
    run, _ = compiled("state_change", quantity, when)
    watched = quantities_of(run, quantity)
    values = sorted({value for one in watched for value in values_of(one)})
    story = data.draw(
        stories(values, quantities=[quantity, *watched], pauses=(0, 0, 1, 500, 1_000, 3_000, 9_000, 60_000))
    )
    fitting = [s for s in story if not isinstance(s, Say) or not s.value > QUANTITIES[s.quantity].high]
    agrees_with_twin("state_change", quantity, when, fitting, 3)


def test_a_door_that_nobody_was_let_through_was_forced() -> None:
    assert told("door_open", FORCED, door(0, False), door(5, True), door(6, True), door(9, False)) == [
        "clear", "breach", "breach", "clear",
    ]  # fmt: skip


def test_access_granted_shortly_before_excuses_and_long_before_does_not() -> None:
    assert told("door_open", FORCED, door(0, False), access(1, "granted"), door(11, True))[-1] == "clear"
    assert told("door_open", FORCED, door(0, False), access(1, "granted"), door(11.001, True))[-1] == "breach"


def test_access_denied_excuses_nothing_and_takes_no_earlier_grant_back() -> None:
    assert told("door_open", FORCED, door(0, False), access(1, "denied"), door(2, True))[-1] == "breach"
    assert (
        told("door_open", FORCED, door(0, False), access(1, "granted"), access(2, "denied"), door(3, True))[-1]
        == "clear"
    )


def test_a_lock_that_stands_open_excuses_for_as_long_as_it_does() -> None:
    story = (door(0, False), (1, "lock_state", "unlocked"), door(5_000, True), door(5_010, False))
    assert told("door_open", FORCED, *story) == ["clear", "clear", "clear", "clear"]
    assert told("door_open", FORCED, *story, (5_020, "lock_state", "locked"), door(5_021, True))[-1] == "breach"
    assert told("door_open", FORCED, *story, (5_020, "lock_state", None), door(5_021, True))[-1] == "clear"


def test_a_grant_after_the_change_comes_too_late_unless_the_rule_waits() -> None:
    assert told("door_open", FORCED, door(0, False), door(5, True), access(5.1, "granted"))[-1] == "breach"
    assert told("door_open", PATIENT, door(0, False), door(5, True), access(7.999, "granted"))[-2:] == [
        "breach",
        "clear",
    ]
    assert told("door_open", PATIENT, door(0, False), door(5, True), access(8, "granted"))[-1] == "breach"
    run, _ = compiled("state_change", "door_open", PATIENT)
    assert run.hold_ms == 3_000, "while it waits nobody is told"


def test_an_unknown_value_changes_nothing() -> None:
    assert told("door_open", FORCED, door(0, False), door(1, None), door(2, True)) == ["clear", "unknown", "breach"]
    assert told("door_open", FORCED, door(0, False), door(1, True), door(2, None), door(3, True))[-1] == "breach"
    assert (
        told("door_open", FORCED, access(0, "granted"), access(1, None), door(2, False), door(3, True))[-1] == "clear"
    )


def test_what_was_before_the_first_reading_was_not_seen() -> None:
    assert told("door_open", FORCED, door(0, True), door(1, True)) == ["clear", "clear"]
    assert told("door_open", {"from": False}, door(0, True)) == ["clear"]
    assert told("door_open", {"to": True, "for_s": 60}, door(0, True)) == ["breach"]
    assert told("lock_state", {"to": "jammed"}, (0, "lock_state", "jammed")) == ["breach"]


def test_only_the_change_that_was_named_counts() -> None:
    when = {"from": "closed", "to": "open"}
    words = ("closed", "opening", "open", "closed", "open", "open", "closing")
    steps = [(n, "gate_state", word) for n, word in enumerate(words)]
    assert told("gate_state", when, *steps) == ["clear", "clear", "clear", "clear", "breach", "breach", "clear"]


def test_outside_hours_means_the_moment_of_the_change() -> None:
    when = {"to": True, "outside": {"from": "12:00", "to": "13:00"}}
    assert told("door_open", when, door(0, False), door(3_599, True), door(3_700, True))[-1] == "clear"
    assert told("door_open", when, door(0, False), door(3_600, True), door(90_000, True))[-1] == "breach"


def test_a_leap_of_time_takes_the_grant_along() -> None:
    hour = Leap(3_600_000, T + 3_602_000)
    assert told("door_open", FORCED, door(0, False), access(1, "granted"), hour, door(3_605, True))[-1] == "clear"
    back = Leap(-86_400_000, T - 86_398_000)
    assert told("door_open", FORCED, door(0, False), access(1, "granted"), back, door(-86_380, True))[-1] == "breach"


def test_a_mistake_in_a_lone_excuse_is_named_by_its_key_and_no_more() -> None:
    document, _ = documents.parse("to: true\nunless: {quantity: access_result, equal: granted}\n", "x.yaml")
    assert document is not None
    _, wrong = documents.check(When, document)
    assert [(c.line, c.key, c.message) for c in wrong] == [
        (2, "unless.equals", "this key is missing"),
        (2, "unless.equal", "unknown key"),
    ]
