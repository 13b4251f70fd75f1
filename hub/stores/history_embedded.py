"""History in one SQLite file: for a hub on one machine without InfluxDB."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hub.errors import Unavailable
from hub.model.readings import ReadingBatch
from hub.stores.history import FIGURES, AlertEvent, Directory, GridStatus, LatestValue, Point, screened
from hub.stores.latest import LatestValues, series_number
from hub.telemetry import HISTORY_SKIPPED, log

_HOUR_MS = 3_600_000
_MOST_POINTS = 100_000
_HOURS_PER_SWEEP = 4
# Clustered by hour first: writes touch only the pages of the current hour, and what is too old is one end of the tree.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS reading (
  hour INTEGER NOT NULL, series INTEGER NOT NULL, ms INTEGER NOT NULL, value REAL NOT NULL,
  PRIMARY KEY (hour, series, ms)
) WITHOUT ROWID;
"""


class EmbeddedHistory:
    """Keeps readings for `retain_days`, in a file of about `most_mib`: beyond that the oldest hours go first.

    Same device, quantity and time = same row, so a batch may be written again. "Now" is the newest receive time seen.
    """

    def __init__(self, path: Path, *, retain_days: float = 90.0, most_mib: int = 4_096) -> None:
        self._values = LatestValues(path, schema=_SCHEMA)
        self._retain_ms = int(retain_days * 86_400_000)
        self._most_bytes = most_mib * 1024 * 1024
        self._now_ms = 0
        self._figures = {figure: self._values.quantity_number(f"grid {figure}") for figure in FIGURES}

    def write(self, batch: ReadingBatch, registry: Directory) -> None:
        sound = screened(batch, registry)
        rows = sound.batch
        if len(rows):
            self._now_ms = max(self._now_ms, int(rows.received_at_ms.max()))
        with self._values.transaction() as db:
            series = self._values.series_of(rows, registry)
            self._values.remember(rows, series)
            known = ~np.isnan(rows.value)
            in_time = rows.observed_at_ms >= self._now_ms - self._retain_ms
            kept = known & in_time
            hours, rest = np.divmod(rows.observed_at_ms[kept], _HOUR_MS)
            _insert(db, hours.tolist(), series[kept].tolist(), rest.tolist(), rows.value[kept].tolist())
            self._sweep(db)
        sound.count()
        HISTORY_SKIPPED.labels(reason="expired").inc(int((known & ~in_time).sum()))

    def write_alerts(self, rows: Sequence[AlertEvent]) -> None:
        """Nothing to copy: the ledger, on this same machine, has every alert and its audit rows."""

    def write_grid_status(self, rows: Sequence[GridStatus]) -> None:
        with self._values.transaction() as db:
            for row in rows:
                grid = self._values.device_number(_grid_name(row.grid))
                hour, rest = divmod(row.at_ms, _HOUR_MS)
                numbers = [series_number(grid, self._figures[figure]) for figure in FIGURES]
                values = [float(getattr(row, figure)) for figure in FIGURES]
                _insert(db, [hour] * len(numbers), numbers, [rest] * len(numbers), values)

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

    def used_bytes(self) -> int:
        """Bytes of the file that hold rows; pages given back by old rows are used again."""
        pages, free, size = (
            int(self._values.read(f"PRAGMA {name}")[0][0]) for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - free) * size

    def _points(self, series: int | None, from_ms: int, to_ms: int, limit: int) -> list[Point]:
        if series is None or to_ms <= from_ms:
            return []
        ((first, last),) = self._values.read("SELECT min(hour), max(hour) FROM reading")
        if first is None:
            return []
        found: list[Point] = []
        wanted = max(1, min(limit, _MOST_POINTS))
        newest, oldest = min((to_ms - 1) // _HOUR_MS, last), max(from_ms // _HOUR_MS, first)
        for hour in range(newest, oldest - 1, -1):
            start = hour * _HOUR_MS
            rows = self._values.read(
                "SELECT ms, value FROM reading WHERE hour = ? AND series = ? AND ms >= ? AND ms < ? ORDER BY ms DESC LIMIT ?",
                (hour, series, from_ms - start, to_ms - start, wanted - len(found)),
            )
            found.extend(Point(at_ms=start + ms, value=value) for ms, value in rows)
            if len(found) >= wanted:
                break
        return found[::-1]

    def _sweep(self, db: sqlite3.Connection) -> None:
        """Lets a few old hours go: little by little, so that no write waits long."""
        first_kept = (self._now_ms - self._retain_ms) // _HOUR_MS
        for _ in range(_HOURS_PER_SWEEP):
            oldest, newest = db.execute(
                "SELECT (SELECT min(hour) FROM reading), (SELECT max(hour) FROM reading)"
            ).fetchone()
            if oldest is None:
                return
            if oldest < first_kept:
                db.execute("DELETE FROM reading WHERE hour = ?", (oldest,))
            elif self._too_big(db):
                self._make_room(db, oldest, newest)
            else:
                return

    def _too_big(self, db: sqlite3.Connection) -> bool:
        pages, free, size = (
            int(db.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - free) * size > self._most_bytes

    def _make_room(self, db: sqlite3.Connection, oldest: int, newest: int) -> None:
        if oldest < newest:
            gone = db.execute("DELETE FROM reading WHERE hour = ?", (oldest,)).rowcount
        else:  # a single hour fills the file: its older half goes
            (first, last) = db.execute("SELECT min(ms), max(ms) FROM reading WHERE hour = ?", (oldest,)).fetchone()
            gone = db.execute("DELETE FROM reading WHERE hour = ? AND ms <= ?", (oldest, (first + last) // 2)).rowcount
        log.warning("history.full", dropped_readings=gone, hour_ms=oldest * _HOUR_MS, most_bytes=self._most_bytes)
        HISTORY_SKIPPED.labels(reason="no_room").inc(gone)


def _insert(db: sqlite3.Connection, hours: list[int], series: list[int], rest: list[int], values: list[float]) -> None:
    db.executemany(
        "INSERT OR REPLACE INTO reading (hour, series, ms, value) VALUES (?, ?, ?, ?)",
        zip(hours, series, rest, values, strict=True),
    )


def _grid_name(grid: str) -> str:
    return f"grid {grid}"  # a device id holds no blank
