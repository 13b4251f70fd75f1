"""Promises that every row of KINDS keeps."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hub.model.quantities import QUANTITIES
from hub.rules import kinds
from hub.rules.condition import BETWEEN, BREACH, CLEAR, UNKNOWN
from hub.rules.kinds import KINDS
from hub.rules.kinds.kind import Compiled, Context

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
    "offline": [("", {"silent_s": 0}), ("", {"silent_s": -5}), ("", {"silence_s": 5})],
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


def compiled(name: str, quantity: str, when: dict[str, Any]) -> Compiled:
    kind = KINDS[name]
    return kind.compile(kind.When.model_validate(when), QUANTITIES.get(quantity), Context())


def test_every_file_of_a_kind_is_in_the_table() -> None:
    files = {f.stem for f in Path(kinds.__file__).parent.glob("*.py")} - {"__init__", "kind"}
    assert files == set(KINDS), "a rule kind is one file and one line in KINDS"


@every
def test_the_row_has_the_name_of_its_file_and_examples_here(name: str) -> None:
    assert importlib.import_module(f"hub.rules.kinds.{name}").KIND is KINDS[name]
    assert EXAMPLES[name]
    assert NONSENSE[name]


@every
def test_each_key_of_a_kind_is_in_some_example(name: str) -> None:
    assert {key for _, when in EXAMPLES[name] for key in when} == set(KINDS[name].When.model_fields)


@examples
@given(values=numbers)
def test_values_become_signals_one_by_one(name: str, quantity: str, when: dict[str, Any], values: list[float]) -> None:
    run = compiled(name, quantity, when)
    if run.driven_by == "silence":
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
        return
    plausible = QUANTITIES[quantity]
    steps = 2 if plausible.kind == "switch" else len(plausible.states) if plausible.kind == "state" else 10_001
    signals = run.signals(np.linspace(plausible.low, plausible.high, steps))
    assert {CLEAR, BREACH} <= set(signals.tolist())


@pytest.mark.parametrize(
    ("name", "quantity", "when"),
    [pytest.param(name, q, when, id=f"{name} {q} {when}") for name, rows in NONSENSE.items() for q, when in rows],
)
def test_nonsense_is_refused_with_words(name: str, quantity: str, when: dict[str, Any]) -> None:
    with pytest.raises((ValidationError, ValueError)) as refused:
        compiled(name, quantity, when)
    assert len(str(refused.value)) > 20
