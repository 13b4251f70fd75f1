"""The two machines of an alert as total tables: the alarm (what the device says) and the case (what people do).

Pure: values in, values out. Every state answers every event; None in the case table means that the action is refused.
Drawn in docs/alerts.md from these tables.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Final, Literal, NamedTuple

from hub.i18n import _
from hub.model.alerts import Action, AlarmState, Alert, CaseState, Seen, Subject
from hub.model.rules import SEVERITIES, ConditionEvent

AlarmEvent = Literal["raised", "returned", "returned_held", "withdrawn", "acknowledged", "closed"]
CaseEvent = Literal["raised", "acknowledge", "on_scene", "reinforce", "false_alarm", "close", "settled"]

ALARM: Final[dict[AlarmState, dict[AlarmEvent, AlarmState]]] = {
    "active_unacked": {
        "raised": "active_unacked",
        "returned": "returned_unacked",
        "returned_held": "latched",
        "withdrawn": "normal",  # nothing watches it any more
        "acknowledged": "active_acked",
        "closed": "active_acked",  # a false alarm: the device still says it, and goes on to be believed about that
    },
    "active_acked": {
        "raised": "active_unacked",  # an old acknowledgement cannot silence a new fire
        "returned": "normal",
        "returned_held": "latched",
        "withdrawn": "normal",
        "acknowledged": "active_acked",
        "closed": "active_acked",
    },
    "returned_unacked": {
        "raised": "active_unacked",
        "returned": "returned_unacked",
        "returned_held": "latched",
        "withdrawn": "normal",
        "acknowledged": "normal",
        "closed": "normal",
    },
    "latched": {
        "raised": "active_unacked",
        "returned": "latched",
        "returned_held": "latched",
        "withdrawn": "normal",
        "acknowledged": "latched",  # only a person's close or false alarm releases it
        "closed": "normal",
    },
    "normal": {
        "raised": "active_unacked",
        "returned": "normal",
        "returned_held": "normal",
        "withdrawn": "normal",
        "acknowledged": "normal",
        "closed": "normal",
    },
}

CASE: Final[dict[CaseState, dict[CaseEvent, CaseState | None]]] = {
    "reported": {
        "raised": "reported",
        "acknowledge": "accepted",
        "on_scene": "on_scene",
        "reinforce": "reported",  # a call for help is no acknowledgement: the escalation goes on
        "false_alarm": "false_alarm",
        "close": "closed",
        "settled": "closed",
    },
    "accepted": {
        "raised": "reported",
        "acknowledge": "accepted",
        "on_scene": "on_scene",
        "reinforce": "accepted",
        "false_alarm": "false_alarm",
        "close": "closed",
        "settled": "closed",
    },
    "on_scene": {
        "raised": "reported",
        "acknowledge": "on_scene",
        "on_scene": "on_scene",
        "reinforce": "on_scene",
        "false_alarm": "false_alarm",
        "close": "closed",
        "settled": "on_scene",  # somebody stands there: only a person ends it
    },
    "closed": {
        "raised": "closed",  # final: a new episode opens a new alert
        "acknowledge": None,
        "on_scene": None,
        "reinforce": None,
        "false_alarm": None,
        "close": "closed",
        "settled": "closed",
    },
    "false_alarm": {
        "raised": "false_alarm",
        "acknowledge": None,
        "on_scene": None,
        "reinforce": None,
        "false_alarm": "false_alarm",
        "close": None,
        "settled": "false_alarm",
    },
}

OPEN: Final[frozenset[CaseState]] = frozenset({"reported", "accepted", "on_scene"})
ACTIVE: Final[frozenset[AlarmState]] = frozenset({"active_unacked", "active_acked"})
HUB: Final = "hub"
SETTLED: Final = "returned to normal and acknowledged"
TEST_OVER: Final = "test over"
WITHDRAWN: Final = "the rule was removed or changed"
HEARTBEAT: Final = "heartbeat"
"""Quantity of the hub's own heartbeat: one test alert that beats for ever, and is never closed for being over."""
_LONGEST_REASON = 500

REFUSALS: Final[dict[str, tuple[str, str]]] = {
    "closed-as-done": (
        _("the alert was already closed as done by {by}"),
        _("nothing is left to do; a new alarm of this device opens a new alert"),
    ),
    "closed-as-false-alarm": (
        _("the alert was already closed as a false alarm by {by}"),
        _("nothing is left to do; a new alarm of this device opens a new alert"),
    ),
    "reason-missing": (
        _("a false alarm needs a reason"),
        _("say what it was, for example: cooking smoke, seen by the resident"),
    ),
    "reason-too-long": (_("the reason is longer than {most} characters"), _("shorten it")),
    "still-active": (
        _("the device still reports the {severity} condition, so it cannot be closed"),
        _("close it when the condition is gone, or report false_alarm with a reason"),
    ),
    "close-reason-missing": (
        _("the device still reports the condition: closing it needs a reason"),
        _("say why, or wait until it is gone"),
    ),
    "alarmed-again": (
        _("it has alarmed again since: you answered alarm {seen}, the present one is alarm {now}"),
        _("look at the present alarm, then answer it"),
    ),
    "more-severe": (
        _("it has become more severe: you answered a {seen}, it is a {now} now"),
        _("look at the present alarm, then answer it"),
    ),
    "which-alarm": (
        _("it has alarmed {now} times, and the answer does not say which alarm it means"),
        _("reload it and answer again; a program names the occurrence that it saw"),
    ),
    "nobody-on-scene": (
        _("nobody has been on scene since the last alarm, so a P1 cannot be closed"),
        _("report on_scene first, or false_alarm with a reason"),
    ),
}
"""Why an action is refused and what to do instead, by a code that stays the same; message ids."""


