"""The hub's values as the API shows them: names looked up, instants in the site's time zone, phones masked."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any, cast
from zoneinfo import ZoneInfo

from hub.alerts.lifecycle import HUB, acted, objection
from hub.api import gaps
from hub.api.auth import ACTING, READS_QUARANTINE
from hub.api.wire import (
    ActorRef,
    AlertDetail,
    AlertDevice,
    AlertOut,
    AuditOut,
    DeliveryOut,
    DeviceOut,
    GridOut,
    GridRef,
    Me,
    OccurrenceOut,
    PersonOut,
    QuarantineOut,
    QuietedOut,
    ReadingOut,
    StationOut,
    StationRef,
    Text,
    instant,
    instant_or_none,
)
from hub.dispatch.policy import EscalationPolicy, since_ms
from hub.dispatch.roster import NORM_ON_DUTY, on_duty
from hub.dispatch.routing import place_text
from hub.i18n import _, text
from hub.model.alerts import ACTIONS, Action, Actor, Alert, AuditRow, Occurrence, Shelving
from hub.model.deliveries import DeliveryRow, DeliveryState
from hub.model.places import Device, Name, Place, Station
from hub.model.quantities import QUANTITIES
from hub.model.readings import QuarantineRow
from hub.model.silences import Silence
from hub.registry.snapshot import Registry

SHOWN_PAYLOAD_BYTES = 4_096
_HUB = _("Hub")


class Presenter:
    """Writes values out against one registry and policy. Make one per request: it is cheap and never changes."""

    def __init__(self, registry: Registry, policy: EscalationPolicy, zone: str) -> None:
        self.registry = registry
        self._policy = policy
        self._zone_name = zone
        self._zone = ZoneInfo(zone)

    # alerts

    def alert(self, alert: Alert) -> AlertOut:
        return AlertOut.model_construct(**self.alert_fields(alert))

    def alert_detail(
        self,
        alert: Alert,
        audit: Sequence[AuditRow],
        deliveries: Sequence[DeliveryRow],
        occurrences: Sequence[Occurrence],
        why_quiet: Shelving | Silence | None = None,
    ) -> AlertDetail:
        return AlertDetail.model_construct(
            **self.alert_fields(alert),
            quieted=self._quieted(why_quiet),
            timeline=[self._audit(row) for row in audit],
            deliveries=[self._delivery(row) for row in deliveries],
            raisings=[self._occurrence(row) for row in occurrences],
        )

    def _quieted(self, why: Shelving | Silence | None) -> QuietedOut | None:
        if why is None:
            return None
        by = self.actor_ref(why.actor, why.actor_name)
        if isinstance(why, Silence):
            return QuietedOut(kind=why.kind, since_ms=why.start_ms, until_ms=why.end_ms, by=by, reason=why.reason)
        kind = why.kind if why.kind == "out_of_service" else "shelved"
        return QuietedOut(kind=kind, since_ms=why.since_ms, until_ms=why.until_ms, by=by, reason=why.reason)

    def alert_fields(self, alert: Alert) -> dict[str, Any]:
        quantity = QUANTITIES.get(alert.quantity)
        alarmed_at_ms = since_ms(alert)
        ack_s, scene_s = self._policy.deadlines_s(alert, self._zone_name)
        copied = (
            "id", "severity", "alarm_state", "case_state", "live", "test", "rule_id", "quantity", "threshold", "lat", "lon",
            "raised_at_ms", "received_at_ms", "observed_at_ms", "returned_at_ms", "acked_at_ms",
            "on_scene_at_ms", "closed_at_ms", "close_reason", "escalation_level",
            "occurrences", "change", "chattering", "incident_id", "bundled_until_ms", "drill", "silence_id", "quiet", "quiet_until_ms",
        )  # fmt: skip
        return {name: getattr(alert, name) for name in copied} | {
            "title": Text(zh=alert.title_zh, en=alert.title_en),
            "place": Text(zh=alert.place_zh, en=alert.place_en),
            "place_code": alert.place,
            "action": Text(zh=alert.action_zh, en=alert.action_en),
            "device": AlertDevice(
                id=alert.device_id,
                kind=alert.device_kind,
                name=self.device_name(alert.device_id),
            ),
            "grid": self.grid_ref(alert.grid),
            "station": self.station_ref(alert.station),
            "unit": quantity.unit if quantity else "",
            "value": _json(alert.value),
            "raised_at": instant(alert.raised_at_ms, self._zone),
            "acked_at": instant_or_none(alert.acked_at_ms, self._zone),
            "on_scene_at": instant_or_none(alert.on_scene_at_ms, self._zone),
            "closed_at": instant_or_none(alert.closed_at_ms, self._zone),
            "acked_by": self.actor_ref(alert.acked_by) if alert.acked_by else None,
            "on_scene_by": self.actor_ref(alert.on_scene_by) if alert.on_scene_by else None,
            "closed_by": self.actor_ref(alert.closed_by) if alert.closed_by else None,
            "acknowledge_by_ms": None if ack_s is None else alarmed_at_ms + ack_s * 1_000,
            "on_scene_by_ms": None if scene_s is None else alarmed_at_ms + scene_s * 1_000,
            "escalation_steps": len(self._policy.ladder_of(alert).steps) - 1,
            "actions": list(actions_of(alert)),
        }

    def _audit(self, row: AuditRow) -> AuditOut:
        return AuditOut.model_construct(
            id=row.id,
            at=instant(row.at_ms, self._zone),
            at_ms=row.at_ms,
            actor=self.actor_ref(row.actor, str(row.detail.get("name", ""))),
            action=row.action,
            from_state=row.from_state,
            to_state=row.to_state,
            detail=dict(row.detail),
            gaps=[self.gap(str(gap)) for gap in row.detail.get("gaps") or ()],
        )

    def _delivery(self, row: DeliveryRow) -> DeliveryOut:
        accepted_ms = row.accepted_at_ms
        return DeliveryOut.model_construct(
            id=row.id,
            transition=row.transition,
            recipient=row.recipient,
            recipient_name=self._recipient(row.recipient),
            channel=row.channel,
            state=cast(DeliveryState, row.state),
            attempts=row.attempts,
            created_at_ms=row.created_at_ms,
            due_at_ms=row.due_at_ms,
            sent_at_ms=row.sent_at_ms,
            accepted_at_ms=accepted_ms,
            accepted_after_ms=_after(row, accepted_ms),
            delivered_at_ms=row.delivered_at_ms,
            delivered_after_ms=_after(row, row.delivered_at_ms),
            read_after_ms=_after(row, row.read_at_ms),
            read_at_ms=row.read_at_ms,
            reason=row.reason,
            alerts=int(json.loads(row.about)["more"]) if row.about else 1,
        )

    def _occurrence(self, row: Occurrence) -> OccurrenceOut:
        return OccurrenceOut.model_construct(
            start_at=instant(row.start_ms, self._zone),
            start_ms=row.start_ms,
            raised_at=instant(row.raised_at_ms, self._zone),
            raised_at_ms=row.raised_at_ms,
            cleared_at_ms=row.cleared_at_ms,
            evidence=dict(row.evidence),
        )

    def called(self, who: str) -> dict[str, str]:
        """How the actor `who` is called, by locale."""
        name = self.actor_ref(who).name
        return {"zh-CN": text("zh-CN")(_HUB) if who == HUB else name.zh, "en": _HUB if who == HUB else name.en}

    def gap(self, said: str) -> Text:
        """Why somebody cannot be told, in both languages."""
        return gaps.told(said, self._called)

    def _called(self, kind: str, known: str) -> dict[str, str]:
        if kind == "person":
            return self.called(known)
        name = self.station_ref(known).name if kind == "station" else self.grid_ref(known).name
        return {"zh-CN": name.zh, "en": name.en}

    def actor_ref(self, who: str, called: str = "") -> ActorRef:
        person = self.registry.people.get(who)
        plain = called or who.removeprefix("token:")
        return ActorRef(id=who, name=_text(person.name) if person else Text(zh=plain, en=plain))

    def _recipient(self, who: str) -> Text:
        person = self.registry.people.get(who)
        if person is not None:
            return _text(person.name)
        station = self.registry.stations.get(who)
        return _text(station.name) if station is not None else Text(zh=who, en=who)

    # the registry

    @property
    def zone(self) -> ZoneInfo:
        """The site's time zone."""
        return self._zone

    def device_name(self, device_id: str) -> Text:
        device = self.registry.find(device_id)
        return _text(device.name) if device else Text(zh=device_id, en=device_id)

    def grid_ref(self, code: str) -> GridRef:
        place = self.registry.places.get(code)
        return GridRef(code=code, name=_text(place.name) if place else Text(zh=code, en=code))

    def station_ref(self, station_id: str) -> StationRef:
        station = self.registry.stations.get(station_id)
        return StationRef(id=station_id, name=_text(station.name) if station else Text(zh=station_id, en=station_id))

    def device(self, device: Device, *, silent: bool) -> DeviceOut:
        return DeviceOut.model_construct(**self.device_fields(device, silent=silent))

    def device_fields(self, device: Device, *, silent: bool) -> dict[str, Any]:
        station = self.registry.station_for(device.grid)
        return {
            "id": device.id,
            "kind": device.kind,
            "name": _text(device.name),
            "place": self.place(device.place),
            "place_code": device.place,
            "grid": self.grid_ref(device.grid),
            "station": self.station_ref(station.id) if station else None,
            "model": device.model,
            "supervision": device.supervision,
            "tags": list(device.tags),
            "gateway": device.parent,
            "silent": silent,
            "lat": device.lat,
            "lon": device.lon,
        }

    def reading(self, quantity: str, value: float | bool | str | None, observed_at_ms: int) -> ReadingOut:
        known = QUANTITIES.get(quantity)
        return ReadingOut.model_construct(
            quantity=quantity,
            unit=known.unit if known else "",
            value=value,
            observed_at=instant(observed_at_ms, self._zone),
            observed_at_ms=observed_at_ms,
        )

    def grid(self, place: Place, *, reader: Actor, outline: bool) -> GridOut:
        station = self.registry.station_for(place.code)
        geometry = self.registry.outlines.get(place.code) if outline else None
        return GridOut.model_construct(
            code=place.code,
            name=_text(place.name),
            place=self.place(place.code),
            dedicated=place.dedicated,
            station=self.station_ref(station.id) if station else None,
            responsible=self._person(place.responsible, reader),
            outline=dict(geometry) if geometry else None,
        )

    def station(self, station: Station, *, reader: Actor, now_ms: int) -> StationOut:
        crew = [self._person(who, reader) for who in on_duty(station, now_ms, self._zone_name)]
        present = [person for person in crew if person is not None]
        return StationOut.model_construct(
            id=station.id,
            name=_text(station.name),
            grids=list(station.grids),
            backups=[self.station_ref(backup) for backup in station.backups],
            head=self._person(station.head, reader),
            on_duty=present,
            missing=max(0, NORM_ON_DUTY - len(present)),
            lat=station.lat,
            lon=station.lon,
        )

    def stations(self, *, reader: Actor, now_ms: int) -> list[StationOut]:
        """The stations that `reader` may see."""
        return [
            self.station(station, reader=reader, now_ms=now_ms)
            for station in self.registry.stations.values()
            if any(reader.may_see(grid, station.id) for grid in station.grids or ("",))
        ]

    def grids(self, *, reader: Actor, outlines: bool) -> list[GridOut]:
        """The grids that `reader` may see."""
        return [
            self.grid(place, reader=reader, outline=outlines)
            for place in self.registry.places.values()
            if place.level == "grid" and reader.may_see(place.code, self.registry.station_of_grid.get(place.code, ""))
        ]

    def _person(self, person_id: str, reader: Actor) -> PersonOut | None:
        person = self.registry.people.get(person_id)
        if person is None:
            return None
        phone = person.phone if reader.role in ACTING else masked(person.phone)
        return PersonOut(id=person.id, name=_text(person.name), phone=phone)

    def place(self, code: str) -> Text:
        return _text(place_text(self.registry, code))

    # the rest

    def quarantined(self, row: QuarantineRow) -> QuarantineOut:
        return QuarantineOut.model_construct(
            topic=row.topic,
            reason=row.reason,
            codec=row.codec,
            detail=row.detail,
            address=row.address,
            count=row.count,
            first_at=instant(row.first_at_ms, self._zone),
            first_at_ms=row.first_at_ms,
            last_at=instant(row.last_at_ms, self._zone),
            last_at_ms=row.last_at_ms,
            payload=base64.b64encode(row.payload[:SHOWN_PAYLOAD_BYTES]).decode(),
            payload_bytes=len(row.payload),
        )


def actions_of(alert: Alert) -> tuple[Action, ...]:
    """What can be done to `alert` now and would change something, given a reason where one is needed."""
    if not alert.live:
        return ()
    return tuple(
        action
        for action in ACTIONS
        if objection(alert, action, "-") is None
        and (action == "reinforce" or acted(alert, action, "-", 0, "-") != alert)
    )


def me(actor: Actor) -> Me:
    return Me(
        id=actor.id,
        name=actor.name,
        role=actor.role,
        grids=list(actor.grids),
        stations=list(actor.stations),
        may_act=actor.role in ACTING,
        may_see_quarantine=actor.role in READS_QUARANTINE,
    )


def masked(phone: str) -> str:
    """A phone number of which only beginning and end are shown, e.g. 138****5678."""
    return f"{phone[:3]}****{phone[-4:]}" if len(phone) >= 9 else "*" * len(phone)


def _text(name: Name) -> Text:
    return Text(zh=name.zh, en=name.en)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _after(row: DeliveryRow, at_ms: int | None) -> int | None:
    return None if at_ms is None else max(0, at_ms - row.created_at_ms)
