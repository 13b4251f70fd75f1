"""What a behaviour's file must offer: a `BehaviourKind` named BEHAVIOUR. See `kitchen_fire.py` for a short example."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from devices.simulators.world import Behaviour, World
from hub.errors import GridHubError


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
