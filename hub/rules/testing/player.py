"""Plays readings to the live engine on a time of its own: ticks as the journal brings them, without waiting for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hub.model.readings import ReadingBatch
from hub.model.rules import ConditionEvent
from hub.rules.engine import Engine, Found

TICK_MS = 1_000
STRIDE_MS = 30_000
"""How far ahead to look for something to happen. Less than what the engine takes for a leap of time."""


class Player:
    """One engine, one timeline. `at_ms` is the last tick; ticks stand `TICK_MS` apart, as the live hub's do.

    Where nothing happens ticks are left out: the engine is asked what a later one would mean, which it answers without
    remembering, and only when that is something are the ticks before it looked at. So nothing is found late.
    """

    def __init__(
        self, engine: Engine, *, start_ms: int, tell: Callable[[Sequence[ConditionEvent]], None], position: int = 0
    ) -> None:
        self.engine, self.at_ms, self.position = engine, start_ms, position
        self._tell = tell
        self.ticks = 0

    def take(self, batch: ReadingBatch) -> Found:
        """One batch, found and remembered."""
        found = self.engine.evaluate(batch)
        self.conclude(found)
        if len(batch):
            self.position = int(batch.position[-1]) + 1
        return found

    def tick(self, now_ms: int) -> Found:
        found = self.engine.tick(now_ms, self.position)
        self._concluded_tick(found, now_ms)
        return found

    def advance(self, to_ms: int) -> None:
        """Lets time pass until the last tick at or before `to_ms`."""
        while to_ms - self.at_ms >= TICK_MS:
            steps = min(to_ms - self.at_ms, STRIDE_MS) // TICK_MS
            found = self.engine.tick(self.at_ms + steps * TICK_MS, self.position)
            self.ticks += 1
            if steps > 1 and not quiet(found):
                steps, found = self._first(steps, found)
            self._concluded_tick(found, self.at_ms + steps * TICK_MS)

    def _first(self, steps: int, found: Found) -> tuple[int, Found]:
        """The first tick at which something happens, given that something has at `steps` ticks from now."""
        before = 0
        while steps - before > 1:
            middle = (before + steps) // 2
            earlier = self.engine.tick(self.at_ms + middle * TICK_MS, self.position)
            self.ticks += 1
            if quiet(earlier):
                before = middle
            else:
                steps, found = middle, earlier
        return steps, found

    def _concluded_tick(self, found: Found, now_ms: int) -> None:
        self.conclude(found)
        self.at_ms = now_ms
        self.position += 1

    def conclude(self, found: Found) -> None:
        """Tells the events and has the engine remember, as the desk's record and the commit do live."""
        if found.events:
            self._tell(found.events)
        self.engine.commit(found)


def quiet(found: Found) -> bool:
    """Whether nothing happened and no state moved."""
    return not found.events and not found.changes
