"""From the sessions into the journal: group commit, then acknowledge. The fire lane goes first in every group.

If the journal cannot be written, messages are kept in memory, in order, unacknowledged, and the pipeline reads them from
there under the positions that they will have; when there is room again they are appended, and only then acknowledged.
A broker stops sending when too many messages are unacknowledged, so before that happens `lifeline(True)` asks for a second
session, clean and at QoS 0: alarms go on flowing, and the broker keeps every QoS 1 message for afterwards. What comes at
QoS 0 is then forgotten once the pipeline has read it and memory runs short: a day of a full disk must not end the hub.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice

from hub.clock import Clock
from hub.errors import JournalFull
from hub.ingest.reader import HUB_TOPIC
from hub.ingest.session import Receipt
from hub.loops import Loop
from hub.model.readings import Envelope
from hub.stores.journal import MESSAGE, TICK, Journal, Record
from hub.telemetry import JOURNAL_DEGRADED, JOURNAL_HEAD, MESSAGES, log

HUB_FAULT_TOPIC = "$hub/fault"
HUB_ONLINE_TOPIC = "$hub/online"
_TICK_MS = 1_000
_LEAP_MS = 30_000
"""A clock that differs by more than this from where the last tick leads to was set, or the machine slept."""


class _Forgotten:
    """Stands for positions whose records were given up while the journal could not be written."""

    __slots__ = ("count",)

    def __init__(self, count: int) -> None:
        self.count = count


_Held = tuple[Record, Receipt | None]


class Intake:
    """Owner of the journal's writing end, and the pipeline's source.

    `take` may be called from any session's thread. `read`/`wait` serve the pipeline: what is in the journal and, while it
    cannot be written, what is in memory behind it.
    """

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        ack: Callable[[Receipt], None],
        *,
        group_ms: int = 5,
        most_per_group: int = 8_192,
        most_in_memory: int = 500_000,
        retry_s: float = 1.0,
        window: int = 4_000,
        lifeline: Callable[[bool], None] = lambda wanted: None,
        listens: Callable[[], bool] | None = None,
    ) -> None:
        """`listens` says whether every session hears its broker; changes of it are told to the rules by a record of its own."""
        self.journal, self._clock, self._ack = journal, clock, ack
        self._group_s = group_ms / 1_000
        self._most, self._most_in_memory, self._retry_ms = most_per_group, most_in_memory, int(retry_s * 1_000)
        self._fire: deque[Envelope] = deque()
        self._main: deque[Envelope] = deque()
        self._arrived = threading.Event()
        self._moved = threading.Condition()
        self._volatile: deque[_Held | _Forgotten] = deque()
        self._behind = 0  # positions in memory, forgotten ones included
        self._remembered = 0  # records in memory
        self._forget_at = most_in_memory
        self._unread: deque[Record] = deque()  # those in memory that the pipeline has not read
        self._read_to = 0
        self._held = 0
        self._window, self._lifeline, self._on_lifeline = window, lifeline, False
        self._listens = listens
        self._listened: bool | None = None
        self._next_tick_ms = 0
        self._retry_at_ms = 0
        self.degraded_since_ms: int | None = None
        self.degraded_why = ""
        self.dropped = 0
        self.forgotten = 0
        self._loop = Loop("intake", self._step)

    # -- sessions -----------------------------------------------------------------------------------------------------

    def take(self, envelope: Envelope, *, lane: str = "main") -> None:
        """Accepts one message from a session. Never blocks. QoS 1 is bounded by the broker's in-flight window."""
        queue = self._fire if lane == "fire" else self._main
        waiting = len(queue) + max(0, self._remembered - self._most_in_memory)
        if envelope.receipt is None and waiting > self._most_in_memory:
            self.dropped += 1  # QoS 0 only: its sender asked for no guarantee
            if self.dropped & (self.dropped - 1) == 0:
                log.error("intake.dropped_qos0", dropped=self.dropped)
            return
        queue.append(envelope)
        self._arrived.set()

    def say(self, device: str, quantity: str, value: float) -> None:
        """Takes what the hub itself knows of `device`, as a reading: it goes the way of all readings. Never blocks."""
        self._main.append(Envelope(f"{HUB_TOPIC}{device}/{quantity}", repr(float(value)).encode(), self._clock()))
        self._arrived.set()

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop()

    @property
    def alive(self) -> bool:
        return self._loop.alive

    # -- the writing loop ---------------------------------------------------------------------------------------------

    def _step(self) -> float:
        now = self._clock()
        wait_s = max(0.0, (self._next_tick_ms - now) / 1_000)
        if not (self._fire or self._main):
            self._arrived.wait(min(wait_s, 0.5))
        elif self._group_s and len(self._fire) + len(self._main) < 256:
            threading.Event().wait(self._group_s)
        self._arrived.clear()
        self.flush(self._clock())
        return 0.0

    def flush(self, now_ms: int) -> None:
        """Writes what has arrived as one group, with a tick when a second has passed, and acknowledges it."""
        group = self._drain(self._fire, self._most)
        MESSAGES.labels(lane="fire").inc(len(group))
        main = self._drain(self._main, self._most - len(group))
        MESSAGES.labels(lane="main").inc(len(main))
        group += main
        if self._listens is not None and (listens := self._listens()) != self._listened:
            self._listened = listens
            group.insert(0, Envelope(HUB_ONLINE_TOPIC, b"1" if listens else b"0", now_ms))
        leap = not -_TICK_MS <= now_ms - self._next_tick_ms <= _LEAP_MS
        tick = now_ms if leap or now_ms >= self._next_tick_ms else None
        if tick is not None:
            self._next_tick_ms = now_ms + _TICK_MS
        if not group and tick is None:
            return
        if leap:  # the tick goes first, so that the rules know that time has leapt before they read what came after
            self._retry_at_ms = min(self._retry_at_ms, now_ms + self._retry_ms)
            self._write([], tick, now_ms)
            group, tick = [e._replace(received_at_ms=_near(e.received_at_ms, now_ms)) for e in group], None
        self._write(group, tick, now_ms)

    def _write(self, group: list[Envelope], tick: int | None, now_ms: int) -> None:
        if not group and tick is None:
            return
        if self.degraded_since_ms is not None and not self._recovered(now_ms):
            self._keep(group, tick)
            return
        try:
            self.journal.append(group, tick_ms=tick)
        except JournalFull as full:
            self._degrade(str(full), now_ms)
            self._keep(group, tick)
            return
        JOURNAL_HEAD.set(self.journal.head)
        self._tell()
        for envelope in group:
            if envelope.receipt is not None:
                self._ack(envelope.receipt)

    @staticmethod
    def _drain(queue: deque[Envelope], most: int) -> list[Envelope]:
        return [queue.popleft() for _ in range(min(most, len(queue)))]

    # -- the journal cannot be written ----------------------------------------------------------------------------------

    def _degrade(self, why: str, now_ms: int) -> None:
        self.degraded_since_ms, self.degraded_why = now_ms, why
        self._retry_at_ms = now_ms + self._retry_ms
        JOURNAL_DEGRADED.set(1)
        log.error("journal.degraded", why=why, effect="alarms go on from memory; nothing is acknowledged to the broker")
        self._keep([Envelope(HUB_FAULT_TOPIC, b"1", now_ms)], None)

    def _keep(self, group: Sequence[Envelope], tick: int | None) -> None:
        with self._moved:
            at = self.journal.head + self._behind
            for envelope in group:
                record = Record(
                    at, MESSAGE, envelope.received_at_ms, envelope.topic, envelope.payload, envelope.retained
                )
                self._volatile.append((record, envelope.receipt))
                self._unread.append(record)
                self._held += envelope.receipt is not None
                at += 1
            if tick is not None:
                record = Record(at, TICK, tick, "", b"", False)
                self._volatile.append((record, None))
                self._unread.append(record)
                at += 1
            new = at - self.journal.head - self._behind
            self._behind, self._remembered = self._behind + new, self._remembered + new
            if self._remembered > self._forget_at:
                self._forget()
            self._moved.notify_all()
        if self._held * 2 >= self._window and not self._on_lifeline:
            self._on_lifeline = True
            log.error(
                "journal.lifeline",
                held=self._held,
                effect="a second session without acknowledgement keeps alarms flowing",
            )
            self._lifeline(True)

    def _forget(self) -> None:
        """Gives up what no broker waits for and the pipeline has read. Called with `_moved` held."""
        kept: deque[_Held | _Forgotten] = deque()
        before = self.forgotten
        for entry in self._volatile:
            if isinstance(entry, _Forgotten):
                count = entry.count
            elif entry[1] is None and entry[0].position < self._read_to:
                count = 1
                self.forgotten += 1
                self._remembered -= 1
            else:
                kept.append(entry)
                continue
            if kept and isinstance(last := kept[-1], _Forgotten):
                last.count += count
            else:
                kept.append(_Forgotten(count))
        self._volatile = kept
        self._forget_at = max(self._most_in_memory, self._remembered + self._most_in_memory // 8)
        if self.forgotten > before:
            log.error(
                "journal.forgotten",
                records=self.forgotten - before,
                effect="these were evaluated and are kept nowhere: make room on the disk",
            )

    def _recovered(self, now_ms: int) -> bool:
        """Tries to append what is in memory, in order; True once all of it is in the journal and acknowledged."""
        if now_ms < self._retry_at_ms:
            return False
        self._retry_at_ms = now_ms + self._retry_ms
        while self._volatile:
            stretch = self._stretch()
            try:
                self._append(stretch)
            except JournalFull as full:
                self.degraded_why = str(full)
                return False
            for _, receipt in stretch:
                if receipt is not None:
                    self._held -= 1
                    self._ack(receipt)
        with self._moved:
            self._unread.clear()
            self._forget_at = self._most_in_memory
        if self._on_lifeline:
            self._on_lifeline = False
            self._lifeline(False)
        since, self.degraded_since_ms, self.degraded_why = self.degraded_since_ms, None, ""
        JOURNAL_DEGRADED.set(0)
        log.warning("journal.recovered", after_s=(now_ms - (since or now_ms)) / 1_000)
        self._main.appendleft(Envelope(HUB_FAULT_TOPIC, b"0", now_ms))
        return True

    def _append(self, stretch: Sequence[_Held]) -> None:
        """Moves `stretch`, the head of what is in memory, into the journal; without one, the positions that were forgotten."""
        envelopes = [Envelope(r.topic, r.payload, r.at_ms, r.retained) for r, _ in stretch if r.kind == MESSAGE]
        tick = next((r.at_ms for r, _ in stretch if r.kind == TICK), None)
        with self._moved:  # readers must not see the records in both places, or in none
            self.journal.append(envelopes, tick_ms=tick)
            for _ in stretch:
                self._volatile.popleft()
            gone = len(stretch)
            self._remembered -= gone
            if not stretch:
                forgotten = self._volatile.popleft()
                assert isinstance(forgotten, _Forgotten)
                gone = forgotten.count
                # so that positions are the same in memory and there
                self.journal.leap(self.journal.head + gone, remedy="none: forgotten while the disk was full")
            self._behind -= gone

    def _stretch(self) -> list[_Held]:
        """The head of what is in memory, up to and including the first tick; empty where records were forgotten."""
        found: list[_Held] = []
        for entry in islice(self._volatile, self._most):
            if isinstance(entry, _Forgotten):
                break
            found.append(entry)
            if entry[0].kind == TICK:
                break
        return found

    # -- the pipeline's side --------------------------------------------------------------------------------------------

    @property
    def head(self) -> int:
        """The next position, memory included."""
        with self._moved:
            return self.journal.head + self._behind

    def read(self, position: int, *, limit: int) -> list[Record]:
        """Records from `position` on: from the journal, else from memory while the journal cannot be written."""
        if position < self.journal.head:
            return self.journal.read(position, limit=limit)
        with self._moved:
            skip = position - self.journal.head
            if skip < 0:
                return self.journal.read(position, limit=limit)
            while self._unread and self._unread[0].position < position:
                self._unread.popleft()
            self._read_to = position
            return list(islice(self._unread, limit))

    def wait(self, position: int, timeout_s: float) -> bool:
        """Waits until there is something at `position`; False when `timeout_s` passes."""
        with self._moved:
            return self._moved.wait_for(lambda: self.journal.head + self._behind > position, timeout_s)

    def _tell(self) -> None:
        with self._moved:
            self._moved.notify_all()


def _near(at_ms: int, now_ms: int) -> int:
    """`at_ms`, or `now_ms` when it was read from the clock before that was set."""
    return at_ms if abs(now_ms - at_ms) <= _LEAP_MS else now_ms
