"""What a method of the kind `deviation` gives. To add one: a file with a `DETECTOR`, and a line in DETECTORS."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hub.model.readings import Floats
from hub.rules.kinds.kind import Look, Memory

Bools = NDArray[np.bool_]
Sensitivity = Literal["low", "medium", "high"]

MOST_ODD = 999.0
"""The highest figure: a change where there never was one is not infinitely odd."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How a rule uses a detector: from which figure on a reading is a finding, which differences are too small to count (in the
    quantity's unit), and the zone of the site."""

    limit: float
    margin: float
    zone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """One way to say how odd a reading is, given those of the same device before it. It never looks ahead.

    `feed(look, memory, setting)` takes one finite reading per device into `memory` (fields of its own, all zeros at first) and
    returns (figure, lasting): how odd each was, 0 = as usual, NaN = not to be said yet; and whether what was found before still goes on, whatever the
    figure. It judges before it learns. `limits` gives the figure of each sensitivity, `warm_up_h` the hours of learning that
    it needs. Deterministic, the same for one device or many; memory of at most 4 KiB per device.
    """

    name: str
    unit: str
    fields: tuple[Any, ...]
    feed: Callable[[Look, Memory, Setting], tuple[Floats, Bools]]
    limits: Mapping[Sensitivity, float]
    warm_up_h: float


def scaled(difference: Floats, spread: Floats, setting: Setting) -> Floats:
    """`difference` (not negative) in units of `spread`; below the limit when it is smaller than the margin."""
    scale = np.maximum(spread, setting.margin / setting.limit)
    figure = np.minimum(difference / np.where(scale > 0, scale, 1.0), MOST_ODD)
    return np.where(difference == 0.0, 0.0, np.where(scale > 0, figure, MOST_ODD))


def share(seen: Any, at_least: float) -> Floats:
    """What part a reading has in an average over `seen` readings, itself included: all have the same until there are many."""
    part: Floats = np.maximum(1.0 / seen, at_least)
    return part
