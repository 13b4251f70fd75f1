"""A log of readings in SQLite and, folded out of it, the latest value of everything: what the API shows without InfluxDB."""

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
from hub.stores.latest_table import ROW, LatestTable, Rows

QUANTITY_BITS = 12
_MOST_BLOCKS = 5_000  # small blocks cost a reader more than their rows do
_AT_ONCE = 500  # names in one statement; SQLite once allowed 999
_SCHEMA = """
CREATE TABLE IF NOT EXISTS quantity (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS device (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS block (id INTEGER PRIMARY KEY AUTOINCREMENT, rows INTEGER NOT NULL, data BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS latest (id INTEGER PRIMARY KEY CHECK (id = 1), block INTEGER NOT NULL, data BLOB NOT NULL);
"""


class LatestValues:
    """One SQLite file. A batch is one appended block of rows: an insert for each reading would cost twenty times as much.

    After some hundred thousand rows the blocks are folded: the latest rows are saved as a whole and the blocks go. The
    latest values are held in memory, as they follow from the file; another process that has the same file open follows
    by reading the blocks it has not seen. The driver is used directly: this file never lives in PostgreSQL.
    Any failure of SQLite is `Unavailable`.
    """

    def __init__(self, path: Path, *, schema: str = "", fold_rows: int = 250_000) -> None:
        self.path = path
        self._fold_rows = fold_rows
        self._writing = threading.RLock()
        self._reading = threading.RLock()
        with self._failures():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = self._connect()
            self._db.executescript(_SCHEMA + schema)
            self._reader = self._connect()
            self._reader.execute("PRAGMA query_only = on")
        self._version: str | None = None
        self._number_of_slot: NDArray[np.int64] = np.empty(0, np.int64)
        self._number_of_code = np.array([self.quantity_number(q.name) for q in BY_CODE], np.int64)
        self._table = LatestTable()
        self._seen = 0  # the last block that the table knows
        self._follow()
        ((rows, blocks),) = self.read("SELECT coalesce(sum(rows), 0), count(*) FROM block")
        self._unfolded, self._blocks = int(rows), int(blocks)

    def write(self, batch: ReadingBatch, registry: Directory) -> None:
        """Takes the batch over durably. The same batch again changes nothing that is shown."""
        with self._writing:
            with self.transaction() as db:
                self.append(db, self.rows_of(batch, registry))
            if self.is_due:
                with self.transaction() as db:
                    self.fold(db)

    def latest(self, device_id: str) -> list[LatestValue]:
        found = self.read("SELECT id FROM device WHERE name = ?", (device_id,))
        if not found:
            return []
        self._follow()
        first = int(found[0][0]) << QUANTITY_BITS
        with self._reading:
            rows = self._table.between(first, first + (1 << QUANTITY_BITS))
        names = dict(self.read("SELECT id, name FROM quantity"))
        values = [
            latest_value(
                device_id,
                names[series & ((1 << QUANTITY_BITS) - 1)],
                None if value != value else value,
                observed,
                received,
                quality,
            )
            for series, observed, received, value, quality in rows.tolist()
        ]
        return sorted(values, key=lambda v: v.quantity)

    def newest_receipt_ms(self) -> int:
        self._follow()
        with self._reading:
            return self._table.newest_receipt_ms()

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

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """Several reads of one state of the file."""
        with self._reading, self._failures():
            self._reader.execute("BEGIN")
            try:
                yield self._reader
            finally:
                self._reader.execute("COMMIT")

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

    def rows_of(self, batch: ReadingBatch, registry: Directory) -> Rows:
        """The batch as it is stored."""
        if registry.version != self._version or len(self._number_of_slot) < len(registry):
            self._version = registry.version
            self._number_of_slot = np.full(len(registry), -1, np.int64)
        numbers = self._number_of_slot
        of_row = numbers[batch.slot]
        if len(of_row) and of_row.min() < 0:
            fresh = np.unique(batch.slot[of_row < 0])
            numbers[fresh] = self._device_numbers([registry.ids[slot] for slot in fresh.tolist()])
            of_row = numbers[batch.slot]
        rows = np.empty(len(batch), ROW)
        rows["series"] = (of_row << QUANTITY_BITS) | self._number_of_code[batch.quantity]
        rows["observed"] = batch.observed_at_ms
        rows["received"] = batch.received_at_ms
        rows["value"] = batch.value
        rows["quality"] = batch.quality
        return rows

    def append(self, db: sqlite3.Connection, rows: Rows) -> None:
        """One block, in a transaction of the caller's. The table learns of it from the file, after the commit."""
        if len(rows):
            db.execute("INSERT INTO block (rows, data) VALUES (?, ?)", (len(rows), rows.tobytes()))
            self._unfolded += len(rows)
            self._blocks += 1

    @property
    def is_due(self) -> bool:
        """Whether it is time to fold."""
        return self._unfolded >= self._fold_rows or self._blocks >= _MOST_BLOCKS

    def fold(self, db: sqlite3.Connection) -> Rows:
        """Saves the latest values and lets the blocks go, in a transaction of the caller's. Returns their rows, oldest first."""
        rows = blocks_after(db, 0)
        saved = db.execute("SELECT block, data FROM latest").fetchone()
        table = LatestTable() if saved is None else LatestTable.from_bytes(saved[1])
        table.update(rows)
        db.execute(
            "INSERT OR REPLACE INTO latest (id, block, data) SELECT 1, coalesce(max(id), ?), ? FROM block",
            (0 if saved is None else saved[0], table.to_bytes()),
        )
        db.execute("DELETE FROM block")
        self._unfolded = self._blocks = 0
        return rows

    def _follow(self) -> None:
        """Brings the table up to what stands in the file."""
        with self.snapshot() as db:
            found = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'block'").fetchone()
            if found is None or found[0] == self._seen:
                return
            folded = db.execute("SELECT block FROM latest").fetchone()
            if folded is not None and folded[0] > self._seen:
                (data,) = db.execute("SELECT data FROM latest").fetchone()
                self._table, self._seen = LatestTable.from_bytes(data), folded[0]
            self._table.update(blocks_after(db, self._seen))
            self._seen = found[0]

    def _number(self, table: str, name: str) -> int:
        with self.transaction() as db:
            row = db.execute(f"SELECT id FROM {table} WHERE name = ?", (name,)).fetchone()
            if row is None:
                row = (db.execute(f"INSERT INTO {table} (name) VALUES (?)", (name,)).lastrowid,)
            return int(row[0])

    def _device_numbers(self, names: Sequence[str]) -> list[int]:
        """The numbers of many devices at once, in the order of `names`."""
        found: dict[str, int] = {}
        with self.transaction() as db:
            for at in range(0, len(names), _AT_ONCE):
                some = names[at : at + _AT_ONCE]
                known = f"SELECT name, id FROM device WHERE name IN ({','.join('?' * len(some))})"
                db.executemany("INSERT OR IGNORE INTO device (name) VALUES (?)", ((name,) for name in some))
                found.update(db.execute(known, some))
        return [found[name] for name in names]

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


def blocks_after(db: sqlite3.Connection, block: int) -> Rows:
    """The rows of the blocks behind `block`, in the order of arrival."""
    found = db.execute("SELECT data FROM block WHERE id > ? ORDER BY id", (block,))
    return np.frombuffer(b"".join(data for (data,) in found), ROW)


def series_number(device: int, quantity: int) -> int:
    return device << QUANTITY_BITS | quantity
