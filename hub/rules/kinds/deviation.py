"""Kind `deviation`: a reading is not as usual for this device. It finds what is odd, not what is dangerous: advisory, P4 only."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import Field

from hub.documents import Strict
from hub.model.quantities import Quantity
from hub.model.readings import Floats
from hub.rules.condition import BETWEEN, BREACH, CLEAR, UNKNOWN
from hub.rules.kinds.detectors import DETECTORS, Sensitivity, Setting
from hub.rules.kinds.kind import Compiled, Context, Kind, Look, Memory, Signals

_FURTHEST = 1e15
"""Values beyond it are taken as this, so that infinity is odd and not a failure."""
_STILL = 0.5
"""A finding lasts until the figure is below this part of its limit."""


class When(Strict):
    """`method` says against what a reading is held; each device is only ever held against itself.

    A finding begins when the figure reaches the limit of `sensitivity` and ends when it is below half of that.
    """

    method: Literal["ewma", "robust", "seasonal", "cusum", "score"] = Field(
        description="ewma: the recent mean. robust: the median of the last 61 readings. seasonal: this hour of the week. "
        "cusum: slow drift of daily means. score: whether the device has been there before.",
    )
    sensitivity: Sensitivity = Field("medium", description="How soon something is odd: low, medium or high.")
    margin: float = Field(
        0.0,
        ge=0,
        description="Differences smaller than this are never odd, in the quantity's unit. Give it: sensors that measure in "
        "steps have no noise to be held against.",
    )
    warm_up_h: float | None = Field(
        None,
        ge=0,
        le=366 * 24,
        description="Hours of learning before anything is said. Default: 24, cusum 168 (a week), seasonal 336 (two).",
    )
    hold_s: float = Field(0, ge=0, le=7 * 86_400, description="On-delay: it must stay odd so long.")
    clear_hold_s: float = Field(0, ge=0, le=7 * 86_400, description="Off-delay: it must be as usual so long.")


def _compile(when: Any, quantity: Quantity | None, context: Context) -> Compiled:
    assert isinstance(when, When)
    assert quantity is not None
    if quantity.kind != "gauge":
        raise ValueError(
            f"{quantity.name} is a {quantity.kind}: only gauges deviate; use state_change, repeat or counter"
        )
    detector = DETECTORS[when.method]
    setting = Setting(limit=detector.limits[when.sensitivity], margin=when.margin, zone=context.zone)
    warm_up_ms = int((detector.warm_up_h if when.warm_up_h is None else when.warm_up_h) * 3_600_000)

    def judge(look: Look, memory: Memory) -> Signals:
        known = ~np.isnan(look.value)
        if not known.all():
            rows = np.flatnonzero(known)
            result = np.full(len(known), UNKNOWN, np.uint8)
            if len(rows):
                part = memory[rows]
                result[rows] = judge(look.take(rows), part)
                memory[rows] = part
            return result
        with np.errstate(all="ignore"):
            memory["first_ms"] = np.where(memory["first_ms"] == 0, look.at_ms, memory["first_ms"])
            figure, lasting = detector.feed(
                Look(
                    quantity=look.quantity,
                    value=np.clip(look.value, -_FURTHEST, _FURTHEST),
                    at_ms=look.at_ms,
                    observed_ms=look.observed_ms,
                ),
                memory,
                setting,
            )
        memory["figure"] = figure
        result = np.where(lasting | (figure >= _STILL * setting.limit), BETWEEN, CLEAR).astype(np.uint8)
        result[figure >= setting.limit] = BREACH
        result[np.isnan(figure) | (look.at_ms - memory["first_ms"] < warm_up_ms)] = UNKNOWN
        return result

    def figure_of(memory: Memory) -> Floats:
        return np.where(memory["first_ms"] == 0, np.nan, memory["figure"])

    return Compiled(
        driven_by="values",
        hold_ms=int(when.hold_s * 1_000),
        clear_hold_ms=int(when.clear_hold_s * 1_000),
        threshold=setting.limit,
        memory=np.dtype([("first_ms", np.int64), ("figure", np.float64), *detector.fields], align=True),
        judge=judge,
        figure=figure_of,
        figure_unit=detector.unit,
    )


KIND = Kind(name="deviation", When=When, compile=_compile, advisory=True)
