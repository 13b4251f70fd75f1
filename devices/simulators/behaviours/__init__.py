"""What can happen in a simulated place. To add something: one file with a BEHAVIOUR, one line in the table."""

from __future__ import annotations

from typing import Final

from devices.simulators.behaviours import calm_day, kitchen_fire
from devices.simulators.behaviours.behaviour import BehaviourKind, Cue, NoSuchDevice

BEHAVIOURS: Final[dict[str, BehaviourKind]] = {kind.name: kind for kind in (calm_day.BEHAVIOUR, kitchen_fire.BEHAVIOUR)}

__all__ = ["BEHAVIOURS", "BehaviourKind", "Cue", "NoSuchDevice"]
