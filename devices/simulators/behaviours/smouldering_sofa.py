"""A cigarette in a sofa: carbon monoxide first, thin smoke for many minutes, and an alarm only when the room is full of it."""

from __future__ import annotations

from devices.simulators.behaviours.behaviour import BehaviourKind, Cue, Span, chosen, named
from devices.simulators.world import Behaviour, World
from hub.model.places import Device

ALARM_DB_M = 0.15  # EN 14604: smoke alarms respond between 0.05 and 0.20 dB/m
ALARM_AFTER_S = 1_200.0
CO_ALARM_PPM = 300.0  # EN 50291: within three minutes
PUT_OUT_AFTER_S = 1_800.0
LASTS_S = 2_700.0


class SmoulderingSofa:
    """Smoke grows with the square of the time: glowing foam eats outwards. Values depend on the time alone."""

    def __init__(self, world: World, start_ms: int, cue: Cue) -> None:
        self.origin = chosen(world, cue, "a smouldering sofa", ("smoke_alarm",), _living_room)
        self.span = Span.of(start_ms, cue, LASTS_S)
        self._co = world.neighbours(self.origin, "co_alarm")[:1]

    def finished(self, now_ms: int) -> bool:
        return self.span.over(now_ms)

    def step(self, world: World, now_ms: int) -> None:
        since_s = self.span.since_s(now_ms)
        if since_s is None:
            return
        self.span.tell(world, f"a sofa smoulders under {named(self.origin)}")
        grown = (min(since_s, PUT_OUT_AFTER_S) / ALARM_AFTER_S) ** 2
        if since_s >= PUT_OUT_AFTER_S:
            self.span.tell(world, f"the sofa under {named(self.origin)} is out; the smoke is leaving")
            grown *= max(0.0, 1.0 - (since_s - PUT_OUT_AFTER_S) / (LASTS_S - PUT_OUT_AFTER_S - 120.0))
        smoke = world.get(self.origin.id, "smoke_density_db_m") + ALARM_DB_M * grown
        world.set(self.origin.id, "smoke_density_db_m", smoke)
        world.set(self.origin.id, "smoke", float(grown >= 1.0))
        if grown >= 0.3:
            world.attend(self.origin.id)
        for device in self._co:
            ppm = world.get(device.id, "co_ppm") + 0.6 * CO_ALARM_PPM * grown
            world.set(device.id, "co_ppm", ppm)
            world.set(device.id, "co_alarm", float(ppm >= CO_ALARM_PPM))
            world.attend(device.id)


def _living_room(device: Device) -> bool:
    return "客厅" in device.name.zh or "living" in device.name.en.lower()


def _make(world: World, start_ms: int, cue: Cue) -> Behaviour:
    return SmoulderingSofa(world, start_ms, cue)


BEHAVIOUR = BehaviourKind(
    name="smouldering_sofa",
    summary="thin smoke and carbon monoxide for twenty minutes before one alarm; no second detector",
    make=_make,
    lasts_s=LASTS_S,
    needs=("smoke_alarm",),
)
