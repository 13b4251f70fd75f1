"""Silences, maintenance windows and drills: what tells nobody, or only a drill's list, for a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hub.model.alerts import Alert

SilenceKind = Literal["silence", "maintenance", "drill"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Covers alarms raised in [`start_ms`, `end_ms`): of devices at `place`, of these kinds, of these ids; empty means all.

    `covers`: codes of the place and of what lies under it, resolved when it was made. A P1 is covered by a silence or
    maintenance only with `include_p1`; a drill covers all severities and tells `tell` (ids of people and stations).
    """

    id: int
    kind: SilenceKind
    place: str
    covers: tuple[str, ...]
    device_kinds: tuple[str, ...]
    devices: tuple[str, ...]
    start_ms: int
    end_ms: int
    include_p1: bool
    tell: tuple[str, ...]
    actor: str
    actor_name: str
    reason: str
    made_at_ms: int
    ended_at_ms: int | None = None
    ended_by: str | None = None

    def lies_in(self, *codes: str) -> bool:
        """Whether one of these places is the silence's or lies under it."""
        return not self.covers or any(
            code == own or code.startswith(f"{own}-") for code in codes if code for own in self.covers
        )

    def covers_alert(self, alert: Alert, *, at_ms: int, now_ms: int) -> bool:
        """Whether an alarm of `alert` that came at `at_ms` falls into it, seen at `now_ms`. What comes to light after its end does not."""
        return (
            self.ended_at_ms is None
            and self.start_ms <= at_ms < self.end_ms
            and now_ms < self.end_ms
            and not alert.test
            and (alert.severity != "P1" or self.include_p1 or self.kind == "drill")
            and (not self.device_kinds or alert.device_kind in self.device_kinds)
            and (not self.devices or alert.device_id in self.devices)
            and self.lies_in(alert.place, alert.grid)
        )
