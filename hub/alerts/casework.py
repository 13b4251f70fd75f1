"""The steps of a case as a total table: 上报 → 受理 → 派遣 → 到场 → 处置 → 反馈 → 核查 → 结案, with 退回 and 误报.

Pure: values in, values out. Every step answers every move; None means that the move is refused. Drawn in docs/cases.md.
While an alert is open, its short case state (`lifecycle.CASE`) and the step of its case say the same: `SHORT`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Final

from hub.alerts.lifecycle import OPEN, Objection
from hub.i18n import _
from hub.model.alerts import Alert, CaseState, Role
from hub.model.cases import Case, Handling, Move, Step

CASEWORK: Final[dict[Step, dict[Move, Step | None]]] = {
    "reported": {
        "raised": "reported",
        "accept": "accepted",
        "dispatch": "dispatched",
        "arrive": "on_scene",
        "handle": "handled",
        "feed_back": None,
        "verify": None,
        "close": None,
        "send_back": None,
        "false_alarm": "false_alarm",
        "reopen": None,
        "settled": "closed",
    },
    "accepted": {
        "raised": "reported",  # a new fire: earlier answers are void
        "accept": "accepted",
        "dispatch": "dispatched",
        "arrive": "on_scene",
        "handle": "handled",
        "feed_back": None,
        "verify": None,
        "close": None,
        "send_back": None,
        "false_alarm": "false_alarm",
        "reopen": None,
        "settled": "closed",
    },
    "dispatched": {
        "raised": "reported",
        "accept": "dispatched",
        "dispatch": "dispatched",
        "arrive": "on_scene",
        "handle": "handled",
        "feed_back": None,
        "verify": None,
        "close": None,
        "send_back": "accepted",  # it was not theirs: somebody else has to be sent
        "false_alarm": "false_alarm",
        "reopen": None,
        "settled": "dispatched",  # somebody is on the way, and says what was found
    },
    "on_scene": {
        "raised": "reported",
        "accept": "on_scene",
        "dispatch": "on_scene",  # more people; those who stand there stay
        "arrive": "on_scene",
        "handle": "handled",
        "feed_back": None,
        "verify": None,
        "close": None,
        "send_back": None,
        "false_alarm": "false_alarm",
        "reopen": None,
        "settled": "on_scene",
    },
    "handled": {
        "raised": "handled",  # its alert is closed: a new alarm opens another one
        "accept": None,
        "dispatch": None,
        "arrive": None,
        "handle": "handled",
        "feed_back": "feedback",
        "verify": None,
        "close": "closed",  # only where nobody has to verify: `may_close_itself`
        "send_back": "dispatched",
        "false_alarm": "false_alarm",
        "reopen": None,
        "settled": "handled",
    },
    "feedback": {
        "raised": "feedback",
        "accept": None,
        "dispatch": None,
        "arrive": None,
        "handle": None,
        "feed_back": "feedback",
        "verify": "verified",
        "close": None,
        "send_back": "dispatched",
        "false_alarm": "false_alarm",
        "reopen": None,
        "settled": "feedback",
    },
    "verified": {
        "raised": "verified",
        "accept": None,
        "dispatch": None,
        "arrive": None,
        "handle": None,
        "feed_back": None,
        "verify": "verified",
        "close": "closed",
        "send_back": "dispatched",
        "false_alarm": "false_alarm",
        "reopen": None,
        "settled": "verified",
    },
    "closed": {
        "raised": "closed",
        "accept": None,
        "dispatch": None,
        "arrive": None,
        "handle": None,
        "feed_back": None,
        "verify": None,
        "close": "closed",
        "send_back": None,
        "false_alarm": None,
        "reopen": "reported",
        "settled": "closed",
    },
    "false_alarm": {
        "raised": "false_alarm",
        "accept": None,
        "dispatch": None,
        "arrive": None,
        "handle": None,
        "feed_back": None,
        "verify": None,
        "close": None,
        "send_back": None,
        "false_alarm": "false_alarm",
        "reopen": "reported",
        "settled": "false_alarm",
    },
}

SHORT: Final[dict[Step, CaseState]] = {
    "reported": "reported",
    "accepted": "accepted",
    "dispatched": "accepted",
    "on_scene": "on_scene",
    "handled": "closed",
    "feedback": "closed",
    "verified": "closed",
    "closed": "closed",
    "false_alarm": "false_alarm",
}
"""What an alert's short case state says while the case is at a step. Afterwards the alert stays as it was closed."""

