"""Kind `schedule`: a value beyond a limit counts only during certain hours or days: a lane that is blocked at night, power drawn
in a school on holidays."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field

from hub.model.quantities import Quantity
from hub.model.readings import Floats
from hub.rules.condition import CLEAR, UNKNOWN
from hub.rules.kinds.calendar import During, Window
from hub.rules.kinds.kind import Compiled, Context, Kind, Look, Memory, Signals
from hub.rules.kinds.limit import Limit, verdicts

_MEMORY = np.dtype([("value", np.float64), ("known", np.uint8)])


class When(Limit):
    """A limit as of kind threshold, and `during` which hours and days it counts.

    When the hours begin, the last known value stands: a lane that is blocked already is a breach from then on. When they end, the
    condition ends with them, whatever the value.
    """

    during: During = Field(description="The hours and days in which the limit counts.")
    hold_s: float = Field(
        0, ge=0, le=7 * 86_400, description="On-delay: the breach must last so long, within the hours."
    )
    clear_hold_s: float = Field(0, ge=0, le=7 * 86_400, description="Off-delay: the return must last so long.")


def _compile(when: Any, quantity: Quantity | None, context: Context) -> Compiled:
    assert isinstance(when, When)
    assert quantity is not None
    limit, window = verdicts(when, quantity), Window.of(when.during, context)

    def judge(look: Look, memory: Memory) -> Signals:
        known = ~np.isnan(look.value)
        memory["value"][known] = look.value[known]
        memory["known"][known] = 1
        signals = limit.signals(look.value)
        signals[known & ~window.open_at(look.at_ms)] = CLEAR
        return signals

    def passing(memory: Memory, now_ms: int) -> Signals:
        if window.open_now(now_ms):
            return limit.signals(figure(memory))
        return np.where(memory["known"] == 1, CLEAR, UNKNOWN).astype(np.uint8)

    def figure(memory: Memory) -> Floats:
        return np.where(memory["known"] == 1, memory["value"], np.nan)

    return Compiled(
        driven_by="values",
        hold_ms=int(when.hold_s * 1_000),
        clear_hold_ms=int(when.clear_hold_s * 1_000),
        threshold=limit.threshold,
        memory=_MEMORY,
        judge=judge,
        passing=passing,
        figure=figure,
        figure_unit=quantity.unit,
    )


KIND = Kind(name="schedule", When=When, compile=_compile)
