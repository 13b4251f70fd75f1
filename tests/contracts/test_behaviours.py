"""Promises that every row of BEHAVIOURS keeps."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest

from devices.simulators import behaviours
from devices.simulators.behaviours import BEHAVIOURS, BehaviourKind, Cue, NoSuchDevice
from devices.simulators.fleet import Fleet
from devices.simulators.world import World
from hub.model.quantities import QUANTITIES
from tests.support.simulated import NOON_MS, a_device, a_world

every = pytest.mark.parametrize("name", sorted(BEHAVIOURS))


def _play(name: str, *, seed: int, step_ms: int, lasts_s: float) -> list[tuple[int, dict[str, list[float]]]]:
    world = a_world(seed=seed)
    behaviour = BEHAVIOURS[name].make(world, NOON_MS, Cue())
    seen = []
    for now_ms in range(NOON_MS, NOON_MS + int(lasts_s * 1_000), step_ms):
        world.step([behaviour], now_ms)
        snapshot = {
            f"{kind}.{quantity}": column.tolist()
            for kind, group in world.groups.items()
            for quantity, column in group.columns.items()
        }
        seen.append((now_ms, snapshot))
    return seen


def test_every_file_of_behaviours_is_in_the_table():
    files = {f.stem for f in Path(behaviours.__file__).parent.glob("*.py")} - {"__init__", "behaviour"}
    assert files == set(BEHAVIOURS)


@every
def test_the_row_has_the_name_of_its_file_and_a_summary(name):
    module = importlib.import_module(f"devices.simulators.behaviours.{name}")
    assert module.BEHAVIOUR is BEHAVIOURS[name]
    assert BEHAVIOURS[name].summary
    assert set(BEHAVIOURS[name].needs) <= set(a_world().groups)


@every
def test_the_same_seed_gives_the_same_values(name):
    assert _play(name, seed=5, step_ms=2_000, lasts_s=120) == _play(name, seed=5, step_ms=2_000, lasts_s=120)


@every
def test_every_value_is_one_that_its_quantity_can_have(name):
    lasts_s = BEHAVIOURS[name].lasts_s or 86_400
    for now_ms, snapshot in _play(name, seed=2, step_ms=int(lasts_s * 10), lasts_s=lasts_s + 60):
        for key, values in snapshot.items():
            quantity = QUANTITIES[key.partition(".")[2]]
            column = np.array(values)
            assert np.isfinite(column).all(), (key, now_ms)
            assert (column >= quantity.low).all(), (key, now_ms, column.min())
            assert (column <= quantity.high).all(), (key, now_ms, column.max())
            if quantity.kind == "switch":
                assert set(values) <= {0.0, 1.0}, key
            if quantity.kind == "state":
                assert all(v == int(v) for v in values), key


@every
def test_one_that_ends_leaves_the_place_as_it_was(name):
    kind = BEHAVIOURS[name]
    world = a_world()
    behaviour = kind.make(world, NOON_MS, Cue())
    assert not behaviour.finished(NOON_MS)
    if not kind.lasts_s:
        assert not behaviour.finished(NOON_MS + 30 * 86_400_000), "a behaviour that ends says how long it lasts"
        return
    end_ms = NOON_MS + int(kind.lasts_s * 1_000)
    step_ms = max(1_000, int(kind.lasts_s * 1_000 / 900) // 1_000 * 1_000)
    for now_ms in range(NOON_MS, end_ms + 2 * step_ms, step_ms):
        world.step([behaviour], now_ms)
    assert behaviour.finished(end_ms)
    for group in world.groups.values():
        for quantity, column in group.columns.items():
            assert (column == group.resting[quantity]).all(), quantity


@every
def test_two_steps_at_the_same_time_are_harmless(name):
    world = a_world()
    behaviour = BEHAVIOURS[name].make(world, NOON_MS, Cue())
    world.step([behaviour], NOON_MS + 5_000)
    edges = world.step([behaviour], NOON_MS + 5_000)
    assert edges == []


@every
def test_a_place_without_what_it_needs_is_refused_clearly(name):
    empty = World([a_device("m", "meter", "native-v1:demo/gw/m")])
    if BEHAVIOURS[name].needs:
        with pytest.raises(NoSuchDevice, match=BEHAVIOURS[name].needs[0]):
            BEHAVIOURS[name].make(empty, NOON_MS, Cue())
    else:
        empty.step([BEHAVIOURS[name].make(empty, NOON_MS, Cue())], NOON_MS)


@every
def test_a_fleet_speaks_it(name):
    world = a_world()
    fleet = Fleet(world, [BEHAVIOURS[name].make(world, NOON_MS, Cue())], start_ms=NOON_MS)
    assert list(fleet.greet(NOON_MS))
    assert list(fleet.advance(NOON_MS + 61_000))


def test_the_example_of_the_guide_works():
    guide = (Path(__file__).resolve().parents[2] / "docs" / "simulators.md").read_text("utf-8")
    code = guide.partition("```python\n")[2].partition("```")[0]
    names = {"World": World, "Cue": Cue, "BehaviourKind": BehaviourKind}
    exec(compile("from __future__ import annotations\n" + code, "docs/simulators.md", "exec"), names)
    kind = names["BEHAVIOUR"]
    world = a_world()
    leak = kind.make(world, NOON_MS, Cue(at_s=5))
    assert [e.quantities for e in world.step([leak], NOON_MS + 5_000)] == [("water_leak",)]
    assert [e.quantities for e in world.step([leak], NOON_MS + 605_000)] == [("water_leak",)]
    assert leak.finished(NOON_MS + 605_000)
