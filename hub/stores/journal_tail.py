"""The youngest records of the journal in memory, so that live consumers never wait for the disk."""

from __future__ import annotations

import threading
from bisect import bisect_right

from hub.stores.journal_chunk import Chunk, Record, decode


class Tail:
    """Keeps the last chunks, as stored, up to `most_records` and `most_bytes`. One thread adds, any thread reads."""

    def __init__(self, most_records: int, most_bytes: int) -> None:
        self._most_records, self._most_bytes = most_records, most_bytes
        self._lock = threading.Lock()
        self._firsts: list[int] = []
        self._chunks: list[Chunk] = []
        self._bytes = 0
        self._latest: tuple[Chunk, list[Record]] | None = None  # consumers mostly read the same chunk one after another

    def add(self, chunks: list[Chunk]) -> None:
        """Appends chunks; if they do not follow the last one, everything older is forgotten."""
        with self._lock:
            if self._chunks and self._chunks[-1].first + self._chunks[-1].records != chunks[0].first:
                self._forget(len(self._chunks))
            for chunk in chunks:
                self._firsts.append(chunk.first)
                self._chunks.append(chunk)
                self._bytes += len(chunk.body)
            end = chunks[-1].first + chunks[-1].records
            if self._bytes > self._most_bytes or end - self._firsts[0] > self._most_records:
                # Down to 7/8 at once: taking single entries off the front of a list would cost its whole length each time.
                few_records, few_bytes = self._most_records * 7 // 8, self._most_bytes * 7 // 8
                gone, size = 0, self._bytes
                while gone < len(self._chunks) - 1 and (size > few_bytes or end - self._firsts[gone] > few_records):
                    size -= len(self._chunks[gone].body)
                    gone += 1
                self._forget(gone)

    def _forget(self, count: int) -> None:
        self._bytes -= sum(len(chunk.body) for chunk in self._chunks[:count])
        del self._firsts[:count], self._chunks[:count]

    def clear(self) -> None:
        with self._lock:
            self._forget(len(self._chunks))
            self._latest = None

    def read(self, position: int, limit: int) -> list[Record] | None:
        """Up to `limit` records from `position` on; None if `position` is not kept here."""
        with self._lock:
            start = bisect_right(self._firsts, position) - 1
            if start < 0 or position >= self._chunks[-1].first + self._chunks[-1].records:
                return None
            wanted, room = [], limit + position - self._firsts[start]
            for index in range(start, len(self._chunks)):
                if room <= 0:
                    break
                wanted.append(self._chunks[index])
                room -= self._chunks[index].records
        records: list[Record] = []
        for chunk in wanted:
            records += self._decoded(chunk)
        skipped = position - wanted[0].first
        return records if not skipped and len(records) <= limit else records[skipped : skipped + limit]

    def _decoded(self, chunk: Chunk) -> list[Record]:
        latest = self._latest
        if latest is not None and latest[0] is chunk:
            return latest[1]
        records = decode(chunk.first, chunk.records, chunk.body)
        self._latest = (chunk, records)
        return records
