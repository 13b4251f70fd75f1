"""Method `seasonal`: how far from what is usual at this hour of the week, by the clock on the wall of the site.

An hour of the week is known once it has been seen in two weeks before; until then nothing is said about it.
"""

from __future__ import annotations

import numpy as np

from hub.model.readings import Floats
from hub.rules.kinds.calendar import local_ms
from hub.rules.kinds.detectors.detector import Bools, Detector, Setting, scaled, share
from hub.rules.kinds.kind import Look, Memory

HOURS = 168
VISITS = 2
READINGS = 100
"""Over so many readings of an hour the usual is averaged: some three weeks at one reading in two minutes."""
_SIGMA = 1.25
"""Standard deviations in a mean deviation, of a normal distribution."""
_HOUR_MS = 3_600_000


def feed(look: Look, memory: Memory, setting: Setting) -> tuple[Floats, Bools]:
    local = local_ms(look.at_ms, setting.zone)
    hour = np.mod(np.floor_divide(local, _HOUR_MS) + 72, HOURS)  # 1970 began on a Thursday, the week on Monday
    rows = np.arange(len(hour))
    mean, spread = memory["mean"][rows, hour], memory["spread"][rows, hour]
    count, visits = memory["count"][rows, hour], memory["visits"][rows, hour]
    difference = np.abs(look.value - mean)
    figure = np.where(visits >= VISITS, scaled(difference, _SIGMA * spread.astype(np.float64), setting), np.nan)

    odd = (
        figure >= 0.5 * setting.limit
    )  # is learnt from slowly, so that what is odd does not become usual within the hour
    part = np.where(odd, 1.0 / READINGS, share(count + 1.0, 1.0 / READINGS))
    memory["mean"][rows, hour] = mean + part * (look.value - mean)
    memory["spread"][rows, hour] = np.where(count > 0, spread + part * (difference - spread), 0.0)
    memory["count"][rows, hour] = np.where(count < READINGS, count + 1, READINGS)
    left = np.flatnonzero((memory["hour"] != hour + 1) & (memory["hour"] > 0))
    before = memory["hour"][left] - 1
    past = memory["visits"][left, before]
    memory["visits"][left, before] = np.where(past < 255, past + 1, 255)
    memory["hour"] = hour + 1
    return figure, np.zeros(len(figure), np.bool_)


DETECTOR = Detector(
    name="seasonal",
    unit="σ",
    fields=(
        ("hour", np.int16),  # of the last reading, counted from 1
        ("mean", np.float32, (HOURS,)),
        ("spread", np.float32, (HOURS,)),
        ("count", np.uint8, (HOURS,)),
        ("visits", np.uint8, (HOURS,)),  # how often the hour is over
    ),
    feed=feed,
    limits={"low": 10.0, "medium": 7.0, "high": 5.0},
    warm_up_h=14 * 24.0,
)
