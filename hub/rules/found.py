"""What a batch or tick means to the rules: events, and the state to remember once they are recorded."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hub.model.readings import Ints
from hub.model.rules import ConditionEvent
from hub.rules.gathering import Gathering, Group
from hub.rules.table import Cells, RuleTable, Slots

Marked = list[tuple[int, int, ConditionEvent]]
"""(row, turn of the rule, event)"""


@dataclass(slots=True)
class Found:
    """What a batch or tick means: events in order, and the state to remember once they are recorded."""

    events: list[ConditionEvent] = field(default_factory=list)
    changes: list[tuple[RuleTable, Cells]] = field(default_factory=list)
    gathered: list[tuple[Gathering, dict[int, Group]]] = field(default_factory=list)
    heard: tuple[Slots, Ints] | None = None
    excused: list[NDArray[np.int64]] = field(default_factory=list)  # slots whose silence has a known cause
    tick_ms: int | None = None
    gap_ms: int = 0
    leap_ms: int = 0  # by how much time leapt before `tick_ms`
    unheard_ms: int = 0  # how much of the time before `tick_ms` is no silence of the devices
    deaf: bool | None = None  # whether the hub hears its broker, if that changed
