"""The state of every simulated device, in columns by kind. Behaviours write into it; the fleet reads it and speaks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from devices.simulators.families import FAMILIES, Family, Signal
from devices.simulators.publisher import Message
from hub.model.places import Device, Place
from hub.model.quantities import QUANTITIES

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]


class Behaviour(Protocol):
    """What happens in the place. It owns its own memory and its own random numbers, drawn from `world.rng(name)`."""

    def step(self, world: World, now_ms: int) -> None:
        """Writes what is true at `now_ms` over what earlier behaviours of this step wrote. Time never goes back."""

    def finished(self, now_ms: int) -> bool:
        """Whether nothing more will come of it: everything that it changed is at rest again."""


@runtime_checkable
class Carrier(Protocol):
    """A behaviour that does something to messages on their way: loses order, repeats, keeps back, adds rubbish."""

    def pass_on(self, messages: Iterable[Message], now_ms: int) -> Iterator[Message]:
        """What the broker gets of `messages`, which were said up to `now_ms`."""


def _at_rest(signal: Signal, n: int, rng: np.random.Generator) -> Floats:
    quantity = QUANTITIES[signal.quantity]
    values = signal.rest + rng.normal(0.0, 1.0, n) * signal.spread
    clipped: Floats = np.clip(values, quantity.low, quantity.high)
    return clipped


class Group:
    """All devices of one kind: `columns[quantity][row]` is what `devices[row]` would measure now."""

    def __init__(self, family: Family, devices: Sequence[Device], rng: np.random.Generator) -> None:
        self.family = family
        self.devices = tuple(devices)
        n = len(self.devices)
        self.resting: dict[str, Floats] = {s.quantity: _at_rest(s, n, rng) for s in family.signals}
        self.columns: dict[str, Floats] = {name: column.copy() for name, column in self.resting.items()}
        self.attention = np.zeros(n, np.bool_)
        self.silent = np.zeros(n, np.bool_)
        self.clock_off_ms = np.zeros(n, np.int64)

    def __len__(self) -> int:
        return len(self.devices)

    def rest(self) -> None:
        for name, column in self.resting.items():
            np.copyto(self.columns[name], column)
        self.attention[:] = False
        self.silent[:] = False
        self.clock_off_ms[:] = 0


@dataclass(frozen=True, slots=True)
class Edge:
    """A state of one device changed in the last step: report it at once."""

    kind: str
    row: int
    quantities: tuple[str, ...]


class World:
    """Devices of a registry and what they would measure. The same devices, seed and steps give the same values."""

    def __init__(
        self,
        devices: Iterable[Device],
        *,
        places: Iterable[Place] = (),
        seed: int = 1,
        zone_offset_ms: int = 8 * 3_600_000,
    ) -> None:
        self.seed = seed
        self.zone_offset_ms = zone_offset_ms
        self.places = {place.code: place for place in places}
        by_kind: dict[str, list[Device]] = {}
        for device in devices:
            if device.kind in FAMILIES:
                by_kind.setdefault(device.kind, []).append(device)
        self.groups = {
            kind: Group(FAMILIES[kind], members, self.rng(f"rest/{kind}")) for kind, members in sorted(by_kind.items())
        }
        self.where: dict[str, tuple[str, int]] = {
            device.id: (kind, row) for kind, group in self.groups.items() for row, device in enumerate(group.devices)
        }
        self._said: list[str] = []

    def __len__(self) -> int:
        return len(self.where)

    def rng(self, name: str) -> np.random.Generator:
        """Random numbers of their own for `name`, given by the seed: adding a behaviour does not change the others."""
        return np.random.default_rng([self.seed, *name.encode()])

    def hour(self, now_ms: int) -> float:
        """Local time of day at `now_ms`, 0 ≤ hour < 24."""
        return ((now_ms + self.zone_offset_ms) % 86_400_000) / 3_600_000

    def say(self, text: str) -> None:
        """Tells the person who watches the simulation what has just happened."""
        self._said.append(text)

    def said(self) -> list[str]:
        """What was said since the last call."""
        said, self._said = self._said, []
        return said

    def device(self, device_id: str) -> Device:
        """The simulated device with this id. KeyError when there is none."""
        kind, row = self.where[device_id]
        return self.groups[kind].devices[row]

    def set(self, device_id: str, quantity: str, value: float) -> None:
        """Writes one value of one device. KeyError when the device does not measure it."""
        kind, row = self.where[device_id]
        self.groups[kind].columns[quantity][row] = value

    def get(self, device_id: str, quantity: str) -> float:
        kind, row = self.where[device_id]
        return float(self.groups[kind].columns[quantity][row])

    def attend(self, device_id: str) -> None:
        """Lets a device report every few seconds for this step, as real ones do while they are in alarm."""
        kind, row = self.where[device_id]
        self.groups[kind].attention[row] = True

    def mute(self, device_id: str) -> None:
        """Lets a device say nothing in this step: no power, no network, or broken."""
        kind, row = self.where[device_id]
        self.groups[kind].silent[row] = True

    def set_clock(self, device_id: str, off_ms: int) -> None:
        """Lets the clock of a device run `off_ms` ahead (behind when negative) for this step."""
        kind, row = self.where[device_id]
        self.groups[kind].clock_off_ms[row] = off_ms

    def behind(self, gateway_id: str) -> list[Device]:
        """The devices that speak through the gateway with this id."""
        return [d for group in self.groups.values() for d in group.devices if d.parent == gateway_id]

    def building(self, device: Device) -> str:
        """Code of the building where `device` hangs, or of its own place when it is in none."""
        return self._within(device.place, "building") or device.place

    def neighbours(self, device: Device, kind: str) -> list[Device]:
        """Other devices of `kind` in the same building, those of the same unit first."""
        group = self.groups.get(kind)
        if group is None:
            return []
        home, parent = self.building(device), self._parent(device.place)
        found = [d for d in group.devices if d.id != device.id and self.building(d) == home]
        return sorted(found, key=lambda d: (d.place != device.place, self._parent(d.place) != parent, d.id))

    def together(self, device: Device, kind: str, level: str) -> list[Device]:
        """Devices of `kind` in the same place of `level` as `device`; none where it lies in no such place."""
        home = self._within(device.place, level)
        group = self.groups.get(kind)
        return [] if group is None or not home else [d for d in group.devices if self._within(d.place, level) == home]

    def step(self, behaviours: Iterable[Behaviour], now_ms: int) -> list[Edge]:
        """Lets the behaviours write the world at `now_ms`, in order; returns the states that changed by it."""
        before = {
            kind: {s.quantity: group.columns[s.quantity].copy() for s in group.family.signals if s.slow}
            for kind, group in self.groups.items()
        }
        for group in self.groups.values():
            group.rest()
        for behaviour in behaviours:
            behaviour.step(self, now_ms)
        edges: list[Edge] = []
        for kind, group in self.groups.items():
            changed: dict[int, list[str]] = {}
            for quantity, old in before[kind].items():
                for row in np.flatnonzero(group.columns[quantity] != old).tolist():
                    changed.setdefault(row, []).append(quantity)
            edges += [Edge(kind, row, tuple(names)) for row, names in sorted(changed.items())]
        return edges

    def _within(self, code: str, level: str) -> str:
        """The place of `level` that the place `code` is or lies in, "" when it lies in none."""
        while (place := self.places.get(code)) is not None:
            if place.level == level:
                return code
            code = place.parent
        return ""

    def _parent(self, code: str) -> str:
        place = self.places.get(code)
        return place.parent if place is not None else ""
