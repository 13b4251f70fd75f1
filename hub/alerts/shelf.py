"""Shelving and out of service: conditions and devices that tell nobody for a time, by whom and why. Never for ever.

An alert that is quiet is kept, shown and audited like any other. When the time is over, what still holds alarms as if it
had just occurred (`Desk.run_timers`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from sqlalchemy import Connection

from hub.alerts.desk import Desk, permitted
from hub.alerts.drafting import Draft
from hub.alerts.lifecycle import ACTIVE
from hub.errors import IllegalAction, NotAllowed, NotFound
from hub.i18n import _
from hub.model.alerts import Actor, Alert, Quiet, Role, Shelving, ShelvingKind
from hub.stores import alert_rows, shelving_rows
from hub.stores.alert_rows import Cancel, Entry

MOST_S: Final[dict[str, int]] = {"P2": 3_600, "P3": 86_400, "P4": 7 * 86_400}
"""For how long an alert may be shelved, by severity. A P1 may not."""

MOST_OUT_S: Final = 72 * 3_600
"""For how long a device may be out of service. Who needs longer says so again."""

TAKES_OUT: Final[tuple[Role, ...]] = ("officer", "admin")
_LONGEST_REASON = 500

REFUSALS: Final[dict[str, tuple[str, str]]] = {
    "shelve-p1": (
        _("a P1 cannot be shelved: it is about lives"),
        _("go there and report false_alarm, or have the device put out of service"),
    ),
    "shelve-over": (_("the alert is closed already"), _("nothing is left to shelve")),
    "shelve-returned": (
        _("the condition has ended, so there is no shot left to shelve"),
        _("acknowledge the alert, or shelve it for a time"),
    ),
    "shelve-time": (
        _("it may be quiet for {most} minutes at the longest, and for one at the least"),
        _("give a time within that"),
    ),
    "shelve-reason": (_("say why it may be quiet, in at most {most} characters"), _("give a reason")),
    "shelve-again": (
        _("it is shelved or out of service already, until its time is over"),
        _("end that first, then say it anew"),
    ),
    "shelve-not": (_("it is not shelved"), _("reload the alert")),
}
"""Why somebody may not make an alert or device quiet, by a code that stays the same; message ids."""


class Shelf:
    """Thread-safe. Every method is one transaction and raises `Unavailable` while the ledger is away."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def shelve(
        self, alert_id: str, actor: Actor, now_ms: int, *, kind: ShelvingKind, for_s: int | None, reason: str
    ) -> Alert:
        """Keeps the alert's condition quiet for `for_s` seconds, or (one shot) until it ends, at the longest allowed.

        Raises `NotFound`, `NotAllowed` or `IllegalAction`.
        """

        def work(connection: Connection) -> tuple[Alert, int]:
            alert = permitted(connection, alert_id, "acknowledge", actor)
            if not alert.live:
                raise refused("shelve-over")
            if alert.severity == "P1":
                raise refused("shelve-p1")
            if kind == "one_shot" and alert.alarm_state not in ACTIVE:
                raise refused("shelve-returned")
            time_s = _checked(for_s, MOST_S[alert.severity], reason, least=kind == "timed")
            if alert.quiet or (alert.device_id, alert.rule_id) in shelving_rows.open_of(connection, [alert.device_id]):
                raise refused("shelve-again")
            until_ms = now_ms + time_s * 1_000
            draft = Draft(self._desk.planner, now_ms)
            after = _hush(draft, alert, "shelved", until_ms, actor, {"kind": kind, "reason": reason.strip()})
            shelving_rows.add(
                connection, _row(kind, alert.rule_id, alert, alert.device_id, now_ms, until_ms, actor, reason)
            )
            return after, draft.write(self._desk.ledger, connection)

        after, change = self._desk.ledger.transact(work)
        self._desk.announce(change, 0)
        return after

    def unshelve(self, alert_id: str, actor: Actor, now_ms: int) -> None:
        """Ends the shelving before its time; the same follows as at its end."""
        with self._desk.ledger.begin() as connection:
            alert = permitted(connection, alert_id, "acknowledge", actor)
            shelving = shelving_rows.open_of(connection, [alert.device_id]).get((alert.device_id, alert.rule_id))
        if shelving is None:
            raise refused("shelve-not")
        self._desk.wake(shelving, actor.id, now_ms, name=actor.name)

    def take_out(
        self, device_id: str, grid: str, station: str, actor: Actor, now_ms: int, *, for_s: int, reason: str
    ) -> None:
        """Puts a device out of service: whatever it says is recorded and shown, and tells nobody until the time is over."""
        _may_take_out(actor, grid, station)
        time_s = _checked(for_s, MOST_OUT_S, reason, least=True)

        def work(connection: Connection) -> int:
            draft = Draft(self._desk.planner, now_ms)
            until_ms = now_ms + time_s * 1_000
            said = {"reason": reason.strip()}
            for alert in alert_rows.locked(connection, shelving_rows.live_alerts(connection, device_id)):
                if not alert.test:
                    _hush(draft, alert, "out_of_service", until_ms, actor, said)
            if (device_id, "") in shelving_rows.open_of(connection, [device_id]):
                raise refused("shelve-again")
            about = {"device": device_id, "until_ms": until_ms, "name": actor.name, "role": actor.role, **said}
            draft.sheet.entries.append(Entry(None, now_ms, actor.id, "out_of_service", detail=about))
            row = _row("out_of_service", "", (grid, station), device_id, now_ms, until_ms, actor, reason)
            shelving_rows.add(connection, row)
            return draft.write(self._desk.ledger, connection)

        self._desk.announce(self._desk.ledger.transact(work), 0)

    def put_back(self, device_id: str, grid: str, station: str, actor: Actor, now_ms: int) -> Shelving:
        """Puts a device back into service before the time is over; gives what ended."""
        _may_take_out(actor, grid, station)
        shelving = self.out(device_id)
        if shelving is None:
            raise refused("shelve-not")
        self._desk.wake(shelving, actor.id, now_ms, name=actor.name)
        return replace(shelving, ended_at_ms=now_ms, ended_by=actor.id)

    def out(self, device_id: str) -> Shelving | None:
        """Why and until when the device is out of service; None when it is in service."""
        with self._desk.ledger.read() as connection:
            return shelving_rows.open_of(connection, [device_id]).get((device_id, ""))


