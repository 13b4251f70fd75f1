"""Method `robust`: how far from the median of the last 61 readings, in units of their median deviation: outliers do not move it."""

from __future__ import annotations

import numpy as np

from hub.model.readings import Floats
from hub.rules.kinds.detectors.detector import Bools, Detector, Setting, scaled
from hub.rules.kinds.kind import Look, Memory

READINGS = 61
"""Odd, so that the median is one of them."""
_SIGMA = 1.4826
"""Standard deviations in a median deviation, of a normal distribution."""


def feed(look: Look, memory: Memory, setting: Setting) -> tuple[Floats, Bools]:
    seen = memory["readings"]
    full = np.flatnonzero(seen >= READINGS)
    figure = np.full(len(look.value), np.nan)
    if len(full):
        window = memory["window"][full]
        middle = np.median(window, axis=1)
        deviation = np.median(np.abs(window - middle[:, None]), axis=1)
        figure[full] = scaled(np.abs(look.value[full] - middle), _SIGMA * deviation, setting)
    rows = np.arange(len(seen))
    memory["window"][rows, memory["next"]] = look.value
    memory["next"] = (memory["next"] + 1) % READINGS
    memory["readings"] = np.minimum(seen + 1, READINGS)
    return figure, np.zeros(len(figure), np.bool_)


DETECTOR = Detector(
    name="robust",
    unit="σ",
    fields=(("readings", np.int32), ("next", np.int32), ("window", np.float64, (READINGS,))),
    feed=feed,
    limits={"low": 12.0, "medium": 9.0, "high": 6.0},
    warm_up_h=24.0,
)
