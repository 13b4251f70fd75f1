"""What a rule kind gives to the engine. To add one: a file with a `When` model and a `KIND`, and a line in KINDS.

The engine runs the condition machine (hub/rules/condition.py); a kind says what a value means. `signals` is pure and vectorised.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hub.documents import Strict
from hub.model.quantities import Quantity
from hub.model.readings import Floats

Signals = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """A rule's `when`, ready to run.

    `signals(values)` → CLEAR | BREACH | BETWEEN | UNKNOWN for each (NaN must give UNKNOWN). `breach(values)` is the cheap test
    for the fast path: True wherever `signals` would say BREACH. For `driven_by` "silence" both are unused: the engine watches
    the time since each device was last heard, against `silent_ms` (0 = the device's own supervision limit).
    """

    driven_by: Literal["values", "silence"]
    signals: Callable[[Floats], Signals]
    breach: Callable[[Floats], NDArray[np.bool_]]
    hold_ms: int = 0
    clear_hold_ms: int = 0
    samples: int = 1
    threshold: float | None = None
    silent_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """`When` validates the rule's `when`; `compile` makes it runnable and raises ValueError with a clear text if it makes no sense
    for the quantity; `needs_quantity` says whether the rule must name one."""

    name: str
    When: type[Strict]
    compile: Callable[[Any, Quantity | None], Compiled]
    needs_quantity: bool = True
