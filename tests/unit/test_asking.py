"""Tests of contacts and duty checks, on a ledger in memory and a clock moved by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hub.alerts.desk import Desk
from hub.asking import ANSWER_S, GOOD_FOR_MS, Asking
from hub.clock import SteppedClock
from hub.dispatch.escalation import StandardPlanner, load_policy
from hub.dispatch.links import Links
from hub.dispatch.messages import compose
from hub.dispatch.routes import UNVERIFIED, audit
from hub.errors import IllegalAction, NotFound
from hub.model.alerts import Actor
from hub.model.deliveries import DeliveryRow
from hub.registry.snapshot import Registry
from hub.stores.alert_queries import AlertQueries
from hub.stores.contact_checks import ContactChecks
from hub.stores.duty_checks import DutyChecks
from hub.stores.ledger import Ledger
from tests.support.notices import NOW_MS, ZONE, a_delivery
from tests.support.paths import CONFIG
from tests.support.registry import UNIT, a_device, hub_and_canary, people, places, stations

POLICY = load_policy(CONFIG / "escalation.yaml")


class Room:
    def __init__(self) -> None:
        self.ledger = Ledger.open("sqlite://")
        self.clock = SteppedClock(NOW_MS)
        self.contacts, self.duties = ContactChecks(self.ledger), DutyChecks(self.ledger)
        self.move("hook-crew-1")
        self.planner = StandardPlanner(lambda: self.registry, POLICY, ZONE, proven=self.contacts.known)
        self.desk, self.queries = Desk(self.ledger, self.planner), AlertQueries(self.ledger)
        self.links = Links(b"a key for the links of tests", "http://hub")
        self.asking = Asking(
            self.desk,
            self.contacts,
            self.duties,
            self.queries,
            self.links,
            lambda: self.registry,
            lambda: self.planner.ways,
            self.clock,
        )

    def move(self, address: str) -> None:
        """Gives crew-1 the address; nobody's contact is verified by the files."""
        crowd = [
            replace(
                p, verified=(), contacts=(("webhook", address), ("console", "")) if p.id == "crew-1" else p.contacts
            )
            for p in people()
        ]
        self.registry = Registry.of(
            [a_device("smoke-1", place=UNIT), *hub_and_canary()], places=places(), people=crowd, stations=stations()
        )

    def told(self, alert_id: str) -> list[DeliveryRow]:
        return [row for row in self.queries.deliveries(alert_id) if row.channel != "console"]

    def answers(self, alert_id: str, who: str, via: str) -> None:
        actor = Actor(id=who, name=who, role="station", stations=("*",), via=via)
        self.desk.act(alert_id, "acknowledge", actor, self.clock())

    def text(self, alert_id: str) -> tuple[str, str]:
        """What the person reads, and the code in it."""
        alert = self.queries.one(alert_id)
        assert alert is not None
        delivery = a_delivery(alert_id=alert_id, recipient="crew-1")
        links = self.links.of(alert, delivery, self.clock())
        message = compose(alert, delivery, self.registry, self.clock(), ZONE, "http://hub", answers=links)
        assert "code" not in message.links
        assert message.links["acknowledge"].startswith("http://hub/l/")
        return message.text, links["code"]


@pytest.fixture
def room() -> Room:
    return Room()


def test_a_test_goes_to_that_contact_alone_and_bothers_nobody_else(room: Room) -> None:
    (asked,) = room.asking.test("crew-1", "officer", NOW_MS)
    assert [(row.recipient, row.channel) for row in room.told(asked.alert_id)] == [("crew-1", "webhook")]
    room.clock.advance(minutes=30)
    room.desk.run_timers(room.clock())
    assert len(room.told(asked.alert_id)) == 1


def test_who_tells_the_code_has_received_the_message(room: Room) -> None:
    (asked,) = room.asking.test("crew-1", "officer", NOW_MS)
    text, code = room.text(asked.alert_id)
    assert code in text
    assert "联系方式测试" in text
    alert = room.queries.one(asked.alert_id)
    assert code not in repr(alert)
    assert room.asking.answer("crew-1", "000000" if code != "000000" else "1", "officer", NOW_MS) is None
    assert room.asking.answer("crew-1", f" {code} ", "officer", NOW_MS + 60_000) == "webhook"
    assert [(c.verified_at_ms, c.verified_by) for c in room.contacts.of("crew-1")] == [(NOW_MS + 60_000, "officer")]
    assert room.queries.one(asked.alert_id).live is False  # type: ignore[union-attr]
    assert room.asking.answer("crew-1", code, "officer", NOW_MS + 120_000) is None


