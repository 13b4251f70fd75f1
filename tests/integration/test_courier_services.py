"""From an alarm to a service that people use, and to the next one when it refuses: the courier with real channels and fake services."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace

import pytest

from hub.dispatch.channels.console import Console
from hub.dispatch.pace import Pace
from hub.registry.snapshot import Registry
from hub.stores.ledger import Ledger
from tests.integration.test_courier import Town
from tests.support.channels import opened
from tests.support.pace import patient
from tests.support.registry import a_device, hub_and_canary, people, places, stations
from tests.support.services.server import FakeService, Reply
from tests.support.services.stands import DING, DING_SECRET, PHONE, dingtalk_robot, sms


@dataclass
class Street:
    town: Town
    robot: FakeService
    phone: FakeService


@pytest.fixture
def street(ledger: Ledger) -> Iterator[Street]:
    """One station with a DingTalk robot and a telephone number, and nobody else who could be told."""
    with ExitStack() as stack:
        ding, text = stack.enter_context(dingtalk_robot()), stack.enter_context(sms())
        sections = {"dingtalk_robot": ding.section, "sms": text.section}
        channels = stack.enter_context(opened(sections, environ=ding.environ | text.environ))
        town = Town(
            ledger, {"console": Console(), "dingtalk_robot": channels["dingtalk_robot"], "sms": channels["sms"]}
        )
        contacts = (("dingtalk_robot", "crew"), ("sms", PHONE))
        told = [replace(s, contacts=contacts if s.id == "north" else ()) for s in stations()]
        silent = [replace(person, contacts=()) for person in people()]
        devices = [a_device(f"smoke-{n}") for n in range(30)]
        town.registry = Registry.of([*devices, *hub_and_canary()], places=places(), people=silent, stations=told)
        yield Street(town, ding.service, text.service)
        for courier in town.couriers:
            courier.stop()


def until(happened: Callable[[], object], within_s: float) -> float:
    """Seconds until `happened()`."""
    began = time.monotonic()
    while not happened():
        assert time.monotonic() - began < patient(within_s)
        time.sleep(0.01)
    return time.monotonic() - began


def test_a_fire_is_in_the_group_and_on_the_telephone(street: Street) -> None:
    street.town.courier(pace=Pace()).start()
    alert_id = street.town.alarm()
    until(lambda: street.robot.taken and street.phone.taken, 5)
    rows = {row.channel: row for row in street.town.settled(alert_id)}
    assert rows["dingtalk_robot"].state == rows["sms"].state == "accepted"
    assert rows["sms"].receipt
    assert "火警" in street.robot.taken[0]["text"]["content"]


def test_when_the_robot_is_shut_out_every_fire_is_on_the_telephone_within_five_seconds(street: Street) -> None:
    street.robot.always = Reply({"errcode": 130101, "errmsg": "send too fast, exceed 20 times per minute"})
    street.town.courier(pace=Pace()).start()
    base = street.town.alarm("smoke-0")
    until(lambda: street.phone.taken, 5)
    for n in range(3):
        street.town.only("dingtalk_robot", "crew", base, transition=f"again-{n}")
        for courier in street.town.couriers:
            courier.wake()
        until(lambda so_far=n + 1: len(street.phone.taken) > so_far, 5)
    assert len(street.robot.calls) == 1, "a robot that is shut out is left alone"


def test_fifty_faults_do_not_use_up_the_robots_minute(street: Street) -> None:
    town = street.town
    courier = town.courier(pace=Pace()).start()
    fault = town.alarm("smoke-1", "P3", rule_id="fault")
    town.only("dingtalk_robot", "crew", fault, times=50)
    courier.wake()
    until(lambda: len(street.robot.taken) >= 15, 10)
    time.sleep(0.5)
    assert len(street.robot.taken) == 15, "five of twenty are left for fires"
    town.alarm("smoke-2")
    assert until(lambda: len(street.robot.taken) > 15, 5) < 2
    assert "火警" in street.robot.taken[15]["text"]["content"]
    assert not [call for call in street.robot.calls if b"130101" in call.body]


def test_no_key_reaches_the_log_the_ledger_or_the_health_page(
    street: Street, capsys: pytest.CaptureFixture[str]
) -> None:
    street.robot.always = Reply({"errcode": 310000, "errmsg": f"sign not match {DING} {DING_SECRET}"})
    street.phone.always = street.phone.refusal(f"no number {PHONE}")
    courier = street.town.courier(pace=Pace()).start()
    alert_id = street.town.alarm()
    rows = street.town.settled(alert_id, 10)
    output = capsys.readouterr()
    told = output.out + output.err + repr(courier.trouble()) + repr([row.reason for row in rows])
    assert "310000" in told
    assert "isv." in told
    for private in (DING, DING_SECRET, PHONE):
        assert private not in told
