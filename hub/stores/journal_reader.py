"""Reading one segment of the journal, whole or damaged, while another process may be appending to it."""

from __future__ import annotations

import os
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from hub.errors import Unavailable
from hub.stores.journal_chunk import Record, decode
from hub.stores.journal_segment import first_of, wal_of

_FROM = (
    "SELECT first, count, crc, body FROM chunks"
    " WHERE first >= coalesce((SELECT max(first) FROM chunks WHERE first <= ?), -1) ORDER BY first"
)


class SegmentDamage(Exception):
    """`position` of the segment cannot be read; the next readable position is `resume` (None: none in this segment)."""

    def __init__(self, position: int, resume: int | None, reason: str) -> None:
        super().__init__(reason)
        self.position, self.resume, self.reason = position, resume, reason


_UNREADABLE = {
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_ERROR,  # "no such table": the file is not what its name says
    sqlite3.SQLITE_FORMAT,
}
_UNREADABLE_IO = {sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS}


def is_damage(error: Exception) -> bool:
    """Whether `error` says that stored bytes are bad (and not that something is busy, full or out of reach)."""
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", None)
        if code is None:  # raised by the sqlite3 module itself, e.g. text that is not UTF-8
            return isinstance(error, sqlite3.DatabaseError)
        return code & 0xFF in _UNREADABLE or code in _UNREADABLE_IO
    return isinstance(error, ValueError | msgspec.MsgspecError)


class SegmentReader:
    """A read-only connection to a segment, also while another process appends to it. One thread at a time.

    `alone`: a still picture, taken without locks because SQLite could not join in (a full or read-only disk, where it cannot
    make the index of the log that is shared with others). For one use only.
    """

    def __init__(self, path: Path, *, sealed: bool, quiet: bool = False) -> None:
        """`sealed`: nobody writes this segment any more. `quiet`: nobody writes it just now.

        Raises sqlite3.Error, FileNotFoundError.
        """
        first = first_of(path)
        if first is None:
            raise ValueError(f"{path} is not a segment")
        if not path.exists():
            raise FileNotFoundError(str(path))
        self.path, self.first, self.alone, self._quiet = path, first, False, quiet
        wal = wal_of(path)
        logged = wal.exists() and wal.stat().st_size > 0
        self._db = self._connect("mode=ro" if logged or not sealed else "mode=ro&immutable=1")
        try:
            self._db.execute("SELECT 1 FROM sqlite_master").fetchone()
        except sqlite3.Error as error:
            if not is_damage(error) and (quiet or not os.access(path.parent, os.W_OK)):
                self._db.close()
                self._db, self.alone = self._connect("mode=ro&vfs=unix-none"), True
                self._db.execute("PRAGMA locking_mode = EXCLUSIVE")  # the index of the log in memory, not in a file

    def _connect(self, mode: str) -> sqlite3.Connection:
        db = sqlite3.connect(
            f"{self.path.resolve().as_uri()}?{mode}",
            uri=True,
            isolation_level=None,
            timeout=2.0,
            check_same_thread=False,
        )
        db.execute("PRAGMA writable_schema = ON")  # lets SQLite read what is left of a file that was cut short
        return db

    @property
    def doubtful(self) -> bool:
        """Whether what looks like damage may only be somebody writing at the same time."""
        return self.alone and not self._quiet

    def close(self) -> None:
        self._db.close()

    def meta(self, key: str) -> str | None:
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def bounds(self) -> tuple[int, int | None, int | None]:
        """End position, first and last time of the segment, by its outermost rows."""
        last = self._db.execute("SELECT first + count, last_at_ms FROM chunks ORDER BY first DESC LIMIT 1").fetchone()
        if last is None:
            return self.first, None, None
        oldest = self._db.execute("SELECT first_at_ms FROM chunks ORDER BY first LIMIT 1").fetchone()
        return int(last[0]), int(oldest[0]), int(last[1])

    def read(self, position: int, limit: int) -> list[Record]:
        """Up to `limit` records from `position` on, stopping before anything damaged.

        Raises SegmentDamage when `position` itself cannot be read, Unavailable when the file is busy or out of reach.
        """
        records: list[Record] = []
        try:
            with self._rows(_FROM, position) as rows:
                for first, count, crc, body in rows:
                    at = position + len(records)
                    if first > at:
                        if records:
                            return records
                        raise SegmentDamage(position, int(first), f"positions {at}..{first - 1} are missing")
                    if first + count <= at:
                        break
                    if zlib.crc32(body) != crc:
                        raise ValueError("the checksum differs")
                    records += decode(first, count, body)[at - first : at - first + limit - len(records)]
                    if len(records) >= limit:
                        break
        except (sqlite3.Error, ValueError, msgspec.MsgspecError) as error:
            if self.doubtful or not is_damage(error):
                raise Unavailable(f"{self.path.name}: {error}") from error
            if not records:
                raise SegmentDamage(position, self._next_readable(position), str(error)) from error
        return records

    def verify(self) -> tuple[int, str]:
        """Reads every chunk. Returns the end of the readable beginning, and what is wrong behind it ("" if nothing)."""
        end = self.first
        try:
            with self._rows("SELECT first, count, crc, body FROM chunks WHERE first >= ? ORDER BY first", -1) as rows:
                for first, count, crc, body in rows:
                    if first != end:
                        return end, f"position {end} is missing"
                    if zlib.crc32(body) != crc:
                        return end, f"position {end}: the checksum differs"
                    end = first + count
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
            return end, f"position {end}: {error}"
        return end, ""

    def position_at(self, at_ms: int) -> int | None:
        """The first position of the first chunk that reaches `at_ms`."""
        row = self._db.execute(
            "SELECT first FROM chunks WHERE last_at_ms >= ? ORDER BY first LIMIT 1", (at_ms,)
        ).fetchone()
        return None if row is None else int(row[0])

    def _next_readable(self, position: int) -> int | None:
        try:
            row = self._db.execute("SELECT min(first) FROM chunks WHERE first > ?", (position,)).fetchone()
            return None if row[0] is None else int(row[0])
        except sqlite3.Error:
            pass
        found: int | None = None  # the way down is broken: come from the end
        with (
            suppress(sqlite3.Error),
            self._rows("SELECT first FROM chunks WHERE first > ? ORDER BY first DESC", position) as rows,
        ):
            for (first,) in rows:
                found = int(first)
        return found

    @contextmanager
    def _rows(self, statement: str, argument: int) -> Iterator[sqlite3.Cursor]:
        """A cursor that is closed at once, so that it never holds back the writer's log."""
        cursor = self._db.execute(statement, (argument,))
        try:
            yield cursor
        finally:
            cursor.close()