class Objection(NamedTuple):
    """Why an action cannot be done now, and what to do instead, in English; `code` and `values` for other languages."""

    message: str
    remedy: str
    code: str
    values: dict[str, str]


def _refuse(code: str, **values: str) -> Objection:
    message, remedy = REFUSALS[code]
    return Objection(message.format(**values), remedy.format(**values), code, values)


def both(alert: Alert) -> str:
    """Both states in one word, as the audit writes them."""
    return f"{alert.alarm_state}/{alert.case_state}"


def opened(event: ConditionEvent, subject: Subject) -> Alert:
    """The alert that a raised `event` opens."""
    rule = event.rule
    return Alert(
        id=event.alert_id,
        rule_id=rule.id,
        rule_version=rule.version,
        device_id=event.device,
        device_kind=subject.device_kind,
        severity=rule.severity,
        alarm_state="active_unacked",
        case_state="reported",
        live=True,
        test=event.canary,
        episode_start_ms=event.episode_start_ms,
        raised_at_ms=event.at_ms,
        received_at_ms=event.received_at_ms or event.at_ms,
        observed_at_ms=event.observed_at_ms,
        quantity=event.quantity,
        value=_json(event.value),
        threshold=_finite(event.threshold),
        place=subject.place,
        grid=subject.grid,
        station=subject.station,
        title_zh=rule.name.zh,
        title_en=rule.name.en,
        place_zh=subject.place_zh,
        place_en=subject.place_en,
        action_zh=rule.action.zh,
        action_en=rule.action.en,
        lat=subject.lat,
        lon=subject.lon,
        last_event_ms=event.at_ms,
        position=event.position,
    )


def raised_again(alert: Alert, event: ConditionEvent) -> Alert:
    """`alert` after a new episode of the same condition: alarmed as if it had just occurred, earlier answers void.

    What the rule says (severity, texts) is as of now; grid, station and place stay as copied at the first time.
    """
    rule = event.rule
    return replace(
        alert,
        alarm_state=ALARM[alert.alarm_state]["raised"],
        case_state=_case(alert, "raised"),
        occurrences=alert.occurrences + 1,
        escalation_level=0,
        acked_at_ms=None,
        acked_by=None,
        on_scene_at_ms=None,
        on_scene_by=None,
        returned_at_ms=None,
        rule_version=rule.version,
        chattering=False,
        severity=rule.severity,
        title_zh=rule.name.zh,
        title_en=rule.name.en,
        action_zh=rule.action.zh,
        action_en=rule.action.en,
        quantity=event.quantity,
        value=_json(event.value),
        threshold=_finite(event.threshold),
        received_at_ms=event.received_at_ms or event.at_ms,
        observed_at_ms=event.observed_at_ms,
        last_event_ms=max(alert.last_event_ms, event.at_ms),
        position=event.position,
    )


def returned(alert: Alert, event: ConditionEvent) -> Alert:
    """`alert` after its condition is gone. Held (P1, or a rule that latches) it waits for a person; it may settle next.

    An alert that was closed before (false alarm of an active condition) becomes normal: its device says so.
    """
    if alert.live:
        held = (event.rule.latch or alert.severity == "P1") and not alert.test
        state = ALARM[alert.alarm_state]["returned_held" if held else "returned"]
    else:
        state = "normal"
    return replace(
        alert,
        alarm_state=state,
        chattering=False,
        returned_at_ms=event.at_ms,
        last_event_ms=max(alert.last_event_ms, event.at_ms),
        position=event.position,
    )


def withdrawn(alert: Alert, event: ConditionEvent) -> Alert:
    """`alert` after its rule was taken away: closed with the reason. A P1 loses its condition, its case waits for a person.

    So does a case for which somebody stands on scene: only a person ends that.
    """
    held = alert.live and alert.severity == "P1" and not alert.test
    after = replace(
        alert,
        alarm_state=ALARM[alert.alarm_state]["returned_held" if held else "withdrawn"],
        chattering=False,
        returned_at_ms=event.at_ms,
        last_event_ms=max(alert.last_event_ms, event.at_ms),
        position=event.position,
    )
    if not alert.live or held or _case(alert, "settled") in OPEN:
        return after
    return _ended(replace(after, case_state=_case(alert, "settled")), HUB, event.at_ms, event.reason or WITHDRAWN)


