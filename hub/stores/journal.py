"""The journal: every MQTT message as it came in, durably and in order, before anything else happens to it.

Consumers read it from a position (their cursor). What was appended is on disk when `append` returns. When the disk takes
nothing more, `append` raises JournalFull, changes nothing, and works again by itself when there is room.
"""

from __future__ import annotations

import errno
import os
import secrets
import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hub.errors import ConfigError, JournalFull, Unavailable
from hub.model.readings import Envelope
from hub.stores.journal_chunk import MESSAGE, TICK, Chunk, Record, Row, encode
from hub.stores.journal_reader import is_damage
from hub.stores.journal_retention import Retention
from hub.stores.journal_room import FolderLock, Reserve
from hub.stores.journal_segment import SegmentWriter, wal_remains
from hub.stores.journal_shelf import Damaged, JournalStat, Segment, Shelf, Trimmed
from hub.stores.journal_tail import Tail
from hub.telemetry import log

__all__ = ["MESSAGE", "TICK", "Damaged", "Journal", "JournalConfig", "JournalStat", "Record", "Trimmed"]

_MIB = 1 << 20
# After damage nobody knows how many positions had been given out: the next one is safely beyond any of them, so that no
# position ever means two records. A segment cannot hold this many.
LEAP = 1 << 32
_LOST = "the disk lost records it had stored: check it; what is missing is nowhere else"


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalConfig:
    """Sizes and ages. `cap_mib` (default twice `retain_mib`) is kept even if a consumer has not read that far."""

    retain_days: float = 30
    retain_mib: float = 20_000
    cap_mib: float | None = None
    segment_mib: float = 64
    segment_hours: float = 24
    tail_records: int = 65_536
    tail_mib: float = 32
    reserve_mib: float = 16


