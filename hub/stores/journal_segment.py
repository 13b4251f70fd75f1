"""One segment of the journal: a SQLite file that holds groups of records, one row (a chunk) per group.

A segment is written by one connection and never changes again once the next one has begun. Its name carries its first position.
"""

from __future__ import annotations

import os
import sqlite3
import struct
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hub.stores.journal_chunk import Chunk

_PAGE_BYTES = 8_192  # measured in docs/adr/0002
_WAL_PAGES = 500  # 4 MB of write-ahead log before it is folded into the file
_FORMAT = 1

_SCHEMA = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    """CREATE TABLE chunks (
        first INTEGER PRIMARY KEY, count INTEGER NOT NULL, first_at_ms INTEGER NOT NULL, last_at_ms INTEGER NOT NULL,
        crc INTEGER NOT NULL, body BLOB NOT NULL)""",
)
_INSERT = "INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?)"


def segment_name(first: int) -> str:
    return f"journal-{first:020d}.db"


def first_of(path: Path) -> int | None:
    """The first position that the file name promises; None if it is not a segment."""
    digits = path.name.removeprefix("journal-").removesuffix(".db")
    return int(digits) if path.name == f"journal-{digits}.db" and len(digits) == 20 and digits.isdecimal() else None


def wal_of(path: Path) -> Path:
    """The write-ahead log of the segment."""
    return _beside(path, "-wal")


def bytes_of(path: Path) -> int:
    """Room that the segment and its write-ahead log take on disk."""
    total = 0
    for part in (path, wal_of(path)):
        with suppress(FileNotFoundError):
            total += part.stat().st_size
    return total


def remove(path: Path) -> None:
    """Deletes a segment. The log goes first: it must never lie beside a younger file of the same name."""
    for part in (_beside(path, "-wal"), _beside(path, "-shm"), path):
        part.unlink(missing_ok=True)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


@dataclass(frozen=True, slots=True, kw_only=True)
class WalRemains:
    """What a write-ahead log holds before SQLite recovers it: for each frame whether it ends a transaction."""

    commits: tuple[bool, ...] = ()
    header_broken: bool = False


def wal_remains(path: Path) -> WalRemains:
    """Reads the log beside segment `path`. (SQLite locks the segment and its -shm, never the log: reading it disturbs nobody.)"""
    try:
        data = wal_of(path).read_bytes()
    except FileNotFoundError:
        return WalRemains()
    if not data:
        return WalRemains()
    if len(data) < 32 or data[:3] != b"\x37\x7f\x06":
        return WalRemains(header_broken=True)
    page = struct.unpack_from(">I", data, 8)[0]
    if page not in (512, 1024, 2048, 4096, 8192, 16384, 32768, 65536):
        return WalRemains(header_broken=True)
    commits: list[bool] = []
    at = 32
    while at + 24 <= len(data) and data[at + 8 : at + 16] == data[16:24]:
        whole = at + 24 + page <= len(data)
        commits.append(whole and struct.unpack_from(">I", data, at + 4)[0] != 0)
        at += 24 + page
    return WalRemains(commits=tuple(commits))


class SegmentWriter:
    """The one connection that appends to a segment. Owned by the appending thread."""

    def __init__(self, path: Path) -> None:
        """Opens an existing segment; SQLite recovers whole groups from its log. Raises sqlite3.Error or OSError."""
        first = first_of(path)
        if first is None:
            raise ValueError(f"{path} is not a segment")
        self.path, self.first = path, first
        self._inode = path.stat().st_ino
        self._db = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=2.0, check_same_thread=False
        )
        try:
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")
            self._db.execute(f"PRAGMA journal_size_limit = {2 * _WAL_PAGES * _PAGE_BYTES}")
            row = self._db.execute("SELECT first, count FROM chunks ORDER BY first DESC LIMIT 1").fetchone()
            oldest = self._db.execute("SELECT first_at_ms FROM chunks ORDER BY first LIMIT 1").fetchone()
        except BaseException:
            self._db.close()
            raise
        self.end = first if row is None else int(row[0] + row[1])
        self.first_at_ms: int | None = None if oldest is None else int(oldest[0])
        self.size = bytes_of(path)

    @classmethod
    def create(cls, folder: Path, first: int, identity: str) -> SegmentWriter:
        """A new, empty segment. It gets its name only when its tables are on disk, so a named file without them is damaged."""
        path = folder / segment_name(first)
        draft = _beside(path, ".new")
        remove(draft)  # of a process that was killed here
        _beside(path, "-wal").unlink(missing_ok=True)
        _beside(path, "-shm").unlink(missing_ok=True)
        try:
            db = sqlite3.connect(draft, isolation_level=None)
            try:
                db.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
                db.execute("PRAGMA synchronous = FULL")
                db.execute("PRAGMA journal_mode = WAL")
                db.execute("BEGIN")
                for statement in _SCHEMA:
                    db.execute(statement)
                db.executemany("INSERT INTO meta VALUES (?, ?)", [("identity", identity), ("format", str(_FORMAT))])
                db.execute("COMMIT")
            finally:
                db.close()
            draft.rename(path)
            sync_folder(folder)
            return cls(path)
        except BaseException:
            with suppress(OSError):
                remove(draft)
            raise

    def insert(self, chunks: Sequence[Chunk]) -> None:
        """Stores all chunks durably or none. Raises sqlite3.Error, or OSError when the file is no longer in its folder."""
        if os.stat(self.path).st_ino != self._inode:
            raise FileNotFoundError(f"{self.path} was replaced")
        if len(chunks) == 1:
            self._db.execute(_INSERT, chunks[0])
        else:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.executemany(_INSERT, chunks)
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
        if self.first_at_ms is None:
            self.first_at_ms = chunks[0].first_at_ms
        self.end = chunks[-1].first + chunks[-1].records
        self.size += sum(len(chunk.body) for chunk in chunks) + 64

    def discard_from(self, position: int) -> None:
        """Takes back groups whose append was reported as failed and that reached the disk all the same."""
        self._db.execute("DELETE FROM chunks WHERE first >= ?", (position,))
        self.end = min(self.end, max(position, self.first))

    def count_torn(self, groups: int) -> None:
        """Notes in the segment that `groups` unfinished groups were dropped when it was opened."""
        self._db.execute(
            "INSERT INTO meta VALUES ('torn', ?) ON CONFLICT (key) DO UPDATE SET value = value + excluded.value",
            (str(groups),),
        )

    def fold(self) -> int | None:
        """Folds the log into the file; returns how many frames of it were valid, None if there was no room for that."""
        try:
            row = self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.OperationalError:
            return None
        return max(0, int(row[1]))

    def seal(self) -> None:
        """Ends the segment: its log is folded in, so the file alone holds everything. Never raises for lack of room."""
        with suppress(sqlite3.Error):
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self.close()

    def close(self) -> None:
        with suppress(sqlite3.Error):
            self._db.close()


def sync_folder(folder: Path) -> None:
    """Makes new and removed names of the folder durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
