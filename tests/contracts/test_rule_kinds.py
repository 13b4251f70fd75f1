"""Promises that every row of KINDS keeps."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from hub.model.quantities import QUANTITIES
from hub.rules import kinds
from hub.rules.condition import BETWEEN, BREACH, CLEAR, UNKNOWN
from hub.rules.kinds import KINDS
from hub.rules.kinds.kind import Compiled, Context, Look
from tests.support import twins

EXAMPLES: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "threshold": [
        ("temperature_c", {"above": 55, "clear_below": 50, "hold_s": 60}),
        ("temperature_c", {"at_least": 60, "samples": 2}),
        ("water_pressure_kpa", {"below": 140, "clear_above": 160, "clear_hold_s": 1.5}),
        ("battery_pct", {"at_most": 10}),
        ("smoke", {"equals": True}),
        ("door_open", {"equals": False}),
        ("lock_state", {"equals": ["jammed", "unknown"]}),
    ],
    "offline": [("", {}), ("", {"silent_s": 30})],
    "correlate": [
        ("", {"area": "unit", "within_s": 300, "all": [{"rule": ["smoke-alarm", "heat-alarm"], "count": 2}]}),
        (
            "",
            {
                "area": "building",
                "any": [[{"rule": "battery-device-offline", "share": 0.1, "count": 3}], [{"rule": "a"}]],
            },
        ),
        ("", {"area": "compound", "all": [{"rule": "a"}, {"rule": ["b", "c"], "distinct": "kinds", "count": 2}]}),
    ],
    "schedule": [
        ("lane_occupied", {"equals": True, "hold_s": 180, "during": {"from": "22:00", "to": "06:00"}}),
        ("power_w", {"above": 40, "clear_below": 10, "clear_hold_s": 60, "during": {"days": ["workdays", "sun"]}}),
        ("temperature_c", {"below": 5, "during": {"days": "restdays", "to": "12:30", "holidays": "exclude"}}),
        ("water_pressure_kpa", {"at_most": 140, "clear_above": 141, "during": {"holidays": "only"}}),
        ("temperature_c", {"at_least": 40, "during": {"from": "08:00"}}),
    ],
    "state_change": [
        ("door_open", {"to": True, "for_s": 60, "clear_hold_s": 5}),
        ("door_open", {"to": True, "unless": {"quantity": "access_result", "equals": "granted", "within_s": 10}}),
        (
            "door_open",
            {"to": True, "wait_s": 2, "unless": [{"quantity": "lock_state", "equals": ["unlocked", "unlocking"]}]},
        ),
        ("gate_state", {"from": "closed", "outside": {"days": "workdays", "from": "06:00", "to": "22:00"}}),
        ("gate_state", {"from": ["closed", "closing"], "to": ["open", "opening"]}),
    ],
    "absence": [
        (
            "relay_on",
            {"after": {"quantity": "relay_wanted", "equals": False}, "expect": {"equals": False}, "within_s": 5},
        ),
        (
            "lock_state",
            {
                "after": {"rule": ["fire-confirmed"], "area": "compound"},
                "expect": {"equals": ["unlocked", "unlocking"]},
                "within_s": 10,
                "keep": True,
            },
        ),
        (
            "power_w",
            {"after": {"quantity": "door_open", "equals": True}, "expect": {"below": 5}, "within_s": 9, "fresh_s": 90},
        ),
    ],
    "rate_of_change": [
        ("temperature_c", {"rises": 1, "per": "s", "over_s": 6, "min_span_s": 3}),
        ("temperature_c", {"rises": 5, "over_s": 240, "min_samples": 5, "clear_below": 2, "hold_s": 120}),
        ("water_pressure_kpa", {"falls": 20, "over_s": 60, "clear_hold_s": 30}),
        ("energy_import_kwh", {"changes": 10, "per": "h", "over_s": 3_600}),
    ],
    "deviation": [
        ("temperature_c", {"method": "ewma", "sensitivity": "high", "warm_up_h": 0}),
        ("temperature_c", {"method": "robust", "margin": 2.0, "hold_s": 60, "clear_hold_s": 600}),
        ("water_pressure_kpa", {"method": "seasonal", "margin": 20.0}),
        ("water_pressure_kpa", {"method": "cusum", "sensitivity": "low"}),
        ("co_ppm", {"method": "score", "warm_up_h": 0.5}),
    ],
    "forecast": [
        ("temperature_c", {"reaches": 60, "within_s": 600, "over_s": 120}),
        ("temperature_c", {"reaches": 60, "within_s": 600, "over_s": 60, "clear_within_s": 900, "hold_s": 30}),
        ("battery_pct", {"reaches": 10, "direction": "down", "within_s": 86_400, "over_s": 43_200, "min_samples": 8}),
        (
            "water_pressure_kpa",
            {"reaches": 140, "direction": "down", "within_s": 60, "over_s": 30, "min_span_s": 20, "clear_hold_s": 5},
        ),
    ],
    "flatline": [
        ("temperature_c", {"for_s": 60}),
        ("temperature_c", {"for_s": 3_600, "tolerance": 0.1, "min_samples": 3, "clear_hold_s": 60}),
        ("power_w", {"for_s": 10, "idle_at": [0]}),
        ("occupancy", {"for_s": 86_400}),
    ],
    "repeat": [
        ("forced_open", {"equals": True, "times": 3, "within_s": 600}),
        ("lock_state", {"equals": ["jammed", "unknown"], "times": 2, "within_s": 60}),
        ("temperature_c", {"above": 55, "clear_below": 50, "times": 64, "within_s": 86_400}),
        ("temperature_c", {"at_least": 55, "times": 2, "within_s": 31_536_000}),
        ("water_pressure_kpa", {"below": 140, "clear_above": 160, "times": 3, "within_s": 3_600}),
        ("battery_pct", {"at_most": 10, "times": 3, "within_s": 3_600}),
    ],
    "counter": [
        ("water_m3", {"more_than": 1.5, "window_s": 3_600}),
        ("energy_import_kwh", {"more_than": 20, "per": "day", "max_per_h": 30}),
        ("gas_m3", {"more_than": 2, "per": "hour"}),
        ("charger_state", {"while": {"equals": ["charging", "suspended"]}, "longer_than_s": 28_800}),
        ("relay_on", {"while": {"equals": True}, "longer_than_s": 10, "pause_s": 5}),
        ("power_w", {"while": {"above": 50, "clear_below": 20}, "longer_than_s": 28_800, "pause_s": 120}),
    ],
}
NONSENSE: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "threshold": [
        ("temperature_c", {}),
        ("temperature_c", {"above": 5, "below": 3}),
        ("temperature_c", {"above": 50, "clear_below": 55}),
        ("temperature_c", {"below": 5, "clear_below": 3}),
        ("temperature_c", {"equals": True}),
        ("smoke", {"above": 0.5}),
        ("smoke", {"equals": "yes"}),
        ("lock_state", {"equals": "ajar"}),
        ("temperature_c", {"above": 5, "hold_s": -1}),
        ("temperature_c", {"above": 5, "samples": 0}),
        ("temperature_c", {"abvoe": 5}),
    ],
    "correlate": [
        ("", {}),
        ("", {"area": "unit"}),
        ("", {"area": "unit", "all": []}),
        ("", {"area": "house", "all": [{"rule": "a"}]}),
        ("", {"area": "unit", "all": [{"rule": "a"}], "any": [[{"rule": "b"}]]}),
        ("", {"area": "unit", "any": [[]]}),
        ("", {"area": "unit", "all": [{"rule": []}]}),
        ("", {"area": "unit", "all": [{"rule": "a", "count": 0}]}),
        ("", {"area": "unit", "all": [{"rule": "a", "share": 1.5}]}),
        ("", {"area": "unit", "all": [{"rule": "a"}], "within_s": -1}),
    ],
    "offline": [("", {"silent_s": 0}), ("", {"silent_s": -5}), ("", {"silence_s": 5})],
    "schedule": [
        ("lane_occupied", {"equals": True}),
        ("lane_occupied", {"during": {"from": "22:00"}}),
        ("lane_occupied", {"equals": True, "during": {}}),
        ("lane_occupied", {"equals": True, "during": "night"}),
        ("lane_occupied", {"equals": True, "during": {"from": "22:00", "to": "22:00"}}),
        ("lane_occupied", {"equals": "occupied", "during": {"from": "22:00"}}),
        ("lane_occupied", {"above": 0, "during": {"from": "22:00"}}),
        ("temperature_c", {"above": 5, "clear_above": 4, "during": {"from": "22:00"}}),
        ("temperature_c", {"above": 5, "samples": 2, "during": {"from": "22:00"}}),
        ("temperature_c", {"above": 5, "hold_s": -1, "during": {"from": "22:00"}}),
    ],
    "state_change": [
        ("door_open", {}),
        ("door_open", {"for_s": 60}),
        ("door_open", {"to": "open"}),
        ("gate_state", {"to": "ajar"}),
        ("gate_state", {"to": []}),
        ("temperature_c", {"to": True}),
        ("gate_state", {"from": "open", "to": ["open", "closed"]}),
        ("door_open", {"from": "yes"}),
        ("access_result", {"to": ["granted", "denied", "unknown"]}),
        ("door_open", {"to": True, "wait_s": 2}),
        ("door_open", {"to": True, "unless": []}),
        ("door_open", {"to": True, "unless": {"quantity": "door_open", "equals": False}}),
        ("door_open", {"to": True, "unless": {"quantity": "acces", "equals": "granted"}}),
        ("door_open", {"to": True, "unless": {"quantity": "access_result", "equals": "let in"}}),
        ("door_open", {"to": True, "unless": {"quantity": "access_result", "equals": "granted", "within_s": 0}}),
        ("door_open", {"to": True, "outside": {}}),
    ],
    "absence": [
        ("relay_on", {}),
        ("relay_on", {"after": {"rule": "fire"}, "within_s": 5}),
        ("relay_on", {"after": {"rule": "fire"}, "expect": {"equals": False}}),
        ("relay_on", {"after": {"rule": "fire"}, "expect": {"equals": "off"}, "within_s": 5}),
        ("relay_on", {"after": {}, "expect": {"equals": False}, "within_s": 5}),
        ("relay_on", {"after": {"quantity": "relay_on", "equals": True}, "expect": {"equals": False}, "within_s": 5}),
    ],
    "rate_of_change": [
        ("temperature_c", {"over_s": 60}),
        ("temperature_c", {"rises": 5}),
        ("temperature_c", {"rises": 5, "falls": 5, "over_s": 60}),
        ("temperature_c", {"rises": -5, "over_s": 60}),
        ("temperature_c", {"rises": 5, "over_s": 60, "per": "minute"}),
        ("temperature_c", {"rises": 5, "over_s": 60, "min_span_s": 90}),
        ("temperature_c", {"rises": 5, "over_s": 60, "clear_below": 6}),
        ("temperature_c", {"rises": 5, "over_s": 60, "min_samples": 13}),
        ("smoke", {"rises": 5, "over_s": 60}),
        ("lock_state", {"changes": 5, "over_s": 60}),
    ],
    "deviation": [
        ("temperature_c", {}),
        ("temperature_c", {"method": "magic"}),
        ("temperature_c", {"method": "ewma", "sensitivity": "max"}),
        ("temperature_c", {"method": "ewma", "margin": -1}),
        ("temperature_c", {"method": "ewma", "warm_up_h": -1}),
        ("smoke", {"method": "ewma"}),
        ("lock_state", {"method": "score"}),
        ("energy_import_kwh", {"method": "cusum"}),
    ],
    "forecast": [
        ("temperature_c", {"within_s": 600, "over_s": 120}),
        ("temperature_c", {"reaches": 60, "over_s": 120}),
        ("temperature_c", {"reaches": 60, "within_s": 600}),
        ("temperature_c", {"reaches": 60, "within_s": 600, "over_s": 120, "direction": "sideways"}),
        ("temperature_c", {"reaches": 60, "within_s": 600, "over_s": 120, "clear_within_s": 300}),
        ("temperature_c", {"reaches": 60, "within_s": 600, "over_s": 120, "min_span_s": 240}),
        ("battery_pct", {"reaches": -10, "within_s": 600, "over_s": 120}),
        ("smoke", {"reaches": 1, "within_s": 600, "over_s": 120}),
    ],
    "flatline": [
        ("temperature_c", {}),
        ("temperature_c", {"for_s": 0}),
        ("temperature_c", {"for_s": 0.5}),
        ("temperature_c", {"for_s": 60, "tolerance": -1}),
        ("temperature_c", {"for_s": 60, "min_samples": 1}),
        ("occupancy", {"for_s": 60, "tolerance": 0.5}),
        ("lock_state", {"for_s": 60, "idle_at": [0]}),
    ],
    "repeat": [
        ("smoke", {"equals": True}),
        ("smoke", {"times": 3, "within_s": 60}),
        ("smoke", {"equals": True, "times": 1, "within_s": 60}),
        ("smoke", {"equals": True, "times": 65, "within_s": 60}),
        ("smoke", {"equals": True, "times": 3, "within_s": 0}),
        ("smoke", {"above": 0.5, "times": 3, "within_s": 60}),
        ("temperature_c", {"above": 50, "clear_below": 55, "times": 3, "within_s": 60}),
    ],
    "counter": [
        ("water_m3", {}),
        ("water_m3", {"more_than": 1}),
        ("water_m3", {"more_than": 1, "window_s": 3_600, "per": "day"}),
        ("water_m3", {"more_than": -1, "per": "day"}),
        ("water_m3", {"more_than": 1, "per": "week"}),
        ("water_m3", {"more_than": 1, "per": "day", "pause_s": 5}),
        ("water_m3", {"more_than": 1, "per": "day", "while": {"equals": True}}),
        ("temperature_c", {"more_than": 1, "per": "day"}),
        ("relay_on", {"while": {"equals": True}}),
        ("relay_on", {"while": {"above": 0.5}, "longer_than_s": 60}),
        ("relay_on", {"while": {"equals": True}, "longer_than_s": 60, "window_s": 60}),
        ("relay_on", {"while": {}, "longer_than_s": 60}),
        ("relay_on", {"while_": {"equals": True}, "longer_than_s": 60}),
    ],
}
every = pytest.mark.parametrize("name", sorted(KINDS))
examples = pytest.mark.parametrize(
    ("name", "quantity", "when"),
    [pytest.param(name, q, when, id=f"{name} {q} {when}") for name, rows in EXAMPLES.items() for q, when in rows],
)
numbers = st.lists(
    st.sampled_from([0.0, 1.0, 2.0, 4.0, 5.0, 9.9, 10.0, 49.0, 50.0, 52.0, 55.0, 56.0, 60.0, 139.0, 140.0, 161.0])
    | st.floats()
    | st.just(float("nan")),
    min_size=1,
    max_size=40,
)


NOT_KINDS = {"__init__", "calendar", "kind", "limit", "sampling"}
"""Files of hub/rules/kinds/ that are no kind: what kinds are made of."""


def compiled(name: str, quantity: str, when: dict[str, Any]) -> Compiled:
    kind = KINDS[name]
    return kind.compile(kind.When.model_validate(when), QUANTITIES.get(quantity), Context())


def test_every_file_of_a_kind_is_in_the_table() -> None:
    files = {f.stem for f in Path(kinds.__file__).parent.glob("*.py")} - NOT_KINDS
    assert files == set(KINDS), "a rule kind is one file and one line in KINDS"


@every
def test_the_row_has_the_name_of_its_file_and_examples_here(name: str) -> None:
    assert importlib.import_module(f"hub.rules.kinds.{name}").KIND is KINDS[name]
    assert EXAMPLES[name]
    assert NONSENSE[name]


@every
def test_each_key_of_a_kind_is_in_some_example(name: str) -> None:
    keys = {field.alias or key for key, field in KINDS[name].When.model_fields.items()}
    assert {key for _, when in EXAMPLES[name] for key in when} == keys


@examples
@given(values=numbers)
def test_values_become_signals_one_by_one(name: str, quantity: str, when: dict[str, Any], values: list[float]) -> None:
    run = compiled(name, quantity, when)
    if run.signals is None:
        assert run.driven_by != "values" or run.judge is not None
        return
    column = np.array(values, np.float64)
    signals = run.signals(column)
    assert set(signals.tolist()) <= {CLEAR, BREACH, BETWEEN, UNKNOWN}
    assert (signals == UNKNOWN).tolist() == np.isnan(column).tolist(), "unknown stays unknown, and nothing else does"
    assert run.breach(column).tolist() == (signals == BREACH).tolist()
    assert signals.tolist() == [int(run.signals(column[n : n + 1])[0]) for n in range(len(column))]


@examples
def test_a_rule_can_both_fire_and_clear(name: str, quantity: str, when: dict[str, Any]) -> None:
    run = compiled(name, quantity, when)
    if run.driven_by == "silence":
        assert run.silent_ms == int(when.get("silent_s", 0) * 1_000)
    if run.signals is None:
        return
    plausible = QUANTITIES[quantity]
    steps = 2 if plausible.kind == "switch" else len(plausible.states) if plausible.kind == "state" else 10_001
    signals = run.signals(np.linspace(plausible.low, plausible.high, steps))
    assert {CLEAR, BREACH} <= set(signals.tolist())


with_memory = pytest.mark.parametrize(
    ("name", "quantity", "when"),
    [
        pytest.param(name, q, when, id=f"{name} {q} {when}")
        for name, rows in EXAMPLES.items()
        for q, when in rows
        if compiled(name, q, when).memory is not None
    ],
)


def story_of(data: st.DataObject, run: Compiled, quantity: str, *, devices: int = 4) -> list[twins.Step]:
    watched = twins.quantities_of(run, quantity)
    values = sorted({value for one in watched for value in twins.values_of(one)})
    return data.draw(twins.stories(values, quantities=watched, devices=devices, triggers=bool(run.triggers)))


@with_memory
def test_memory_begins_as_zeros_and_its_times_are_whole_milliseconds(
    name: str, quantity: str, when: dict[str, Any]
) -> None:
    run = compiled(name, quantity, when)
    assert run.memory is not None
    assert run.memory.names
    assert run.memory.itemsize <= (4_096 if KINDS[name].advisory else 1_024), "memory is kept for every device"
    for field in run.memory.names:
        base = run.memory[field].base
        assert base.kind in "iufb", "it is stored without pickling"
        assert not field.endswith("_ms") or base == np.int64


@with_memory
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_devices_side_by_side_are_judged_as_each_alone(
    name: str, quantity: str, when: dict[str, Any], data: st.DataObject
) -> None:
    run = compiled(name, quantity, when)
    story = story_of(data, run, quantity)
    together = twins.Player(run, 4)
    alone = twins.Player(run, 4, width=1)
    assert together.play(story) == alone.play(story)
    assert together.memory.tobytes() == alone.memory.tobytes()
    for device in range(4):
        own = [s for s in story if isinstance(s, twins.Tick | twins.Leap) or s.device == device]
        single = twins.Player(run, 4)
        single.play(own)
        assert single.memory[device].tobytes() == together.memory[device].tobytes(), "no device knows of another"


@with_memory
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_memory_that_is_stored_and_read_again_changes_nothing(
    name: str, quantity: str, when: dict[str, Any], data: st.DataObject
) -> None:
    run = compiled(name, quantity, when)
    story = story_of(data, run, quantity)
    assert twins.Player(run, 4).play(story) == twins.Player(run, 4, restarts=True).play(story)


@with_memory
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_unknown_stays_unknown_whatever_went_before(
    name: str, quantity: str, when: dict[str, Any], data: st.DataObject
) -> None:
    run = compiled(name, quantity, when)
    player = twins.Player(run, 4)
    player.play(story_of(data, run, quantity))
    now = twins.START + 30 * twins.DAY
    for watched in twins.quantities_of(run, quantity):
        assert (
            player.play([twins.Say(device, watched, float("nan"), now, now) for device in range(4)]) == ["unknown"] * 4
        )


@with_memory
@given(
    rows=st.lists(
        st.tuples(st.floats(), st.integers(-(2**52), 2**52), st.integers(-(2**52), 2**52)), min_size=1, max_size=20
    )
)
@settings(max_examples=50, deadline=None)
def test_no_number_or_time_makes_a_kind_with_memory_raise(
    name: str, quantity: str, when: dict[str, Any], rows: list[tuple[float, int, int]]
) -> None:
    run = compiled(name, quantity, when)
    assert run.judge is not None
    memory = np.zeros(1, run.memory)
    code = QUANTITIES[twins.quantities_of(run, quantity)[0]].code
    with np.errstate(all="raise"):
        for value, at, observed in rows:
            look = Look(
                quantity=np.array([code], np.int16),
                value=np.array([value]),
                at_ms=np.array([at]),
                observed_ms=np.array([observed]),
            )
            assert run.judge(look, memory)[0] in (CLEAR, BREACH, BETWEEN, UNKNOWN)
            if run.passing is not None:
                assert run.passing(memory, at)[0] in (CLEAR, BREACH, BETWEEN, UNKNOWN)
            if run.figure is not None:
                assert run.figure(memory).shape == (1,)


@pytest.mark.parametrize(
    ("name", "quantity", "when"),
    [pytest.param(name, q, when, id=f"{name} {q} {when}") for name, rows in NONSENSE.items() for q, when in rows],
)
def test_nonsense_is_refused_with_words(name: str, quantity: str, when: dict[str, Any]) -> None:
    with pytest.raises((ValidationError, ValueError)) as refused:
        compiled(name, quantity, when)
    assert len(str(refused.value)) > 20