def test_a_tap_on_the_link_verifies_and_an_answer_from_the_console_proves_nothing(room: Room) -> None:
    (asked,) = room.asking.test("crew-1", "officer", NOW_MS)
    room.answers(asked.alert_id, "crew-1", "console")
    room.asking.step()
    assert room.contacts.known() == frozenset()
    room.clock.advance(s=60)
    (again,) = room.asking.test("crew-1", "officer", room.clock())
    room.answers(again.alert_id, "crew-1", "link")
    room.asking.step()
    assert len(room.contacts.known()) == 1


def test_a_code_is_good_for_a_day_and_for_five_guesses(room: Room) -> None:
    (asked,) = room.asking.test("crew-1", "officer", NOW_MS)
    _, code = room.text(asked.alert_id)
    assert room.asking.answer("crew-1", code, "officer", NOW_MS + GOOD_FOR_MS) is None
    for _ in range(5):
        assert room.asking.answer("crew-1", "wrong", "officer", NOW_MS) is None
    assert room.asking.answer("crew-1", code, "officer", NOW_MS) is None


def test_a_verified_contact_ends_the_gap_until_the_address_changes(room: Room) -> None:
    def causes() -> set[str]:
        found = audit(room.registry, POLICY, NOW_MS, ZONE, ways=room.planner.ways, hours=0)
        return {gap.cause for gap in found.gaps}

    assert UNVERIFIED in causes()
    for person in ("crew-1", "crew-2", "crew-3", "crew-4"):
        (asked,) = room.asking.test(person, "officer", NOW_MS)
        room.answers(asked.alert_id, person, "link")
    room.asking.step()
    assert "person crew-1 has no verified contact" not in causes()
    room.move("another-hook")
    assert "person crew-1 has no verified contact" in causes()


def test_a_contact_that_cannot_be_tested_is_said(room: Room) -> None:
    with pytest.raises(NotFound):
        room.asking.test("nobody", "officer", NOW_MS)
    with pytest.raises(IllegalAction):
        room.asking.test("crew-1", "officer", NOW_MS, channels=["console"])


def test_a_duty_check_asks_the_crew_and_an_answer_in_time_is_all(room: Room) -> None:
    check = room.asking.check_duty("north", "officer", NOW_MS)
    assert {row.recipient for row in room.told(check.alert_id)} == {"north", "crew-1", "crew-2", "crew-3", "crew-4"}
    room.clock.advance(s=30)
    room.answers(check.alert_id, "crew-2", "link")
    room.asking.step()
    assert room.asking.unanswered(NOW_MS + ANSWER_S * 1_000) == ()
    (found,) = room.duties.of("north")
    assert (found.answered_by, found.answered_at_ms) == ("crew-2", NOW_MS + 30_000)
    assert room.queries.one(check.alert_id).live is False  # type: ignore[union-attr]


def test_no_answer_in_time_is_a_fact_until_somebody_answers(room: Room) -> None:
    check = room.asking.check_duty("north", "officer", NOW_MS, answer_s=120)
    assert room.asking.unanswered(NOW_MS + 119_999) == ()
    assert room.asking.unanswered(NOW_MS + 120_000) == ("north",)
    room.clock.advance(s=600)
    room.answers(check.alert_id, "crew-1", "console")
    assert room.asking.unanswered(room.clock()) == ()


def test_who_asked_does_not_answer_for_the_station(room: Room) -> None:
    check = room.asking.check_duty("north", "officer", NOW_MS)
    room.answers(check.alert_id, "officer", "console")
    assert room.asking.unanswered(NOW_MS + ANSWER_S * 1_000) == ("north",)


def test_the_next_check_takes_the_place_of_the_last(room: Room) -> None:
    first = room.asking.check_duty("north", "officer", NOW_MS)
    room.clock.advance(s=600)
    assert room.asking.unanswered(room.clock()) == ("north",)
    second = room.asking.check_duty("north", "officer", room.clock())
    assert room.queries.one(first.alert_id).live is False  # type: ignore[union-attr]
    assert room.asking.unanswered(room.clock()) == ()
    room.answers(second.alert_id, "crew-1", "link")
    assert room.asking.unanswered(room.clock() + 10**6) == ()
