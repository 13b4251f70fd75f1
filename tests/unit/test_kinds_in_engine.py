"""Kinds that look back give the same events in the engine wherever batches are cut, after a failed record, and after any restart."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.model.readings import Quality
from hub.registry.snapshot import Registry
from hub.rules.engine import Engine
from tests.support.registry import a_device, places, stations
from tests.support.twins import DAY, stories
from tests.support.twins import Leap as HubLeap
from tests.support.twins import Say as Reading
from tests.support.twins import Tick as Second
from tests.unit.test_engine import START, a_rule, ruleset, told

RULES = ruleset(
    a_rule("rises", "env", "temperature_c", "{rises: 1, per: s, over_s: 6, min_span_s: 2}", kind="rate_of_change"),
    a_rule("falls", "env", "temperature_c", "{falls: 2, over_s: 60, clear_below: 1, hold_s: 2}", kind="rate_of_change"),
    a_rule("soon", "env", "temperature_c", "{reaches: 60, within_s: 60, over_s: 20}", kind="forecast"),
    a_rule("stuck", "env", "temperature_c", "{for_s: 10, min_samples: 3, clear_hold_s: 1}", kind="flatline"),
    a_rule("forced", "door", "door_open", "{equals: true, times: 2, within_s: 10}", kind="repeat"),
    a_rule("open-long", "door", "door_open", "{while: {equals: true}, longer_than_s: 5, pause_s: 2}", kind="counter"),
    a_rule("leak", "meter", "water_m3", "{more_than: 5, window_s: 60}", kind="counter"),
    a_rule("thirst", "meter", "water_m3", "{more_than: 20, per: hour}", kind="counter"),
)
TOWN = Registry.of(
    [a_device("e1", "env"), a_device("d1", "door"), a_device("m1", "meter")], places=places(), stations=stations()
)
SAYS = {
    "e1": ("temperature_c", [20.0, 21.0, 22.0, 25.0, 30.0, 45.0, 61.0]),
    "d1": ("door_open", [0.0, 1.0]),
    "m1": ("water_m3", [0.0, 100.0, 101.0, 103.0, 107.0, 130.0]),
}
FLAGS = [0] * 12 + [int(q) for q in (Quality.LATE, Quality.DUPLICATE, Quality.HISTORY, Quality.TEST)]


@st.composite
def days(draw: st.DrawFn) -> list[Any]:
    """Rows and ticks as `told` takes them: readings of one thermometer and one door, on device clocks that are set now and then."""
    story: list[Any] = []
    for device, (quantity, values) in SAYS.items():
        steps = draw(stories(values, quantities=[quantity], devices=1, pauses=(0, 1, 400, 1_000, 1_000, 2_000, 5_000)))
        flags = draw(st.lists(st.sampled_from(FLAGS), min_size=len(steps), max_size=len(steps)))
        for step, flag in zip(steps, flags, strict=True):
            if isinstance(step, Reading):
                row = (TOWN.slot_of[device], quantity, step.value, step.observed_ms, step.at_ms, flag)
                story.append((step.at_ms, row))
            elif isinstance(step, Second | HubLeap):
                story.append((step.now_ms, None))
    story.sort(key=lambda entry: entry[0])
    return [(*row, n) if row else (at, n) for n, (at, row) in enumerate(story)]


@given(days(), st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_any_batch_size_and_any_restart_gives_the_same_events(story: list[Any], restart_each: int) -> None:
    events = told(Engine(RULES, TOWN, start_ms=START), story, batch=1)
    for batch in (7, 64, 10_000):
        got = told(Engine(RULES, TOWN, start_ms=START), story, batch=batch)
        assert Counter(got) == Counter(events)
        assert [e[5] for e in got] == sorted(e[5] for e in got)
    assert told(Engine(RULES, TOWN, start_ms=START), story, batch=5, restart_each=restart_each) == told(
        Engine(RULES, TOWN, start_ms=START), story, batch=5
    )


def rows(device: str, quantity: str, *values: tuple[float, float], lag_ms: int = 0) -> list[Any]:
    slot = TOWN.slot_of[device]
    return [
        (slot, quantity, value, START + int(at * 1_000) - lag_ms, START + int(at * 1_000), 0, n)
        for n, (at, value) in enumerate(values)
    ]


def names(story: list[Any]) -> list[tuple[str, str, float]]:
    return [(e[0], e[1], (e[3] - START) / 1_000) for e in told(Engine(RULES, TOWN, start_ms=START), story, batch=10)]


def test_a_rise_is_raised_and_ends_when_it_ends() -> None:
    rise = rows("e1", "temperature_c", *((n, 20 + 0.5 * min(max(n - 5, 0), 10) * 3) for n in range(30)))
    assert [(what, rule) for what, rule, _ in names(rise) if rule == "rises"] == [
        ("raised", "rises"),
        ("cleared", "rises"),
    ]


def test_what_repeats_ends_by_the_passing_of_time() -> None:
    story = rows("d1", "door_open", (0, 1), (1, 0), (2, 1), (3, 0))
    story += [(START + 10_000, 4), (START + 10_001, 5)]
    assert names(story) == [("raised", "forced", 2.0), ("cleared", "forced", 10.001)]


def test_what_goes_on_is_raised_by_the_passing_of_time() -> None:
    story = [*rows("d1", "door_open", (0, 0), (1, 1)), (START + 6_000, 2), (START + 6_001, 3)]
    assert names(story) == [("raised", "open-long", 6.001)]


@pytest.mark.parametrize("jump_ms", [DAY, -DAY])
def test_a_device_clock_that_is_set_by_a_day_raises_and_clears_nothing(jump_ms: int) -> None:
    steady = [(n, 20 + 0.01 * n) for n in range(60)]
    early = rows("e1", "temperature_c", *steady[:30])
    late = rows("e1", "temperature_c", *steady[30:], lag_ms=-jump_ms)
    assert names(early + late) == names(rows("e1", "temperature_c", *steady))
