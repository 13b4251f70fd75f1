"""Incidents: which alerts belong together, and which of them are told at once. Pure.

Alerts of P3 and P4 with one cause (rule) at one place (building, else grid) that come soon after each other are one
incident. Its first alert is told at once; what comes while its window runs is told together when the window ends. An
alert of P1 or P2 is always told by itself, and so is every test.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from hub.model.alerts import Alert, Incident, Subject, incident_id
from hub.model.deliveries import NewDelivery, Plan

GROUPED = ("P3", "P4")
_LISTED = 200
_DESCRIBED = 10


class Grouped(NamedTuple):
    """`alert` as it is in its `incident`, and whether the incident is `new`; told at once unless `alert.bundled_until_ms`."""

    alert: Alert
    incident: Incident
    new: bool


def place_of(subject: Subject) -> str:
    """Where alerts are grouped: the building, else the grid; "" = nowhere known, so nothing is grouped there."""
    return subject.building or subject.grid


def may_group(alert: Alert) -> bool:
    """Whether `alert` may be told together with others at all."""
    return alert.severity in GROUPED and not alert.test and not alert.drill


def grouped(alert: Alert, known: Incident | None, *, place: str, window_ms: int, at_ms: int) -> Grouped:
    """`alert`, raised (or raised again) at `at_ms`, in the open incident `known` of its cause and place, or in a new one.

    It joins when the last alert there is less than `window_ms` ago, and is then told when the window that runs ends.
    An alert that is in an incident already stays in it; after a quiet window it is told at once, and a new window begins.
    """
    if known is None or (alert.incident_id != known.id and not _is_soon(known, window_ms, at_ms)):
        opened = _opened(alert, place, at_ms)
        return Grouped(replace(alert, incident_id=opened.id, bundled_until_ms=None), opened, new=True)
    alerts = known.alerts + (alert.incident_id != known.id)
    last_at_ms = max(known.last_at_ms, at_ms)
    if not _is_soon(known, window_ms, at_ms):
        after = replace(known, alerts=alerts, last_at_ms=last_at_ms, window_at_ms=at_ms, live=True, closed_at_ms=None)
        return Grouped(replace(alert, incident_id=known.id, bundled_until_ms=None), after, new=False)
    due_ms = known.digest_due_ms
    if due_ms is None:
        windows = max(at_ms - known.window_at_ms, 0) // window_ms + 1
        due_ms = known.window_at_ms + windows * window_ms
    after = replace(known, alerts=alerts, last_at_ms=last_at_ms, digest_due_ms=due_ms)
    return Grouped(replace(alert, incident_id=known.id, bundled_until_ms=due_ms), after, new=False)


def digest(incident: Incident, plans: Sequence[tuple[Alert, Plan]], now_ms: int) -> list[NewDelivery]:
    """One message for each receiver of `plans` (what each alert would have told at once), about all alerts meant for it."""
    about: dict[tuple[str, str], list[Alert]] = {}
    first: dict[tuple[str, str], NewDelivery] = {}
    for alert, plan in plans:
        for delivery in plan.deliveries:
            key = (delivery.recipient, delivery.channel)
            first.setdefault(key, delivery)
            told = about.setdefault(key, [])
            if alert not in told:
                told.append(alert)
    return [
        replace(
            delivery,
            transition=f"digest:{incident.digests + 1}",
            due_at_ms=now_ms,
            needed_while="always",
            about=json.dumps(about_of(incident, about[key]), ensure_ascii=False),
        )
        for key, delivery in first.items()
    ]


def about_of(incident: Incident, alerts: Sequence[Alert]) -> dict[str, Any]:
    """What a digest says, as stored with its delivery: how many `more`, which alerts, and the first of them in words."""
    return {
        "incident": incident.id,
        "more": len(alerts),
        "alerts": [alert.id for alert in alerts[:_LISTED]],
        "first": [
            {"device": alert.device_id, "place_zh": alert.place_zh, "place_en": alert.place_en}
            for alert in alerts[:_DESCRIBED]
        ],
    }


def is_withheld(alert: Alert, why: str) -> bool:
    """Whether the message that `alert` has returned or is closed is left out: it was told among others, or not at all yet."""
    return why in ("returned", "closed") and alert.bundled_until_ms is not None and not alert.is_lead


def sent(incident: Incident) -> Incident:
    """`incident` after its due digest is planned."""
    return replace(incident, digests=incident.digests + 1, digest_due_ms=None)


def tells_of(about: Mapping[str, Any], alert_ids: Iterable[str]) -> bool:
    """Whether a digest (its `about`) tells of one of these alerts."""
    return not set(alert_ids).isdisjoint(about.get("alerts", ()))


def _is_soon(known: Incident, window_ms: int, at_ms: int) -> bool:
    return at_ms - known.last_at_ms < window_ms


def _opened(alert: Alert, place: str, at_ms: int) -> Incident:
    return Incident(
        id=incident_id(alert.id),
        rule_id=alert.rule_id,
        place=place,
        grid=alert.grid,
        station=alert.station,
        severity=alert.severity,
        title_zh=alert.title_zh,
        title_en=alert.title_en,
        first_alert=alert.id,
        opened_at_ms=at_ms,
        last_at_ms=at_ms,
        window_at_ms=at_ms,
    )
