"""Method `ewma`: how many standard deviations from the recent mean, both weighted exponentially over some 500 readings."""

from __future__ import annotations

import numpy as np

from hub.model.readings import Floats
from hub.rules.kinds.detectors.detector import Bools, Detector, Setting, scaled, share
from hub.rules.kinds.kind import Look, Memory

READINGS = 500


def feed(look: Look, memory: Memory, setting: Setting) -> tuple[Floats, Bools]:
    seen = memory["readings"] + 1
    difference = look.value - memory["mean"]
    figure = np.where(seen > 1, scaled(np.abs(difference), np.sqrt(memory["variance"]), setting), np.nan)
    part = share(seen, 1.0 / READINGS)
    step = part * difference
    memory["mean"] += step
    memory["variance"] = (1.0 - part) * (memory["variance"] + difference * step)
    memory["readings"] = np.minimum(seen, READINGS)
    return figure, np.zeros(len(figure), np.bool_)


DETECTOR = Detector(
    name="ewma",
    unit="σ",
    fields=(("readings", np.int32), ("mean", np.float64), ("variance", np.float64)),
    feed=feed,
    limits={"low": 8.0, "medium": 6.0, "high": 4.0},
    warm_up_h=24.0,
)
