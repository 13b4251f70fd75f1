"""Readings as the journal has them: every message decoded, screened and cut at the ticks as the live hub does it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from hub.clock import cpu_s
from hub.errors import ConfigError, Unavailable
from hub.ingest.reader import Reader
from hub.replay.piece import Piece
from hub.stores.journal import Record, Trimmed
from hub.stores.journal_shelf import Shelf

_AT_ONCE = 8_192


class Records(Protocol):
    """A journal, open here (`stores.journal.Journal`) or written by another process (`stores.journal_shelf.Shelf`)."""

    @property
    def head(self) -> int: ...
    @property
    def tail(self) -> int: ...
    def read(self, position: int, *, limit: int) -> list[Record]: ...
    def position_at(self, at_ms: int) -> int: ...


class JournalSource:
    """The journal between two times. `gaps` tells of what could not be read; reading goes on behind it."""

    def __init__(self, records: Records, reader: Reader, *, wanted: Callable[[Record], bool] | None = None) -> None:
        self.records, self.reader, self.wanted = records, reader, wanted
        self.gaps: list[str] = []
        self.messages = self.records_read = 0
        self.read_s = 0.0

    def pieces(self, from_ms: int, to_ms: int) -> Iterator[Piece]:
        """Pieces of the records of [from_ms, to_ms), in order."""
        records = self.records
        begin, head = records.position_at(from_ms), records.head
        end = head if to_ms >= 1 << 61 else min(head, records.position_at(to_ms) + _AT_ONCE)
        at = begin
        while at < end:
            began = cpu_s()
            try:
                group = records.read(at, limit=min(_AT_ONCE, end - at))
            except Trimmed as gone:
                self.gaps.append(str(gone))
                at = gone.first_kept
                continue
            if not group:
                return
            at = group[-1].position + 1
            self.records_read += len(group)
            if group[0].at_ms >= to_ms:
                return
            if group[0].at_ms < from_ms or group[-1].at_ms >= to_ms or self.wanted is not None:
                keep = self.wanted or (lambda record: True)
                group = [r for r in group if from_ms <= r.at_ms < to_ms and keep(r)]
            self.messages += sum(1 for r in group if not r.kind)
            segments = self.reader.read(group)
            spent = cpu_s() - began
            self.read_s += spent
            done = (at - begin) / max(1, end - begin)
            for n, segment in enumerate(segments):
                yield Piece(
                    batch=segment.batch,
                    done=done,
                    last_ms=segment.last_ms,
                    ticked=True,
                    tick_ms=segment.tick_ms,
                    read_s=0.0 if n else spent,
                )


def shelf_of(folder: Path) -> Shelf:
    """The journal in `folder`, for reading while a hub may be writing it. Raises ConfigError when there is none."""
    if not folder.is_dir():
        raise ConfigError.one(str(folder), "there is no such folder", remedy="name the journal's folder")
    shelf = Shelf(folder)
    try:
        shelf.refresh()
    except (Unavailable, OSError) as bad:
        raise ConfigError.one(str(folder), f"cannot be read: {bad}", remedy="check its rights and disk") from bad
    if not shelf.segments:
        raise ConfigError.one(str(folder), "there is no journal here (no journal-*.db)", remedy="name its folder")
    return shelf
