"""Kind `forecast`: a value is on its way to a limit and will be there soon, if it goes on as most of its recent samples say."""

from __future__ import annotations

from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from hub.documents import Strict
from hub.model.quantities import Quantity
from hub.model.readings import Floats
from hub.rules.condition import BETWEEN, BREACH, CLEAR, UNKNOWN
from hub.rules.kinds.kind import Compiled, Context, Kind, Look, Memory, Signals
from hub.rules.kinds.sampling import RECENT_FIELDS, SAMPLES, Recent, Samples, middle

_MEMORY: Final = np.dtype(RECENT_FIELDS, align=True)
_SLACK: Final = 1 + 1e-9
"""To be there in exactly the time counts, whatever binary fractions say."""


class When(Strict):
    """The value `reaches` a limit, going `direction`, `within_s` seconds from now.

    A line through each pair of samples of the last `over_s` seconds says where the value will be. A breach when three of four
    lines are at the limit or beyond it by then; clear when no more than half are, and the value itself is not there yet.
    """

    reaches: float = Field(description="The limit, in the quantity's unit.")
    direction: Literal["up", "down"] = Field("up", description="Whether the value reaches it rising or falling.")
    within_s: float = Field(gt=0, le=7 * 86_400, description="So soon, or sooner.")
    over_s: float = Field(
        ge=2, le=86_400, description="Readings of so many seconds count; at least four times the device's interval."
    )
    min_samples: int = Field(5, ge=4, le=SAMPLES, description="So many samples are needed to look ahead.")
    min_span_s: float | None = Field(
        None, gt=0, description="The samples must span so many seconds. Default: half of over_s."
    )
    clear_within_s: float | None = Field(
        None, gt=0, description="Clear only when the limit is further away than this; default: within_s."
    )
    hold_s: float = Field(0, ge=0, le=7 * 86_400, description="On-delay: it must stay so long on its way.")
    clear_hold_s: float = Field(0, ge=0, le=7 * 86_400, description="Off-delay: the return must last so long.")

    @model_validator(mode="after")
    def _sensible(self) -> When:
        if self.min_span_s is not None and self.min_span_s > self.over_s:
            raise ValueError("min_span_s cannot be longer than over_s: samples older than over_s are forgotten")
        if self.clear_within_s is not None and self.clear_within_s < self.within_s:
            raise ValueError("clear_within_s must not be shorter than within_s")
        return self

    @property
    def span_s(self) -> float:
        return self.over_s / 2 if self.min_span_s is None else self.min_span_s


def _compile(when: Any, quantity: Quantity | None, context: Context) -> Compiled:
    assert isinstance(when, When)
    assert quantity is not None
    if quantity.kind in ("switch", "state"):
        raise ValueError(
            f"{quantity.name} is a {quantity.kind} and goes nowhere by and by: use kind repeat or threshold"
        )
    if not quantity.low <= when.reaches <= quantity.high:
        raise ValueError(
            f"{quantity.name} cannot reach {when.reaches:g}: it lies between {quantity.low:g} and {quantity.high:g}"
        )
    recent = Recent(int(when.over_s * 1_000), when.min_samples, int(when.span_s * 1_000))
    sign = 1 if when.direction == "up" else -1
    soon_ms = when.within_s * 1_000 * _SLACK
    clear_ms = soon_ms if when.clear_within_s is None else when.clear_within_s * 1_000 * _SLACK

    def arrivals(samples: Samples, ahead_ms: float) -> NDArray[np.int16]:
        """Through how many pairs of samples the line is at the limit or beyond it in `ahead_ms`.

        It is, where the later sample is as near to the limit, per time left from it, as the earlier one, or nearer.
        """
        with np.errstate(all="ignore"):
            return samples.votes((samples.value - when.reaches) * sign / (samples.age + ahead_ms))

    def judge(look: Look, memory: Memory) -> Signals:
        samples = recent.add(look, memory)
        soon = arrivals(samples, soon_ms)
        near = soon if clear_ms == soon_ms else arrivals(samples, clear_ms)
        result = np.full(len(memory), CLEAR, np.uint8)
        with np.errstate(all="ignore"):
            result[(2 * near > samples.pairs) | ((look.value - when.reaches) * sign >= 0)] = BETWEEN
        result[4 * soon >= 3 * samples.pairs] = BREACH
        result[~samples.says] = UNKNOWN
        return result

    def figure(memory: Memory) -> Floats:
        """In how many seconds the limit is reached by the median line (0: it is there); NaN when it is not in sight."""
        pairs = recent.pairs(memory)
        with np.errstate(all="ignore"):
            slope = (pairs.late - pairs.early) * sign / (pairs.early_age - pairs.late_age)
            left = (when.reaches - pairs.late) * sign / slope - pairs.late_age
            left = np.where(np.isnan(slope), np.nan, np.where(slope > 0, np.maximum(left, 0), np.inf))
        upper = middle(left)[1]
        return np.where(np.isinf(upper), np.nan, upper) / 1_000

    return Compiled(
        driven_by="values",
        hold_ms=int(when.hold_s * 1_000),
        clear_hold_ms=int(when.clear_hold_s * 1_000),
        threshold=when.reaches,
        memory=_MEMORY,
        slowest_ms=recent.slowest_ms,
        judge=judge,
        figure=figure,
        figure_unit="s",
    )


KIND = Kind(name="forecast", When=When, compile=_compile)
