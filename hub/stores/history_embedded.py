"""History in one SQLite file: for a hub on one machine without InfluxDB."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hub.errors import Unavailable
from hub.model.readings import ReadingBatch
from hub.stores.history import FIGURES, AlertEvent, Directory, GridStatus, LatestValue, Point, screened
from hub.stores.latest import QUANTITY_BITS, LatestValues, blocks_after, series_number
from hub.stores.latest_table import ROW, Rows
from hub.telemetry import HISTORY_SKIPPED, log

_HOUR_MS = 3_600_000
_MOST_POINTS = 100_000
_QUANTITY = (1 << QUANTITY_BITS) - 1
_ITEM = np.dtype([("quantity", "<u2"), ("ms", "<u4"), ("value", "<f8")])
"""One reading inside a chunk; `ms` counts from the start of the hour."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS chunk (
  hour INTEGER NOT NULL, device INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (hour, device)
) WITHOUT ROWID;
"""
# CAST: what || makes of two blobs is a text by type, though byte for byte their concatenation.
_APPEND = """
INSERT INTO chunk (hour, device, data) VALUES (?, ?, ?)
ON CONFLICT (hour, device) DO UPDATE SET data = CAST(chunk.data || excluded.data AS BLOB)
"""


class EmbeddedHistory:
    """Keeps readings for `retain_days`, in a file of about `most_mib`: beyond that the oldest hours go first.

    Readings arrive as blocks, in the order of arrival; now and then the blocks are folded into one chunk for each device
    and hour. Same device, quantity and time = one point, the last one wins, so a batch may be written again. "Now" is
    the newest receive time seen. At least the newest hour stays, whatever its size.
    """

    def __init__(
        self, path: Path, *, retain_days: float = 90.0, most_mib: int = 4_096, fold_rows: int = 250_000
    ) -> None:
        self._values = LatestValues(path, schema=_SCHEMA, fold_rows=fold_rows)
        self._retain_ms = int(retain_days * 86_400_000)
        self._most_bytes = most_mib * 1024 * 1024
        self._figures = {figure: self._values.quantity_number(f"grid {figure}") for figure in FIGURES}

    def write(self, batch: ReadingBatch, registry: Directory) -> None:
        sound = screened(batch, registry)
        with self._values.transaction() as db:
            self._values.append(db, self._values.rows_of(sound.batch, registry))
            if self._values.is_due:
                self._fold(db)
        sound.count()

    def write_alerts(self, rows: Sequence[AlertEvent]) -> None:
        """Nothing to copy: the ledger, on this same machine, has every alert and its audit rows."""

    def write_grid_status(self, rows: Sequence[GridStatus]) -> None:
        with self._values.transaction() as db:
            found = [
                (
                    series_number(self._values.device_number(_grid_name(row.grid)), number),
                    row.at_ms,
                    row.at_ms,
                    value,
                    0,
                )
                for row in rows
                for number, value in ((self._figures[f], float(getattr(row, f))) for f in FIGURES)
            ]
            self._values.append(db, np.array(found, ROW))

    def latest(self, device_id: str) -> list[LatestValue]:
        return self._values.latest(device_id)

    def series(self, device_id: str, quantity: str, from_ms: int, to_ms: int, limit: int) -> list[Point]:
        return self._points(self._values.find_series(device_id, quantity), from_ms, to_ms, limit)

    def grid_series(self, grid: str, figure: str, from_ms: int, to_ms: int, limit: int) -> list[Point]:
        return self._points(self._values.find_series(_grid_name(grid), f"grid {figure}"), from_ms, to_ms, limit)

    def ping(self) -> bool:
        try:
            return bool(self._values.read("SELECT 1"))
        except Unavailable:
            return False

    def close(self) -> None:
        self._values.close()

    def fold(self) -> None:
        """Turns blocks into chunks now, and lets go what is too old or too much. `write` does so by itself in time."""
        with self._values.transaction() as db:
            self._fold(db)

    def used_bytes(self) -> int:
        """Bytes of the file that hold rows; pages given back by old rows are used again."""
        with self._values.snapshot() as db:
            return _used_bytes(db)

    # reading

    def _points(self, series: int | None, from_ms: int, to_ms: int, limit: int) -> list[Point]:
        since = max(from_ms, self._values.newest_receipt_ms() - self._retain_ms)
        if series is None or to_ms <= since:
            return []
        wanted = max(1, min(limit, _MOST_POINTS))
        times, values = self._find(series, since, to_ms, wanted)
        # Later parts were written later: of equal times the last one stands.
        order = np.argsort(times, kind="stable")
        times, values = times[order], values[order]
        last = np.append(times[1:] != times[:-1], True) if len(times) else np.zeros(0, np.bool_)
        return [
            Point(at_ms=at, value=value)
            for at, value in zip(times[last][-wanted:].tolist(), values[last][-wanted:].tolist(), strict=True)
        ]

    def _find(self, series: int, since: int, to_ms: int, wanted: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """At least the newest `wanted` points of the series, chunks first, then blocks in the order of arrival."""
        device, quantity = series >> QUANTITY_BITS, series & _QUANTITY
        chunks: list[tuple[NDArray[np.int64], NDArray[np.float64]]] = []
        with self._values.snapshot() as db:
            fresh = _of_blocks(blocks_after(db, 0), series, since, to_ms)
            first, last = db.execute("SELECT (SELECT min(hour) FROM chunk), (SELECT max(hour) FROM chunk)").fetchone()
            if first is not None:
                for hour in range(min((to_ms - 1) // _HOUR_MS, last), max(since // _HOUR_MS, first) - 1, -1):
                    row = db.execute("SELECT data FROM chunk WHERE hour = ? AND device = ?", (hour, device)).fetchone()
                    if row is not None:
                        chunks.append(_of_chunk(row[0], quantity, hour * _HOUR_MS, since, to_ms))
                    newest = [fresh[0][fresh[0] >= hour * _HOUR_MS], *(times for times, _ in chunks)]
                    if sum(map(len, newest)) >= wanted and len(np.unique(np.concatenate(newest))) >= wanted:
                        break
        parts = [*reversed(chunks), fresh]
        return np.concatenate([times for times, _ in parts]), np.concatenate([values for _, values in parts])

    # folding

    def _fold(self, db: sqlite3.Connection) -> None:
        rows = self._values.fold(db)
        if not len(rows):
            return
        oldest_kept = int(rows["received"].max()) - self._retain_ms
        known = ~np.isnan(rows["value"])
        in_time = rows["observed"] >= oldest_kept
        HISTORY_SKIPPED.labels(reason="expired").inc(int((known & ~in_time).sum()))
        _append_chunks(db, rows[known & in_time])
        self._let_go(db, oldest_kept // _HOUR_MS)

    def _let_go(self, db: sqlite3.Connection, first_hour: int) -> None:
        db.execute("DELETE FROM chunk WHERE hour < ?", (first_hour,))
        while _used_bytes(db) > self._most_bytes:
            oldest, newest = db.execute("SELECT min(hour), max(hour) FROM chunk").fetchone()
            if oldest is None or oldest == newest:
                return
            gone = db.execute("SELECT sum(length(data)) FROM chunk WHERE hour = ?", (oldest,)).fetchone()[0]
            db.execute("DELETE FROM chunk WHERE hour = ?", (oldest,))
            readings = gone // _ITEM.itemsize
            log.warning(
                "history.full", dropped_readings=readings, hour_ms=oldest * _HOUR_MS, most_bytes=self._most_bytes
            )
            HISTORY_SKIPPED.labels(reason="no_room").inc(readings)


def _append_chunks(db: sqlite3.Connection, rows: Rows) -> None:
    if not len(rows):
        return
    hour = rows["observed"] // _HOUR_MS
    device = rows["series"] >> QUANTITY_BITS
    order = np.lexsort((device, hour))  # stable: inside a chunk the order of arrival stays
    hour, device = hour[order], device[order]
    items = np.empty(len(rows), _ITEM)
    items["quantity"] = (rows["series"] & _QUANTITY)[order]
    items["ms"] = (rows["observed"] % _HOUR_MS)[order]
    items["value"] = rows["value"][order]
    starts = np.flatnonzero(np.append(True, (hour[1:] != hour[:-1]) | (device[1:] != device[:-1])))
    data, size = items.tobytes(), _ITEM.itemsize
    edges = [*(starts * size).tolist(), len(data)]
    db.executemany(
        _APPEND,
        zip(
            hour[starts].tolist(),
            device[starts].tolist(),
            (data[begin:end] for begin, end in pairwise(edges)),
            strict=True,
        ),
    )


def _of_blocks(rows: Rows, series: int, since: int, to_ms: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    rows = rows[rows["series"] == series]
    rows = rows[(rows["observed"] >= since) & (rows["observed"] < to_ms) & ~np.isnan(rows["value"])]
    return rows["observed"], rows["value"]


def _of_chunk(
    data: bytes, quantity: int, start_ms: int, since: int, to_ms: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    items = np.frombuffer(data, _ITEM)
    items = items[items["quantity"] == quantity]
    times = items["ms"].astype(np.int64) + start_ms
    inside = (times >= since) & (times < to_ms)
    return times[inside], items["value"][inside]


def _used_bytes(db: sqlite3.Connection) -> int:
    pages, free, size = (
        int(db.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size


def _grid_name(grid: str) -> str:
    return f"grid {grid}"  # a device id holds no blank
