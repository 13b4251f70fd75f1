"""Feeds the history on its own cursor: a slow or dead history store delays a chart, never a siren, and loses nothing.

Live it takes the segments that the pipeline has just finished; when it has fallen behind, or after a restart, it reads the
journal itself. Its cursor moves only after the store has the readings; writing them again does no harm.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from hub.clock import Clock
from hub.errors import Unavailable
from hub.ingest.reader import Reader, Segment
from hub.model.readings import ReadingBatch
from hub.registry.snapshot import Registry
from hub.stores import state_file
from hub.stores.history import AlertEvent, GridStatus, HistoryStore
from hub.stores.journal import Journal, Trimmed
from hub.telemetry import CURSOR, log

CONSUMER = "history"
_MOST_WAITING = 512  # segments handed over; beyond that the recorder reads the journal by itself
_ROWS_AT_ONCE = 20_000
_SAVE_EVERY_MS = 2_000
_STATUS_EVERY_MS = 60_000


class Recorder:
    """One owner thread calls `step`; `hand_over` may be called from the pipeline's thread."""

    def __init__(
        self,
        journal: Journal,
        reader: Reader,
        store: HistoryStore,
        registry: Callable[[], Registry],
        *,
        cursor_file: Path,
        clock: Clock,
        alert_events: Callable[[int, int], tuple[Sequence[AlertEvent], int]],
        grid_status: Callable[[int], Sequence[GridStatus]],
    ) -> None:
        self.journal, self.reader, self.store, self.registry = journal, reader, store, registry
        self._file, self._clock = cursor_file, clock
        self._alert_events, self._grid_status = alert_events, grid_status
        self._waiting: deque[Segment] = deque(maxlen=_MOST_WAITING)
        self._taken: list[Segment] = []
        self.position, self._alert_at = self._saved()
        self._saved_at_ms = 0
        self._status_at_ms = 0
        self.trouble = ""

    def hand_over(self, segment: Segment) -> None:
        """Offers a finished segment. Never blocks; what does not fit is read from the journal later."""
        self._waiting.append(segment)

    def step(self) -> float:
        """Writes what there is. Returns the seconds to wait; raises Unavailable when the store is away (its place is kept)."""
        now = self._clock()
        try:
            moved = self._readings()
            self._alerts()
            if now - self._status_at_ms >= _STATUS_EVERY_MS:
                self.store.write_grid_status(self._grid_status(now))
                self._status_at_ms = now
        except Unavailable as away:
            self.trouble = str(away)
            raise
        self.trouble = ""
        if now - self._saved_at_ms >= _SAVE_EVERY_MS:
            self.save(now)
        return 0.0 if moved else 0.25

    def _readings(self) -> bool:
        if not self._taken:  # what was taken stays until it is written: read again, it would look like a repetition
            self._taken = self._live() or self._behind()
        if not self._taken:
            return False
        batch = joined([s.batch for s in self._taken])
        if len(batch):
            self.store.write(batch, self.registry())
        self.position = self._taken[-1].next
        self._taken = []
        CURSOR.labels(consumer=CONSUMER).set(self.position)
        return True

    def _live(self) -> list[Segment]:
        """Handed-over segments that continue from our position; empty when there is a gap before them."""
        taken: list[Segment] = []
        rows, position = 0, self.position
        while self._waiting and rows < _ROWS_AT_ONCE:
            segment = self._waiting[0]
            if segment.first > position:
                break
            self._waiting.popleft()
            if segment.next <= position:
                continue
            taken.append(segment)  # one that overlaps our position is written again: no harm
            rows, position = rows + len(segment.batch), segment.next
        return taken

    def _behind(self) -> list[Segment]:
        nearest = self._waiting[0].first if self._waiting else self.journal.head
        if self.position >= min(nearest, self.journal.head):
            return []
        try:
            records = self.journal.read(self.position, limit=min(8_192, nearest - self.position))
        except Trimmed as gone:
            log.error(
                "history.gap",
                position=self.position,
                first_kept=gone.first_kept,
                effect="these readings are in no chart",
            )
            self.position = gone.first_kept
            return []
        return self.reader.read(records)

    def _alerts(self) -> None:
        while True:
            rows, last = self._alert_events(self._alert_at, 500)
            if last == self._alert_at:
                return
            self.store.write_alerts(rows)
            self._alert_at = last

    # -- the cursor -----------------------------------------------------------------------------------------------------

    def _saved(self) -> tuple[int, int]:
        try:
            body = state_file.read(self._file)
        except ValueError as damaged:
            log.error(
                "history.cursor_damaged",
                reason=str(damaged),
                effect="the history is written again from the journal's start",
            )
            body = None
        if body is None:
            return self.journal.tail, 0
        saved = json.loads(body)
        same = saved["journal"] == self.journal.identity
        return (int(saved["position"]) if same else self.journal.tail), int(saved["alerts"])

    def save(self, now_ms: int) -> None:
        """Stores the cursor, never beyond what the journal holds durably."""
        position = min(self.position, self.journal.head)
        body = {"journal": self.journal.identity, "position": position, "alerts": self._alert_at}
        try:
            state_file.write(self._file, json.dumps(body).encode())
        except OSError as full:
            log.warning("history.cursor_not_saved", reason=str(full))
        self._saved_at_ms = now_ms


def joined(batches: Sequence[ReadingBatch]) -> ReadingBatch:
    """One batch of all rows, in order."""
    if len(batches) == 1:
        return batches[0]
    return ReadingBatch(
        slot=np.concatenate([b.slot for b in batches]),
        quantity=np.concatenate([b.quantity for b in batches]),
        value=np.concatenate([b.value for b in batches]),
        observed_at_ms=np.concatenate([b.observed_at_ms for b in batches]),
        received_at_ms=np.concatenate([b.received_at_ms for b in batches]),
        quality=np.concatenate([b.quality for b in batches]),
        position=np.concatenate([b.position for b in batches]),
        grid=np.concatenate([b.grid for b in batches]),
        building=np.concatenate([b.building for b in batches]),
    )
