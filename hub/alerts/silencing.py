"""What a silence or drill makes of an alarm that is raised in it, and what follows when it is over. Pure but for `resume`.

An alert that was silenced is kept, shown and audited like any other. At the end it alarms as if it had just occurred if its
condition still holds; so does one that a drill has caught, then as a real one. A P1 that latched is told too: it waits for a
person, and no person knows of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from sqlalchemy import Connection

from hub.alerts import lifecycle
from hub.alerts.drafting import Draft
from hub.alerts.lifecycle import HUB
from hub.model.alerts import Alert
from hub.model.silences import Silence
from hub.stores import alert_rows, silence_rows


def touched(alert: Alert, silences: Sequence[Silence], now_ms: int) -> Alert:
    """`alert`, that was just raised (or raised again), as silent as it has to be, or marked as part of a drill.

    What was real before stays so: an open alert that people were told of is not taken into a drill, nor a P1 into a silence.
    """
    known = alert.occurrences > 1
    covering = [s for s in silences if s.covers_alert(alert, at_ms=alert.received_at_ms, now_ms=now_ms)]
    drills = [s for s in covering if s.kind == "drill" and (not known or alert.drill)]
    quiet = [s for s in covering if s.kind != "drill"]
    if alert.severity == "P1" and known and alert.quiet != "silenced":
        quiet = []
    plain = replace(alert, quiet="", quiet_until_ms=None, silence_id=None, drill=False, drill_to="")
    if drills:  # before a silence: somebody hears it
        drill = _last(drills)
        return replace(
            plain, silence_id=drill.id, quiet_until_ms=drill.end_ms, drill=True, drill_to=",".join(drill.tell)
        )
    if quiet:
        silence = _last(quiet)
        return replace(plain, quiet="silenced", silence_id=silence.id, quiet_until_ms=silence.end_ms)
    return plain


def _last(silences: Iterable[Silence]) -> Silence:
    return max(silences, key=lambda s: (s.end_ms, s.id))


def said(alert: Alert) -> dict[str, Any]:
    """What the audit entry of raising it says about its silence or drill; empty when there is none."""
    if alert.silence_id is None:
        return {}
    what = "drill" if alert.drill else "silence"
    return {what: alert.silence_id, "until_ms": alert.quiet_until_ms}


def resumed(alert: Alert, now_ms: int) -> Alert:
    """`alert` after its silence or drill. `occurrences` grows when people have to be told."""
    after = lifecycle.woken(alert, now_ms)
    if after.occurrences > alert.occurrences:
        return replace(after, drill=False, drill_to="")
    if alert.quiet and alert.severity == "P1":  # latched: it is over, but nobody has looked
        return replace(after, occurrences=alert.occurrences + 1, received_at_ms=max(now_ms, alert.received_at_ms))
    return after


def resume(connection: Connection, draft: Draft, limit: int) -> int:
    """Takes the alerts whose silence or drill is over onto the sheet of `draft`. How many were looked at."""
    now_ms = draft.now_ms
    standing = silence_rows.standing(connection)
    found = silence_rows.kept_until(connection, now_ms, limit)
    for alert in alert_rows.locked(connection, found):
        if not alert.live or alert.quiet_until_ms is None or alert.quiet_until_ms > now_ms:
            continue
        still = touched(replace(alert, received_at_ms=now_ms), standing, now_ms)
        if still.silence_id is not None and still.drill == alert.drill:
            kept = replace(still, received_at_ms=alert.received_at_ms)
            draft.change(alert, kept, now_ms, HUB, "silence_again", **said(kept))
            continue
        after = resumed(alert, now_ms)
        draft.change(alert, after, now_ms, HUB, "drill_over" if alert.drill else "silence_over", **_id(alert))
        if after.occurrences > alert.occurrences:
            draft.follow(after, now_ms, "raised", partial(draft.planner.raised, after, now_ms))
    silence_rows.sweep(connection, now_ms)
    return len(found)


def _id(alert: Alert) -> dict[str, Any]:
    return {"drill" if alert.drill else "silence": alert.silence_id}
