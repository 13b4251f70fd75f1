"""What a notification says: one text for people in their language, and the same as fields for machines. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from hashlib import blake2b
from math import isfinite
from typing import Any

from hub.clock import wall_clock
from hub.dispatch import digests
from hub.dispatch.asked import ASKED, station_in
from hub.dispatch.fit import cut, fit, sound
from hub.dispatch.policy import EscalationPolicy, since_ms
from hub.dispatch.roster import on_duty
from hub.dispatch.routing import Spot, path_of, station_of
from hub.i18n import _ as mark
from hub.i18n import text as translation
from hub.model.alerts import Alert
from hub.model.deliveries import Delivery, Line, Message
from hub.model.places import Person
from hub.model.quantities import QUANTITIES
from hub.registry.snapshot import Registry

MOST_BYTES = 2_048
"""The limit of a WeCom robot's text, the tightest of the channels that are planned."""

Say = Callable[[str], str]

_FIRE = frozenset({"smoke", "smoke_density", "smoke_density_db_m", "heat_alarm", "manual_call"})
_GAS = frozenset({"gas_alarm", "gas_lel_pct"})
_CO = frozenset({"co_alarm", "co_ppm"})
_SEVERITY_WORD = {
    "P1": mark("[Emergency {severity}]"),
    "P2": mark("[Urgent {severity}]"),
    "P3": mark("[Fault {severity}]"),
    "P4": mark("[Notice {severity}]"),
}


def composer(
    registry: Callable[[], Registry],
    policy: EscalationPolicy,
    zone: str,
    public_url: str,
    *,
    links: Callable[[Alert, Delivery, int], Mapping[str, str]] = lambda alert, delivery, now_ms: {},
) -> Callable[[Alert, Delivery, int], Message]:
    """What the courier calls: `compose` with the registry of the moment, and the one-tap `links` of its receiver."""

    def composed(alert: Alert, delivery: Delivery, now_ms: int) -> Message:
        more = links(alert, delivery, now_ms)
        return compose(alert, delivery, registry(), now_ms, zone, public_url, policy=policy, answers=more)

    return composed


def compose(
    alert: Alert,
    delivery: Delivery,
    registry: Registry,
    now_ms: int,
    zone: str,
    public_url: str,
    *,
    policy: EscalationPolicy | None = None,
    answers: Mapping[str, str] | None = None,
) -> Message:
    """The message of `delivery` in its locale, as of `now_ms`. Its text has at most MOST_BYTES bytes of UTF-8.

    The same delivery always gives the same `id`, on every hub, so that a receiver can drop a repetition. With `policy`
    the text says how much time is left to acknowledge and to arrive. `answers`: its receiver's one-tap links, by action.
    """
    locale = delivery.locale
    say = translation(locale)
    links = {"alert": f"{public_url.rstrip('/')}/alerts/{alert.id}", **(answers or {})}
    code = links.pop("code", "")
    told = digests.bundle_of(delivery)
    title = _title(alert, delivery, registry, say, locale)
    when, measured = _when(alert, delivery, now_ms, zone, say), _measured(alert, say, locale)
    if told is not None:
        title = _headed(_word(alert, delivery, say), alert, _flat(digests.headline(told, alert, say, locale)))
        when, measured = digests.places(told, say), ""
    every = (
        Line("title", title, 9),
        Line("when", _flat(when), 6),
        Line("measured", _flat(measured), 5),
        Line("do_now", _flat(_do_now(alert, delivery, say, locale)), 10),
        Line("do_now", say(mark("Code: {code}")).format(code=code) if code else "", 10),
        Line("responsible", _flat(_responsible(alert, registry, now_ms, zone, say, locale)), 3),
        Line("time_left", _flat(_time_left(alert, delivery, policy, now_ms, zone, say)), 4),
        Line("link", links["alert"], 8),
    )
    lines = tuple(line for line in every if line.text)
    return Message(
        id=message_id(delivery),
        title=title,
        text=fit(lines, MOST_BYTES),
        locale=locale,
        severity=alert.severity,
        test=alert.test,
        fields=_fields(alert, delivery, registry, now_ms, links) | (digests.fields(told) if told else {}),
        links=links,
        lines=lines,
    )


