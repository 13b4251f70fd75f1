"""A lane: the thread that carries deliveries to one receiver, one at a time, the most severe first."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable
from typing import NamedTuple

from hub.clock import monotonic_s
from hub.errors import Unavailable
from hub.loops import backoff_s
from hub.model.deliveries import Delivery
from hub.telemetry import LOOP_ERRORS, log

IDLE_S = 300.0
"""A lane with nothing to do for so long ends; the courier opens a new one when there is something again."""

_LEDGER_AWAY_MOST_S = 2.0
_LOW = 1
"""Asks for more when so little is left: one claim for several deliveries, and the receiver never waits."""


class Result(NamedTuple):
    """What became of one delivery, for the lane: how long to leave the receiver alone, and why."""

    rest_s: float = 0.0
    trouble: str = ""


class Lane:
    """`deliver(delivery, failures in a row)` does the work. `on_room` is called when a lane that was `refusing` has room.
    `hold` says how many seconds the first in line must wait because its receiver has had enough; a fire is not held.

    A delivery is in the lane from `offer` until it is done; offered again meanwhile, it is not taken twice. When the ledger
    is away the delivery stays first in line; any other failure of `deliver` drops it, and its lease brings it back.
    """

    def __init__(
        self,
        name: str,
        deliver: Callable[[Delivery, int], Result],
        on_room: Callable[[], None],
        *,
        hold: Callable[[Delivery], float] = lambda delivery: 0.0,
        idle_s: float = IDLE_S,
    ) -> None:
        self.name = name
        self.trouble = ""
        self.failures = 0
        self.refusing = False
        self._deliver, self._on_room, self._hold, self._idle_s = deliver, on_room, hold, idle_s
        self._waiting: list[tuple[str, int, int, Delivery]] = []
        self._inside: dict[int, str] = {}  # id → severity
        self._current: Delivery | None = None
        self._again: Delivery | None = None
        self._rests_until_s = 0.0
        self._changed = threading.Condition()
        self._ending = False
        self._thread = threading.Thread(target=self._run, name=f"lane {name}", daemon=True)
        self._thread.start()

    def offer(self, delivery: Delivery) -> bool:
        """Takes `delivery` in. False when the lane has ended and a new one is needed."""
        with self._changed:
            if self._ending:
                return False
            if delivery.id not in self._inside:
                self._inside[delivery.id] = delivery.severity
                self._push(delivery)
            elif self._current is not None and self._current.id == delivery.id:
                # Postponed and due again before this lane has finished with the try before: that is a new try, not a copy.
                self._again = delivery if delivery.due_at_ms != self._current.due_at_ms else self._again
            return True

    def _push(self, delivery: Delivery) -> None:
        heapq.heappush(self._waiting, (delivery.severity, delivery.due_at_ms, delivery.id, delivery))
        self._changed.notify()

    @property
    def depth(self) -> int:
        """Deliveries inside, the one that is being sent included."""
        return len(self._inside)

    @property
    def fires(self) -> int:
        """How many of them are P1."""
        with self._changed:
            return sum(severity == "P1" for severity in self._inside.values())

    @property
    def rests_s(self) -> float:
        """For how many seconds yet it leaves its receiver alone, whoever comes."""
        return max(self._rests_until_s - monotonic_s(), 0.0)

    @property
    def ended(self) -> bool:
        return not self._thread.is_alive()

    def waiting(self) -> list[Delivery]:
        with self._changed:
            return [entry[-1] for entry in self._waiting]

    def ask_to_end(self) -> None:
        """Begins nothing more. What is being sent goes on."""
        with self._changed:
            self._ending = True
            self._changed.notify()

    def join(self, timeout_s: float) -> bool:
        """Waits for the thread; whether it has ended."""
        self._thread.join(max(timeout_s, 0.0))
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (delivery := self._next()) is not None:
            rest_s, keep = 0.0, False
            try:
                result = self._deliver(delivery, self.failures)
                rest_s = result.rest_s
                self.failures = self.failures + 1 if result.trouble else 0
                self.trouble = result.trouble
            except Unavailable as away:
                self.failures, keep = self.failures + 1, True
                rest_s = min(max(away.after_s, backoff_s(self.failures)), _LEDGER_AWAY_MOST_S)
                log.warning("lane.ledger_away", lane=self.name, reason=str(away))
            except Exception:  # the top of the loop: log once, count, go on
                self.failures += 1
                rest_s = backoff_s(self.failures, most_s=5.0)
                LOOP_ERRORS.labels(loop="courier.lane").inc()
                log.exception("lane.failed", lane=self.name, delivery=delivery.id)
            self._after(delivery, rest_s, keep=keep)

    def _next(self) -> Delivery | None:
        with self._changed:
            if not self._waiting and not self._ending:
                self._changed.wait(self._idle_s)
            while self._waiting and not self._ending and (held_s := self._hold(self._waiting[0][-1])) > 0:
                self._changed.wait(held_s)  # or until a more severe one comes, which is first in line then
            if self._ending or not self._waiting:
                self._ending = True
                return None
            self._current = heapq.heappop(self._waiting)[-1]
            return self._current

    def _after(self, delivery: Delivery, rest_s: float, *, keep: bool) -> None:
        with self._changed:
            next_try = delivery if keep else self._again
            self._current = self._again = None
            if next_try is None:
                self._inside.pop(delivery.id, None)
            else:
                self._push(next_try)
        if self.refusing and self.depth <= _LOW:
            self.refusing = False
            self._on_room()
        until_s = self._rests_until_s = monotonic_s() + rest_s
        with self._changed:
            while not self._ending and (left_s := until_s - monotonic_s()) > 0:
                self._changed.wait(left_s)
