"""Plans who is told when an alert is raised, climbs its ladder, calls for help, returns to normal and is closed. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from typing import Literal

from hub.dispatch.asked import ASKED, CONTACT_TEST, contact_of
from hub.dispatch.channels import CHANNELS
from hub.dispatch.policy import EscalationPolicy, Ladder, Step, Unless, answered, load_policy, since_ms
from hub.dispatch.routing import (
    CONSOLE,
    Reached,
    Recipient,
    Spot,
    Ways,
    console_of,
    contacts_of,
    path_of,
    people_of,
    place_text,
    reach,
    recipient_of,
    spot_of,
    station_of,
    thin,
    unmanned,
)
from hub.dispatch.rungs import NO_DRILL_LIST, but_who_answered, reach_list, reach_step, together
from hub.i18n import DEFAULT_LOCALE
from hub.model.alerts import Alert, Subject
from hub.model.deliveries import Delivery, NewDelivery, NewTimer, Plan
from hub.model.rules import ConditionEvent
from hub.registry.snapshot import Registry, building_of

__all__ = ["EscalationPolicy", "StandardPlanner", "load_policy"]

SIREN = "siren"
HEARTBEAT = "heartbeat"
TEST_CHANNELS = (CONSOLE, "webhook")
"""A test alert proves the way to the station's own receivers; it wakes nobody and sounds nothing."""

FALLBACK_AFTER_MS = 1_000
"""Wait before the next channel when one has refused: well inside the five seconds that are promised."""

_NEEDED: dict[Unless, Literal["unacknowledged", "not_on_scene", "live"]] = {
    "acknowledged": "unacknowledged",
    "on_scene": "not_on_scene",
    "closed": "live",
}


