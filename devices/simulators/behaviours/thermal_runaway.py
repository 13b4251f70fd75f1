"""A cell in a charging cabinet heats itself until it vents: slow for minutes, then faster than anybody can walk."""

from __future__ import annotations

import math

from devices.simulators.behaviours.behaviour import BehaviourKind, Cue, Span, chosen, named
from devices.simulators.world import Behaviour, World

# Self-heating doubles with every 10 °C, as calorimeters show for lithium cells: T(t) = T0 − (10 / ln 2) · ln(1 − t / t_vent).
_DOUBLES_IN_C = 10.0 / math.log(2.0)
VENTS_AFTER_S = 600.0
HOTTEST_C = 260.0
COOLS_IN_S = 120.0
LASTS_S = 2_400.0


class ThermalRunaway:
    """Venting at `VENTS_AFTER_S`: smoke, and the cabinet's own temperature follows. Values depend on the time alone."""

    def __init__(self, world: World, start_ms: int, cue: Cue) -> None:
        self.cabinet = chosen(world, cue, "a thermal runaway", ("charging_cabinet",))
        self.span = Span.of(start_ms, cue, LASTS_S)

    def finished(self, now_ms: int) -> bool:
        return self.span.over(now_ms)

    def step(self, world: World, now_ms: int) -> None:
        since_s = self.span.since_s(now_ms)
        if since_s is None:
            return
        cabinet = self.cabinet.id
        self.span.tell(world, f"a battery heats itself in {named(self.cabinet)}")
        world.set(cabinet, "cell_temperature_c", world.get(cabinet, "cell_temperature_c") + cell_rise_c(since_s))
        vented_s = since_s - VENTS_AFTER_S
        if vented_s >= 0:
            self.span.tell(world, f"the battery in {named(self.cabinet)} vents")
            heat = (1.0 - math.exp(-vented_s / 20.0)) * math.exp(-vented_s / (2 * COOLS_IN_S))
            world.set(cabinet, "temperature_c", world.get(cabinet, "temperature_c") + 110.0 * heat)
            world.set(cabinet, "smoke", float(vented_s < 900.0))
            for quantity in ("power_w", "current_a"):  # its own protection cuts it
                world.set(cabinet, quantity, 0.0)
        if cell_rise_c(since_s) > 5.0:
            world.attend(cabinet)


def cell_rise_c(since_s: float) -> float:
    """How much hotter than usual the cell is `since_s` after its heating began, °C."""
    if since_s < VENTS_AFTER_S:
        return min(HOTTEST_C, -_DOUBLES_IN_C * math.log(1.0 - since_s / VENTS_AFTER_S))
    return HOTTEST_C * math.exp(-(since_s - VENTS_AFTER_S) / COOLS_IN_S)


def _make(world: World, start_ms: int, cue: Cue) -> Behaviour:
    return ThermalRunaway(world, start_ms, cue)


BEHAVIOUR = BehaviourKind(
    name="thermal_runaway",
    summary="a cell of a charging cabinet heats itself for ten minutes, vents, smokes, and cools",
    make=_make,
    lasts_s=LASTS_S,
    needs=("charging_cabinet",),
)
