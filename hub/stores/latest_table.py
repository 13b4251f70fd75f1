"""The latest row of each series as sorted columns: 42 bytes a series, updated a batch at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ROW = np.dtype([("series", "<i8"), ("observed", "<i8"), ("received", "<i8"), ("value", "<f8"), ("quality", "<u2")])
"""One reading as it is stored. NaN = unknown."""

Rows = NDArray[np.void]


class LatestTable:
    """Of each series the row that was observed last; of equal times the one that came last."""

    def __init__(self, rows: Rows | None = None) -> None:
        self._rows: Rows = np.empty(0, ROW) if rows is None else rows
        self._series: NDArray[np.int64] = np.ascontiguousarray(self._rows["series"])

    def __len__(self) -> int:
        return len(self._rows)

    def update(self, rows: Rows) -> None:
        if not len(rows):
            return
        order = np.lexsort((rows["observed"], rows["series"]))  # stable: of equal times the later row stays last
        series = rows["series"][order]
        last = np.append(series[1:] != series[:-1], True)
        newest = rows[order[last]]
        at = np.searchsorted(self._series, newest["series"])
        known = np.zeros(len(newest), np.bool_)
        inside = at < len(self._series)
        known[inside] = self._series[at[inside]] == newest["series"][inside]
        newer = known.copy()
        newer[known] = newest["observed"][known] >= self._rows["observed"][at[known]]
        self._rows[at[newer]] = newest[newer]
        if not known.all():
            # A fresh array, not an insertion in place: readers hold the old one.
            self._rows = np.insert(self._rows, at[~known], newest[~known])
            self._series = np.ascontiguousarray(self._rows["series"])

    def between(self, first: int, last: int) -> Rows:
        """The rows of series first <= series < last."""
        begin, end = np.searchsorted(self._series, (first, last))
        return self._rows[begin:end].copy()

    def newest_receipt_ms(self) -> int:
        return int(self._rows["received"].max()) if len(self._rows) else 0

    def to_bytes(self) -> bytes:
        return self._rows.tobytes()

    @staticmethod
    def from_bytes(data: bytes) -> LatestTable:
        return LatestTable(np.frombuffer(data, ROW).copy())
