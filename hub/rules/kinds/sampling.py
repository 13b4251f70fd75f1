"""What kinds that look back are made of: when a reading was measured, and a small window of recent samples.

A device's own time spaces its readings better than the network does, as long as it can be believed. What is believed is not the
time but its distance from the time of receipt, the `lag`: while that is steady, a reading is placed at its own time plus the lag,
on the hub's scale. A lag that leaves the band is a delayed message, an emptied buffer, or a clock that was set; which of these,
the reading does not say. So it is kept out, until the new lag has lasted; then receipt is what counts, until the clock has proved
itself again. Where receipt counts, a backlog that is being delivered (the lag falls) starts the window anew: its readings
are older than they look, and a slope through them would be too steep. So does a leap of the hub's own time: how long it was away,
the window cannot tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hub.model.readings import Floats, Ints
from hub.rules.kinds.kind import Look, Memory

Bools = NDArray[np.bool_]

SAMPLES: Final = 12
"""Samples of a window: 66 pairs, of which three samples that are wrong spoil 30, less than half."""
PROVED: Final = 8
"""Readings in a row with a steady lag after which a device's own time is believed."""
_BACKLOGS: Final = 32
"""So many times a falling lag starts the window anew. A clock that is wrong in a new way all the time is not a backlog."""

CLOCK_FIELDS: Final[list[Any]] = [
    ("newest_ms", np.int64),  # when the newest reading that counts was measured, on the hub's scale
    ("newest", np.int64),  # the same, but it does not move when the hub's time leaps: so a leap is seen
    ("lag", np.int64),  # ms, time of receipt less the device's time
    ("top", np.int64),  # ms, the greatest lag of what is in the window, while receipt counts
    ("out_ms", np.int64),  # since when readings are out of step
    ("out", np.uint8),  # how many in a row
    ("proved", np.uint8),  # readings in a row with a steady lag
    ("backlogs", np.uint8),
]


@dataclass(frozen=True, slots=True)
class Placed:
    """When readings were measured (`at_ms`, on the hub's scale); whether that is sure enough for a slope (`sure`), and whether what
    was there before no longer goes with it (`anew`)."""

    at_ms: Ints
    sure: Bools
    anew: Bools


