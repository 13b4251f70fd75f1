"""Whose turn it is to send: near receivers are told one after the other, over all lanes.

A crash between a receiver's yes and our note of it repeats that notification. With one such moment at a time in the whole
hub, a crash repeats one notification and not one for each lane. Far receivers (slow, or on the other side of the internet)
do not take turns: they would make each other late.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

from hub.clock import monotonic_s

NEAR_S = 0.15
"""A send that takes longer loses its turn to the next lane, and its receiver counts as far until it is quick again."""

_WRITING_S = 2.0


class Turn:
    """Thread-safe. At most one holder, except after a holder's time has run out."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._holder: object | None = None
        self._until_s = 0.0
        self._line: list[tuple[str, int]] = []
        self._numbers = count()
        self._far: set[tuple[str, str]] = set()

    @contextmanager
    def of(self, receiver: tuple[str, str], severity: str = "P1", *, needed: bool = True) -> Iterator[Holding]:
        """Waits for the turn of `receiver`, and holds it for the writing before and after the send too.

        Of those that wait the most severe is next, then the one that has waited longest.

        A far receiver does not wait, and neither does one for which no turn is `needed`.
        """
        holding = Holding(self, receiver)
        if needed and receiver not in self._far:
            self._take(holding, severity)
        try:
            yield holding
        finally:
            self._give_back(holding)

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

    def _took(self, receiver: tuple[str, str], seconds: float) -> None:
        with self._changed:
            (self._far.add if seconds > NEAR_S else self._far.discard)(receiver)


class Holding:
    """The turn while it is one's own."""

    def __init__(self, turn: Turn, receiver: tuple[str, str]) -> None:
        self._turn, self._receiver = turn, receiver

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Around the send itself: here the time is short, before and after it there is time to write."""
        began_s = monotonic_s()
        self._turn._keep(self, NEAR_S)
        try:
            yield
        finally:
            self._turn._took(self._receiver, monotonic_s() - began_s)
            self._turn._keep(self, _WRITING_S)
