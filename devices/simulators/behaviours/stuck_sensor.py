"""A sensor that goes on reporting the same value for eight hours: it speaks, and knows nothing."""

from __future__ import annotations

from devices.simulators.behaviours.behaviour import BehaviourKind, Cue, Span, chosen, named
from devices.simulators.world import Behaviour, World

LASTS_S = 8 * 3_600.0


class StuckSensor:
    """Each measurement stands still at what it was in the first step of the span; states go on."""

    def __init__(self, world: World, start_ms: int, cue: Cue) -> None:
        self.device = chosen(world, cue, "a stuck sensor", ("water_pressure", "smoke_alarm", "heat_detector", "env"))
        self.span = Span.of(start_ms, cue, LASTS_S)
        family = world.groups[self.device.kind].family
        self._measured = [s.quantity for s in family.signals if not s.slow and not s.quantity.startswith("battery")]
        self._held: dict[str, float] = {}

    def finished(self, now_ms: int) -> bool:
        return self.span.over(now_ms)

    def step(self, world: World, now_ms: int) -> None:
        if self.span.since_s(now_ms) is None:
            return
        self.span.tell(world, f"{named(self.device)} is stuck")
        for quantity in self._measured:
            world.set(self.device.id, quantity, self._held.setdefault(quantity, world.get(self.device.id, quantity)))


def _make(world: World, start_ms: int, cue: Cue) -> Behaviour:
    return StuckSensor(world, start_ms, cue)


BEHAVIOUR = BehaviourKind(
    name="stuck_sensor",
    summary="a sensor repeats the same measurements for eight hours",
    make=_make,
    lasts_s=LASTS_S,
    needs=("water_pressure",),
)