class Clock:
    """Judges the time of devices for a rule that looks back over `over_ms`. Its memory has CLOCK_FIELDS."""

    def __init__(self, over_ms: int) -> None:
        self.steady_ms = min(max(over_ms // 8, 1_000), 30_000)
        self.patience_ms = min(max(over_ms // 4, 2_000), 600_000)
        self.compressed_ms = max(over_ms // 2, 2_000)

    def place(self, at_ms: Ints, observed_ms: Ints, known: Bools, memory: Memory) -> Placed:
        """When the readings were measured. Where `known` is False the reading says nothing and changes nothing."""
        newest, believed = memory["newest_ms"], memory["lag"]
        off = at_ms - observed_ms - believed
        leapt = newest != memory["newest"]
        steady = np.abs(off) <= self.steady_ms
        usual = steady & known & (memory["proved"] == PROVED) & (memory["out"] == 0) & ~leapt
        if not usual.all():
            return self._judge(at_ms, observed_ms, known, memory, steady & (newest != 0), leapt)
        believed += off >> 4  # follows a clock that drifts
        placed = observed_ms + believed
        sure = placed >= newest
        np.maximum(newest, placed, out=newest)
        memory["newest"] = newest
        return Placed(placed, sure, leapt)

    def _judge(
        self, at_ms: Ints, observed_ms: Ints, known: Bools, memory: Memory, steady: Bools, leapt: Bools
    ) -> Placed:
        newest, believed = memory["newest_ms"], memory["lag"]
        lag = at_ms - observed_ms
        first = newest == 0
        trusted = (memory["proved"] == PROVED) & ~first
        out = np.where(steady, 0, np.minimum(memory["out"], 254) + 1)
        out_since = np.where(memory["out"] == 0, at_ms, memory["out_ms"])
        doubted = trusted & ~steady
        lasts = doubted & (out >= 3) & (at_ms - out_since >= self.patience_ms)
        doubted &= ~lasts
        top = np.maximum(memory["top"], lag)
        backlog = ~first & ~trusted & (lag < top - self.compressed_ms) & (memory["backlogs"] < _BACKLOGS)

        top = np.where(first | backlog | lasts, lag, top)
        lag = np.where(doubted, believed, np.where(steady, believed + ((lag - believed) >> 4), lag))
        proved = np.where(doubted, PROVED, np.where(steady, np.minimum(memory["proved"] + 1, PROVED), 1))
        own = observed_ms + lag
        placed = np.where(steady & (proved == PROVED), own, np.maximum(at_ms, newest))
        placed = np.where(doubted, np.where((own >= newest) & (own <= at_ms), own, at_ms), placed)
        sure = known & ~doubted & ((placed >= newest) | first | leapt)

        self._remember(memory, "lag", lag, known)
        self._remember(memory, "top", top, known & (~trusted | lasts))
        self._remember(memory, "proved", proved, known)
        self._remember(memory, "out", np.where(doubted, out, 0), known)
        self._remember(memory, "out_ms", np.where(doubted, out_since, 0), known)
        self._remember(memory, "backlogs", np.where(proved == PROVED, 0, memory["backlogs"] + (backlog & known)), known)
        self._remember(memory, "newest_ms", placed, sure)
        self._remember(memory, "newest", placed, sure)
        return Placed(placed, sure, backlog | leapt)

    @staticmethod
    def _remember(memory: Memory, name: str, new: NDArray[Any], where: Bools) -> None:
        np.copyto(memory[name], new, where=where, casting="unsafe")


RECENT_FIELDS: Final[list[Any]] = [
    *CLOCK_FIELDS,
    ("value", np.float64, (SAMPLES,)),  # the newest is last
    ("age", np.int32, (SAMPLES,)),  # ms before the newest; beyond the window: no sample
    ("into", np.int32),  # ms from the first reading of the newest sample to its last
]


class Recent:
    """Up to SAMPLES samples of the last `over_ms`, evenly spread. Its memory has RECENT_FIELDS.

    Readings closer together than an eleventh of the window share a sample, and the last one stands: so a burst of buffered
    readings cannot crowd the window, and no two samples are of the same time.
    """

    def __init__(self, over_ms: int, min_samples: int, min_span_ms: int) -> None:
        self.clock = Clock(over_ms)
        self.over_ms, self.min_samples, self.min_span_ms = over_ms, min_samples, min_span_ms
        self.spacing_ms = -(-over_ms // (SAMPLES - 1))

    @property
    def slowest_ms(self) -> int:
        """With readings further apart than this the window never holds enough."""
        return self.over_ms // (self.min_samples - 1)

    def add(self, look: Look, memory: Memory) -> Samples:
        """Takes the readings in. Returns all samples, and where they say something: the reading is among them, and they are enough."""
        newest_ms = memory["newest_ms"]
        first, before_ms = newest_ms == 0, newest_ms.copy()
        placed = self.clock.place(look.at_ms, look.observed_ms, np.isfinite(look.value), memory)
        sure, anew = placed.sure, placed.anew | first
        passed = np.clip(placed.at_ms - before_ms, 0, self.over_ms + 1).astype(np.int32)
        passed[anew] = self.over_ms + 1
        into = memory["into"] + passed
        own = into >= self.spacing_ms
        age = memory["age"].T.copy()
        value = memory["value"].T.copy()
        np.minimum(age + passed, self.over_ms + 1, out=age)
        if own.all():
            age[:-1], value[:-1] = age[1:], value[1:]
        else:
            np.copyto(age[:-1], age[1:].copy(), where=own)
            np.copyto(value[:-1], value[1:].copy(), where=own)
        age[-1], value[-1] = 0, look.value
        into[own] = 0
        if sure.all():
            memory["age"], memory["value"], memory["into"] = age.T, value.T, into
        else:
            np.copyto(memory["age"], age.T, where=sure[:, None])
            np.copyto(memory["value"], value.T, where=sure[:, None])
            np.copyto(memory["into"], into, where=sure)
        filled = age <= self.over_ms
        value = np.where(filled, value, np.nan)
        samples = np.add.reduce(filled, axis=0, dtype=np.int16)
        enough = (samples >= self.min_samples) & (np.where(filled, age, 0).max(axis=0) >= self.min_span_ms)
        return Samples(value, age, samples * (samples - 1) // 2, sure & enough)

    def filled(self, memory: Memory) -> Bools:
        """Which samples there are."""
        return np.asarray((memory["age"] <= self.over_ms) & (memory["newest_ms"] != 0)[:, None], np.bool_)

    def pairs(self, memory: Memory) -> Pairs:
        """All pairs of samples, for figures that people read; NaN where there is no pair."""
        early, late = np.triu_indices(SAMPLES, 1)
        value = np.where(self.filled(memory), memory["value"], np.nan)
        return Pairs(value[:, early], value[:, late], memory["age"][:, early], memory["age"][:, late])


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples (rows, the newest last) of devices (columns): values (NaN: no sample), ms before the newest; how many pairs there
    are, and where they say something."""

    value: Floats
    age: NDArray[np.int32]
    pairs: NDArray[np.int16]
    says: Bools

    def votes(self, score: Floats) -> NDArray[np.int16]:
        """In how many pairs of samples the later one scores at least as high."""
        found = np.zeros(score.shape[1], np.int16)
        for apart in range(1, SAMPLES):
            found += np.add.reduce(score[apart:] >= score[:-apart], axis=0, dtype=np.uint8)
        return found


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of samples (columns) of each device (rows): values of the earlier and the later one, and their ages."""

    early: Floats
    late: Floats
    early_age: NDArray[np.int32]
    late_age: NDArray[np.int32]


def middle(columns: Floats) -> tuple[Floats, Floats]:
    """The lower and the upper median of each row, NaN left out (NaN where there is nothing else)."""
    ordered = np.sort(columns, axis=1)  # NaN last
    many = np.count_nonzero(~np.isnan(ordered), axis=1)
    row = np.arange(len(ordered))
    return ordered[row, np.maximum(many - 1, 0) // 2], ordered[row, np.minimum(many // 2, ordered.shape[1] - 1)]
