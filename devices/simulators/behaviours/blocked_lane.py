"""A car parks in a fire lane for a quarter of an hour."""

from __future__ import annotations

from devices.simulators.behaviours.behaviour import BehaviourKind, Cue, Span, chosen, named
from devices.simulators.world import Behaviour, World

LASTS_S = 900.0


class BlockedLane:
    def __init__(self, world: World, start_ms: int, cue: Cue) -> None:
        self.camera = chosen(world, cue, "a blocked lane", ("fire_lane_camera",))
        self.span = Span.of(start_ms, cue, LASTS_S)

    def finished(self, now_ms: int) -> bool:
        return self.span.over(now_ms)

    def step(self, world: World, now_ms: int) -> None:
        if self.span.since_s(now_ms) is not None:
            self.span.tell(world, f"a car parks in the fire lane of {named(self.camera)}")
            world.set(self.camera.id, "lane_occupied", 1.0)


def _make(world: World, start_ms: int, cue: Cue) -> Behaviour:
    return BlockedLane(world, start_ms, cue)


BEHAVIOUR = BehaviourKind(
    name="blocked_lane",
    summary="a car stands in a fire lane for fifteen minutes",
    make=_make,
    lasts_s=LASTS_S,
    needs=("fire_lane_camera",),
)
