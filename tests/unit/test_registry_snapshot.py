"""The registry as a snapshot: slots, columns, look-ups."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.registry.snapshot import Registry, Texts
from tests.support.registry import BUILDING, COMMUNITY, COMPOUND, GRID_A, GRID_B, GRID_C, UNIT, a_device, small_registry


def test_a_device_comes_back_as_it_was_given() -> None:
    registry = small_registry()
    smoke = registry.find("smoke-1")
    assert smoke is not None
    assert (smoke.id, smoke.kind, smoke.place, smoke.grid, smoke.parent) == (
        "smoke-1",
        "smoke_alarm",
        UNIT,
        GRID_A,
        "gw-1",
    )
    assert smoke.addresses == ("native-v1:demo/gw-1/smoke-1",)
    assert smoke.name.zh == "smoke-1（中）"
    assert smoke.expected_interval_s == 60.0
    assert registry.slot_of_address["native-v1:demo/gw-1/smoke-1"] == smoke.slot == registry.slot_of["smoke-1"]


def test_columns_say_what_the_device_says() -> None:
    registry = small_registry()
    slot = registry.slot_of["smoke-1"]
    assert registry.kinds[registry.kind[slot]] == "smoke_alarm"
    assert registry.grids[registry.grid[slot]] == registry.grid_code(slot) == GRID_A
    assert registry.buildings[registry.building[slot]] == BUILDING
    assert registry.building[registry.slot_of["gate-1"]] == -1
    assert registry.parent[slot] == registry.slot_of["gw-1"]
    assert registry.silence_limit_ms[slot] == 7_200_000
    assert registry.silence_limit_ms[registry.slot_of["gw-1"]] == 100_000
    assert registry.silence_limit_ms[registry.slot_of["hub"]] == 0
    assert np.flatnonzero(registry.canary).tolist() == [registry.slot_of["canary"]]
    assert registry.children(registry.slot_of["gw-1"]).tolist() == [
        registry.slot_of["smoke-1"],
        registry.slot_of["smoke-2"],
    ]


def test_columns_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="read-only"):
        small_registry().grid[0] = 1


def test_the_path_runs_from_the_street_down() -> None:
    registry = small_registry()
    assert [place.level for place in registry.path(UNIT)] == ["street", "community", "compound", "building", "unit"]
    assert registry.path("nowhere") == ()


def test_a_device_without_position_stands_where_its_place_stands() -> None:
    smoke = small_registry().find("smoke-1")
    assert smoke is not None
    assert (smoke.lat, smoke.lon) == (22.53, 113.93)


def test_each_grid_has_its_station() -> None:
    registry = small_registry()
    assert [s.id for g in (GRID_A, GRID_B, GRID_C) if (s := registry.station_for(g))] == ["north", "north", "east"]
    assert registry.station_for(COMPOUND) is None


def test_a_removed_device_leaves_a_retired_slot_and_gets_it_back() -> None:
    first = small_registry()
    slot = first.slot_of["smoke-1"]
    without = small_registry([a_device("smoke-2"), a_device("new-1")], previous=first)
    assert without.ids[slot] == ""
    assert (without.kind[slot], without.grid[slot], without.building[slot], bool(without.active[slot])) == (
        -1,
        -1,
        -1,
        False,
    )
    assert without.find("smoke-1") is None
    assert "native-v1:demo/gw-1/smoke-1" not in without.slot_of_address
    assert without.position(slot) == (None, None)
    with pytest.raises(KeyError):
        without.device(slot)
    assert without.slot_of["new-1"] == len(first)
    back = small_registry(previous=without)
    assert back.slot_of["smoke-1"] == slot
    assert not set(back.retired) & set(back.slot_of)


def test_grids_and_buildings_keep_their_numbers() -> None:
    first = small_registry()
    other = small_registry([a_device("gate-1", "gate", grid=GRID_C, place=COMMUNITY)], previous=first)
    assert other.grids == first.grids
    assert other.buildings == first.buildings
    assert other.kinds[: len(first.kinds)] == first.kinds


def test_an_id_or_address_used_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="used twice"):
        Registry.of([a_device("a"), a_device("a")])
    with pytest.raises(ValueError, match="used twice"):
        Registry.of([a_device("a", addresses=("x:1",)), a_device("b", addresses=("x:1",))])


def test_the_version_follows_the_content_and_not_the_slots() -> None:
    one, two = a_device("one"), a_device("two")
    assert Registry.of([one, two]).version == Registry.of([two, one]).version
    assert Registry.of([one]).version != Registry.of([one, two]).version


@given(st.lists(st.sets(st.sampled_from([f"d{n}" for n in range(8)]), max_size=8), min_size=1, max_size=8))
def test_slots_are_stable_over_any_sequence_of_reloads(reloads: list[set[str]]) -> None:
    known: dict[str, int] = {}
    registry: Registry | None = None
    for ids in reloads:
        registry = Registry.of([a_device(i) for i in sorted(ids, reverse=len(known) % 2 == 1)], previous=registry)
        for device_id, slot in registry.slot_of.items():
            assert known.setdefault(device_id, slot) == slot
            assert registry.ids[slot] == device_id
            assert registry.device(slot).id == device_id
        assert set(registry.slot_of) == ids
        assert len(registry) == len(known) == len(set(known.values()))
        assert {slot for slot, i in enumerate(registry.ids) if not i} == set(registry.retired.values())
        assert registry.active.tolist() == [bool(i) for i in registry.ids]


@given(st.lists(st.text()))
def test_texts_come_back_as_they_went_in(texts: list[str]) -> None:
    block = Texts(t.encode("utf-8", "ignore").decode() for t in texts)
    assert [block[n] for n in range(len(block))] == [t.encode("utf-8", "ignore").decode() for t in texts]
