"""Invented towns: right at any size, the same every time, and the shipped example is one of them."""

from __future__ import annotations

import filecmp
import gc
import tracemalloc
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from devices.simulators.families import FAMILIES
from devices.simulators.speakers import speakers
from devices.simulators.town import FEWEST, town, write_town
from hub.registry.kinds import DEVICE_KINDS
from hub.registry.loader import FILES, load
from hub.registry.snapshot import Registry

EXAMPLE = Path(__file__).parents[2] / "config" / "registry"


def assert_sound(registry: Registry) -> None:
    assert registry.warnings == ()
    for grid in registry.grids:
        assert registry.station_for(grid) is not None
    levels = Counter(place.level for place in registry.places.values())
    assert levels["grid"] == len(registry.grids) == len(registry.outlines)


@pytest.mark.parametrize("devices", [FEWEST, 41, 73, 150, 300, 299, 1_201, 4_000])
def test_a_town_of_any_size_loads_without_complaint_or_gap(tmp_path: Path, devices: int) -> None:
    write_town(tmp_path, devices=devices, seed=devices)
    registry = load(tmp_path)
    assert len(registry.slot_of) == devices
    assert_sound(registry)


def test_a_town_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 40"):
        town(FEWEST - 1)


def test_what_is_written_is_what_was_made(tmp_path: Path) -> None:
    made = write_town(tmp_path, devices=300, seed=9, site="elsewhere")
    registry = load(tmp_path)
    assert list(registry.places.values()) == sorted(made.places, key=lambda p: list(registry.places).index(p.code))
    assert list(registry.people.values()) == made.people
    assert list(registry.stations.values()) == made.stations
    for device in made.devices:
        found = registry.device(device.slot)
        assert (found.id, found.kind, found.name, found.addresses, found.parent, found.tags) == (
            device.id, device.kind, device.name, device.addresses, device.parent, device.tags,
        )  # fmt: skip
        assert (found.place, found.grid, found.supervision, found.expected_interval_s) == (
            device.place, device.grid, device.supervision, device.expected_interval_s,
        )  # fmt: skip


def test_the_same_seed_gives_the_same_files_and_another_seed_others(tmp_path: Path) -> None:
    for folder, seed in (("a", 5), ("b", 5), ("c", 6)):
        write_town(tmp_path / folder, devices=400, seed=seed)
    same, other, wrong = filecmp.cmpfiles(tmp_path / "a", tmp_path / "b", FILES, shallow=False)
    assert (sorted(same), other, wrong) == (sorted(FILES), [], [])
    assert not filecmp.cmp(tmp_path / "a" / "devices.csv", tmp_path / "c" / "devices.csv", shallow=False)


def test_the_shipped_example_is_the_town_of_seed_one(tmp_path: Path) -> None:
    write_town(tmp_path)
    for name in FILES:
        assert (tmp_path / name).read_text("utf-8") == (EXAMPLE / name).read_text("utf-8"), name


def test_the_example_has_what_it_should_show() -> None:
    registry = load(EXAMPLE)
    assert_sound(registry)
    levels = Counter(place.level for place in registry.places.values())
    assert (levels["street"], levels["community"], levels["compound"], levels["grid"]) == (1, 2, 4, 12)
    assert [place.dedicated for place in registry.places.values()].count(True) == 1
    assert len(registry.stations) == 3
    assert all(len(station.backups) == 2 for station in registry.stations.values())
    kinds = Counter(registry.kinds[kind] for kind in registry.kind)
    assert set(kinds) == set(DEVICE_KINDS)
    assert (kinds["hub"], kinds["canary"], int(registry.canary.sum())) == (1, 1, 1)
    zigbee = [d for d in registry.devices() if any(a.startswith("zigbee2mqtt:") for a in d.addresses)]
    assert 0.25 < len(zigbee) / len(registry) < 0.4
    assert any(" " in a and not a.isascii() for d in zigbee for a in d.addresses)


