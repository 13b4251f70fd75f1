"""Rule kinds: one file each, one line here."""

from __future__ import annotations

from hub.rules.kinds import (
    absence,
    correlate,
    counter,
    deviation,
    flatline,
    forecast,
    offline,
    rate_of_change,
    repeat,
    schedule,
    state_change,
    threshold,
)
from hub.rules.kinds.kind import Kind

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        threshold.KIND,
        offline.KIND,
        correlate.KIND,
        schedule.KIND,
        rate_of_change.KIND,
        forecast.KIND,
        flatline.KIND,
        repeat.KIND,
        counter.KIND,
        state_change.KIND,
        absence.KIND,
        deviation.KIND,
    )
}
