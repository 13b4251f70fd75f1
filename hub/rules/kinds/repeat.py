"""Kind `repeat`: something happens so many times within a time: a door forced three times in ten minutes, a relay that flutters."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field

from hub.model.quantities import Quantity
from hub.model.readings import Floats
from hub.rules.condition import BREACH, CLEAR, UNKNOWN
from hub.rules.kinds.kind import Compiled, Context, Kind, Look, Memory, Signals
from hub.rules.kinds.limit import Limit, verdicts
from hub.rules.kinds.sampling import CLOCK_FIELDS, Clock


class When(Limit):
    """A value goes beyond a limit (as of kind threshold) `times` times `within_s` seconds.

    Counted is each time that it goes there: a reading beyond the limit after one that was not; the first reading of all counts too.
    It ends when the last `times` of them no longer lie within the time, whether readings come or not.
    """

    times: int = Field(ge=2, le=64, description="So many times.")
    within_s: float = Field(gt=0, le=366 * 86_400, description="Within so many seconds, from the first to the last.")


def _compile(when: Any, quantity: Quantity | None, context: Context) -> Compiled:
    assert isinstance(when, When)
    assert quantity is not None
    limit, within_ms, clock = verdicts(when, quantity), int(when.within_s * 1_000), Clock(int(when.within_s * 1_000))
    fields: list[Any] = [
        *CLOCK_FIELDS,
        ("time_ms", np.int64, (when.times,)),  # when it happened, the newest first
        ("beyond", np.uint8),  # whether the value is there now
    ]

    def judge(look: Look, memory: Memory) -> Signals:
        signals = limit.signals(look.value)
        known = signals != UNKNOWN
        placed = clock.place(look.at_ms, look.observed_ms, known, memory)
        happens = (signals == BREACH) & (memory["beyond"] == 0)
        memory["beyond"][signals == BREACH] = 1
        memory["beyond"][signals == CLEAR] = 0
        times = memory["time_ms"]
        when_ms = np.maximum(placed.at_ms, times[:, 0])
        np.copyto(times[:, 1:], times[:, :-1].copy(), where=happens[:, None])
        np.copyto(times[:, 0], when_ms, where=happens)
        return np.where(known, np.where(often(memory, when_ms), BREACH, CLEAR), UNKNOWN).astype(np.uint8)

    def often(memory: Memory, now_ms: Any) -> Any:
        earliest = memory["time_ms"][:, -1]
        return (earliest != 0) & (now_ms - earliest <= within_ms)

    def passing(memory: Memory, now_ms: int) -> Signals:
        ended = (memory["newest_ms"] != 0) & ~often(memory, now_ms)
        return np.where(ended, CLEAR, UNKNOWN).astype(np.uint8)

    def figure(memory: Memory) -> Floats:
        """How many times it happened within the time up to the latest of them."""
        times = memory["time_ms"]
        counted = np.count_nonzero((times != 0) & (times[:, :1] - times <= within_ms), axis=1)
        return np.where(memory["newest_ms"] != 0, counted, np.nan)

    return Compiled(
        driven_by="values",
        threshold=float(when.times),
        memory=np.dtype(fields, align=True),
        judge=judge,
        passing=passing,
        figure=figure,
        figure_unit="times",
    )


KIND = Kind(name="repeat", When=When, compile=_compile)