ORDER: Final[tuple[Step, ...]] = (
    "reported", "accepted", "dispatched", "on_scene", "handled", "feedback", "verified", "closed",
)  # fmt: skip
PEOPLE: Final[tuple[Move, ...]] = (
    "accept", "dispatch", "arrive", "handle", "feed_back", "verify", "close", "send_back", "false_alarm", "reopen",
)  # fmt: skip
"""Moves that people make; the others are the hub's."""

CHECKERS: Final[tuple[Role, ...]] = ("officer", "admin")
"""Who verifies, closes after that, sends finished work back, and opens closed cases again."""

WORDED: Final[frozenset[Move]] = frozenset({"feed_back", "send_back", "false_alarm", "reopen"})
"""Moves that need words."""

_MOMENT: Final[dict[Step, str]] = {
    "accepted": "accepted_at_ms",
    "dispatched": "dispatched_at_ms",
    "on_scene": "on_scene_at_ms",
    "handled": "handled_at_ms",
    "feedback": "feedback_at_ms",
    "verified": "verified_at_ms",
}
LONGEST: Final = 500
_OVER: Final[tuple[Step, ...]] = ("closed", "false_alarm")

REFUSALS: Final[dict[str, tuple[str, str]]] = {
    "case-step": (
        _("the case is at the step “{step}”, from which this is not possible"),
        _("reload it; the steps that are possible now are offered"),
    ),
    "case-checker": (
        _("this needs a safety officer: whoever did the work does not check it"),
        _("ask the officer of the community"),
    ),
    "case-words": (_("this needs words: what was found, done, or is missing"), _("say it in a sentence")),
    "case-too-long": (_("the text is longer than {most} characters"), _("shorten it")),
    "case-nobody": (_("it is not said who is sent"), _("name a person, a station or an office")),
    "case-unchecked": (
        _("this case is closed only after feedback and verification"),
        _("give feedback first; an officer verifies it"),
    ),
    "case-alert-done": (
        _("its alert was closed as done, which a false alarm would contradict"),
        _("close the case, and say in a comment what it was"),
    ),
}
"""Why a move is refused and what to do instead, by a code that stays the same; message ids."""


def _refuse(code: str, **values: str) -> Objection:
    message, remedy = REFUSALS[code]
    return Objection(message.format(**values), remedy.format(**values), code, values)


def of_alert(alert: Alert) -> Case:
    """The case that `alert` opens; at the step that fits the alert's present state."""
    return agreed(
        Case(
            id=alert.id,
            source="alert",
            alert_id=alert.id,
            category=alert.rule_id,
            severity=alert.severity,
            title_zh=alert.title_zh,
            title_en=alert.title_en,
            place=alert.place,
            place_text=alert.place_zh,
            grid=alert.grid,
            station=alert.station,
            lat=alert.lat,
            lon=alert.lon,
            opened_at_ms=alert.raised_at_ms,
            changed_at_ms=alert.raised_at_ms,
        ),
        alert,
    )


def agreed(case: Case, alert: Alert) -> Case:
    """`case` at a step that fits `alert`: a hub of an older version moves alerts and knows nothing of cases."""
    fits = SHORT[case.step] == alert.case_state if alert.live else SHORT[case.step] not in OPEN
    goes_on = not alert.live and (case.reopened or case.sent_back or case.dispatched_at_ms is not None)
    if fits or goes_on:
        return case
    step: Step = alert.case_state
    moment = alert.closed_at_ms or alert.on_scene_at_ms or alert.acked_at_ms or alert.raised_at_ms
    return _at(case, step, moment, alert.closed_by or "", alert.close_reason or "")