class StandardPlanner:
    """The planner of `config/escalation.yaml`. Reads the registry anew each time, so a shift change is felt at once.

    `channels` are those that the hub has, `targets` the receivers that it knows by name (`channels.known_targets`): a contact
    beyond them is a gap, and somebody else is told. `proven` gives the contacts by which tests were answered: they come before
    those that nobody has tried. Every plan for an alert that has just been raised reaches somebody: the console
    at least, and a person or station as soon as anybody in the registry has a contact on the channels of the step.
    """

    def __init__(
        self,
        registry: Callable[[], Registry],
        policy: EscalationPolicy,
        zone: str,
        *,
        channels: Collection[str] = tuple(CHANNELS),
        targets: Mapping[str, frozenset[str]] | None = None,
        locale: str = DEFAULT_LOCALE,
        proven: Callable[[], frozenset[tuple[str, str, str]]] = frozenset,
    ) -> None:
        self._registry = registry
        self._policy = policy
        self._zone = zone
        self._ways = Ways(frozenset(channels), targets or {})
        self._proven = proven
        self._locale = locale

    @property
    def ways(self) -> Ways:
        """How people can be told, and which contacts were proven, at this moment."""
        return replace(self._ways, proven=self._proven())

    def subject(self, event: ConditionEvent) -> Subject:
        """Where the condition is; at the hub itself when the device is not (or no longer) in the registry."""
        registry = self._registry()
        device = registry.find(event.device)
        spot = spot_of(registry, event.device)
        name = place_text(registry, spot.place)
        lat, lon = registry.position(device.slot) if device else (None, None)
        return Subject(
            device_kind=device.kind if device else "unknown",
            place=spot.place,
            grid=spot.grid,
            station=spot.station,
            place_zh=name.zh,
            place_en=name.en,
            lat=lat,
            lon=lon,
            building=building_of(registry.places, spot.place),
        )

    def window_ms(self, alert: Alert) -> int:
        return self._policy.incidents.window_s * 1_000

    def raised(self, alert: Alert, now_ms: int) -> Plan:
        ladder = self._policy.ladder_of(alert)
        if alert.test:
            return self._test(alert, "raised", now_ms)
        found = self._reach(alert, ladder.steps[0], now_ms)
        deliveries = _deliveries(alert, "raised", found, now_ms, "live", every_contact=ladder.every_contact)
        return Plan(deliveries=deliveries, timers=tuple(self._timers(alert, ladder)), gaps=found.gaps)

    def step(self, alert: Alert, step: int, now_ms: int) -> Plan:
        """Steps 1 … n are the rungs of the ladder, every later number is one more repeat for everybody told so far."""
        ladder = self._policy.ladder_of(alert)
        if alert.test or not alert.live or step < 1:
            return Plan()
        transition, every = f"step:{step}", ladder.every_contact
        timers = self._next_repeat(alert, ladder, step, now_ms)
        if step < len(ladder.steps):
            rung = ladder.steps[step]
            if answered(alert, rung.unless):
                return Plan(timers=timers)
            found = self._reach(alert, rung, now_ms)
            needed = _NEEDED[rung.unless]
        else:
            pace = ladder.pace(alert)
            if pace is None:
                return Plan()
            found = but_who_answered(self._told(alert, ladder, now_ms), alert)
            needed = _NEEDED[pace[1]]
        deliveries = _deliveries(alert, transition, found, now_ms, needed, every_contact=every)
        return Plan(deliveries=deliveries, timers=timers, gaps=found.gaps)

    def reinforced(self, alert: Alert, nth: int, now_ms: int) -> Plan:
        calls = self._policy.reinforce
        transition = f"reinforce:{nth}"
        if alert.test:
            return self._test(alert, transition, now_ms)
        found = self._reach(alert, Step(tell=calls[min(max(nth, 1), len(calls)) - 1]), now_ms)
        return Plan(
            deliveries=_deliveries(alert, transition, found, now_ms, "live", every_contact=True), gaps=found.gaps
        )

    def returned(self, alert: Alert, now_ms: int) -> Plan:
        return self._afterwards(alert, "cleared", now_ms, but=(SIREN,))

    def closed(self, alert: Alert, now_ms: int) -> Plan:
        """Everybody who was told hears that it is over, sirens too (their message switches them off)."""
        return self._afterwards(alert, "closed", now_ms)

    def unmanned(self, now_ms: int) -> tuple[str, ...]:
        """Grids whose alarms would find nobody on duty, or nobody who can be told, at this moment."""
        return unmanned(self._registry(), now_ms, self._zone, ways=self.ways)

    def thin(self, now_ms: int) -> tuple[str, ...]:
        """Stations with somebody on duty, but fewer than the norm who can be told."""
        return thin(self._registry(), now_ms, self._zone, ways=self.ways)

    def instead(self, alert: Alert, delivery: Delivery, now_ms: int) -> tuple[NewDelivery, ...]:
        """What is due next because `delivery` does not get through: the other contacts of the same recipient.

        When there is none left: the head of the station, then the responsible people up the ladder, the first one with a
        contact elsewhere; and always the station's console. What was planned before is not doubled: the outbox knows it.
        """
        if alert.rule_id == CONTACT_TEST:
            return ()  # it is about this contact: another one proves nothing
        registry, spot = self._registry(), _spot(alert)
        ways = self.ways.only(TEST_CHANNELS) if alert.test and alert.rule_id not in ASKED else self.ways
        same = recipient_of(registry, delivery.recipient, ways, self._locale)
        tried = (delivery.channel, delivery.target)
        found = Reached()
        if same is not None:
            others = tuple(c for c in same.contacts if c != tried and c[0] not in (delivery.channel, CONSOLE))
            found = Reached((replace(same, contacts=others),)) if others else found
        if not found.somebody and not alert.test and not alert.drill:
            found += self._stand_in(registry, alert, delivery, ways)
        found += Reached((console_of(registry, spot, self._locale),))
        due_ms = now_ms + FALLBACK_AFTER_MS
        needed: Literal["always", "live"] = "always" if delivery.needed_while == "always" else "live"
        following = _deliveries(alert, delivery.transition, found, due_ms, needed, every_contact=True)
        return tuple(replace(each, about=delivery.about or "") for each in following)

    def _stand_in(self, registry: Registry, alert: Alert, delivery: Delivery, ways: Ways) -> Reached:
        spot = _spot(alert)
        station = station_of(registry, spot)
        ids = [station.head] if station else []
        ids += [p.responsible for p in reversed(path_of(registry, spot.grid)) if p.responsible]
        if delivery.recipient in ids:
            ids = ids[ids.index(delivery.recipient) + 1 :]  # a stand-in that fails hands on upwards, never back
        for person in (registry.people[i] for i in ids if i in registry.people):
            free = tuple(c for c in contacts_of(person, ways) if c != (delivery.channel, delivery.target))
            if free:
                return Reached((Recipient(id=person.id, name=person.name, contacts=free[:1], locale=person.locale),))
        return Reached()

    def _reach(self, alert: Alert, step: Step, now_ms: int) -> Reached:
        """The people of `step`; where nobody can be reached, further up the ladder until somebody can.

        In a drill its list instead, whatever the step; nobody of the list can be reached = as if it were none.
        """
        registry, spot = self._registry(), _spot(alert)
        gaps: tuple[str, ...] = ()
        if alert.drill:
            ways = replace(self.ways, channels=self.ways.channels - {SIREN})
            ids = tuple(filter(None, alert.drill_to.split(",")))
            found = reach_list(registry, ids, spot, now_ms, self._zone, ways=ways, locale=self._locale)
            if found.somebody or found.watched:
                return found.reached
            gaps = (*found.reached.gaps, NO_DRILL_LIST)
        real = reach_step(registry, step, spot, now_ms, self._zone, ways=self.ways, locale=self._locale)
        return replace(real, gaps=(*gaps, *real.gaps)) if gaps else real

    def _told(self, alert: Alert, ladder: Ladder, now_ms: int) -> Reached:
        night = self._policy.night.at(since_ms(alert), self._zone)
        return together(self._reach(alert, step, now_ms) for step in ladder.told_by(alert, now_ms, night=night))

    def _timers(self, alert: Alert, ladder: Ladder) -> Iterator[NewTimer]:
        began_ms = since_ms(alert)
        night = self._policy.night.at(began_ms, self._zone)
        for n, rung in enumerate(ladder.steps[1:], start=1):
            yield NewTimer(alert_id=alert.id, step=n, due_at_ms=began_ms + rung.due_s(night=night) * 1_000)
        if len(ladder.steps) == 1 and ladder.repeat_s is not None:
            yield NewTimer(alert_id=alert.id, step=1, due_at_ms=began_ms + ladder.repeat_s * 1_000)

    def _next_repeat(self, alert: Alert, ladder: Ladder, step: int, now_ms: int) -> tuple[NewTimer, ...]:
        pace = ladder.pace(alert)
        if step < len(ladder.steps) - 1 or pace is None:
            return ()
        return (NewTimer(alert_id=alert.id, step=step + 1, due_at_ms=now_ms + pace[0] * 1_000),)

    def _afterwards(self, alert: Alert, transition: str, now_ms: int, *, but: tuple[str, ...] = ()) -> Plan:
        if alert.test:
            return self._test(alert, transition, now_ms)
        found = self._told(alert, self._policy.ladder_of(alert), now_ms)
        kept = tuple(replace(r, contacts=tuple(c for c in r.contacts if c[0] not in but)) for r in found.recipients)
        return Plan(
            deliveries=_deliveries(alert, transition, Reached(kept), now_ms, "always", every_contact=False),
            gaps=found.gaps,
        )

    def _test(self, alert: Alert, transition: str, now_ms: int) -> Plan:
        if alert.quantity == HEARTBEAT:
            return Plan()  # beats each minute: the hub looks for it in the ledger, nobody else
        if alert.rule_id in ASKED:
            return self._ask(alert, transition, now_ms) if transition == "raised" else Plan()
        registry, spot = self._registry(), _spot(alert)
        ways = self.ways.only(TEST_CHANNELS)
        station = station_of(registry, spot)
        if station is None:
            found = Reached(
                (console_of(registry, spot, self._locale),), (f"no station serves grid {spot.grid or '(none)'}",)
            )
        else:
            itself = recipient_of(registry, station.id, ways, self._locale)
            found = Reached((itself,) if itself else ())
        return Plan(
            deliveries=_deliveries(alert, transition, found, now_ms, "always", every_contact=True), gaps=found.gaps
        )

    def _ask(self, alert: Alert, transition: str, now_ms: int) -> Plan:
        """A test goes to the one contact that it is about; a duty check to the station and its crew, by every way but the siren."""
        registry = self._registry()
        who, channel = contact_of(alert)
        ways = replace(self.ways, channels=self.ways.channels - {SIREN})
        if who:
            found = people_of(registry, (who,), ways.only((channel,)))
        else:
            found = reach(registry, "station", _spot(alert), now_ms, self._zone, ways=ways, locale=self._locale)
        deliveries = _deliveries(alert, transition, found, now_ms, "unacknowledged", every_contact=True)
        return Plan(deliveries=deliveries, gaps=found.gaps)


def _spot(alert: Alert) -> Spot:
    return Spot(place=alert.place, grid=alert.grid, station=alert.station)


def _deliveries(
    alert: Alert,
    transition: str,
    found: Reached,
    due_at_ms: int,
    needed_while: Literal["always", "unacknowledged", "not_on_scene", "live"],
    *,
    every_contact: bool,
) -> tuple[NewDelivery, ...]:
    """One delivery for each recipient and channel, in the order of the recipients. A station is told on all its channels."""
    planned: dict[tuple[str, str], NewDelivery] = {}
    for recipient in found.recipients:
        contacts = recipient.contacts if every_contact or recipient.is_station else recipient.contacts[:1]
        for channel, target in contacts:
            planned.setdefault(
                (recipient.id, channel),
                NewDelivery(
                    alert_id=alert.id,
                    transition=transition,
                    recipient=recipient.id,
                    channel=channel,
                    target=target,
                    locale=recipient.locale,
                    due_at_ms=due_at_ms,
                    needed_while=needed_while,
                ),
            )
    return tuple(planned.values())
