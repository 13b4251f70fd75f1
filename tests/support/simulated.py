"""A small place with devices of every simulated family, on nodes of both dialects."""

from __future__ import annotations

from devices.simulators.families import FAMILIES
from devices.simulators.world import World
from hub.model.places import Device, Name, Place

HOUSE, UNIT, OTHER_HOUSE = "house-1", "house-1-u1", "house-2"
NOON_MS = 1_704_081_600_000  # 2024-01-01 12:00 in Shanghai
ZIGBEE_KINDS = ("smoke_alarm", "co_alarm", "gas_detector", "door", "lock", "water_leak", "env", "meter")


def places() -> list[Place]:
    def place(code: str, level: str, parent: str) -> Place:
        return Place(code=code, level=level, name=Name(zh=code, en=code), parent=parent)  # type: ignore[arg-type]

    return [
        place("court", "compound", ""),
        place(HOUSE, "building", "court"),
        place(UNIT, "unit", HOUSE),
        place(OTHER_HOUSE, "building", "court"),
    ]


def a_device(device_id: str, kind: str, address: str, *, place: str = UNIT, interval_s: float = 60.0) -> Device:
    return Device(
        slot=-1,
        id=device_id,
        kind=kind,
        name=Name(zh=f"{device_id}（中）", en=device_id),
        place=place,
        grid="440399001001001",
        addresses=(address,),
        expected_interval_s=interval_s,
    )


def devices(*, interval_s: float = 60.0) -> list[Device]:
    """Three native devices of every family and two Zigbee ones where Zigbee has them; one smoke alarm lives elsewhere."""
    found = []
    for kind in FAMILIES:
        slug = kind.replace("_", "-")
        for n in range(3):
            name = "-" if kind == "gateway" else f"{slug}-{n}"
            node = f"gw-{n}"
            found.append(
                a_device(
                    f"{slug}-{n}",
                    kind,
                    f"native-v1:demo/{node}/{name}",
                    place=(HOUSE, UNIT, UNIT)[n],
                    interval_s=interval_s,
                )
            )
        if kind in ZIGBEE_KINDS:
            found += [
                a_device(f"z-{slug}-{n}", kind, f"zigbee2mqtt:zigbee2mqtt/{kind} {n}", interval_s=interval_s)
                for n in range(2)
            ]
    found.append(a_device("smoke-elsewhere", "smoke_alarm", "native-v1:demo/gw-1/smoke-elsewhere", place=OTHER_HOUSE))
    return found


def a_world(*, seed: int = 1, interval_s: float = 60.0) -> World:
    return World(devices(interval_s=interval_s), places=places(), seed=seed)