class Journal:
    """One thread appends; any thread reads, waits, trims, asks. One process at a time has it open."""

    def __init__(self, folder: Path, config: JournalConfig) -> None:
        self._folder, self._config = folder, config
        self._shelf = Shelf(folder)
        self._tail = Tail(config.tail_records, int(config.tail_mib * _MIB))
        cap_mib = 2 * config.retain_mib if config.cap_mib is None else config.cap_mib
        self._retention = Retention(
            self._shelf, days=config.retain_days, most_bytes=config.retain_mib * _MIB, cap_bytes=cap_mib * _MIB
        )
        self._reserve = Reserve(folder, int(config.reserve_mib * _MIB))
        self._lock: FolderLock | None = None
        self._writer: SegmentWriter | None = None
        self._changed = threading.Condition()
        self._owner = threading.RLock()  # whoever changes files or the list of segments
        self._head = 0
        self._began = False  # whether the positions of this process mean anything yet
        self._full = ""
        self._last_at_ms: int | None = None
        self.identity = secrets.token_hex(8)

    @classmethod
    def open(cls, folder: Path, config: JournalConfig | None = None) -> Journal:
        """Opens or creates the journal. Raises ConfigError when the folder is no use or another process has it.

        A disk that is full, read-only or failing does not stop the hub from starting: the journal is then opened as
        far as possible, `stat().full` says why, and `append` tries again.
        """
        journal = cls(folder, config or JournalConfig())
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError, PermissionError) as error:
            raise ConfigError.one(
                str(folder), f"cannot be the journal's folder: {error.strerror}", remedy="correct journal.folder"
            ) from error
        except OSError as error:
            journal._now_full(error)
            return journal
        with journal._owner:
            try:
                journal._attach()
            except PermissionError as error:
                journal.close()
                raise ConfigError.one(
                    str(folder), f"no right to write here: {error}", remedy="give the hub's user this folder"
                ) from error
            except (sqlite3.Error, OSError, Unavailable) as error:
                journal._now_full(error)
        return journal

    # -- writing ------------------------------------------------------------------------------------------------------

    def append(self, envelopes: Sequence[Envelope], *, tick_ms: int | None = None) -> int:
        """Stores the envelopes, and a tick behind them if `tick_ms` is given, as one durable group.

        Returns the position of the first record; they follow each other without a gap. On JournalFull nothing was stored.
        """
        with self._owner:
            if self._writer is None:
                self._attach_again()
            head = self._head
            rows: list[Row] = [
                (position, MESSAGE, at_ms, topic, payload, retained)
                for position, (topic, payload, at_ms, retained, _) in enumerate(envelopes, head)
            ]
            if tick_ms is not None:
                rows.append((head + len(rows), TICK, tick_ms, "", b"", False))
            if not rows:
                return head
            chunks = encode(rows)
            self._store(chunks)
            if self._full:
                self._writable_again()
            self._tail.add(chunks)
            self._last_at_ms = chunks[-1].last_at_ms
            self._move_head(head + len(rows))
            return head

    def _store(self, chunks: list[Chunk]) -> None:
        size = sum(len(chunk.body) for chunk in chunks)
        tried_anew = False
        while True:
            try:
                if not self._reserve.enough_for(size):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                self._writer_for(chunks).insert(chunks)
                return
            except (sqlite3.Error, OSError) as error:
                if _no_room(error):
                    if self._retention.make_room():
                        continue
                    self._reserve.give_up()
                elif not tried_anew:
                    tried_anew = True
                    if self._renew(error):
                        continue
                else:
                    self._let_go()
                self._now_full(error)
                raise JournalFull(f"the journal in {self._folder} cannot be written: {error}") from error

    def _renew(self, error: Exception) -> bool:
        """After an error that is not lack of room: a new segment for a damaged one, else all files opened again."""
        try:
            if is_damage(error) and self._writer is not None:
                self._abandon(self._writer, str(error))
            else:
                self._let_go()
                self._attach()
        except (ConfigError, Unavailable, sqlite3.Error, OSError):
            return False  # the first error says more
        return True

    def _writer_for(self, chunks: list[Chunk]) -> SegmentWriter:
        """The writer to use for this group: a new segment when the present one is full, old, or ends elsewhere."""
        writer = self._writer
        if writer is not None and writer.end == self._head:
            since = writer.first_at_ms
            aged = since is not None and chunks[0].first_at_ms - since >= self._config.segment_hours * 3_600_000
            if writer.end == writer.first or not (aged or writer.size >= self._config.segment_mib * _MIB):
                return writer
        return self._begin_segment()

    def _begin_segment(self) -> SegmentWriter:
        young = SegmentWriter.create(self._folder, self._head, self.identity)
        old, self._writer = self._writer, young
        if old is not None:
            self._shelf.forget(old.path)
            old.seal()
            known = self._shelf.segments[-1]
            self._shelf.add(replace(known, end=old.end, first_at_ms=old.first_at_ms, last_at_ms=self._last_at_ms))
        self._shelf.add(Segment(path=young.path, first=young.first, end=young.end, identity=self.identity))
        return young

    def leap(self, position: int, *, remedy: str = _LOST) -> None:
        """Gives out no position below `position` any more; for a cursor that lies beyond the head.

        Such a cursor proves that the journal has lost records that it had acknowledged (files cut or put back from a backup),
        unless the caller knows better and says so as `remedy`.
        """
        with self._owner:
            if position <= self._head or not self._began:
                return
            log.error("journal.lost_records", from_position=self._head, to_position=position, remedy=remedy)
            self._tail.clear()
            self._move_head(position)

    def _move_head(self, head: int) -> None:
        with self._changed:
            self._head = self._shelf.head = head
            self._changed.notify_all()

    # -- when the disk does not do as it should -------------------------------------------------------------------------

    def _attach_again(self) -> None:
        try:
            if not self._reserve.enough_for(0):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._attach()
        except (ConfigError, Unavailable, sqlite3.Error, OSError) as error:
            self._now_full(error)
            raise JournalFull(f"the journal in {self._folder} cannot be written: {error}") from error

    def _attach(self) -> None:
        """Takes the folder, finds the end of what is there, and opens it for appending."""
        if self._lock is not None and not self._lock.in_place():
            self._lock.release()
            self._lock = None
        if self._lock is None:
            self._lock = FolderLock(self._folder)
        self._reserve.hold()
        self._shelf.quiet = True
        self._shelf.scan(verify_last=not self._began)
        last = self._shelf.segments[-1] if self._shelf.segments else None
        if self._shelf.identity not in ("", self.identity):
            if self._began:
                raise Unavailable(f"another journal ({self._shelf.identity}) lies in {self._folder}")
            self.identity = self._shelf.identity
        if not self._began:
            self._move_head(max(self._head, self._shelf.end))
            self._last_at_ms = next((s.last_at_ms for s in reversed(self._shelf.segments) if s.last_at_ms), None)
        if not os.access(self._folder, os.W_OK):
            code = errno.EROFS if os.statvfs(self._folder).f_flag & os.ST_RDONLY else errno.EACCES
            raise OSError(code, os.strerror(code), str(self._folder))
        try:
            if last is None:
                self._begin_segment()
            elif last.problem:
                self._lost(last)
                self._begin_segment()
            else:
                self._resume(last)
        except (sqlite3.Error, OSError) as error:
            if _no_room(error):
                self._reserve.give_up()
            self._let_go()
            raise
        self._shelf.quiet = False
        self._began = True

    def _resume(self, last: Segment) -> None:
        """Opens the last segment for appending, drops what is not whole in its log, and says so."""
        remains = wal_remains(last.path)
        self._shelf.forget(last.path)
        writer = self._writer = SegmentWriter(last.path)
        if self._began:
            if writer.end > self._head:  # the group of a failed append: it was reported as not stored
                writer.discard_from(self._head)
            return
        self._move_head(max(self._head, writer.end))
        valid = writer.fold()
        dropped = () if valid is None else remains.commits[valid:]
        if dropped or remains.header_broken:
            groups = max(1, sum(dropped))
            writer.count_torn(groups)
            self._shelf.add(replace(last, torn_groups=last.torn_groups + groups))
            log.warning(
                "journal.torn",
                file=last.path.name,
                groups=groups,
                frames=len(dropped),
                head=self._head,
                remedy="none needed",
            )
        # A kill leaves at most one unfinished group, at the very end. More than that was acknowledged once.
        if remains.header_broken or any(dropped[:-1]):
            self._lost(last)
            self._begin_segment()

    def _lost(self, last: Segment) -> None:
        if not self._began:
            log.error("journal.lost_records", file=last.path.name, from_position=self._head, remedy=_LOST)
            self._move_head(max(self._head, last.end + LEAP))

    def _abandon(self, writer: SegmentWriter, reason: str) -> None:
        """The segment turned out to be damaged while writing: leave it as it is and go on in a new one."""
        log.error("journal.damaged", file=str(writer.path), position=self._head, reason=reason, remedy="check the disk")
        self._writer = None
        writer.close()
        if writer.first == self._head:  # nothing in it, and its successor needs the name
            self._shelf.drop(self._shelf.segments[-1])
            writer.path.rename(writer.path.with_name(writer.path.name + ".damaged"))
        else:
            self._shelf.add(
                replace(self._shelf.segments[-1], end=self._head, last_at_ms=self._last_at_ms, problem=reason)
            )

    def _let_go(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def _now_full(self, error: Exception) -> None:
        if not self._full:
            remedy = "make room on the disk" if _no_room(error) else "check the disk, its mount and the folder's rights"
            log.error("journal.full", folder=str(self._folder), reason=str(error), remedy=remedy)
        self._full = str(error) or repr(error)

    def _writable_again(self) -> None:
        log.warning("journal.writable_again", was=self._full)
        self._full = ""
        self._reserve.hold()

    # -- retention ----------------------------------------------------------------------------------------------------

    def trim(self, now_ms: int, keep_from: int) -> int:
        """Deletes whole segments that are too old or too many and end at or below `keep_from`; returns how many.

        `keep_from` is the smallest cursor. Beyond it segments go only above `cap_mib`: counted and said aloud.
        """
        with self._owner:
            return self._retention.trim(now_ms, keep_from)

    # -- reading ------------------------------------------------------------------------------------------------------

    @property
    def head(self) -> int:
        """The next position."""
        return self._head

    @property
    def tail(self) -> int:
        """The first position that is kept."""
        return self._shelf.tail

    def read(self, position: int, *, limit: int) -> list[Record]:
        """Up to `limit` records from `position` on, in order and without a gap; [] at or beyond the head.

        Raises Trimmed when `position` is gone, Damaged (a Trimmed) when its file is bad: go on at `first_kept`.
        """
        limit = min(limit, self._head - position)
        if limit <= 0:
            return []
        found = self._tail.read(position, limit)
        return self._shelf.read(position, limit) if found is None else found

    def position_at(self, at_ms: int) -> int:
        """The first position of the group that reaches the time `at_ms`; the head if none does."""
        return min(self._shelf.position_at(at_ms), self._head)

    def wait(self, position: int, timeout_s: float) -> bool:
        """Waits until there is a record at `position` or beyond; whether there is."""
        with self._changed:
            return self._changed.wait_for(lambda: self._head > position, timeout_s)

    def stat(self) -> JournalStat:
        """How the journal stands. Looks at the files: not for the hot path."""
        found, writer = self._shelf.stat(), self._writer
        first_at_ms = found.first_at_ms
        if first_at_ms is None and writer is not None:
            first_at_ms = writer.first_at_ms
        return replace(
            found,
            identity=self.identity,
            first_at_ms=first_at_ms,
            last_at_ms=self._last_at_ms,
            cut_records=self._retention.cut_records,
            full=self._full,
        )

    def close(self) -> None:
        """Folds everything into plain files and lets the folder go. Idempotent; nothing may be appended afterwards."""
        with self._owner:
            writer, self._writer = self._writer, None
            self._shelf.close()
            if writer is not None:
                writer.seal()
            if self._lock is not None:
                self._lock.release()
                self._lock = None


def _no_room(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL
