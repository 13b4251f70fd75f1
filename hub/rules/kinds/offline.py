"""Kind `offline`: a device was not heard for too long (receive time), or its will or gateway said that it is gone."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from hub.documents import Strict
from hub.model.quantities import Quantity
from hub.rules.kinds.kind import Compiled, Context, Kind


class When(Strict):
    """`silent_s` fixed for all devices in scope, or left out: each device's own supervision class decides
    (mains 100 s, radio 2 h, NB-IoT 25 h; a device without one is not watched)."""

    silent_s: float | None = Field(None, gt=0, le=30 * 86_400)


def _compile(when: Any, quantity: Quantity | None, context: Context) -> Compiled:
    assert isinstance(when, When)
    return Compiled(driven_by="silence", silent_ms=0 if when.silent_s is None else int(when.silent_s * 1_000))


KIND = Kind(name="offline", When=When, compile=_compile, needs_quantity=False)
