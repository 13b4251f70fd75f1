"""The segments of a journal folder, side by side: what there is, and reading across them. Needs no lock on the journal."""

from __future__ import annotations

import sqlite3
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from hub.errors import GridHubError, Unavailable
from hub.stores.journal_chunk import Record
from hub.stores.journal_reader import SegmentDamage, SegmentReader, is_damage
from hub.stores.journal_segment import bytes_of, first_of
from hub.telemetry import JOURNAL_DAMAGED, log

_OPEN_AT_ONCE = 4
_RATE_WINDOW_MS = 60_000
T = TypeVar("T")


class Trimmed(GridHubError):
    """The position is no longer kept; reading can go on at `first_kept`, which is higher."""

    def __init__(self, message: str, first_kept: int) -> None:
        super().__init__(message)
        self.first_kept = first_kept


class Damaged(Trimmed):
    """The position is in a file that cannot be read there. The message names file, position and remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """What is known of one file: positions [first, end). `problem` says in words what is wrong with it, "" if nothing."""

    path: Path
    first: int
    end: int
    first_at_ms: int | None = None
    last_at_ms: int | None = None
    identity: str = ""
    torn_groups: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalStat:
    """`full`: why the journal cannot be written now, "" when it can. Counts of losses are since the files were made or opened."""

    identity: str
    head: int
    tail: int
    segments: int
    bytes: int
    first_at_ms: int | None
    last_at_ms: int | None
    records_per_s: float
    torn_groups: int
    damaged: int
    cut_records: int
    full: str
    problems: tuple[str, ...]


class Shelf:
    """Reads the segments in `folder`. Safe from any thread; `scan`, `add` and `drop` belong to one owner at a time.

    `head` bounds what `read` gives out: the owner moves it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.segments: tuple[Segment, ...] = ()
        self.head = 0
        self.quiet = False  # set by an owner that knows that nobody writes
        self.damaged = 0  # places that could not be read, each counted once
        self._said: set[int] = set()
        self._lock = threading.Lock()
        self._open: OrderedDict[Path, SegmentReader] = OrderedDict()

    @property
    def tail(self) -> int:
        return self.segments[0].first if self.segments else self.head

    @property
    def end(self) -> int:
        """Where the last segment ended when it was looked at."""
        return self.segments[-1].end if self.segments else 0

    @property
    def identity(self) -> str:
        """Of the youngest segment that says it; "" if none does."""
        return next((s.identity for s in reversed(self.segments) if s.identity), "")

    def bytes(self) -> int:
        return sum(bytes_of(s.path) for s in self.segments)

    def scan(self, *, verify_last: bool = False) -> None:
        """Looks at the folder anew. `verify_last` reads the last segment whole. Raises OSError, Unavailable."""
        paths = sorted(p for p in self.folder.iterdir() if first_of(p) is not None)
        known = {s.path: s for s in self.segments[:-1]}
        found = [known.get(p) or self._inspect(p, last=p == paths[-1], verify=verify_last) for p in paths]
        own = next((s.identity for s in reversed(found) if s.identity), "")
        for stranger in [s for s in found if s.identity not in ("", own)]:
            log.error(
                "journal.foreign_segment",
                file=stranger.path.name,
                identity=stranger.identity,
                remedy="it belongs to another journal and is left out; move it out of this folder",
            )
            found.remove(stranger)
        self.segments = tuple(
            replace(s, end=max(s.end, following.first) if s.problem else s.end)
            for s, following in zip(found, [*found[1:], *found[-1:]], strict=True)
        )
        with self._lock:
            for gone in [p for p in self._open if p not in paths]:
                self._open.pop(gone).close()

    def refresh(self) -> None:
        """For a process that only looks on: what is there now, up to the last whole group."""
        self.scan()
        self.head = self.end

    def _inspect(self, path: Path, *, last: bool, verify: bool) -> Segment:
        first = first_of(path)
        assert first is not None
        identity, torn, end, problem, doubtful = "", 0, first, "", False
        times: tuple[int | None, int | None] = (None, None)
        try:
            reader = SegmentReader(path, sealed=not last, quiet=self.quiet)
            doubtful = reader.doubtful
            try:
                identity = reader.meta("identity") or ""
                torn = int(reader.meta("torn") or 0)
                if last and verify:
                    end, problem = reader.verify()
                if not problem:
                    end, *outer = reader.bounds()
                    times = (outer[0], outer[1])
            finally:
                reader.close()
        except sqlite3.Error as error:
            if not is_damage(error):
                raise Unavailable(f"{path.name}: {error}") from error
            problem = str(error)
        if doubtful:
            problem = ""
        if problem:
            self._say(path, end, problem)
        return Segment(
            path=path,
            first=first,
            end=end,
            first_at_ms=times[0],
            last_at_ms=times[1],
            identity=identity,
            torn_groups=torn,
            problem=problem,
        )

    def read(self, position: int, limit: int) -> list[Record]:
        """Records from `position` on, at most `limit`, in order, without a gap; [] at the head.

        Raises Trimmed (Damaged when the reason is a bad file) if `position` cannot be given: go on at `first_kept`.
        """
        segments, head = self.segments, self.head
        records: list[Record] = []
        at = position
        while at < head and len(records) < limit:
            index = bisect_right([s.first for s in segments], at) - 1
            if index < 0:
                raise Trimmed(f"position {position} is gone; the journal begins at {self.tail}", self.tail)
            following = segments[index + 1].first if index + 1 < len(segments) else head
            try:
                got = self._read_segment(segments[index], at, min(limit - len(records), following - at), following)
            except Damaged:
                if records:
                    return records
                raise
            records += got
            at += len(got)
        return records

    def _read_segment(self, segment: Segment, at: int, limit: int, following: int) -> list[Record]:
        try:
            got, doubtful = self._with(segment, lambda reader: (reader.read(at, limit), reader.doubtful))
            if got:
                return got
            if doubtful:
                raise Unavailable(f"{segment.path.name}: position {at} cannot be read just now")
            bad = SegmentDamage(at, None, "records are missing at its end")
        except SegmentDamage as damage:
            bad = damage
        except FileNotFoundError:
            if self.segments and self.segments[0].first > at:  # trimmed while we read
                raise Trimmed(f"position {at} is gone; the journal begins at {self.tail}", self.tail) from None
            bad = SegmentDamage(at, None, "the file is gone")
        except sqlite3.Error as error:
            if not is_damage(error):
                raise Unavailable(f"{segment.path.name}: {error}") from error
            bad = SegmentDamage(at, None, str(error))
        resume = following if bad.resume is None else min(bad.resume, following)
        self._say(segment.path, at, bad.reason, resume)
        raise Damaged(
            f"{segment.path}: position {at} cannot be read ({bad.reason}); the next readable one is {resume}. "
            f"Remedy: check the disk, bring the file back from a backup while the hub is stopped; "
            f"otherwise these {resume - at} position(s) are lost",
            resume,
        )

    def _with(self, segment: Segment, use: Callable[[SegmentReader], T]) -> T:
        with self._lock:
            reader = self._open.pop(segment.path, None)
            if reader is None:
                last = not self.segments or segment.path == self.segments[-1].path
                reader = SegmentReader(segment.path, sealed=not last, quiet=self.quiet)
            if reader.alone:
                with closing(reader):
                    return use(reader)
            try:
                return use(reader)
            finally:
                self._open[segment.path] = reader
                while len(self._open) > _OPEN_AT_ONCE:
                    self._open.popitem(last=False)[1].close()

    def _say(self, path: Path, position: int, reason: str, resume: int | None = None) -> None:
        if position in self._said:
            return
        self._said.add(position)
        self.damaged += 1
        JOURNAL_DAMAGED.inc()
        log.error(
            "journal.damaged",
            file=str(path),
            position=position,
            reason=reason,
            resumes_at=resume,
            remedy="check the disk; bring the file back from a backup while the hub is stopped, or accept the loss",
        )

    def position_at(self, at_ms: int) -> int:
        """The first position whose group reaches the time `at_ms`; the head if none does."""
        for segment in self.segments:
            if segment.problem or segment is self.segments[-1] or (segment.last_at_ms or 0) >= at_ms:
                try:
                    found = self._with(segment, lambda reader: reader.position_at(at_ms))
                except (sqlite3.Error, FileNotFoundError):
                    continue
                if found is not None:
                    return found
        return self.head

    def rate(self) -> float:
        """Records per second (ticks included) over the last minute of the journal's own time."""
        if not self.segments:
            return 0.0
        try:
            last_at = self._with(self.segments[-1], lambda reader: reader.bounds()[2])
        except (sqlite3.Error, FileNotFoundError):
            return 0.0
        last_at = last_at if last_at is not None else self.segments[-1].last_at_ms
        if last_at is None:
            return 0.0
        return max(0, self.head - self.position_at(last_at - _RATE_WINDOW_MS)) / (_RATE_WINDOW_MS / 1_000)

    def stat(self) -> JournalStat:
        """How the journal stands, as far as its files tell."""
        segments = self.segments
        return JournalStat(
            identity=self.identity,
            head=self.head,
            tail=self.tail,
            segments=len(segments),
            bytes=self.bytes(),
            first_at_ms=next((s.first_at_ms for s in segments if s.first_at_ms is not None), None),
            last_at_ms=next((s.last_at_ms for s in reversed(segments) if s.last_at_ms is not None), None),
            records_per_s=self.rate(),
            torn_groups=sum(s.torn_groups for s in segments),
            damaged=self.damaged,
            cut_records=0,
            full="",
            problems=tuple(f"{s.path.name}: {s.problem}" for s in segments if s.problem),
        )

    def add(self, segment: Segment) -> None:
        """Puts `segment` at the end (or in the place of the last, if it is the same file)."""
        self.forget(segment.path)
        kept = tuple(s for s in self.segments if s.path != segment.path)
        self.segments = (*kept, segment)

    def drop(self, segment: Segment) -> None:
        """Forgets the segment; the caller deletes the file."""
        self.segments = tuple(s for s in self.segments if s.path != segment.path)
        self.forget(segment.path)

    def forget(self, path: Path) -> None:
        """Closes the open connection to `path`, if any."""
        with self._lock:
            reader = self._open.pop(path, None)
            if reader is not None:
                reader.close()

    def close(self) -> None:
        with self._lock:
            while self._open:
                self._open.popitem()[1].close()