def message_id(delivery: Delivery) -> str:
    """The idempotency key: from what makes a delivery unique, not from a row number that a new database would use again."""
    key = f"{delivery.alert_id}:{delivery.transition}:{delivery.recipient}:{delivery.channel}"
    return blake2b(key.encode(), digest_size=12).hexdigest()


def masked(phone: str) -> str:
    """A phone number as it may travel in a message: 138****0001. Too short to mask well = nothing but stars."""
    digits = "".join(c for c in phone if c.isdigit() or c == "+")
    return f"{digits[:3]}****{digits[-4:]}" if len(digits) >= 10 else "****" if digits else ""


def shown(target: str) -> str:
    """A receiver's address as it may stand in a log: of a number or a mail address only so much that one can tell them apart."""
    local, at, domain = target.partition("@")
    if local and at:
        return f"{local[:1]}***@{domain}"
    digits = sum(c.isdigit() for c in target)
    return masked(target) if digits >= 5 and digits >= len(target) - 4 else target


def _flat(text: str) -> str:
    return " ".join(sound(text).split())


def _title(alert: Alert, delivery: Delivery, registry: Registry, say: Say, locale: str) -> str:
    device = registry.find(alert.device_id)
    name = device.name.in_(locale) if device else ""
    called = name if alert.device_id in name else f"{name} {alert.device_id}".strip()
    if alert.rule_id in ASKED:
        station = registry.stations.get(station_in(alert.device_id))
        called = f"{alert.title_en if locale == 'en' else alert.title_zh} {station.name.in_(locale) if station else ''}"
    place = alert.place_en if locale == "en" else alert.place_zh
    before = say("[TEST]") if alert.test else say(mark("[DRILL]")) if alert.drill else ""
    return before + _headed(_word(alert, delivery, say), alert, _flat(f"{place} {called}"))


def _headed(word: str, alert: Alert, text: str) -> str:
    word = word.format(severity=alert.severity)
    space = "" if word.endswith("】") else " "  # a full-width bracket brings its own
    return f"{word}{space}{text}"


def _word(alert: Alert, delivery: Delivery, say: Say) -> str:
    match _transition(delivery)[0]:
        case "cleared":
            return say(mark("[Back to normal {severity}]"))
        case "closed":
            return say(mark("[Closed {severity}]"))
    if alert.severity in ("P1", "P2"):
        if alert.quantity in _FIRE:
            return say(mark("[Fire alarm {severity}]"))
        if alert.quantity in _GAS:
            return say(mark("[Gas alarm {severity}]"))
        if alert.quantity in _CO:
            return say(mark("[CO alarm {severity}]"))
    return say(_SEVERITY_WORD[alert.severity])


