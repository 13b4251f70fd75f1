"""A pan catches fire under one smoke alarm: smoke and heat rise, neighbours follow, people leave, it is put out, it clears.

With the second alarm the fire control panel opens the gates of the compound; they close when all is over.
"""

from __future__ import annotations

import math

from devices.simulators.behaviours.behaviour import BehaviourKind, Cue, NoSuchDevice
from devices.simulators.world import Behaviour, World
from hub.model.places import Device
from hub.model.quantities import QUANTITIES

ALARM_DB_M = 0.15  # EN 14604: smoke alarms respond between 0.05 and 0.20 dB/m
CLEAR_DB_M = 0.05
FIRST_ALARM_AFTER_S = 4.0
PUT_OUT_AFTER_S = 300.0
SMOKE_LEAVES_IN_S = 45.0
ENDS_AFTER_S = 900.0
NEIGHBOUR_DELAYS_S = (45.0, 80.0, 140.0)
DOORS_FROM_S = 30.0
GATES_AFTER_S = NEIGHBOUR_DELAYS_S[0] + FIRST_ALARM_AFTER_S + 3.0
GATE_OPENS_IN_S = 3.0
GATE_OPENING, GATE_OPEN = (float(QUANTITIES["gate_state"].states.index(word)) for word in ("opening", "open"))


class KitchenFire:
    """Fire at `origin` from `ignited_ms` on. Values depend on the time alone, so any step width gives the same fire."""

    def __init__(self, world: World, start_ms: int, cue: Cue) -> None:
        self.origin = _origin(world, cue)
        self.ignited_ms = start_ms + int(cue.at_s * 1_000)
        near = world.neighbours(self.origin, "smoke_alarm")
        self._smoke = [(self.origin, 0.0), *zip(near, NEIGHBOUR_DELAYS_S, strict=False)]
        self._heat = world.neighbours(self.origin, "heat_detector")[:1]
        self._co = world.neighbours(self.origin, "co_alarm")[:2]
        self._doors = world.neighbours(self.origin, "door")[:6]
        self._gates = world.together(self.origin, "gate", "compound") if near else []
        self._alarmed: set[str] = set()
        self._told: set[str] = set()

    def finished(self, now_ms: int) -> bool:
        return now_ms >= self.ignited_ms + ENDS_AFTER_S * 1_000

    def step(self, world: World, now_ms: int) -> None:
        burning_s = (now_ms - self.ignited_ms) / 1_000
        if burning_s < 0 or self.finished(now_ms):
            return
        self._tell(world, burning_s)
        for device, delay_s in self._smoke:
            self._smoulder(world, device, burning_s - delay_s, burning_s)
        for device in self._heat:
            heat = world.get(device.id, "temperature_c") + 18.0 * _grown(burning_s - 60.0, burning_s)
            world.set(device.id, "temperature_c", heat)
        for device in self._co:
            ppm = world.get(device.id, "co_ppm") + 22.0 * _grown(burning_s - 40.0, burning_s)
            world.set(device.id, "co_ppm", ppm)
            world.attend(device.id)
        for n, device in enumerate(self._doors):
            # Everybody leaves: each door of the staircase stands open for some seconds again and again.
            since_s = burning_s - DOORS_FROM_S - 7.0 * n
            if 0 <= since_s < 180 and since_s % 25.0 < 12.0:
                world.set(device.id, "door_open", 1.0)

        for device in self._gates:
            if burning_s >= GATES_AFTER_S:
                moving = burning_s - GATES_AFTER_S < GATE_OPENS_IN_S
                world.set(device.id, "gate_state", GATE_OPENING if moving else GATE_OPEN)
                world.set(device.id, "door_open", float(not moving))

    def _smoulder(self, world: World, device: Device, since_s: float, burning_s: float) -> None:
        grown = _grown(since_s, burning_s)
        if grown <= 0:
            return
        density = world.get(device.id, "smoke_density_db_m") + 2.5 * grown
        world.set(device.id, "smoke_density_db_m", density)
        world.set(device.id, "temperature_c", world.get(device.id, "temperature_c") + 48.0 * grown)
        world.attend(device.id)
        if density >= ALARM_DB_M:
            self._alarmed.add(device.id)
        elif density < CLEAR_DB_M:
            self._alarmed.discard(device.id)
        world.set(device.id, "smoke", float(device.id in self._alarmed))

    def _tell(self, world: World, burning_s: float) -> None:
        name = f"{self.origin.name.zh} / {self.origin.name.en} ({self.origin.id})"
        for key, after_s, text in (
            ("start", 0.0, f"kitchen fire under {name}"),
            ("out", PUT_OUT_AFTER_S, f"the fire under {name} is put out; the smoke is leaving"),
        ):
            if burning_s >= after_s and key not in self._told:
                self._told.add(key)
                world.say(text)


def _grown(since_s: float, burning_s: float) -> float:
    """How much smoke there is, 0…1: grows from `since_s` 0 on, and leaves after the fire is put out."""
    if since_s <= 0:
        return 0.0
    out_s = burning_s - PUT_OUT_AFTER_S
    rising_s = since_s - max(out_s, 0.0)
    # The alarm's threshold is passed FIRST_ALARM_AFTER_S after the smoke arrives.
    level = 1.0 - math.exp(-max(rising_s, 0.0) / (FIRST_ALARM_AFTER_S / 0.062))
    return level if out_s <= 0 else level * math.exp(-out_s / SMOKE_LEAVES_IN_S)


def _origin(world: World, cue: Cue) -> Device:
    group = world.groups.get("smoke_alarm")
    if cue.device:
        if cue.device not in world.where:
            raise NoSuchDevice(f"there is no simulated device {cue.device!r}; see the ids in devices.csv")
        device = world.device(cue.device)
        if device.kind != "smoke_alarm":
            raise NoSuchDevice(f"a kitchen fire starts under a smoke_alarm, but {cue.device!r} is a {device.kind}")
        return device
    if group is None or not len(group):
        raise NoSuchDevice("a kitchen fire needs a smoke_alarm, and this place has none")
    # In a kitchen if there is one, where most neighbours can be seen to follow, then by id: the same place gives the same fire.
    homes: dict[str, int] = {}
    for device in group.devices:
        homes[world.building(device)] = homes.get(world.building(device), 0) + 1

    def order(device: Device) -> tuple[bool, int, str]:
        kitchen = "厨房" in device.name.zh or "kitchen" in device.name.en.lower()
        return not kitchen, -min(homes[world.building(device)], 4), device.id

    return min(group.devices, key=order)


def _make(world: World, start_ms: int, cue: Cue) -> Behaviour:
    return KitchenFire(world, start_ms, cue)


BEHAVIOUR = BehaviourKind(
    name="kitchen_fire",
    summary="one smoke alarm, then its neighbours; put out after five minutes, clear after fifteen",
    make=_make,
    lasts_s=ENDS_AFTER_S,
    needs=("smoke_alarm",),
)
