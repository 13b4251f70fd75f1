"""A registry small enough to read: two communities, three grids, a handful of devices of the safety kinds."""

from __future__ import annotations

from hub.model.places import Device, Level, Name, Place
from hub.registry.snapshot import Registry


def _place(code: str, level: Level, name: str, parent: str = "") -> Place:
    return Place(code=code, level=level, name=Name(zh=name, en=code), parent=parent)


PLACES = (
    _place("st", "street", "和平街道"),
    _place("c1", "community", "春晖社区", "st"),
    _place("c2", "community", "东园社区", "st"),
    _place("k1", "compound", "春晖小区", "c1"),
    _place("k2", "compound", "东园小区", "c2"),
    _place("g1", "grid", "第一网格", "k1"),
    _place("g2", "grid", "第二网格", "k1"),
    _place("g3", "grid", "第三网格", "k2"),
    _place("b1", "building", "1号楼", "k1"),
    _place("b2", "building", "2号楼", "k1"),
    _place("b9", "building", "9号楼", "k2"),
    _place("b1-101", "room", "101室", "b1"),
)


def device(id: str, kind: str = "smoke_alarm", place: str = "b1", grid: str = "g1") -> Device:
    return Device(
        slot=0, id=id, kind=kind, name=Name(zh=id, en=id), place=place, grid=grid, addresses=(f"native-v1:demo/n/{id}",)
    )


DEVICES = (
    device("smoke-1", place="b1-101"),
    device("smoke-2", place="b2", grid="g2"),
    device("smoke-9", place="b9", grid="g3"),
    device("cabinet-1", "charging_cabinet", "g1"),
    device("env-9", "env", "b9", "g3"),
)


def registry(*devices: Device, previous: Registry | None = None) -> Registry:
    """The town with `devices`, or its own ones."""
    return Registry.of(devices or DEVICES, places=PLACES, previous=previous)
