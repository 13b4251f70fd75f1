"""What the hub asks people: whether a contact reaches them (a test of the contact), and whether a station is manned (查岗).

Each question is a test alert of its own: it goes the way of every notification, to the one contact or to the crew on duty,
and is answered by its link, by its code, or in the console. What was answered is noted; what was not is a fact.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from hub.alerts.desk import Desk
from hub.clock import Clock
from hub.dispatch.asked import CONTACT_TEST, DUTY_CHECK, contact_device, station_device
from hub.dispatch.links import Links
from hub.dispatch.routing import CONSOLE, Ways
from hub.errors import IllegalAction, NotFound
from hub.loops import Loop
from hub.model.alerts import Alert
from hub.model.places import Name
from hub.model.rules import ConditionEvent, EventKind, RuleSpec, alert_id
from hub.registry.snapshot import Registry
from hub.stores.alert_queries import AlertQueries
from hub.stores.contact_checks import MOST_TRIES, ContactChecks, digest
from hub.stores.duty_checks import DutyCheck, DutyChecks
from hub.telemetry import log

GOOD_FOR_MS: Final = 24 * 3_600_000
"""How long a test of a contact can be answered."""
ANSWER_S: Final = 180
CONSUMER: Final = "asking"
PROVEN_BY: Final = frozenset({"link", "sms", "voice"})
"""Ways of answering that only who has received the message can take."""

_CONTACT = RuleSpec(
    id=CONTACT_TEST, kind="asked", name=Name(zh="联系方式测试", en="Test of a contact"), severity="P4", device_kinds=(),
    quantity="", when=None, cause=Name(zh="核实联系方式", en="A contact is to be verified"),
    consequence=Name(zh="未核实的联系方式真警时可能失效", en="A contact that was never tried may fail in a fire"),
    action=Name(zh="点“受理”，或把验证码告诉值班台", en="Tap acknowledge, or tell the duty desk the code"),
    respond_within_s=86_400, responder="crew", source="gridhub", version="1",
)  # fmt: skip
_DUTY = RuleSpec(
    id=DUTY_CHECK, kind="asked", name=Name(zh="查岗", en="Duty check"), severity="P3", device_kinds=(), quantity="",
    when=None, cause=Name(zh="核实在岗", en="Is somebody at their post?"),
    consequence=Name(zh="无应答将报告网格长", en="Without an answer the officers hear of it"),
    action=Name(zh="请立即点“受理”应答", en="Acknowledge at once"), respond_within_s=ANSWER_S, responder="crew",
    source="GB 26875.1-2011", version="1",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """A test that was sent to one contact of a person."""

    person: str
    channel: str
    alert_id: str


class Asking:
    """Thread-safe. Raises `Unavailable` while the ledger is away. `loop` takes up the answers; one owner."""

    def __init__(
        self,
        desk: Desk,
        contacts: ContactChecks,
        duties: DutyChecks,
        queries: AlertQueries,
        links: Links,
        registry: Callable[[], Registry],
        ways: Callable[[], Ways],
        clock: Clock,
    ) -> None:
        self._desk, self._contacts, self._duties, self._queries = desk, contacts, duties, queries
        self._links, self._registry, self._ways, self._clock = links, registry, ways, clock
        self.loop = Loop("asking", self.step)

    def test(self, person_id: str, asked_by: str, now_ms: int, *, channels: Sequence[str] = ()) -> list[Asked]:
        """Sends a test to every contact of the person (or those on `channels`). Raises `NotFound` or `IllegalAction`."""
        person = self._registry().people.get(person_id)
        if person is None:
            raise NotFound(f"there is no person {person_id!r}", remedy="look it up in people.yaml")
        ways = self._ways()
        found = [
            (channel, address)
            for channel, address in person.contacts
            if channel != CONSOLE and ways.lead_to(channel, address) and (not channels or channel in channels)
        ]
        if not found:
            raise IllegalAction(
                f"{person_id} has no contact that this hub can use", remedy="add a contact, or set its channel up"
            )
        asked = []
        for channel, address in found:
            device = contact_device(person_id, channel)
            key = alert_id(CONTACT_TEST, device, now_ms)
            self._contacts.add(
                person=person_id,
                channel=channel,
                address=digest(address),
                code=digest(f"{key}:{self._links.code(key)}"),
                alert_id=key,
                asked_at_ms=now_ms,
                expires_at_ms=now_ms + GOOD_FOR_MS,
                asked_by=asked_by,
            )
            self._close_earlier(CONTACT_TEST, device, now_ms)
            self._tell("raised", _CONTACT, device, now_ms, now_ms)
            asked.append(Asked(person_id, channel, key))
        log.info("asking.contacts", person=person_id, channels=[a.channel for a in asked], by=asked_by)
        return asked

    def answer(self, person_id: str, code: str, who: str, now_ms: int) -> str | None:
        """The channel whose test has this code, verified now; None for a wrong, old or too often guessed code."""
        for check in self._contacts.of(person_id):
            good = check.verified_at_ms is None and now_ms < check.expires_at_ms and check.tries < MOST_TRIES
            if good and hmac.compare_digest(check.code, digest(f"{check.alert_id}:{code.strip()}")):
                self._contacts.verify(check.id, who, now_ms)
                self._close_earlier(CONTACT_TEST, contact_device(person_id, check.channel), now_ms)
                return check.channel
        self._contacts.wrong(person_id, now_ms)
        return None

    def check_duty(self, station_id: str, asked_by: str, now_ms: int, *, answer_s: int = ANSWER_S) -> DutyCheck:
        """Asks whoever is on duty at the station to answer within `answer_s`. Raises `NotFound`."""
        if station_id not in self._registry().stations:
            raise NotFound(f"there is no station {station_id!r}", remedy="look it up in stations.yaml")
        device = station_device(station_id)
        self._duties.add(
            station=station_id,
            alert_id=alert_id(DUTY_CHECK, device, now_ms),
            asked_at_ms=now_ms,
            due_at_ms=now_ms + answer_s * 1_000,
            asked_by=asked_by,
        )
        self._close_earlier(DUTY_CHECK, device, now_ms)
        self._tell("raised", _DUTY, device, now_ms, now_ms)
        log.info("asking.duty", station=station_id, by=asked_by)
        return self._duties.of(station_id, 1)[0]

    def unanswered(self, now_ms: int) -> tuple[str, ...]:
        """Stations that did not answer their last duty check in time (and have not answered it since)."""
        self._duties.take_answers()
        return tuple(
            station
            for station, check in sorted(self._duties.latest().items())
            if check.answered_at_ms is None and now_ms >= check.due_at_ms and station in self._registry().stations
        )

    def step(self) -> float:
        """Takes up what was answered, and closes questions that are answered or too old. Seconds until the next look."""
        now_ms = self._clock()
        self._contacts.refresh()  # another process may have noted some
        for check in self._contacts.pending():
            said = self._contacts.answered_by(check.alert_id)
            if said is not None and said[1] == check.person and said[2] in PROVEN_BY:
                self._contacts.verify(check.id, check.person, said[0])
                self._close_earlier(CONTACT_TEST, contact_device(check.person, check.channel), now_ms)
            elif now_ms >= check.expires_at_ms:
                self._close_earlier(CONTACT_TEST, contact_device(check.person, check.channel), now_ms)
        for answered in self._duties.take_answers():
            self._close_earlier(DUTY_CHECK, station_device(answered.station), now_ms)
        return 2.0

    def _close_earlier(self, rule: str, device: str, now_ms: int) -> None:
        """Ends the question that is still open, if there is one."""
        for alert in self._queries.list(scope=None, live=True, device=device, limit=5).rows:
            if alert.rule_id == rule:
                self._end(alert, now_ms)

    def _end(self, alert: Alert, now_ms: int) -> None:
        rule = _CONTACT if alert.rule_id == CONTACT_TEST else _DUTY
        self._tell("cleared", rule, alert.device_id, max(now_ms, alert.last_event_ms), alert.episode_start_ms)

    def _tell(self, kind: EventKind, rule: RuleSpec, device: str, at_ms: int, start_ms: int) -> None:
        event = ConditionEvent(
            kind=kind, rule=rule, slot=-1, device=device, at_ms=at_ms, observed_at_ms=at_ms, received_at_ms=at_ms,
            episode_start_ms=start_ms, position=-1, value=None, quantity="", canary=True,
        )  # fmt: skip
        self._desk.record([event], consumer=CONSUMER, journal="", position=0, now_ms=at_ms)
