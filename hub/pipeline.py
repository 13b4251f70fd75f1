"""READ THIS FIRST: one batch from the journal to the desk.

    journal ─▶ reader (decode, find the device, screen) ─▶ rules.evaluate ─▶ desk.record ─▶ rules.commit
                                                                   └─▶ history (own cursor, own thread)

Everything behind the journal reads time from its records, so a replay after a crash gives the same events as live.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from hub.alerts.desk import Desk
from hub.clock import Clock
from hub.ingest.reader import Reader, Segment
from hub.model.readings import QuarantineRow, ReadingBatch
from hub.model.rules import ConditionEvent
from hub.registry.snapshot import Registry
from hub.rules.engine import Engine
from hub.rules.found import Found
from hub.rules.ruleset import RuleSet
from hub.rules.takeover import rebased
from hub.stores.journal import Record, Trimmed
from hub.telemetry import CURSOR, EVENTS, READINGS, log

CONSUMER = "rules"
_CURSOR_EVERY_MS = 1_000
_AT_ONCE = 500


class Source(Protocol):
    """Where records come from: the intake live, a journal in a replay, one partition of a log beyond one machine."""

    def read(self, position: int, *, limit: int) -> list[Record]: ...
    def wait(self, position: int, timeout_s: float) -> bool: ...


class Beside(Protocol):
    """Rules that are tried beside the live ones. Told what came after it was recorded, so no alarm waits for it; never raises."""

    def follow(self, engine: Engine, now_ms: int, position: int) -> None: ...
    def take(self, batch: ReadingBatch, live_events: Sequence[ConditionEvent]) -> None: ...
    def tick(self, now_ms: int, position: int, live_events: Sequence[ConditionEvent]) -> None: ...


class Pipeline:
    """One owner thread calls `step` again and again.

    `position` is the next record to read. Segments wait in `_pending` until the desk has recorded them, so a ledger that is
    away delays them, and nothing is decoded (and judged a repetition) twice. Records before `recorded_to` were recorded by an
    earlier run: their events are known to the desk, their rejects are not counted again.
    """

    def __init__(
        self,
        source: Source,
        reader: Reader,
        engine: Engine,
        desk: Desk,
        *,
        journal: str,
        position: int,
        recorded_to: int,
        clock: Clock,
        durable_head: Callable[[], int],
        on_segment: Callable[[Segment], None] = lambda segment: None,
        shadow: Beside | None = None,
        batch_records: int = 8_192,
    ) -> None:
        self.source, self.reader, self.engine, self.desk = source, reader, engine, desk
        self.journal, self.position, self.recorded_to = journal, position, recorded_to
        self._clock, self._durable_head, self._on_segment = clock, durable_head, on_segment
        self._batch_records, self._shadow = batch_records, shadow
        self._pending: deque[Segment] = deque()
        self._cursor_at_ms = 0
        self.done = position
        self.last_ms = 0

    def step(self, *, wait_s: float = 0.5) -> bool:
        """Reads and processes what there is; False when nothing came within `wait_s`. Raises Unavailable when the ledger is away."""
        if not self._pending:
            if not self.source.wait(self.position, wait_s):
                return False
            limit = self._batch_records
            if self.position < self.recorded_to:
                limit = min(limit, self.recorded_to - self.position)
            try:
                records = self.source.read(self.position, limit=limit)
            except Trimmed as gone:
                log.error("pipeline.gap", position=self.position, first_kept=gone.first_kept, reason=str(gone))
                self.position = self.done = gone.first_kept
                return True
            if not records:
                return False
            self._pending.extend(self.reader.read(records))
            self.position = records[-1].position + 1
        while self._pending:
            self.process(self._pending[0])
            self._on_segment(self._pending.popleft())
        return True

    @property
    def caught_up(self) -> bool:
        """Whether all that an earlier run had recorded is behind us."""
        return self.done >= self.recorded_to

    def take_over(self, rules: RuleSet, registry: Registry) -> None:
        """Goes on with another rule set and registry: what nobody watches any more is told to the desk first, then one swap.

        Raises Unavailable when the ledger is away; then nothing has changed."""
        now_ms = self.last_ms or self._clock()
        fresh, withdrawn = rebased(self.engine, rules, registry, now_ms=now_ms, position=self.done)
        for at in range(0, len(withdrawn), _AT_ONCE):
            self._record(withdrawn[at : at + _AT_ONCE], (), max(self.done, self.recorded_to))
        self.engine = fresh

    def reconcile(self) -> int:
        """Tells the desk every condition that is active now; those that it did not know become alerts. Returns their number."""
        events = self.engine.active(self.last_ms or self._clock(), self.done)
        raised = 0
        for at in range(0, len(events), _AT_ONCE):
            known = self.desk.record(
                events[at : at + _AT_ONCE],
                consumer=CONSUMER,
                journal=self.journal,
                position=min(max(self.done, self.recorded_to), self._durable_head()),
                now_ms=self._clock(),
            )
            raised += known.raised + known.repeated
        return raised

    def process(self, segment: Segment) -> None:
        """One segment to its end. Safe to call again if it raises: nothing is remembered before the desk has recorded."""
        replaying = segment.next <= self.recorded_to
        body_end = segment.next - (segment.tick_ms is not None)
        if self._shadow is not None:
            self._shadow.follow(self.engine, self.last_ms or segment.last_ms, self.done)
        if segment.first >= self.done:
            READINGS.inc(len(segment.batch))
            found = self.engine.evaluate(segment.batch)
            self._conclude(found, segment.quarantine, segment.last_ms, body_end, replaying)
            if self._shadow is not None:
                self._shadow.take(segment.batch, found.events)
        if segment.tick_ms is not None and self.done < segment.next:
            found = self.engine.tick(segment.tick_ms, body_end)
            self._conclude(found, (), segment.last_ms, segment.next, replaying)
            if self._shadow is not None:
                self._shadow.tick(segment.tick_ms, body_end, found.events)
        self.last_ms = segment.last_ms
        CURSOR.labels(consumer=CONSUMER).set(segment.next)

    def _conclude(
        self, found: Found, rejected: Sequence[QuarantineRow], at_ms: int, position: int, replaying: bool
    ) -> None:
        due = at_ms - self._cursor_at_ms >= _CURSOR_EVERY_MS
        if found.events or (not replaying and (rejected or due)):
            # In a replay too: what was recorded before changes nothing, what was not (a device or rule added since) is found.
            self._record(found.events, () if replaying else rejected, max(position, self.recorded_to))
            self._cursor_at_ms = at_ms
        self.engine.commit(found)
        self.done = position

    def _record(self, events: Sequence[ConditionEvent], rejected: Sequence[QuarantineRow], position: int) -> None:
        self.desk.record(
            events,
            consumer=CONSUMER,
            journal=self.journal,
            position=min(position, self._durable_head()),
            now_ms=self._clock(),
            quarantine=rejected,
        )
        for event in events:
            EVENTS.labels(kind=event.kind).inc()
