"""Kind `threshold`: a value beyond a limit (gauge), or at a stated value (switch, state), with delays and hysteresis."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from hub.documents import Strict
from hub.model.quantities import Quantity, coded
from hub.model.readings import Floats
from hub.rules.condition import BETWEEN, BREACH, CLEAR, UNKNOWN
from hub.rules.kinds.kind import Compiled, Context, Kind, Signals


class When(Strict):
    """Exactly one of above, at_least, below, at_most (gauges) or equals (switch: true/false, state: a word or a list of words)."""

    above: float | None = None
    at_least: float | None = None
    below: float | None = None
    at_most: float | None = None
    equals: bool | str | list[str] | None = None
    clear_below: float | None = None
    clear_above: float | None = None
    hold_s: float = Field(0, ge=0, le=7 * 86_400)
    clear_hold_s: float = Field(0, ge=0, le=7 * 86_400)
    samples: int = Field(1, ge=1, le=255)

    @model_validator(mode="after")
    def _one_limit(self) -> When:
        given = [k for k in ("above", "at_least", "below", "at_most", "equals") if getattr(self, k) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of above, at_least, below, at_most, equals (found {given or 'none'})")
        upward = self.above if self.above is not None else self.at_least
        downward = self.below if self.below is not None else self.at_most
        if self.clear_below is not None and (upward is None or self.clear_below > upward):
            raise ValueError("clear_below goes with above/at_least and must not be higher than the limit")
        if self.clear_above is not None and (downward is None or self.clear_above < downward):
            raise ValueError("clear_above goes with below/at_most and must not be lower than the limit")
        return self


def _compile(when: Any, quantity: Quantity | None, context: Context) -> Compiled:
    assert isinstance(when, When)
    assert quantity is not None
    if when.equals is not None:
        return _equals(when, quantity)
    if quantity.kind == "state" or quantity.kind == "switch":
        raise ValueError(f"{quantity.name} is a {quantity.kind}: use equals")
    upward = when.above is not None or when.at_least is not None
    limit = next(v for v in (when.above, when.at_least, when.below, when.at_most) if v is not None)
    strict = when.above is not None or when.below is not None
    clear_limit = when.clear_below if upward else when.clear_above

    def breach(values: Floats) -> NDArray[np.bool_]:
        if upward:
            return values > limit if strict else values >= limit
        return values < limit if strict else values <= limit

    def signals(values: Floats) -> Signals:
        result = np.full(values.shape, CLEAR, np.uint8)
        if clear_limit is not None:
            result[values >= clear_limit if upward else values <= clear_limit] = BETWEEN
        result[breach(values)] = BREACH
        result[np.isnan(values)] = UNKNOWN
        return result

    reach = (limit, np.inf) if upward else (-np.inf, limit)
    return _with_delays(when, signals, breach, limit, reach)


def _equals(when: When, quantity: Quantity) -> Compiled:
    wanted = when.equals if isinstance(when.equals, list) else [when.equals]
    codes = [coded(quantity, value) for value in wanted]
    if quantity.kind not in ("switch", "state") or None in codes:
        allowed = (
            "true or false" if quantity.kind == "switch" else ", ".join(quantity.states) or "no words: use a limit"
        )
        raise ValueError(f"{quantity.name} cannot equal {when.equals!r}; it takes {allowed}")
    targets = np.array(codes, np.float64)

    def breach(values: Floats) -> NDArray[np.bool_]:
        return values == targets[0] if len(targets) == 1 else np.isin(values, targets)

    def signals(values: Floats) -> Signals:
        result = np.full(values.shape, CLEAR, np.uint8)
        result[breach(values)] = BREACH
        result[np.isnan(values)] = UNKNOWN
        return result

    return _with_delays(when, signals, breach, None, (float(targets.min()), float(targets.max())))


def _with_delays(when: When, signals: Any, breach: Any, limit: float | None, reach: tuple[float, float]) -> Compiled:
    return Compiled(
        driven_by="values",
        signals=signals,
        breach=breach,
        reach=reach,
        hold_ms=int(when.hold_s * 1_000),
        clear_hold_ms=int(when.clear_hold_s * 1_000),
        samples=when.samples,
        threshold=limit,
    )


KIND = Kind(name="threshold", When=When, compile=_compile)
