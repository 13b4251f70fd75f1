"""A small place for tests: two stations, three grids, one building, a handful of devices, the hub and its canary."""

from __future__ import annotations

from collections.abc import Iterable

from hub.model.places import Device, Name, Person, Place, Shift, Station
from hub.registry.kinds import CANARY, HUB
from hub.registry.snapshot import Registry

COMMUNITY = "440399001001"
COMPOUND = f"{COMMUNITY}-c1"
BUILDING = f"{COMPOUND}-b1"
UNIT = f"{BUILDING}-u1"
GRID_A, GRID_B, GRID_C = f"{COMMUNITY}001", f"{COMMUNITY}002", f"{COMMUNITY}003"
SITE = "demo"


def named(text: str) -> Name:
    return Name(zh=f"{text}（中）", en=text)


def a_device(
    device_id: str,
    kind: str = "smoke_alarm",
    *,
    grid: str = GRID_A,
    place: str = BUILDING,
    addresses: tuple[str, ...] | None = None,
    parent: str = "",
    interval_s: float = 60.0,
    supervision: str = "radio",
    tags: tuple[str, ...] = (),
) -> Device:
    """A device at native address "native-v1:demo/gw-1/<id>" unless `addresses` says otherwise."""
    return Device(
        slot=-1,
        id=device_id,
        kind=kind,
        name=named(device_id),
        place=place,
        grid=grid,
        addresses=(f"native-v1:{SITE}/gw-1/{device_id}",) if addresses is None else addresses,
        parent=parent,
        expected_interval_s=interval_s,
        supervision=supervision,
        tags=tags,
    )


def places() -> list[Place]:
    def place(code: str, level: str, parent: str, responsible: str = "") -> Place:
        return Place(code=code, level=level, name=named(code), parent=parent, responsible=responsible)  # type: ignore[arg-type]

    return [
        place("440399001", "street", "", "street-officer"),
        place(COMMUNITY, "community", "440399001", "community-officer"),
        Place(code=COMPOUND, level="compound", name=named("Court"), parent=COMMUNITY, lat=22.53, lon=113.93),
        place(GRID_A, "grid", COMPOUND, "worker-a"),
        place(GRID_B, "grid", COMPOUND, "worker-b"),
        place(GRID_C, "grid", COMPOUND, "worker-b"),
        place(BUILDING, "building", COMPOUND),
        place(UNIT, "unit", BUILDING),
    ]


def people() -> list[Person]:
    ids = ("street-officer", "community-officer", "worker-a", "worker-b", *(f"crew-{n}" for n in range(1, 9)))
    return [
        Person(
            id=person,
            name=named(person),
            role="crew",
            phone=f"1380000{n:04d}",
            contacts=(("webhook", f"hook-{person}"),),
            verified=("webhook",),
        )
        for n, person in enumerate(ids, start=1)
    ]


def stations() -> list[Station]:
    """ "north" serves grids A and B with crew 1–4 all day, "east" serves C with crew 5–8; each backs the other."""
    return [
        Station(
            id=station,
            name=named(station),
            grids=grids,
            backups=(backup,),
            head=crew[0],
            members=crew,
            roster=(Shift(people=crew, start_min=0, end_min=0),),
            contacts=(("webhook", f"crew-{station}"), ("console", "")),
        )
        for station, backup, grids, crew in (
            ("north", "east", (GRID_A, GRID_B), ("crew-1", "crew-2", "crew-3", "crew-4")),
            ("east", "north", (GRID_C,), ("crew-5", "crew-6", "crew-7", "crew-8")),
        )
    ]


def hub_and_canary() -> tuple[Device, Device]:
    return (
        a_device("hub", HUB, addresses=(f"native-v1:{SITE}/hub/-",), supervision="none"),
        a_device("canary", CANARY, addresses=(f"native-v1:{SITE}/hub/canary",), supervision="none", tags=("canary",)),
    )


def small_registry(devices: Iterable[Device] | None = None, *, previous: Registry | None = None) -> Registry:
    """`devices` (default: gw-1, smoke-1 and smoke-2 behind it, cabinet-1 in grid B, gate-1 in grid C), then hub and canary."""
    if devices is None:
        devices = (
            a_device("gw-1", "gateway", supervision="mains", interval_s=30),
            a_device("smoke-1", parent="gw-1", place=UNIT),
            a_device("smoke-2", parent="gw-1", place=UNIT),
            a_device("cabinet-1", "charging_cabinet", grid=GRID_B, supervision="mains", interval_s=30),
            a_device("gate-1", "gate", grid=GRID_C, place=COMPOUND, supervision="mains", interval_s=30),
        )
    return Registry.of(
        [*devices, *hub_and_canary()], places=places(), people=people(), stations=stations(), previous=previous
    )
