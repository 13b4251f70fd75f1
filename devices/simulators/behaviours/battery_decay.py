"""The end of a battery: from a third to nothing within four hours, then silence until somebody changes it."""

from __future__ import annotations

from devices.simulators.behaviours.behaviour import BehaviourKind, Cue, Span, chosen, named
from devices.simulators.world import Behaviour, World

FROM_PCT = 30.0
LOW_PCT = 8.0
EMPTY_AFTER_S = 4 * 3_600.0
LASTS_S = 8 * 3_600.0


class BatteryDecay:
    """Falls linearly; the last months of a real cell, told fast. Values depend on the time alone."""

    def __init__(self, world: World, start_ms: int, cue: Cue) -> None:
        self.device = chosen(world, cue, "battery decay", ("smoke_alarm", "heat_detector", "co_alarm"))
        self.span = Span.of(start_ms, cue, LASTS_S)

    def finished(self, now_ms: int) -> bool:
        return self.span.over(now_ms)

    def step(self, world: World, now_ms: int) -> None:
        since_s = self.span.since_s(now_ms)
        if since_s is None:
            return
        self.span.tell(world, f"the battery of {named(self.device)} comes to its end")
        left_pct = FROM_PCT * (1.0 - since_s / EMPTY_AFTER_S)
        world.set(self.device.id, "battery_pct", max(0.0, left_pct))
        world.set(self.device.id, "battery_low", float(left_pct <= LOW_PCT))
        if left_pct <= 0:
            self.span.tell(world, f"{named(self.device)} is dead")
            world.mute(self.device.id)


def _make(world: World, start_ms: int, cue: Cue) -> Behaviour:
    return BatteryDecay(world, start_ms, cue)


BEHAVIOUR = BehaviourKind(
    name="battery_decay",
    summary="a detector's battery runs out within four hours and is changed four hours later",
    make=_make,
    lasts_s=LASTS_S,
    needs=("smoke_alarm",),
)