def _when(alert: Alert, delivery: Delivery, now_ms: int, zone: str, say: Say) -> str:
    moments = {"cleared": alert.returned_at_ms, "closed": alert.closed_at_ms}
    kind, number = _transition(delivery)
    at_ms = moments.get(kind) or since_ms(alert)
    clock = wall_clock(at_ms, zone, "%H:%M:%S")
    ago = _span(max(now_ms - at_ms, 0) // 1_000, say)
    match kind:
        case "cleared":
            return say("{clock} the device reports normal ({ago} ago); still to be checked on site").format(
                clock=clock, ago=ago
            )
        case "closed" if alert.case_state == "false_alarm":
            return say("{clock} closed as a false alarm: {reason}").format(
                clock=clock, reason=alert.close_reason or "-"
            )
        case "closed":
            return say("{clock} closed: {reason}").format(clock=clock, reason=alert.close_reason or "-")
    raised = say("{clock} alarm ({ago} ago)").format(clock=clock, ago=ago)
    match kind:
        case "reinforce":
            return raised + say(" · the crew asks for reinforcement (call {n})").format(n=number)
        case "step" if alert.acked_at_ms is not None:
            return raised + say(" · acknowledged, nobody on scene yet: notice {n}").format(n=number + 1)
        case "step":
            return raised + say(" · not acknowledged yet: notice {n}").format(n=number + 1)
    return raised


def _measured(alert: Alert, say: Say, locale: str) -> str:
    title = alert.title_en if locale == "en" else alert.title_zh
    unit = QUANTITIES[alert.quantity].unit if alert.quantity in QUANTITIES else ""
    value = _value(alert)
    if isinstance(value, bool) or value is None or not alert.quantity:
        return title
    number = f"{value:g}" if isinstance(value, int | float) else str(value)
    measured = f"{title} · {alert.quantity} {number} {unit}".rstrip()
    if alert.threshold is None:
        return measured
    return measured + say(" (limit {limit})").format(limit=f"{alert.threshold:g} {unit}".rstrip())


def _do_now(alert: Alert, delivery: Delivery, say: Say, locale: str) -> str:
    action = alert.action_en if locale == "en" else alert.action_zh
    if not action.strip() or _transition(delivery)[0] == "closed":
        return ""
    return say("Do now: {action}").format(action=_flat(action))


def _responsible(alert: Alert, registry: Registry, now_ms: int, zone: str, say: Say, locale: str) -> str:
    """Grid worker and crew on duty, with masked phones: the station dials from its own book."""
    spot = Spot(place=alert.place, grid=alert.grid, station=alert.station)
    parts: list[str] = []
    for place in reversed(path_of(registry, spot.grid)):
        worker = registry.people.get(place.responsible) if place.level in ("grid", "micro_grid") else None
        if worker is not None:
            of = place.name.in_(locale)
            parts.append(f"{of} {_called(worker, locale, of)}")
    station = station_of(registry, spot)
    if station is not None:
        crew = [registry.people[i] for i in on_duty(station, now_ms, zone) if i in registry.people]
        of = station.name.in_(locale)
        shown = " / ".join(_called(person, locale, of) for person in crew[:3]) or say("(nobody on duty)")
        parts.append(f"{of} {shown}")
    return say("Responsible: {people}").format(people=" · ".join(parts)) if parts else ""


def _called(person: Person, locale: str, of: str) -> str:
    return f"{_within(of, person.name.in_(locale))} {masked(person.phone)}".rstrip()


def _within(of: str, name: str) -> str:
    """`name` without the place or station `of` at its begin or end: that was said just before."""
    if name.startswith(of):
        rest, joint = name.removeprefix(of), name[len(of) : len(of) + 1]
    elif name.endswith(of):
        rest, joint = name.removesuffix(of), name[-len(of) - 1 : -len(of)]
    else:
        return name
    if joint.isascii() and joint.isalnum() and of.isascii():
        return name  # a longer word that only looks like it
    return rest.strip(" ,·-") or name


def _time_left(
    alert: Alert, delivery: Delivery, policy: EscalationPolicy | None, now_ms: int, zone: str, say: Say
) -> str:
    if policy is None or alert.test or not alert.live or _transition(delivery)[0] in ("cleared", "closed"):
        return ""
    parts: list[str] = []
    acknowledge_s, on_scene_s = policy.deadlines_s(alert, zone)
    for limit_s, done, left, overdue in (
        (
            acknowledge_s,
            alert.acked_at_ms or alert.on_scene_at_ms,
            mark("acknowledge within {span}"),
            mark("acknowledgement overdue by {span}"),
        ),
        (on_scene_s, alert.on_scene_at_ms, mark("on scene within {span}"), mark("arrival overdue by {span}")),
    ):
        if limit_s is None or done is not None:
            continue
        left_s = limit_s - (now_ms - since_ms(alert)) // 1_000
        parts.append(say(left if left_s > 0 else overdue).format(span=_span(abs(left_s), say)))
    return say("Time left: {parts}").format(parts=" · ".join(parts)) if parts else ""


def _span(seconds: int, say: Say) -> str:
    if seconds < 120:
        return say("{seconds} s").format(seconds=seconds)
    if seconds < 7_200:
        return say("{minutes} min").format(minutes=seconds // 60)
    return say("{hours} h").format(hours=seconds // 3_600)


def _transition(delivery: Delivery) -> tuple[str, int]:
    """Kind and number of the transition: ("step", 2) of "step:2", also of "step:2:3" (third occurrence); ("raised", 0)."""
    kind, _, rest = delivery.transition.partition(":")
    number = rest.split(":")[0]
    return kind, int(number) if kind in ("step", "reinforce") and number.isdigit() else 0


def _value(alert: Alert) -> Any:
    try:
        return json.loads(alert.value)
    except ValueError:
        return alert.value or None


def _finite(value: Any) -> Any:
    """`value`, or None for a number that JSON has no word for."""
    return None if isinstance(value, float) and not isfinite(value) else value


def _fields(alert: Alert, delivery: Delivery, registry: Registry, now_ms: int, links: dict[str, str]) -> dict[str, Any]:
    """The message for machines. Instants are milliseconds UTC; what is not known is null."""
    device = registry.find(alert.device_id)
    value = _value(alert)
    return {
        "alert": alert.id,
        "delivery": delivery.id,
        "transition": delivery.transition,
        "recipient": delivery.recipient,
        "channel": delivery.channel,
        "attempt": delivery.attempts,
        "severity": alert.severity,
        "test": alert.test,
        "drill": alert.drill,
        "rule": alert.rule_id,
        "device": alert.device_id,
        "device_kind": alert.device_kind,
        "device_name": device.name.in_(delivery.locale) if device else "",
        "place": alert.place,
        "places": [p.code for p in path_of(registry, alert.place)],
        "place_name": alert.place_en if delivery.locale == "en" else alert.place_zh,
        "grid": alert.grid,
        "station": alert.station,
        "lat": alert.lat,
        "lon": alert.lon,
        "quantity": alert.quantity,
        "value": _finite(value),
        "threshold": _finite(alert.threshold),
        "unit": QUANTITIES[alert.quantity].unit if alert.quantity in QUANTITIES else "",
        "alarm_state": alert.alarm_state,
        "case_state": alert.case_state,
        "escalation_level": alert.escalation_level,
        "occurrences": alert.occurrences,
        "observed_at_ms": alert.observed_at_ms,
        "received_at_ms": alert.received_at_ms,
        "raised_at_ms": alert.raised_at_ms,
        "acked_at_ms": alert.acked_at_ms,
        "on_scene_at_ms": alert.on_scene_at_ms,
        "returned_at_ms": alert.returned_at_ms,
        "closed_at_ms": alert.closed_at_ms,
        "queued_at_ms": delivery.created_at_ms,
        "sent_at_ms": now_ms,
        "action": alert.action_en if delivery.locale == "en" else alert.action_zh,
        "links": links,
    }


def bare(alert: Alert, delivery: Delivery) -> Message:
    """The least that must be said, from the alert alone: for when `compose` has failed."""
    place, title, action = (
        (alert.place_en, alert.title_en, alert.action_en)
        if delivery.locale == "en"
        else (alert.place_zh, alert.title_zh, alert.action_zh)
    )
    first = f"{'【测试】' if alert.test else '【演练】' if alert.drill else ''}【{alert.severity}】{_flat(f'{place} {title} {alert.device_id}')}"
    lines = (Line("title", first, 9), Line("do_now", _flat(action), 10))
    fields = {
        "alert": alert.id,
        "delivery": delivery.id,
        "transition": delivery.transition,
        "device": alert.device_id,
        "queued_at_ms": delivery.created_at_ms,
    }
    return Message(
        id=message_id(delivery),
        title=cut(first, MOST_BYTES // 2),
        text=fit(lines, MOST_BYTES),
        locale=delivery.locale,
        severity=alert.severity,
        test=alert.test,
        fields=fields,
        links={},
        lines=lines,
    )
