"""A hot wok: a puff of fumes sets one smoke alarm off for less than a minute; a window is opened. No heat, no second detector."""

from __future__ import annotations

import math

from devices.simulators.behaviours.behaviour import BehaviourKind, Cue, Span, chosen, named
from devices.simulators.world import Behaviour, World

ALARM_DB_M = 0.15
PEAK_DB_M = 0.24
PEAK_AFTER_S = 40.0
WIDTH_S = 22.0
LASTS_S = 240.0


class CookingFalseAlarm:
    """A bell of fumes around `PEAK_AFTER_S`. Values depend on the time alone."""

    def __init__(self, world: World, start_ms: int, cue: Cue) -> None:
        self.origin = chosen(
            world, cue, "a cooking false alarm", ("smoke_alarm",), lambda d: "厨房" in d.name.zh or "客厅" in d.name.zh
        )
        self.span = Span.of(start_ms, cue, LASTS_S)

    def finished(self, now_ms: int) -> bool:
        return self.span.over(now_ms)

    def step(self, world: World, now_ms: int) -> None:
        since_s = self.span.since_s(now_ms)
        if since_s is None:
            return
        self.span.tell(world, f"somebody fries with much oil under {named(self.origin)}; nothing burns")
        fumes = PEAK_DB_M * math.exp(-(((since_s - PEAK_AFTER_S) / WIDTH_S) ** 2))
        world.set(self.origin.id, "smoke_density_db_m", world.get(self.origin.id, "smoke_density_db_m") + fumes)
        world.set(self.origin.id, "temperature_c", world.get(self.origin.id, "temperature_c") + 12.0 * fumes)
        world.set(self.origin.id, "smoke", float(fumes >= ALARM_DB_M))
        world.attend(self.origin.id)


def _make(world: World, start_ms: int, cue: Cue) -> Behaviour:
    return CookingFalseAlarm(world, start_ms, cue)


BEHAVIOUR = BehaviourKind(
    name="cooking_false_alarm",
    summary="one smoke alarm for half a minute, without heat and without a second one",
    make=_make,
    lasts_s=LASTS_S,
    needs=("smoke_alarm",),
)
