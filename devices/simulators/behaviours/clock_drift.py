"""The clock of a gateway runs ahead, twenty minutes within ten, and is set right again: what it says goes back in time."""

from __future__ import annotations

from devices.simulators.behaviours.behaviour import BehaviourKind, Cue, Span, chosen, named
from devices.simulators.families import FAMILIES
from devices.simulators.world import Behaviour, World

GAINS = 2.0  # seconds a second
SET_RIGHT_AFTER_S = 600.0
LASTS_S = 900.0


class ClockDrift:
    """At the device of the cue and all that share its gateway: the gateway stamps their messages."""

    def __init__(self, world: World, start_ms: int, cue: Cue) -> None:
        self.device = chosen(world, cue, "clock drift", ("smoke_alarm", *FAMILIES))
        self.span = Span.of(start_ms, cue, LASTS_S)
        gateway = self.device.id if self.device.kind == "gateway" else self.device.parent
        self._wrong = [d.id for d in world.behind(gateway)] if gateway else [self.device.id]

    def finished(self, now_ms: int) -> bool:
        return self.span.over(now_ms)

    def step(self, world: World, now_ms: int) -> None:
        since_s = self.span.since_s(now_ms)
        if since_s is None or since_s >= SET_RIGHT_AFTER_S:
            return
        self.span.tell(world, f"the clock of what speaks for {named(self.device)} runs ahead")
        for device_id in self._wrong:
            world.set_clock(device_id, int(since_s * GAINS * 1_000))


def _make(world: World, start_ms: int, cue: Cue) -> Behaviour:
    return ClockDrift(world, start_ms, cue)


BEHAVIOUR = BehaviourKind(
    name="clock_drift",
    summary="a gateway's clock runs twenty minutes ahead, then is set right",
    make=_make,
    lasts_s=LASTS_S,
)
