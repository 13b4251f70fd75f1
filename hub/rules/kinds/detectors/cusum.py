"""Method `cusum`: slow drift. The means of whole days are compared with those of the days before, at least a week, and what they
are off by is summed up (Page's test): a day's weather makes no drift, a little too much every day does."""

from __future__ import annotations

import numpy as np

from hub.model.readings import Floats
from hub.rules.kinds.detectors.detector import MOST_ODD, Bools, Detector, Setting, share
from hub.rules.kinds.kind import Look, Memory

DAY_MS = 86_400_000
LEARNING_DAYS = 7
FEWEST = 4
"""A day with fewer readings says nothing."""
SLACK = 0.5
"""So many standard deviations a day are no drift."""
FOLLOWING = 1 / 90
"""So much of the reference is renewed by each day that shows no drift: it follows the season, over months."""
_SIGMA = 1.25


def feed(look: Look, memory: Memory, setting: Setting) -> tuple[Floats, Bools]:
    begun = memory["day_ms"] != 0
    memory["day_ms"] = np.where(begun, memory["day_ms"], look.at_ms)
    over = np.flatnonzero(look.at_ms - memory["day_ms"] >= DAY_MS)
    if len(over):
        days = memory[over]
        _close(days, setting)
        days["day_ms"] += np.floor_divide(look.at_ms[over] - days["day_ms"], DAY_MS) * DAY_MS
        memory[over] = days
    count = memory["readings"] + 1
    memory["day"] += (look.value - memory["day"]) / count
    memory["readings"] = count
    figure = np.maximum(memory["up"], memory["down"])
    return figure, np.zeros(len(figure), np.bool_)


def _close(memory: Memory, setting: Setting) -> None:
    """Takes the day that is over into account, and begins the next."""
    counts = memory["readings"] >= FEWEST
    days = memory["days"]
    judged = counts & (days >= LEARNING_DAYS)
    off = memory["day"] - memory["base"]
    scale = np.maximum(_SIGMA * memory["spread"], setting.margin)
    steps = np.where(scale > 0, off / np.where(scale > 0, scale, 1.0), np.sign(off) * MOST_ODD)
    most = 2.0 * setting.limit  # so that it can come down again
    for side, sign in (("up", 1.0), ("down", -1.0)):
        summed = np.clip(memory[side] + sign * steps - SLACK, 0.0, most)
        memory[side] = np.where(judged, summed, memory[side])
    learns = counts & (np.maximum(memory["up"], memory["down"]) < 0.5 * setting.limit)
    part = share(days + 1.0, FOLLOWING)
    spread = memory["spread"] + np.maximum(1.0 / np.maximum(days, 1), FOLLOWING) * (np.abs(off) - memory["spread"])
    memory["spread"] = np.where(learns & (days > 0), spread, memory["spread"])
    memory["base"] += np.where(learns, part * off, 0.0)
    memory["days"] = np.where(counts, np.minimum(days + 1, 30_000), days)
    memory["day"] = 0.0
    memory["readings"] = 0


DETECTOR = Detector(
    name="cusum",
    unit="σ",
    fields=(
        ("day_ms", np.int64),  # when the present stretch of 24 hours began
        ("day", np.float64),  # its mean so far
        ("readings", np.int32),
        ("days", np.int32),
        ("base", np.float64),
        ("spread", np.float64),
        ("up", np.float64),
        ("down", np.float64),
    ),
    feed=feed,
    limits={"low": 8.0, "medium": 5.0, "high": 3.0},
    warm_up_h=LEARNING_DAYS * 24.0,
)
