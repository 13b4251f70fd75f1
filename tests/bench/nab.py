"""Scores a detector as the Numenta Anomaly Benchmark does: windows, probation, a sigmoid for being early, three cost profiles.

Own code after the published description (Lavin and Ahmad, arXiv 1510.03336) with the benchmark's conventions on edges: a row's
place in a window counts from its right edge, a false detection is cheaper just after a window, one threshold serves all files.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NEVER = 1.1
"""A threshold that no score reaches."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What a hit, a false detection and a missed window are worth."""

    hit: float
    false: float
    missed: float


PROFILES: dict[str, Profile] = {
    "standard": Profile(1.0, 0.11, 1.0),
    "reward_low_FP_rate": Profile(1.0, 0.22, 1.0),
    "reward_low_FN_rate": Profile(1.0, 0.11, 2.0),
}


@dataclass(frozen=True, slots=True)
class Series:
    """One file: rows, and the windows of its anomalies as (first row, last row), both inside."""

    name: str
    at_ms: Ints
    value: Floats
    windows: tuple[tuple[int, int], ...]

    def __len__(self) -> int:
        return len(self.value)

    @property
    def probation(self) -> int:
        """Rows at the start that are not scored."""
        return min(int(0.15 * len(self)), 750)


@dataclass(frozen=True, slots=True)
class Sweep:
    """Raw total at each threshold that makes a difference, from none detected to all."""

    thresholds: Floats
    totals: Floats
    null: float
    perfect: float

    def normal(self, total: float) -> float:
        """100 for perfect, 0 for a detector that never speaks."""
        return 100.0 * (total - self.null) / (self.perfect - self.null) if self.perfect > self.null else 0.0

    def best(self) -> tuple[float, float]:
        """(threshold, normalised score) at the best threshold; of equals the highest threshold."""
        n = int(np.argmax(self.totals))
        return float(self.thresholds[n]), self.normal(float(self.totals[n]))

    def at(self, threshold: float) -> float:
        """Normalised score with the rows detected whose score is `threshold` or more."""
        n = int(np.searchsorted(-self.thresholds, -threshold, side="right")) - 1
        return self.normal(float(self.totals[n]))


class BadCorpus(Exception):
    """The folder does not hold what a corpus should; the text says what to do."""


def load(folder: Path) -> list[Series]:
    """The corpus at `folder`: `combined_windows.json` and `data/<category>/<file>.csv`. Raises BadCorpus."""
    labels = folder / "combined_windows.json"
    if not labels.is_file():
        raise BadCorpus(f"{folder}: no combined_windows.json there; it should stand beside a folder data/")
    windows: dict[str, list[list[str]]] = json.loads(labels.read_text("utf-8"))
    if not windows:
        raise BadCorpus(f"{labels}: names no file")
    return [_series(folder / "data" / name, name, spans) for name, spans in sorted(windows.items())]


def _series(path: Path, name: str, spans: Sequence[Sequence[str]]) -> Series:
    if not path.is_file():
        raise BadCorpus(f"{path}: named in combined_windows.json, but not there")
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    try:
        at = [_ms(row["timestamp"]) for row in rows]
        value = [float(row["value"]) for row in rows]
    except (KeyError, ValueError) as bad:
        raise BadCorpus(f"{path}: expected the columns timestamp,value: {bad!r}") from bad
    try:
        found = tuple((at.index(_ms(first)), at.index(_ms(last))) for first, last in spans)
    except ValueError as bad:
        raise BadCorpus(f"{path}: a window begins or ends at a time that no row has: {bad}") from bad
    return Series(name, np.array(at, np.int64), np.array(value, np.float64), found)


def _ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000)


def sigmoid(place: Floats) -> Floats:
    """What being at `place` is worth: near 1 at the start of a window (−1), 0 at its end (0), towards −1 behind it."""
    worth: Floats = np.where(place > 3.0, -1.0, 2.0 / (1.0 + np.exp(5.0 * np.minimum(place, 3.0))) - 1.0)
    return worth


_EARLIEST = float(sigmoid(np.array([-1.0]))[0])


def worth(series: Series, profile: Profile) -> tuple[Floats, Ints]:
    """(what a detection at each row is worth, the number of the window it is in or −1)."""
    n = len(series)
    rows = np.arange(n, dtype=np.float64)
    value = np.full(n, -profile.false)
    inside = np.full(n, -1, np.int64)
    for number, (first, last) in enumerate(series.windows):
        width = last - first + 1.0
        behind = slice(last + 1, n)
        value[behind] = profile.false * sigmoid((rows[behind] - last) / max(width - 1.0, 1.0))
        inside[first : last + 1] = number
        value[first : last + 1] = profile.hit * sigmoid(-(last - rows[first : last + 1] + 1.0) / width) / _EARLIEST
    # a later window's own rows were overwritten by no earlier one: windows are in order and do not overlap
    return value, inside


def sweep(corpus: Sequence[Series], scores: Mapping[str, Floats], profile: Profile) -> Sweep:
    """Every threshold over the whole of `corpus` at once."""
    values, groups, gains = [], [], []
    base = 0
    windows = 0
    start = 0.0
    for series in corpus:
        value, inside = worth(series, profile)
        keep = slice(series.probation, len(series))
        values.append(value[keep])
        gains.append(np.asarray(scores[series.name], np.float64)[keep])
        groups.append(np.where(inside[keep] >= 0, inside[keep] + base, -1))
        start -= profile.missed * len(set(inside[keep].tolist()) - {-1})
        base += len(series.windows)
        windows += len(series.windows)
    value, group, score = np.concatenate(values), np.concatenate(groups), np.concatenate(gains)
    if np.isnan(score).any():
        raise ValueError("a score is not a number")
    order = np.argsort(-score, kind="stable")
    value, group, score = value[order], group[order], score[order]
    step = np.where(group < 0, value, 0.0)
    for number in range(base):
        rows = np.flatnonzero(group == number)
        if len(rows):
            best = np.maximum.accumulate(np.concatenate(([-profile.missed], value[rows])))
            step[rows] = np.diff(best)
    totals = start + np.cumsum(step)
    last = np.flatnonzero(np.append(score[1:] != score[:-1], True))
    return Sweep(
        thresholds=np.concatenate(([NEVER], score[last])),
        totals=np.concatenate(([start], totals[last])),
        null=-profile.missed * windows,
        perfect=profile.hit * windows,
    )


def counts(corpus: Sequence[Series], scores: Mapping[str, Floats], threshold: float) -> dict[str, int]:
    """Windows, those of them hit, false detections and scored rows outside windows."""
    total = {"windows": 0, "hit": 0, "false": 0, "rows": 0}
    for series in corpus:
        _, inside = worth(series, PROFILES["standard"])
        keep = slice(series.probation, len(series))
        detected = np.asarray(scores[series.name])[keep] >= threshold
        total["windows"] += len(series.windows)
        total["hit"] += len(set(inside[keep][detected].tolist()) - {-1})
        total["false"] += int((detected & (inside[keep] < 0)).sum())
        total["rows"] += int((inside[keep] < 0).sum())
    return total
