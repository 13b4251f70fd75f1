"""Rule kinds: one file each, one line here."""

from __future__ import annotations

from hub.rules.kinds import offline, schedule, state_change, threshold
from hub.rules.kinds.kind import Kind

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        threshold.KIND,
        offline.KIND,
        schedule.KIND,
        state_change.KIND,
    )
}
