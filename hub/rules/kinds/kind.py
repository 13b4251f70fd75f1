"""What a rule kind gives to the engine. To add one: a file with a `When` model and a `KIND`, and a line in KINDS.

The engine owns waves, memory, time and the condition machine (hub/rules/condition.py); a kind says what readings mean. Its
functions are pure but for the memory handed to them, vectorised, and never look at a clock.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hub.documents import Strict
from hub.model.quantities import Quantity
from hub.model.readings import Floats, Ints

Signals = NDArray[np.uint8]
Memory = NDArray[np.void]
"""Structured array, one element per (rule, device); all zeros at first. Times are fields named `*_ms` (int64, 0 = not yet):
when time leaps (the hub was away, its clock was set) the engine moves them along."""
Area = Literal["device", "room", "unit", "building", "grid", "compound", "community", "street"]


def memory_at(memory: Memory, at: NDArray[Any]) -> Memory:
    """A copy of the elements `at`. (Indexing a structured array by a list of numbers takes ten times as long.)"""
    return memory.take(at)


def remember_at(memory: Memory, at: NDArray[Any], new: Memory) -> None:
    """Writes `new` into the elements `at`, each named once."""
    whole = f"V{memory.dtype.itemsize}"
    memory.view(whole)[at] = np.ascontiguousarray(new).view(whole)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Readings of one wave, each of another device, in arrays of one length: what the screen lets count (nothing late,
    back-filled, repeated or from a test)."""

    quantity: NDArray[np.int16]  # code; a kind that watches several quantities tells them apart
    value: Floats  # NaN = unknown
    at_ms: Ints  # receive time, the pipeline's time
    observed_ms: Ints  # the device's time as the screen trusts it

    def take(self, index: Any) -> Look:
        return Look(
            quantity=self.quantity[index],
            value=self.value[index],
            at_ms=self.at_ms[index],
            observed_ms=self.observed_ms[index],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """Conditions of other rules that a rule waits for: any of `rules` becoming active or ending, in the same `area`."""

    rules: tuple[str, ...]
    area: Area = "device"


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a kind may need besides its `when`: the site's zone (IANA name), the days that are holidays, and the working days
    that stand in for them (调休)."""

    zone: str = "Asia/Shanghai"
    holidays: frozenset[date] = frozenset()
    workdays: frozenset[date] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """A rule's `when`, ready to run.

    Without memory: `signals(values)` → CLEAR | BREACH | BETWEEN | UNKNOWN for each (NaN must give UNKNOWN); `breach(values)` is
    True wherever `signals` would say BREACH; `reach` = (lowest, highest) value that can be one, for the fast path.

    With memory (`memory` is its dtype): `judge(look, memory)` → signals for one wave, changing `memory` (copies, same order as
    `look`) in place; every screened reading of `quantity` and of `also` comes by, in order. `passing(memory, now_ms)` → signals
    at a tick for any number of devices, without changing `memory`: for what the mere passing of time means (UNKNOWN: nothing).
    `figure(memory)` → what the rule measured last, e.g. °C/min, for people (NaN: nothing yet). `triggered(memory, raised, at_ms)`
    is told when a condition of `triggers` begins (raised True) or ends; it changes `memory` and returns signals. `slowest_ms`: it can
    only judge a device that reports at least so often (0 = however seldom).

    `driven_by` "silence": the engine watches the time since each device was last heard, against `silent_ms` (0 = the device's
    own supervision limit). "conditions": the engine counts other rules' conditions (`counted`, see kinds/correlate.py).
    """

    driven_by: Literal["values", "silence", "conditions"]
    signals: Callable[[Floats], Signals] | None = None
    breach: Callable[[Floats], NDArray[np.bool_]] | None = None
    reach: tuple[float, float] = (-math.inf, math.inf)
    hold_ms: int = 0
    clear_hold_ms: int = 0
    samples: int = 1
    threshold: float | None = None
    silent_ms: int = 0
    memory: np.dtype[np.void] | None = None
    judge: Callable[[Look, Memory], Signals] | None = None
    passing: Callable[[Memory, int], Signals] | None = None
    figure: Callable[[Memory], Floats] | None = None
    figure_unit: str = ""
    slowest_ms: int = 0
    also: tuple[str, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    triggered: Callable[[Memory, bool, int], Signals] | None = None
    counted: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """`When` validates the rule's `when`; `compile` makes it runnable and raises ValueError with a clear text if it makes no sense
    for the quantity; `needs_quantity` says whether the rule must name one. An `advisory` kind may only be P4: it finds what is
    odd, not what is dangerous."""

    name: str
    When: type[Strict]
    compile: Callable[[Any, Quantity | None, Context], Compiled]
    needs_quantity: bool = True
    advisory: bool = False
