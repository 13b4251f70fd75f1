"""The latest value of each device and quantity, in SQLite: what the API shows while InfluxDB is away or not used at all."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hub.errors import Unavailable
from hub.model.quantities import BY_CODE
from hub.model.readings import ReadingBatch
from hub.stores.history import Directory, LatestValue, latest_value

_QUANTITY_BITS = 12
_SCHEMA = """
CREATE TABLE IF NOT EXISTS quantity (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS device (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS latest (
  series INTEGER PRIMARY KEY,  -- device << 12 | quantity
  value REAL,                  -- NULL = unknown
  observed_at_ms INTEGER NOT NULL,
  received_at_ms INTEGER NOT NULL,
  quality INTEGER NOT NULL
);
"""
_UPSERT = """
INSERT INTO latest VALUES (?, ?, ?, ?, ?) ON CONFLICT (series) DO UPDATE SET value = excluded.value,
  observed_at_ms = excluded.observed_at_ms, received_at_ms = excluded.received_at_ms, quality = excluded.quality
WHERE excluded.observed_at_ms >= latest.observed_at_ms
"""
_OF_DEVICE = """
SELECT quantity.name, value, observed_at_ms, received_at_ms, quality FROM latest
JOIN quantity ON quantity.id = series & 4095 WHERE series BETWEEN ? AND ? ORDER BY quantity.name
"""


class LatestValues:
    """One SQLite file with a number for each device and quantity, and their latest values.

    The driver is used directly: this is the one table that takes every reading, and never lives in PostgreSQL.
    One connection writes, one reads; WAL keeps them out of each other's way. Any failure of SQLite is `Unavailable`.
    """

    def __init__(self, path: Path, *, schema: str = "") -> None:
        self.path = path
        self._writing = threading.RLock()
        self._reading = threading.Lock()
        with self._failures():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = self._connect()
            self._db.executescript(_SCHEMA + schema)
            self._reader = self._connect()
            self._reader.execute("PRAGMA query_only = on")
        self._version: str | None = None
        self._number_of_slot: NDArray[np.int64] = np.empty(0, np.int64)
        self._number_of_code = np.array([self.quantity_number(q.name) for q in BY_CODE], np.int64)

    def write(self, batch: ReadingBatch, registry: Directory) -> None:
        """Takes over what is newer than the stored values. The same batch again changes nothing."""
        with self.transaction():
            self.remember(batch, self.series_of(batch, registry))

    def latest(self, device_id: str) -> list[LatestValue]:
        found = self.read("SELECT id FROM device WHERE name = ?", (device_id,))
        if not found:
            return []
        first = int(found[0][0]) << _QUANTITY_BITS
        rows = self.read(_OF_DEVICE, (first, first + (1 << _QUANTITY_BITS) - 1))
        return [latest_value(device_id, *row) for row in rows]

    def close(self) -> None:
        with self._writing, self._reading:
            self._reader.close()
            self._db.close()

    # for the store that keeps whole series in the same file

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, one writer at a time. A transaction inside another is part of it."""
        with self._writing, self._failures():
            if self._db.in_transaction:
                yield self._db
                return
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                self._version = None  # numbers given in this transaction are gone with it
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        with self._reading, self._failures():
            return self._reader.execute(sql, parameters).fetchall()

    def device_number(self, name: str) -> int:
        """The number of a device, given when it is first asked for."""
        return self._number("device", name)

    def quantity_number(self, name: str) -> int:
        return self._number("quantity", name)

    def find_series(self, device: str, quantity: str) -> int | None:
        """The series of a device and quantity that have numbers already."""
        rows = self.read(
            "SELECT device.id, quantity.id FROM device, quantity WHERE device.name = ? AND quantity.name = ?",
            (device, quantity),
        )
        return series_number(int(rows[0][0]), int(rows[0][1])) if rows else None

    def series_of(self, batch: ReadingBatch, registry: Directory) -> NDArray[np.int64]:
        """The series of each row."""
        if registry.version != self._version or len(self._number_of_slot) < len(registry):
            self._version = registry.version
            self._number_of_slot = np.full(len(registry), -1, np.int64)
        numbers = self._number_of_slot
        of_row = numbers[batch.slot]
        if len(of_row) and of_row.min() < 0:
            for slot in np.unique(batch.slot[of_row < 0]).tolist():
                numbers[slot] = self.device_number(registry.device(slot).id)
            of_row = numbers[batch.slot]
        result: NDArray[np.int64] = (of_row << _QUANTITY_BITS) | self._number_of_code[batch.quantity]
        return result

    def remember(self, batch: ReadingBatch, series: NDArray[np.int64]) -> None:
        """Upserts the newest row of each series. NaN becomes NULL by itself."""
        if not len(batch):
            return
        order = np.lexsort((batch.observed_at_ms, series))  # stable: of equal times the later row stays last
        sorted_series = series[order]
        last = np.append(sorted_series[1:] != sorted_series[:-1], True)
        rows = order[last]
        self._db.executemany(
            _UPSERT,
            zip(
                series[rows].tolist(),
                batch.value[rows].tolist(),
                batch.observed_at_ms[rows].tolist(),
                batch.received_at_ms[rows].tolist(),
                batch.quality[rows].tolist(),
                strict=True,
            ),
        )

    def _number(self, table: str, name: str) -> int:
        with self.transaction() as db:
            row = db.execute(f"SELECT id FROM {table} WHERE name = ?", (name,)).fetchone()
            if row is None:
                row = (db.execute(f"INSERT INTO {table} (name) VALUES (?)", (name,)).lastrowid,)
            return int(row[0])

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, timeout=5.0, isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "journal_size_limit = 67108864"):
            db.execute(f"PRAGMA {pragma}")
        return db

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as bad:
            advice = ""
            if type(bad) is sqlite3.DatabaseError:  # not a database, or damaged
                advice = "; the file is damaged: stop the hub, move it away, start again (charts begin anew, alerts are not in it)"
            raise Unavailable(f"{self.path}: {bad}{advice}", after_s=2.0) from bad
        except OSError as bad:
            raise Unavailable(f"{self.path}: {bad.strerror}", after_s=2.0) from bad


def series_number(device: int, quantity: int) -> int:
    return device << _QUANTITY_BITS | quantity