def needs_check(case: Case) -> bool:
    """Whether somebody else verifies the work before the case closes: a fire, a citizen's order, or what was handed on."""
    return (
        (case.source == "alert" and case.severity == "P1") or case.source == "hotline" or case.handling == "transferred"
    )


def objection(
    case: Case, move: Move, role: Role, words: str, to: str = "", *, alert: Alert | None = None
) -> Objection | None:
    """Why somebody of `role` cannot make `move` now, and what to do instead; None when they can."""
    if CASEWORK[case.step][move] is None:
        return _refuse("case-step", step=case.step)
    checks = move in ("verify", "reopen") or (move == "send_back" and case.step != "dispatched")
    closes = move == "close" and case.step == "verified"
    if (checks or closes) and role not in CHECKERS:
        return _refuse("case-checker")
    if move == "close" and case.step == "handled" and needs_check(case):
        return _refuse("case-unchecked")
    if move == "false_alarm" and alert is not None and alert.case_state == "closed" and case.is_open:
        return _refuse("case-alert-done")
    if move in WORDED and not words.strip():
        return _refuse("case-words")
    if len(words) > LONGEST:
        return _refuse("case-too-long", most=str(LONGEST))
    if move == "dispatch" and not to.strip():
        return _refuse("case-nobody")
    return None


def moved(case: Case, move: Move, actor: str, at_ms: int, words: str = "", to: str = "") -> Case:
    """`case` after a permitted `move`; the very same object when that changes nothing."""
    step = CASEWORK[case.step][move]
    if step is None:
        raise ValueError(f"{move} is refused at {case.step}: ask objection() first")
    if move == "dispatch":
        return _dispatched(case, step, actor, at_ms, to.strip())
    if step == case.step and (move != "raised" or not case.is_open):
        return case
    after = _at(case, step, at_ms, actor, words.strip())
    if move == "handle" and not after.handling:
        after = replace(after, handling="self")
    if move == "send_back":
        after = replace(after, sent_back=case.sent_back + 1, assignee="" if step == "accepted" else case.assignee)
    if move == "reopen":
        after = replace(after, reopened=case.reopened + 1, handling="", assignee="")
    return after


def closes_at_once(case: Case) -> bool:
    """Whether the close of an alert ends its case too: handled by those who took it, and nobody has to verify it."""
    return case.step == "handled" and not needs_check(case)


def possible(case: Case, role: Role, alert: Alert | None) -> tuple[Move, ...]:
    """Moves that somebody of `role` can make now and that would change something, given words and somebody to send."""
    return tuple(
        move
        for move in PEOPLE
        if objection(case, move, role, "-", "-", alert=alert) is None
        and (CASEWORK[case.step][move] != case.step or move == "dispatch")
    )


def _dispatched(case: Case, step: Step, actor: str, at_ms: int, to: str) -> Case:
    handling: Handling = "transferred" if to != actor else case.handling
    if case.step == step and case.assignee == to:
        return case
    after = case if step == case.step else _at(case, step, at_ms, actor, "")
    return replace(
        after, assignee=to, handling=handling, changed_at_ms=at_ms, dispatched_at_ms=at_ms, revision=case.revision + 1
    )


def _at(case: Case, step: Step, at_ms: int, actor: str, words: str) -> Case:
    """`case` at `step`: its moment set, those of later steps forgotten."""
    over = step in _OVER
    place = len(ORDER) if over else ORDER.index(step)
    moments: dict[str, int | None] = {
        name: None for later, name in _MOMENT.items() if not over and ORDER.index(later) > place
    }
    if step in _MOMENT:
        moments[_MOMENT[step]] = at_ms
    if case.accepted_at_ms is None and not over and place > 0:
        moments.setdefault("accepted_at_ms", at_ms)  # who goes there has taken it
    return replace(
        case,
        step=step,
        closed_at_ms=at_ms if over else None,
        closed_by=actor if over else None,
        close_reason=words if over else None,
        changed_at_ms=at_ms,
        revision=case.revision + 1,
        **moments,  # type: ignore[arg-type]  # every name is a moment's
    )


def is_known(move: str, moves: Collection[Move] = PEOPLE) -> bool:
    return move in moves
