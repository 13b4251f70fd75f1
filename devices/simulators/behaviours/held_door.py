"""A brick under a fire door: it stands open for seven minutes. At a gate: the same, where a minute is too long already."""

from __future__ import annotations

from devices.simulators.behaviours.behaviour import BehaviourKind, Cue, Span, chosen, named
from devices.simulators.behaviours.calm_day import GATE_OPEN
from devices.simulators.world import Behaviour, World

LASTS_S = 420.0


class HeldDoor:
    def __init__(self, world: World, start_ms: int, cue: Cue) -> None:
        self.door = chosen(world, cue, "a held door", ("door", "gate"))
        self.span = Span.of(start_ms, cue, LASTS_S)

    def finished(self, now_ms: int) -> bool:
        return self.span.over(now_ms)

    def step(self, world: World, now_ms: int) -> None:
        if self.span.since_s(now_ms) is None:
            return
        self.span.tell(world, f"{named(self.door)} is held open")
        world.set(self.door.id, "door_open", 1.0)
        if self.door.kind == "gate":
            world.set(self.door.id, "gate_state", GATE_OPEN)


def _make(world: World, start_ms: int, cue: Cue) -> Behaviour:
    return HeldDoor(world, start_ms, cue)


BEHAVIOUR = BehaviourKind(
    name="held_door",
    summary="a door (or gate) stands open for seven minutes",
    make=_make,
    lasts_s=LASTS_S,
    needs=("door",),
)