def settled(alert: Alert, at_ms: int) -> Alert | None:
    """`alert` closed by the hub itself, when nothing is left to do; else None.

    That is: returned to normal and acknowledged with nobody on scene (never P1, never a latched one), or the hub's own
    test fire that has ended (but not its heartbeat, which will beat again).
    """
    test_over = alert.test and alert.alarm_state not in ACTIVE and alert.quantity != HEARTBEAT
    if not alert.live or not (test_over or alert.alarm_state == "normal"):
        return None
    to = "closed" if test_over else _case(alert, "settled")
    if to in OPEN:
        return None
    reason = TEST_OVER if test_over else SETTLED
    return _ended(replace(alert, case_state=to, alarm_state="normal"), HUB, at_ms, reason)


def objection(alert: Alert, action: Action, reason: str) -> Objection | None:
    """Why `action` cannot be done to `alert` now, and what to do instead; None when it can."""
    if CASE[alert.case_state][action] is None:
        false = alert.case_state == "false_alarm"
        return _refuse("closed-as-false-alarm" if false else "closed-as-done", by=alert.closed_by or "")
    if not alert.live:
        return None  # the same again
    if action == "false_alarm" and not reason.strip():
        return _refuse("reason-missing")
    if len(reason) > _LONGEST_REASON:
        return _refuse("reason-too-long", most=str(_LONGEST_REASON))
    if action == "close" and not alert.test:
        return _objection_to_closing(alert, reason)
    return None


def mistaken(alert: Alert, action: Action, seen: Seen | None) -> Objection | None:
    """Why `action` answers another alarm than the present one of `alert`; None when it means the present one.

    An answer that does not say what was `seen` is taken while there is only one alarm that it can mean. A call for help
    is never refused for this.
    """
    if not alert.live or action == "reinforce":
        return None
    if seen is None:
        return _refuse("which-alarm", now=str(alert.occurrences)) if alert.occurrences > 1 else None
    if seen.occurrence != alert.occurrences:
        return _refuse("alarmed-again", seen=str(seen.occurrence), now=str(alert.occurrences))
    if seen.severity is not None and SEVERITIES.index(seen.severity) > SEVERITIES.index(alert.severity):
        return _refuse("more-severe", seen=seen.severity, now=alert.severity)
    return None


def woken(alert: Alert, at_ms: int) -> Alert:
    """`alert` when it tells people again. While its condition holds it alarms as if it had just occurred."""
    after = replace(alert, quiet="", quiet_until_ms=None)
    if not alert.live or alert.alarm_state not in ACTIVE:
        return after
    return replace(
        after,
        alarm_state=ALARM[alert.alarm_state]["raised"],
        case_state=_case(alert, "raised"),
        occurrences=alert.occurrences + 1,
        escalation_level=0,
        acked_at_ms=None,
        acked_by=None,
        on_scene_at_ms=None,
        on_scene_by=None,
        received_at_ms=at_ms,
        bundled_until_ms=None,
    )


def _objection_to_closing(alert: Alert, reason: str) -> Objection | None:
    if alert.alarm_state in ACTIVE and alert.severity in ("P1", "P2"):
        return _refuse("still-active", severity=alert.severity)
    if alert.alarm_state in ACTIVE and not reason.strip():
        return _refuse("close-reason-missing")
    if alert.severity == "P1" and alert.on_scene_at_ms is None:
        return _refuse("nobody-on-scene")
    return None


def acted(alert: Alert, action: Action, actor: str, at_ms: int, reason: str) -> Alert:
    """`alert` after a permitted `action` of `actor`; the very same object when that changes nothing.

    Whoever goes there, closes it or calls it false has thereby acknowledged it.
    """
    to = _case(alert, action)
    if not alert.live or action == "reinforce":
        return alert
    if action == "acknowledge" and alert.acked_at_ms is not None:
        return alert
    if action == "on_scene" and alert.on_scene_at_ms is not None:
        return alert
    after = replace(alert, case_state=to)
    if after.acked_at_ms is None:
        after = replace(after, acked_at_ms=at_ms, acked_by=actor, alarm_state=ALARM[after.alarm_state]["acknowledged"])
    if action == "on_scene":
        after = replace(after, on_scene_at_ms=at_ms, on_scene_by=actor)
    if action in ("close", "false_alarm"):
        after = replace(after, alarm_state=ALARM[after.alarm_state]["closed"])
        after = _ended(after, actor, at_ms, reason.strip())
    return after


def _ended(alert: Alert, by: str, at_ms: int, reason: str) -> Alert:
    return replace(alert, live=False, closed_at_ms=at_ms, closed_by=by, close_reason=reason)


def _case(alert: Alert, event: CaseEvent) -> CaseState:
    to = CASE[alert.case_state][event]
    if to is None:
        raise ValueError(f"{event} is refused in {alert.case_state}: ask objection() first")
    return to


def _json(value: float | bool | str | None) -> str:
    return json.dumps(_finite(value) if isinstance(value, float) else value, ensure_ascii=False)


def _finite(number: float | None) -> float | None:
    return number if number is not None and abs(number) != float("inf") and number == number else None
