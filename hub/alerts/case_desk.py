"""The desk for cases: steps, comments, photos, reports and work orders. What it does to an alert goes through the alert's rules.

A case of an open alert moves with it: who accepts the case acknowledges the alert, and the other way round, in one
transaction (`Draft.write`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Connection

from hub.alerts import casework
from hub.alerts.desk import ACTING_ROLES, Desk
from hub.alerts.drafting import Draft
from hub.alerts.lifecycle import Objection
from hub.alerts.reports import alert_of_report
from hub.errors import IllegalAction, NotAllowed, NotFound
from hub.i18n import _
from hub.model.alerts import Action, Actor, Alert, Role, Seen
from hub.model.cases import Case, Move, Photo, Source, numbered_id
from hub.model.rules import Severity
from hub.stores import alert_rows, case_rows
from hub.stores.alert_rows import Entry

REPORTING: Final[tuple[Role, ...]] = (*ACTING_ROLES, "machine")
"""Who may report: people who act, and machines (a mini program, the 12345 platform) on behalf of others."""

MOST_PHOTOS: Final = 12
_LONGEST_COMMENT = 2_000
_ACTIONS: Final[dict[Move, Action]] = {
    "accept": "acknowledge",
    "dispatch": "acknowledge",  # who sends somebody has taken it
    "arrive": "on_scene",
    "handle": "close",
    "false_alarm": "false_alarm",
}
"""What a move of the case does to its open alert."""

REFUSALS: Final[dict[str, tuple[str, str]]] = {
    "case-comment": (_("a comment has 1 to {most} characters"), _("write it anew")),
    "case-photos": (_("a case keeps at most {most} photos"), _("leave it at those that are there")),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What somebody reports, or a work order that comes from elsewhere, before it is a case."""

    source: Source
    title: str
    severity: Severity = "P3"
    number: str | None = None
    category: str = ""
    text: str = ""
    place: str = ""
    place_zh: str = ""
    place_en: str = ""
    where: str = ""  # the place in the words of who reports
    grid: str
    station: str
    lat: float | None = None
    lon: float | None = None
    reporter: str = ""
    at_ms: int
    due_at_ms: int | None = None


