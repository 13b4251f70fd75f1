"""Which segments of the journal go, and when."""

from __future__ import annotations

from hub.stores.journal_segment import bytes_of, remove
from hub.stores.journal_shelf import Segment, Shelf
from hub.telemetry import JOURNAL_CUT, log


class Retention:
    """Deletes whole segments, oldest first, never the last one. Called by one thread at a time."""

    def __init__(self, shelf: Shelf, *, days: float, most_bytes: float, cap_bytes: float) -> None:
        self._shelf, self._days, self._most_bytes, self._cap_bytes = shelf, days, most_bytes, cap_bytes
        self._keep_from = 0
        self.cut_records = 0

    def trim(self, now_ms: int, keep_from: int) -> int:
        """What is too old or too much goes, if it ends at or below `keep_from`; above the cap it goes anyway. Returns how many."""
        self._keep_from = keep_from
        oldest_ms = now_ms - self._days * 86_400_000
        total, deleted = self._shelf.bytes(), 0
        while len(self._shelf.segments) > 1:
            oldest, following = self._shelf.segments[:2]
            size = bytes_of(oldest.path)
            ended_ms = oldest.last_at_ms if oldest.last_at_ms is not None else following.first_at_ms
            due = total > self._most_bytes or (ended_ms is not None and ended_ms < oldest_ms)
            if not (due and oldest.end <= keep_from) and total <= self._cap_bytes:
                break
            if not self._delete(oldest, "too old or too much"):
                break
            total -= size
            deleted += 1
        return deleted

    def make_room(self) -> bool:
        """On a full disk: deletes the oldest segment if every consumer has read it; whether it did."""
        segments = self._shelf.segments
        return len(segments) > 1 and segments[0].end <= self._keep_from and self._delete(segments[0], "disk full")

    def _delete(self, segment: Segment, why: str) -> bool:
        self._shelf.drop(segment)
        try:
            remove(segment.path)
        except OSError as error:
            log.error(
                "journal.not_deleted", file=str(segment.path), reason=str(error), remedy="check the folder's rights"
            )
            self._shelf.segments = (segment, *self._shelf.segments)
            return False
        unread = segment.end - max(segment.first, self._keep_from)
        if unread > 0:
            self.cut_records += unread
            JOURNAL_CUT.inc(unread)
            log.error(
                "journal.cut",
                file=segment.path.name,
                unread_records=unread,
                remedy="a consumer is far behind: see which (gridhub_cursor_position), or raise journal.retain_mib",
            )
        else:
            log.info("journal.segment_deleted", file=segment.path.name, reason=why)
        return True
