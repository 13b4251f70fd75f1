"""Kind `rate_of_change`: a value rises or falls too fast, as most pairs of its recent samples agree (the median slope of Theil and
Sen), so that neither noise nor a few wrong readings make a slope."""

from __future__ import annotations

from typing import Any, Final, Literal

import numpy as np
from pydantic import Field, model_validator

from hub.documents import Strict
from hub.model.quantities import Quantity
from hub.model.readings import Floats
from hub.rules.condition import BETWEEN, BREACH, CLEAR, UNKNOWN
from hub.rules.kinds.kind import Compiled, Context, Kind, Look, Memory, Signals
from hub.rules.kinds.sampling import RECENT_FIELDS, SAMPLES, Bools, Recent, Samples, middle

_MS: Final = {"s": 1_000, "min": 60_000, "h": 3_600_000}
_MEMORY: Final = np.dtype(RECENT_FIELDS, align=True)
_SLACK: Final = 1 - 1e-9
"""A rise by exactly the limit counts, though 21.1 - 20.1 is a little less than 1."""


class When(Strict):
    """Exactly one of rises, falls, changes (either way): a rate in the quantity's unit per `per`, reached or passed.

    The rate is the median slope of the readings of the last `over_s` seconds: it is reached when more than half of all pairs of
    samples change so fast. Until there are `min_samples` samples that span `min_span_s`, nothing is known.
    """

    rises: float | None = Field(None, gt=0, description="So fast upwards, or faster.")
    falls: float | None = Field(None, gt=0, description="So fast downwards, or faster; a positive number.")
    changes: float | None = Field(None, gt=0, description="So fast in either direction, or faster.")
    per: Literal["s", "min", "h"] = Field("min", description="The unit of time of these rates.")
    over_s: float = Field(
        ge=2, le=86_400, description="Readings of so many seconds count; at least four times the device's interval."
    )
    min_samples: int = Field(
        4,
        ge=3,
        le=SAMPLES,
        description="The rate is known from so many samples on; four bear one wrong reading, twelve three.",
    )
    min_span_s: float | None = Field(
        None, gt=0, description="The rate is known when the samples span so many seconds. Default: half of over_s."
    )
    clear_below: float | None = Field(
        None, ge=0, description="Clear only when the rate is below this; in between nothing changes."
    )
    hold_s: float = Field(0, ge=0, le=7 * 86_400, description="On-delay: the rate must stay so long.")
    clear_hold_s: float = Field(0, ge=0, le=7 * 86_400, description="Off-delay: the return must last so long.")

    @model_validator(mode="after")
    def _sensible(self) -> When:
        given = [k for k in ("rises", "falls", "changes") if getattr(self, k) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of rises, falls, changes (found {given or 'none'})")
        if self.min_span_s is not None and self.min_span_s > self.over_s:
            raise ValueError("min_span_s cannot be longer than over_s: samples older than over_s are forgotten")
        if self.clear_below is not None and self.clear_below > self.rate:
            raise ValueError(f"clear_below must not be higher than the rate of {given[0]}")
        return self

    @property
    def rate(self) -> float:
        return next(rate for rate in (self.rises, self.falls, self.changes) if rate is not None)

    @property
    def span_s(self) -> float:
        return self.over_s / 2 if self.min_span_s is None else self.min_span_s


def _compile(when: Any, quantity: Quantity | None, context: Context) -> Compiled:
    assert isinstance(when, When)
    assert quantity is not None
    if quantity.kind in ("switch", "state"):
        raise ValueError(f"{quantity.name} is a {quantity.kind} and has no slope: use kind repeat or state_change")
    recent = Recent(int(when.over_s * 1_000), when.min_samples, int(when.span_s * 1_000))
    per_ms = _MS[when.per]
    ways = ((1, when.rises), (-1, when.falls), (1, when.changes), (-1, when.changes))
    signs = [sign for sign, rate in ways if rate is not None]

    def reaches(samples: Samples, rate: float) -> Bools:
        """Where more than half of all pairs of samples change at least so fast."""
        found = np.zeros(len(samples.says), bool)
        with np.errstate(all="ignore"):
            allowed = samples.age * (rate * _SLACK)
            for sign in signs:  # later - earlier >= rate * time between them, each side with its own sample
                found |= 2 * samples.votes(samples.value * (sign * per_ms) + allowed) > samples.pairs
        return found

    def judge(look: Look, memory: Memory) -> Signals:
        samples = recent.add(look, memory)
        result = np.full(len(memory), CLEAR, np.uint8)
        if when.clear_below is not None:
            result[reaches(samples, when.clear_below)] = BETWEEN
        result[reaches(samples, when.rate)] = BREACH
        result[~samples.says] = UNKNOWN
        return result

    def figure(memory: Memory) -> Floats:
        """The median slope per `per`; of two middle ones the one nearer to zero."""
        pairs = recent.pairs(memory)
        with np.errstate(all="ignore"):
            slopes = (pairs.late - pairs.early) * per_ms / (pairs.early_age - pairs.late_age)
        lower, upper = middle(slopes)
        return np.where(np.abs(upper) < np.abs(lower), upper, lower)

    unit = f"{quantity.unit}/{when.per}"
    return Compiled(
        driven_by="values",
        hold_ms=int(when.hold_s * 1_000),
        clear_hold_ms=int(when.clear_hold_s * 1_000),
        threshold=-when.rate if when.falls is not None else when.rate,
        memory=_MEMORY,
        slowest_ms=recent.slowest_ms,
        judge=judge,
        figure=figure,
        figure_unit=unit,
    )


KIND = Kind(name="rate_of_change", When=When, compile=_compile)