class CaseDesk:
    """Thread-safe. Every method is one transaction and raises `Unavailable` while the ledger is away."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._ledger = desk.ledger

    def report(self, report: Report, actor: Actor, now_ms: int) -> tuple[Case, bool]:
        """The case of `report`, and whether it is new: the same number comes any number of times and is one case.

        An urgent report (P1, P2) is an alert too: people are told of it and it climbs like any other. Raises
        `NotAllowed` for a role that may not report, or a grid that is not the actor's.
        """
        if actor.role not in REPORTING:
            raise NotAllowed(
                f"the role {actor.role} may look at cases but not report", remedy="use a token of those who act"
            )
        if not actor.may_see(report.grid, report.station):
            raise NotAllowed("this place is not in your area", remedy="report it in one of your grids")

        def work(connection: Connection) -> tuple[Case, bool, int, int]:
            case = _opened(report, actor, now_ms)
            known = case_rows.locked(connection, [case.id]).get(case.id)
            if known is not None:
                if not actor.may_see(known.grid, known.station):
                    raise NotFound("this number is known already, in another area", remedy="look it up there")
                return known, False, 0, 0
            draft = Draft(self._desk.planner, now_ms)
            about = {"source": report.source, **_who(actor, "")}
            if report.number is not None:
                about["number"] = report.number
            if report.severity in ("P1", "P2") and report.source == "report":
                alert = alert_of_report(report, case.id, now_ms)
                case = replace(case, alert_id=alert.id)
                draft.change(None, alert, now_ms, actor.id, "reported", **about)
                draft.follow(alert, now_ms, "raised", lambda: draft.planner.raised(alert, now_ms))
            else:
                _note(draft, case, None, actor.id, "case_reported", about)
            draft.sheet.put_case(case, new=True)
            draft.sheet.changed_cases.discard(case.id)
            change = draft.write(self._ledger, connection)
            return case, True, change, len(draft.sheet.planned)

        case, new, change, deliveries = self._ledger.transact(work)
        self._desk.announce(change, deliveries)
        return case, new

    def move(
        self,
        case_id: str,
        move: Move,
        actor: Actor,
        now_ms: int,
        *,
        words: str = "",
        to: str = "",
        seen: Seen | None = None,
    ) -> Case:
        """Makes `move` and returns the case after it. Making it again changes nothing.

        Raises `NotFound`, `NotAllowed` (role, or not in the actor's area) or `IllegalAction` (the step forbids it, it needs
        words, another has to check it, or the alert forbids it).
        """
        if move not in casework.PEOPLE:
            raise IllegalAction(f"there is no move {move!r}", remedy=f"use one of: {', '.join(casework.PEOPLE)}")

        def work(connection: Connection) -> tuple[Case, int, int]:
            draft = Draft(self._desk.planner, now_ms)
            alert, case = self._locked(connection, draft, case_id, actor)
            _raise(casework.objection(case, move, actor.role, words, to, alert=alert))
            action = _ACTIONS.get(move) if alert is not None and alert.live else None
            if alert is not None and action is not None and not (move == "dispatch" and alert.acked_at_ms is not None):
                self._desk.answer(connection, draft, alert, action, actor, words if move != "dispatch" else "", seen)
                draft.move_cases(connection)
                case, alert = draft.sheet.cases[case.id], draft.sheet.alerts[alert.id]
            if action is None or move == "dispatch":
                after = casework.moved(case, move, actor.id, now_ms, words, to)
                if after is not case:
                    about = {"from": case.step, "to": after.step, **_who(actor, words)}
                    if move == "dispatch":
                        about["assignee"] = to.strip()
                    _note(draft, after, alert, actor.id, f"case_{move}", about)
            return draft.sheet.cases[case.id], draft.write(self._ledger, connection), len(draft.sheet.planned)

        after, change, deliveries = self._ledger.transact(work)
        self._desk.announce(change, deliveries)
        return after

    def comment(self, case_id: str, text: str, actor: Actor, now_ms: int) -> None:
        """Adds what `actor` writes about the case, also after it is closed."""
        words = text.strip()
        if not 0 < len(words) <= _LONGEST_COMMENT:
            _raise(_refuse("case-comment", most=str(_LONGEST_COMMENT)))

        def work(connection: Connection) -> int:
            draft = Draft(self._desk.planner, now_ms)
            alert, case = self._locked(connection, draft, case_id, actor)
            _note(draft, case, alert, actor.id, "case_comment", {**_who(actor, ""), "text": words[:200]})
            change = draft.write(self._ledger, connection)
            case_rows.add_comment(connection, case.id, now_ms, actor.id, actor.name, words)
            return change

        self._desk.announce(self._ledger.transact(work), 0)

    def may_add_photo(self, case_id: str, actor: Actor) -> None:
        """Returns if `actor` may add one more photo; raises as `add_photo` does."""
        with self._ledger.begin() as connection:
            self._locked(connection, Draft(self._desk.planner, 0), case_id, actor)
            self._room_for_photo(connection, case_id)

    def add_photo(self, photo: Photo, actor: Actor) -> bool:
        """Notes a photo whose bytes are kept already. False: the case has the same one."""

        def work(connection: Connection) -> tuple[bool, int]:
            draft = Draft(self._desk.planner, photo.at_ms)
            alert, case = self._locked(connection, draft, photo.case_id, actor)
            if any(one.id == photo.id for one in case_rows.photos_of(connection, photo.case_id)):
                return False, 0
            self._room_for_photo(connection, photo.case_id)
            about = {**_who(actor, ""), "stage": photo.stage, "photo": photo.id}
            _note(draft, case, alert, actor.id, "case_photo", about)
            change = draft.write(self._ledger, connection)
            case_rows.add_photo(connection, photo)
            return True, change

        new, change = self._ledger.transact(work)
        self._desk.announce(change, 0)
        return new

    def _room_for_photo(self, connection: Connection, case_id: str) -> None:
        if len(case_rows.photos_of(connection, case_id)) >= MOST_PHOTOS:
            _raise(_refuse("case-photos", most=str(MOST_PHOTOS)))

    def _locked(self, connection: Connection, draft: Draft, case_id: str, actor: Actor) -> tuple[Alert | None, Case]:
        """The case and its alert (None: it has none), locked, if `actor` may act on them. An old alert gets its case now."""
        known = case_rows.alert_of(connection, case_id)
        found = alert_rows.locked(connection, [known or case_id])
        alert = found[0] if found else None
        case = case_rows.locked(connection, [case_id]).get(case_id)
        new = case is None
        if case is None and alert is not None and not alert.test:
            case = casework.of_alert(alert)
        if case is None or not actor.may_see(case.grid, case.station):
            raise NotFound(f"there is no case {case_id!r} in your grids", remedy="look it up in the list of cases")
        if actor.role not in ACTING_ROLES:
            raise NotAllowed(
                f"the role {actor.role} may look at cases but not act on them",
                remedy=f"use a token with one of the roles {', '.join(ACTING_ROLES)}",
            )
        if new:
            draft.sheet.put_case(case, new=True)
        elif alert is not None:
            case = casework.agreed(case, alert)
            draft.sheet.put_case(case)
        draft.sheet.cases[case.id] = case
        if alert is not None:
            draft.sheet.alerts[alert.id] = alert
        return alert, case


def _opened(report: Report, actor: Actor, now_ms: int) -> Case:
    number = report.number
    unnumbered = f"{actor.id}:{report.at_ms}:{report.grid}:{report.title}:{report.text}"
    return Case(
        id=numbered_id(report.source, number if number is not None else unnumbered),
        source=report.source,
        number=number,
        category=report.category,
        severity=report.severity,
        title_zh=report.title,
        title_en=report.title,
        text=report.text,
        place=report.place,
        place_text=report.where,
        grid=report.grid,
        station=report.station,
        lat=report.lat,
        lon=report.lon,
        reporter=report.reporter or actor.name,
        opened_at_ms=report.at_ms,
        due_at_ms=report.due_at_ms,
        changed_at_ms=now_ms,
    )


def _note(draft: Draft, case: Case, alert: Alert | None, who: str, action: str, about: dict[str, str]) -> None:
    """Puts `case` on the sheet with an audit entry; those who watch its alert hear of it."""
    draft.sheet.put_case(case, new=case.id in draft.sheet.new_cases)
    if alert is not None:
        draft.note(draft.sheet.alerts.get(alert.id, alert), draft.now_ms, who, action, {**about, "case": case.id})
    else:
        draft.sheet.entries.append(Entry(None, draft.now_ms, who, action, detail={**about, "case": case.id}))


def _who(actor: Actor, words: str) -> dict[str, str]:
    who = {"name": actor.name, "role": actor.role, "via": actor.via}
    return {**who, "reason": words.strip()} if words.strip() else who


def _refuse(code: str, **values: str) -> Objection:
    message, remedy = REFUSALS[code]
    return Objection(message.format(**values), remedy.format(**values), code, values)


def _raise(refused: Objection | None) -> None:
    if refused is not None:
        raise IllegalAction(refused.message, remedy=refused.remedy, code=refused.code, values=refused.values)
