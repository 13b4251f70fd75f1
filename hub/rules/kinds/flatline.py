"""Kind `flatline`: readings keep coming and say the same for too long: a sensor that is stuck."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from pydantic import Field

from hub.documents import Strict
from hub.model.quantities import Quantity
from hub.model.readings import Floats
from hub.rules.condition import BREACH, CLEAR, UNKNOWN
from hub.rules.kinds.kind import Compiled, Context, Kind, Look, Memory, Signals

_MEMORY: Final = np.dtype(
    [
        ("since_ms", np.int64),  # time of receipt of the first reading of those that say the same
        ("last_ms", np.int64),
        ("low", np.float64),  # lowest and highest of them
        ("high", np.float64),
        ("count", np.uint16),
        ("moved", np.uint8),  # whether it began with a change, not with a gap
    ],
    align=True,
)


class When(Strict):
    """Readings of `for_s` seconds, at least `min_samples` of them, lie within `tolerance` of each other.

    Readings must keep coming: a silence of half of `for_s` begins the watch anew, since nobody knows what the value did meanwhile.
    The first reading that differs by more ends it.
    """

    for_s: float = Field(ge=1, le=30 * 86_400, description="Unchanged for so many seconds.")
    tolerance: float = Field(
        0, ge=0, description="In the quantity's unit: readings no further apart than this are unchanged."
    )
    min_samples: int = Field(5, ge=3, le=1_000, description="So many readings must have said the same.")
    idle_at: list[float] = Field(
        [], max_length=8, description="Values that may stand still, within the tolerance: e.g. 0 W of an empty bay."
    )
    clear_hold_s: float = Field(0, ge=0, le=7 * 86_400, description="Off-delay: the return must last so long.")


def _compile(when: Any, quantity: Quantity | None, context: Context) -> Compiled:
    assert isinstance(when, When)
    assert quantity is not None
    if quantity.kind in ("switch", "state") and (when.tolerance or when.idle_at):
        raise ValueError(f"{quantity.name} is a {quantity.kind}: leave tolerance and idle_at out")
    for_ms, gap_ms = int(when.for_s * 1_000), int(when.for_s * 500)
    tolerance = when.tolerance * (1 + 1e-9)  # 20.1 and 20 are 0.1 apart, whatever binary fractions say

    def judge(look: Look, memory: Memory) -> Signals:
        value, at = look.value, look.at_ms
        known = np.isfinite(value)
        begun = memory["count"] > 0
        idle = np.zeros(len(value), bool)
        with np.errstate(all="ignore"):
            low, high = np.fmin(memory["low"], value), np.fmax(memory["high"], value)
            moves = begun & (high - low > tolerance)
            for still in when.idle_at:
                idle |= np.abs(value - still) <= tolerance
        gap = at - memory["last_ms"] >= gap_ms
        anew = ~begun | moves | gap | idle
        changes = {
            "since_ms": np.where(anew, at, memory["since_ms"]),
            "last_ms": at,
            "low": np.where(anew, value, low),
            "high": np.where(anew, value, high),
            "count": np.where(anew, 1, np.minimum(memory["count"] + 1, 1_000)),
            "moved": np.where(anew, moves | idle, memory["moved"]),
        }
        for name, new in changes.items():
            np.copyto(memory[name], new, where=known, casting="unsafe")
        stuck = (at - memory["since_ms"] >= for_ms) & (memory["count"] >= when.min_samples)
        result = np.where(stuck, BREACH, np.where(memory["moved"] == 1, CLEAR, UNKNOWN)).astype(np.uint8)
        result[~known] = UNKNOWN
        return result

    def figure(memory: Memory) -> Floats:
        """For how many seconds readings have said the same."""
        return np.where(memory["count"] > 0, (memory["last_ms"] - memory["since_ms"]) / 1_000, np.nan)

    return Compiled(
        driven_by="values",
        clear_hold_ms=int(when.clear_hold_s * 1_000),
        threshold=when.for_s,
        memory=_MEMORY,
        judge=judge,
        figure=figure,
        figure_unit="s",
        slowest_ms=gap_ms - 1,
    )


KIND = Kind(name="flatline", When=When, compile=_compile)
