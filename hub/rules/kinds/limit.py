"""A limit on a value: what `above`, `at_least`, `below`, `at_most` and `equals` mean, for the kinds that take one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from hub.documents import Strict
from hub.model.quantities import Quantity, coded
from hub.model.readings import Floats
from hub.rules.condition import BETWEEN, BREACH, CLEAR, UNKNOWN
from hub.rules.kinds.kind import Signals

Words = bool | str | list[str]
"""Values of a switch (true, false) or a state (a word or several)."""


class Bound(Strict):
    """Exactly one of above, at_least, below, at_most (gauges) or equals (switch: true/false, state: a word or a list of words)."""

    above: float | None = Field(None, description="Beyond it: more than this.")
    at_least: float | None = Field(None, description="Beyond it: this or more.")
    below: float | None = Field(None, description="Beyond it: less than this.")
    at_most: float | None = Field(None, description="Beyond it: this or less.")
    equals: Words | None = Field(None, description="Of a switch true or false, of a state a word or a list of words.")

    @property
    def given(self) -> list[str]:
        return [k for k in ("above", "at_least", "below", "at_most", "equals") if getattr(self, k) is not None]

    @model_validator(mode="after")
    def _one_limit(self) -> Bound:
        if len(self.given) != 1:
            raise ValueError(
                f"give exactly one of above, at_least, below, at_most, equals (found {' and '.join(self.given) or 'none'})"
            )
        return self


class Limit(Bound):
    """A bound, and perhaps another one that must be crossed to clear (hysteresis)."""

    clear_below: float | None = Field(
        None, description="With above, at_least: clear only below this; in between nothing changes."
    )
    clear_above: float | None = Field(
        None, description="With below, at_most: clear only above this; in between nothing changes."
    )

    @model_validator(mode="after")
    def _cleared_on_the_other_side(self) -> Limit:
        upward = self.above if self.above is not None else self.at_least
        downward = self.below if self.below is not None else self.at_most
        if self.clear_below is not None and (upward is None or self.clear_below > upward):
            raise ValueError("clear_below goes with above/at_least and must not be higher than the limit")
        if self.clear_above is not None and (downward is None or self.clear_above < downward):
            raise ValueError("clear_above goes with below/at_most and must not be lower than the limit")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdicts:
    """A bound for one quantity. `signals` gives UNKNOWN for NaN; `breach` is False for it. `reach`: lowest and highest value
    that can be beyond the bound. `threshold`: the number to show to people."""

    breach: Callable[[Floats], NDArray[np.bool_]]
    signals: Callable[[Floats], Signals]
    threshold: float | None
    reach: tuple[float, float]


def verdicts(bound: Bound, quantity: Quantity) -> Verdicts:
    """`bound` made runnable for `quantity`. Raises ValueError where it makes no sense."""
    if bound.equals is not None:
        targets = np.array(codes_of(quantity, bound.equals))

        def equal(values: Floats) -> NDArray[np.bool_]:
            return values == targets[0] if len(targets) == 1 else np.isin(values, targets)

        return _verdicts(equal, None, None, (float(targets.min()), float(targets.max())))
    if quantity.kind in ("state", "switch"):
        raise ValueError(f"{quantity.name} is a {quantity.kind}: use equals")
    upward = bound.above is not None or bound.at_least is not None
    strict = bound.above is not None or bound.below is not None
    limit = next(v for v in (bound.above, bound.at_least, bound.below, bound.at_most) if v is not None)

    def beyond(values: Floats) -> NDArray[np.bool_]:
        if upward:
            return values > limit if strict else values >= limit
        return values < limit if strict else values <= limit

    clear_limit = (bound.clear_below if upward else bound.clear_above) if isinstance(bound, Limit) else None

    edge = limit if clear_limit is None else clear_limit

    def held(values: Floats) -> NDArray[np.bool_]:
        return values >= edge if upward else values <= edge

    reach = (limit, math.inf) if upward else (-math.inf, limit)
    return _verdicts(beyond, held if clear_limit is not None else None, limit, reach)


def _verdicts(
    breach: Callable[[Floats], NDArray[np.bool_]],
    held: Callable[[Floats], NDArray[np.bool_]] | None,
    threshold: float | None,
    reach: tuple[float, float],
) -> Verdicts:
    def signals(values: Floats) -> Signals:
        result = np.full(values.shape, CLEAR, np.uint8)
        if held is not None:
            result[held(values)] = BETWEEN
        result[breach(values)] = BREACH
        result[np.isnan(values)] = UNKNOWN
        return result

    return Verdicts(breach=breach, signals=signals, threshold=threshold, reach=reach)


def codes_of(quantity: Quantity, words: Words) -> list[float]:
    """The numbers that stand for `words` in a batch. Raises ValueError for what the quantity cannot be."""
    codes = [coded(quantity, word) for word in (words if isinstance(words, list) else [words])]
    if quantity.kind not in ("switch", "state") or not codes or None in codes:
        allowed = (
            "true or false" if quantity.kind == "switch" else ", ".join(quantity.states) or "no words: use a limit"
        )
        raise ValueError(f"{quantity.name} cannot equal {words!r}; it takes {allowed}")
    return [code for code in codes if code is not None]
