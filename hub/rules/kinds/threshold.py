"""Kind `threshold`: a value beyond a limit (gauge), or at a stated value (switch, state), with delays and hysteresis."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from hub.model.quantities import Quantity
from hub.rules.kinds.kind import Compiled, Context, Kind
from hub.rules.kinds.limit import Limit, verdicts


class When(Limit):
    """Exactly one of above, at_least, below, at_most (gauges) or equals (switch: true/false, state: a word or a list of words)."""

    hold_s: float = Field(0, ge=0, le=31 * 86_400, description="On-delay: the breach must last so long.")
    clear_hold_s: float = Field(0, ge=0, le=7 * 86_400, description="Off-delay: the return must last so long.")
    samples: int = Field(1, ge=1, le=255, description="At least so many readings in breach in a row.")


def _compile(when: Any, quantity: Quantity | None, context: Context) -> Compiled:
    assert isinstance(when, When)
    assert quantity is not None
    limit = verdicts(when, quantity)
    return Compiled(
        driven_by="values",
        signals=limit.signals,
        breach=limit.breach,
        reach=limit.reach,
        hold_ms=int(when.hold_s * 1_000),
        clear_hold_ms=int(when.clear_hold_s * 1_000),
        samples=when.samples,
        threshold=limit.threshold,
    )


KIND = Kind(name="threshold", When=When, compile=_compile)
