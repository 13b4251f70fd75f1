"""What a behaviour's file must offer: a `BehaviourKind` named BEHAVIOUR. See `kitchen_fire.py` for a short example."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from devices.simulators.world import Behaviour, World
from hub.errors import GridHubError
from hub.model.places import Device


class NoSuchDevice(GridHubError):
    """The behaviour was asked to happen at a device that is not there, or that cannot do it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cue:
    """Where and when a behaviour happens. `device` "" = it chooses one itself (always the same for the same seed)."""

    device: str = ""
    at_s: float = 0.0
    """Seconds after the start of the simulation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BehaviourKind:
    """One row of the table: `make(world, start_ms, cue)` gives the behaviour; `lasts_s` 0 = it never ends by itself."""

    name: str
    summary: str
    make: Callable[[World, int, Cue], Behaviour]
    lasts_s: float = 0.0
    needs: tuple[str, ...] = ()
    """Kinds of device of which the place must have one."""


def chosen(
    world: World, cue: Cue, what: str, kinds: Sequence[str], prefer: Callable[[Device], bool] | None = None
) -> Device:
    """The device of `cue`, which must be of one of `kinds`; else the first by id, those that `prefer` likes before the others.

    `what` is the behaviour in words, for the complaint: NoSuchDevice.
    """
    if cue.device:
        if cue.device not in world.where:
            raise NoSuchDevice(f"there is no simulated device {cue.device!r}; see the ids in devices.csv")
        device = world.device(cue.device)
        if device.kind not in kinds:
            raise NoSuchDevice(f"{what} happens at a {' or '.join(kinds)}, but {cue.device!r} is a {device.kind}")
        return device
    found = [device for kind in kinds if kind in world.groups for device in world.groups[kind].devices]
    if not found:
        raise NoSuchDevice(f"{what} needs a {' or '.join(kinds)}, and this place has none")
    return min(found, key=lambda d: (prefer is not None and not prefer(d), kinds.index(d.kind), d.id))


def named(device: Device) -> str:
    """The device in both languages, and its id."""
    return f"{device.name.zh} / {device.name.en} ({device.id})"


@dataclass(slots=True)
class Span:
    """When a behaviour happens, and what it has told the watcher already."""

    start_ms: int
    lasts_s: float
    _told: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, start_ms: int, cue: Cue, lasts_s: float) -> Span:
        return cls(start_ms + int(cue.at_s * 1_000), lasts_s)

    def since_s(self, now_ms: int) -> float | None:
        """Seconds since its beginning; None before it and when it is over."""
        s = (now_ms - self.start_ms) / 1_000
        return s if 0 <= s < self.lasts_s else None

    def over(self, now_ms: int) -> bool:
        return now_ms >= self.start_ms + self.lasts_s * 1_000

    def tell(self, world: World, text: str) -> None:
        """Says `text` to the one who watches, once."""
        if text not in self._told:
            self._told.add(text)
            world.say(text)
