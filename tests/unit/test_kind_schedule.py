"""Limits that count during certain hours: beside their twin, and in stories."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.rules.kinds.kind import Context
from tests.support.twins import Player, Say, Tick, agrees_with_twin, compiled, quantities_of, stories, values_of

NIGHT = {"from": "22:00", "to": "06:00"}
BLOCKED = {"equals": True, "during": NIGHT, "hold_s": 180}
NEW_YEAR = Context(holidays=frozenset({date(2024, 1, 1), date(2024, 1, 2)}), workdays=frozenset({date(2024, 1, 6)}))
RULES: list[tuple[str, dict[str, Any], Context]] = [
    ("lane_occupied", BLOCKED, Context()),
    ("power_w", {"above": 40, "clear_below": 10, "during": {"days": "restdays"}}, NEW_YEAR),
    ("temperature_c", {"at_most": 5, "clear_above": 10, "during": {"from": "08:00", "to": "08:02"}}, Context()),
    ("gate_state", {"equals": ["open", "fault"], "during": {"holidays": "only", **NIGHT}}, NEW_YEAR),
    ("power_w", {"below": 10, "during": {"days": ["mon", "workdays"], "to": "08:30"}}, Context(zone="Europe/Berlin")),
]
HOURS = (0, 0, 1, 250, 1_000, 1_000, 60_000, 61_000, 3_600_000, 7_200_000, 86_400_000)


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Asia/Shanghai")).timestamp() * 1_000)


def played(*steps: tuple[str, Any]) -> list[str]:
    """What the rule about blocked lanes says of values (or ticks, None) at these times of 2024-03-04 and the day after."""
    run, _ = compiled("schedule", "lane_occupied", BLOCKED)
    times = [at(f"2024-03-{'04' if text > '12:00' else '05'}T{text}") for text, _ in steps]
    story = [
        Tick(t) if value is None else Say(0, "lane_occupied", float(value), t, t)
        for t, (_, value) in zip(times, steps, strict=True)
    ]
    return Player(run, 1).play(story)


@pytest.mark.parametrize(("quantity", "when", "context"), RULES)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_it_says_what_its_twin_says(quantity: str, when: Any, context: Context, data: st.DataObject) -> None:
    run, _ = compiled("schedule", quantity, when, context)
    story = data.draw(stories(values_of(quantity), quantities=quantities_of(run, quantity), pauses=HOURS))
    agrees_with_twin("schedule", quantity, when, story, 3, context)


def test_a_breach_within_the_hours_is_one_and_outside_is_none() -> None:
    assert played(("21:00", True), ("22:30", True), ("23:00", False), ("05:59", True), ("06:00", True)) == [
        "clear", "breach", "clear", "breach", "clear",
    ]  # fmt: skip


def test_it_begins_when_the_hours_begin_if_the_last_known_value_stands() -> None:
    assert played(("21:00", True), ("21:59:59", None), ("22:00", None), ("05:59:59", None), ("06:00", None)) == [
        "clear", "clear", "breach", "breach", "clear",
    ]  # fmt: skip


def test_an_unknown_value_neither_begins_nor_ends_it() -> None:
    nan = float("nan")
    assert played(("21:00", nan), ("22:00", None), ("22:01", True), ("22:02", nan), ("22:03", None), ("22:04", nan)) == [
        "unknown", "unknown", "breach", "unknown", "breach", "unknown",
    ]  # fmt: skip
    assert played(("22:01", True), ("06:01", nan), ("06:02", None)) == ["breach", "unknown", "clear"]


def test_the_on_delay_is_left_to_the_condition_machine() -> None:
    run, _ = compiled("schedule", "lane_occupied", BLOCKED)
    assert (run.hold_ms, run.clear_hold_ms) == (180_000, 0)
