"""What can happen in a simulated place. To add something: one file with a BEHAVIOUR, one line in the table."""

from __future__ import annotations

from typing import Final

from devices.simulators.behaviours import (
    battery_decay,
    blocked_lane,
    calm_day,
    clock_drift,
    cooking_false_alarm,
    forced_gate,
    garbage,
    gateway_outage,
    held_door,
    kitchen_fire,
    power_cut,
    rough_delivery,
    smouldering_sofa,
    stuck_sensor,
    thermal_runaway,
)
from devices.simulators.behaviours.behaviour import BehaviourKind, Cue, NoSuchDevice

BEHAVIOURS: Final[dict[str, BehaviourKind]] = {
    kind.name: kind
    for kind in (
        calm_day.BEHAVIOUR,
        kitchen_fire.BEHAVIOUR,
        smouldering_sofa.BEHAVIOUR,
        cooking_false_alarm.BEHAVIOUR,
        thermal_runaway.BEHAVIOUR,
        forced_gate.BEHAVIOUR,
        held_door.BEHAVIOUR,
        blocked_lane.BEHAVIOUR,
        gateway_outage.BEHAVIOUR,
        power_cut.BEHAVIOUR,
        battery_decay.BEHAVIOUR,
        stuck_sensor.BEHAVIOUR,
        clock_drift.BEHAVIOUR,
        rough_delivery.BEHAVIOUR,
        garbage.BEHAVIOUR,
    )
}

__all__ = ["BEHAVIOURS", "BehaviourKind", "Cue", "NoSuchDevice"]