def test_every_device_is_behind_a_gateway_of_its_own_neighbourhood() -> None:
    registry = load(EXAMPLE)
    alone = {"gateway", "siren", "hub", "canary"}
    for device in registry.devices():
        if device.kind in alone:
            assert device.parent == ""
            continue
        gateway = registry.find(device.parent)
        assert gateway is not None
        assert gateway.kind == "gateway"
        home = {p.code for p in registry.path(device.place) if p.level == "compound"} or {device.grid}
        assert home & {gateway.grid, *(p.code for p in registry.path(gateway.place))}


def test_every_address_can_be_spoken_by_the_simulators() -> None:
    known = speakers([("native-v1", "sc/v1"), ("zigbee2mqtt", "zigbee2mqtt")])
    for device in town(300).devices:
        for address in device.addresses:
            codec, _, rest = address.partition(":")
            node, name = known[codec].locate(rest)
            assert node
            assert name
        if device.kind in FAMILIES:
            assert device.expected_interval_s > 0


def test_each_further_zigbee_root_takes_one_more_compound() -> None:
    def roots(*given: str) -> set[str]:
        made = town(1_000, zigbee_roots=given)
        return {
            a.split(":")[1].rsplit("/", 1)[0] for d in made.devices for a in d.addresses if a.startswith("zigbee2mqtt:")
        }

    assert roots() == set()
    assert roots("zigbee2mqtt", "zigbee2mqtt/east") == {"zigbee2mqtt", "zigbee2mqtt/east"}


@pytest.mark.parametrize("devices", [300, 1_000])
def test_outlines_do_not_overlap_and_hold_what_hangs_in_them(devices: int) -> None:
    made = town(devices, seed=3)
    rings = made.outlines
    for ring in rings.values():
        assert ring[0] == ring[-1]
        # Counter-clockwise, as RFC 7946 wants outer rings.
        assert sum((b[0] - a[0]) * (b[1] + a[1]) for a, b in pairwise(ring)) < 0
    codes = list(rings)
    for n, one in enumerate(codes):
        for other in codes[n + 1 :]:
            assert apart(rings[one], rings[other]), f"{one} and {other} overlap"
    for device in made.devices:
        if device.lat is not None and device.lon is not None and device.kind != "siren":
            assert inside((device.lon, device.lat), rings[device.grid]), device.id


def apart(one: list[tuple[float, float]], other: list[tuple[float, float]]) -> bool:
    """Whether two convex polygons share no area: some edge of one has all of the other outside (separating axis)."""
    rounding = 1e-11
    for a, b in ((one, other), (other, one)):
        for (x1, y1), (x2, y2) in pairwise(a):
            if all((x2 - x1) * (y - y1) - (y2 - y1) * (x - x1) <= rounding for x, y in b):
                return True
    return False


def inside(point: tuple[float, float], ring: list[tuple[float, float]]) -> bool:
    x, y = point
    return all((x2 - x1) * (y - y1) - (y2 - y1) * (x - x1) >= -1e-10 for (x1, y1), (x2, y2) in pairwise(ring))


def test_a_registry_costs_few_bytes_for_each_device(tmp_path: Path) -> None:
    write_town(tmp_path, devices=8_000)
    load(EXAMPLE)  # what is made once for all
    tracemalloc.start()
    try:
        registry = load(tmp_path)
        gc.collect()
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(registry) == 8_000
    assert used / len(registry) < 450  # places, people and outlines of this rather thinly equipped town included


def test_every_gate_of_the_example_says_what_rules_ask_of_it_and_each_yard_has_one_for_fire_engines() -> None:
    registry = load(EXAMPLE)
    gates = [device for device in registry.devices() if device.kind == "gate"]
    assert all("access-control" in gate.tags for gate in gates)
    assert all(("fire-lane" in gate.tags) != ("escape-route" in gate.tags) for gate in gates)
    assert {gate.parent for gate in gates if "fire-lane" in gate.tags} == {gate.parent for gate in gates}