def refused(code: str, **values: str) -> IllegalAction:
    message, remedy = REFUSALS[code]
    return IllegalAction(message.format(**values), remedy=remedy.format(**values), code=code, values=values)


def _may_take_out(actor: Actor, grid: str, station: str) -> None:
    if not actor.may_see(grid, station):
        raise NotFound("there is no such device in your grids", remedy="look it up in the list of devices")
    if actor.role not in TAKES_OUT:
        raise NotAllowed(
            f"the role {actor.role} may not put devices out of service", remedy="ask the officer of the community"
        )


def _checked(for_s: int | None, most_s: int, reason: str, *, least: bool) -> int:
    if not reason.strip() or len(reason) > _LONGEST_REASON:
        raise refused("shelve-reason", most=str(_LONGEST_REASON))
    if for_s is None and not least:
        return most_s
    if for_s is None or not 60 <= for_s <= most_s:
        raise refused("shelve-time", most=str(most_s // 60))
    return for_s


def _hush(draft: Draft, alert: Alert, quiet: Quiet, until_ms: int, actor: Actor, said: dict[str, str]) -> Alert:
    after = replace(alert, quiet=quiet, quiet_until_ms=until_ms, bundled_until_ms=None)
    about = {**said, "until_ms": until_ms, "name": actor.name, "role": actor.role, "via": actor.via}
    draft.change(alert, after, draft.now_ms, actor.id, quiet, **about)
    draft.sheet.cancel(
        Cancel(alert.id, ("unacknowledged", "not_on_scene", "live"), f"{quiet} by {actor.id}", keep_help=True)
    )
    draft.sheet.stop_timers(alert.id)
    return after


def _row(
    kind: ShelvingKind,
    rule_id: str,
    where: Alert | tuple[str, str],
    device_id: str,
    now_ms: int,
    until_ms: int,
    actor: Actor,
    reason: str,
) -> dict[str, object]:
    grid, station = (where.grid, where.station) if isinstance(where, Alert) else where
    return {
        "kind": kind,
        "rule_id": rule_id,
        "device_id": device_id,
        "grid": grid,
        "station": station,
        "since_ms": now_ms,
        "until_ms": until_ms,
        "actor": actor.id,
        "actor_name": actor.name,
        "reason": reason.strip(),
    }
