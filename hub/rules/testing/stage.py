"""The place in which scenes play: a small town in which every device that a scene names exists, and no other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from hub.model.places import Device, Level, Name, Place
from hub.registry.kinds import CANARY, DEVICE_KINDS, HUB
from hub.registry.snapshot import Registry

_TOWN: Final[tuple[tuple[str, Level, str], ...]] = (
    ("street", "street", ""),
    ("community", "community", "street"),
    ("compound", "compound", "community"),
    ("grid-1", "grid", "compound"),
    ("grid-2", "grid", "compound"),
    ("building-1", "building", "compound"),
    ("building-2", "building", "compound"),
    ("unit-1", "unit", "building-1"),
    ("unit-2", "unit", "building-1"),
    ("unit-3", "unit", "building-2"),
    ("room-101", "room", "unit-1"),
    ("room-102", "room", "unit-1"),
    ("room-201", "room", "unit-2"),
    ("room-301", "room", "unit-3"),
)
_HOMES: Final = (("room-101", "grid-1"), ("room-102", "grid-1"), ("room-201", "grid-1"), ("room-301", "grid-2"))
"""Where the first, second, third, and every further device of a kind is: the neighbour in the same unit, the same building, elsewhere."""
_MAINS: Final = frozenset(
    ("charging_cabinet", "charging_socket", "gate", "door", "meter", "fire_lane_camera", "gateway", "siren")
)
_NAMED = re.compile(r"^([a-z0-9]+(?:-[a-z0-9]+)*)-([1-9]\d{0,3})$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Extra:
    """A device as a scene gives it; what is None is as the town would have it."""

    kind: str
    place: str | None = None
    grid: str | None = None
    parent: str | None = None
    model: str = ""
    interval_s: float | None = None
    supervision: str | None = None
    tags: tuple[str, ...] = ()


def kind_named(device: str) -> str | None:
    """The kind of a device that the town has by itself: smoke-alarm-1 → smoke_alarm, hub → hub; None if it has no such one."""
    if device in (HUB, CANARY):
        return device
    match = _NAMED.match(device)
    kind = match[1].replace("-", "_") if match else ""
    return kind if kind in DEVICE_KINDS and kind not in (HUB, CANARY) else None


def built(
    devices: Iterable[str], extras: Mapping[str, Extra], places: Iterable[tuple[str, Level, str]] = ()
) -> Registry:
    """A registry with the town's places and `places` (code, level, parent), and exactly `devices` besides hub and canary.

    Raises ValueError for a device that neither the town has nor `extras` describe.
    """
    wanted = sorted({*devices, HUB, CANARY})
    made = {code: (level, parent) for code, level, parent in (*_TOWN, *places)}
    return Registry.of(
        [_device(device, extras.get(device), wanted, made) for device in wanted],
        places=[
            Place(code=code, level=level, name=Name(zh=code, en=code), parent=parent)
            for code, (level, parent) in made.items()
        ],
        version="stage",
    )


def _device(name: str, extra: Extra | None, wanted: list[str], places: dict[str, tuple[Level, str]]) -> Device:
    kind = extra.kind if extra is not None else kind_named(name)
    if kind is None:
        raise ValueError(f"there is no device {name!r}: describe it under 'devices', or name one such as smoke-alarm-1")
    number = int(match[2]) if (match := _NAMED.match(name)) else 1
    place, grid = _HOMES[min(number, len(_HOMES)) - 1]
    if extra is not None and extra.place is not None:
        place, grid = extra.place, _grid_of(extra.place, places) or grid
    mains, alone = kind in _MAINS, kind in (HUB, CANARY)
    gateway = "gateway-2" if number >= len(_HOMES) else "gateway-1"
    parent = gateway if not mains and not alone and gateway in wanted else ""
    interval_s, supervision = (30.0, "mains") if mains else (0.0, "none") if alone else (600.0, "radio")
    tags: tuple[str, ...] = (CANARY,) if kind == CANARY else ()
    if extra is not None:
        grid = extra.grid if extra.grid is not None else grid
        parent = extra.parent if extra.parent is not None else parent
        interval_s = extra.interval_s if extra.interval_s is not None else interval_s
        supervision = extra.supervision if extra.supervision is not None else supervision
        tags += extra.tags
    return Device(
        slot=-1,
        id=name,
        kind=kind,
        name=Name(zh=name, en=name),
        place=place,
        grid=grid,
        addresses=(f"scene:{name}",),
        parent=parent,
        model=extra.model if extra is not None else "",
        expected_interval_s=interval_s,
        supervision=supervision,
        tags=tags,
    )


def _grid_of(place: str, places: Mapping[str, tuple[Level, str]]) -> str:
    """The grid that `place` is or lies in, "" when it lies in none."""
    while place in places:
        level, parent = places[place]
        if level == "grid":
            return place
        place = parent
    return ""
