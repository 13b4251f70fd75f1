"""Whose turn it is to send: near receivers are told one after the other, over all lanes.

A crash between a receiver's yes and our note of it repeats that notification. With one such moment at a time in the whole
hub, a crash repeats one notification and not one for each lane. Far receivers (slow, or on the other side of the internet)
do not take turns: they would make each other late. What is slow is measured against the hub itself: on a machine that has
too much to do every receiver takes long, and then it is still their turn one after the other (docs/adr/0023).
"""

from __future__ import annotations

import heapq
import statistics
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

from hub.clock import monotonic_s

NEAR_S = 0.15
"""A send that takes longer loses its turn to the next lane, on a machine that is not slow itself."""

MOST_NEAR_S = 1.0
"""The same on the slowest machine: so long may one receiver hold up a fire's way to the others, and no longer."""

OWN_WORK = 10
"""A send may take as long as so many pieces of the hub's own work, its notes in the ledger."""

_NOTES = 9
_STRIKES = 2
"""Slow sends in a row that make a near receiver a far one: once is an accident. A stranger is believed at once."""

_WRITING_S = 2.0

_Receiver = tuple[str, str]


class Turn:
    """Thread-safe. At most one holder, except after a holder's time has run out."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._holder: object | None = None
        self._until_s = 0.0
        self._line: list[tuple[str, int]] = []
        self._numbers = count()
        self._strikes: dict[_Receiver, int] = {}  # slow sends in a row; from _STRIKES on the receiver is far
        self._notes_s: deque[float] = deque(maxlen=_NOTES)

    @contextmanager
    def of(self, receiver: _Receiver, severity: str = "P1", *, needed: bool = True) -> Iterator[Holding]:
        """Waits for the turn of `receiver`, and holds it for the writing before and after the send too.

        Of those that wait the most severe is next, then the one that has waited longest.

        A far receiver does not wait, and neither does one for which no turn is `needed`.
        """
        holding = Holding(self, receiver)
        if needed and not self.is_far(receiver):
            self._take(holding, severity)
        try:
            yield holding
        finally:
            self._give_back(holding)

    def is_far(self, receiver: _Receiver) -> bool:
        """Whether `receiver` takes no turns at present."""
        return self._strikes.get(receiver, 0) >= _STRIKES

    @property
    def patience_s(self) -> float:
        """How long a send may take for now before the turn goes on to the next lane."""
        with self._changed:
            own_s = statistics.median(self._notes_s) if self._notes_s else 0.0
        return min(max(NEAR_S, OWN_WORK * own_s), MOST_NEAR_S)

    @property
    def waiting(self) -> int:
        """How many are in the line."""
        with self._changed:
            return len(self._line)

    def _take(self, holding: object, severity: str) -> None:
        with self._changed:
            place = (severity, next(self._numbers))
            heapq.heappush(self._line, place)
            while self._line[0] != place or (self._holder is not None and self._until_s > monotonic_s()):
                # Whoever is not first is woken when the line moves; the first one also when the holder's time is over.
                self._changed.wait(max(self._until_s - monotonic_s(), 0.001) if self._line[0] == place else None)
            heapq.heappop(self._line)
            self._holder, self._until_s = holding, monotonic_s() + _WRITING_S
            self._changed.notify_all()

    def _give_back(self, holding: object) -> None:
        with self._changed:
            if self._holder is holding:
                self._holder = None
                self._changed.notify_all()

    def _keep(self, holding: object, seconds: float) -> None:
        with self._changed:
            if self._holder is holding:
                self._until_s = monotonic_s() + seconds
                self._changed.notify_all()

    def _noted(self, seconds: float) -> None:
        with self._changed:
            self._notes_s.append(seconds)

    def _took(self, receiver: _Receiver, seconds: float, patience_s: float) -> None:
        with self._changed:
            if seconds <= patience_s:
                self._strikes[receiver] = 0
            else:
                self._strikes[receiver] = self._strikes.get(receiver, _STRIKES - 1) + 1


class Holding:
    """The turn while it is one's own."""

    def __init__(self, turn: Turn, receiver: _Receiver) -> None:
        self._turn, self._receiver = turn, receiver

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Around a note in the ledger: how long it takes tells how quick this machine is at present."""
        began_s = monotonic_s()
        yield
        self._turn._noted(monotonic_s() - began_s)

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Around the send itself: here the time is short, before and after it there is time to write."""
        began_s, patience_s = monotonic_s(), self._turn.patience_s
        self._turn._keep(self, patience_s)
        try:
            yield
        finally:
            self._turn._took(self._receiver, monotonic_s() - began_s, patience_s)
            self._turn._keep(self, _WRITING_S)
