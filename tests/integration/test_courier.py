"""The courier on a real ledger: what is due is sent once, in order, to the right receiver, and survives what goes wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from prometheus_client import REGISTRY

from hub.alerts.desk import Desk
from hub.clock import SteppedClock, now_ms
from hub.dispatch.channels import Channel, Tools, open_channels
from hub.dispatch.channels.console import Console
from hub.dispatch.courier import Courier
from hub.dispatch.escalation import StandardPlanner, load_policy
from hub.dispatch.messages import composer
from hub.dispatch.pace import Limit, Pace
from hub.documents import parse
from hub.errors import Unavailable
from hub.model.alerts import Actor
from hub.model.deliveries import DeliveryRow, Message, NewDelivery, Outcome, Refused, Retry, Sent
from hub.model.rules import Severity
from hub.registry.snapshot import Registry
from hub.stores.alert_queries import AlertQueries
from hub.stores.ledger import Ledger
from hub.stores.outbox import Outbox
from tests.support.alerts import event, rule
from tests.support.pace import patient
from tests.support.paths import CONFIG
from tests.support.receivers import receiver
from tests.support.registry import a_device, hub_and_canary, people, places, stations

ZONE = "Asia/Shanghai"
HASTY = Pace(first_s=0.01, fire_most_s=0.05, urgent_most_s=0.1, most_s=0.1, asked_most_s=0.2)
CREW = Actor(id="crew-1", name="Crew 1", role="station", stations=("*",))


@dataclass
class Line:
    """A channel that does as `answer` says, and remembers each send as (target, message)."""

    name: str
    answer: Callable[[str, Message], Outcome] = lambda target, message: Sent()
    sends: list[tuple[str, Message]] = field(default_factory=list)
    idempotent: bool = False
    limits: tuple[Limit, ...] = ()
    changed: threading.Condition = field(default_factory=threading.Condition)

    def send(self, target: str, message: Message, *, timeout_s: float) -> Outcome:
        with self.changed:
            self.sends.append((target, message))
            self.changed.notify_all()
        return self.answer(target, message)

    def close(self) -> None:
        pass

    def wait_for(self, count: int, timeout_s: float = 5.0) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.sends) >= count, patient(timeout_s)), (
                f"{len(self.sends)} of {count} sends"
            )

    def to(self, target: str) -> list[Message]:
        with self.changed:
            return [message for to, message in self.sends if to == target]


class Town:
    """A registry with sirens, a desk, an outbox and as many couriers as a test starts."""

    def __init__(self, ledger: Ledger, channels: Mapping[str, Channel], clock: Callable[[], int] | None = None) -> None:
        self.later_ms = 0
        loud = [replace(s, contacts=(*s.contacts, ("siren", f"sc/v1/demo/{s.id}/siren/cmd"))) for s in stations()]
        devices = [a_device(f"smoke-{n}") for n in range(200)]
        self.registry = Registry.of([*devices, *hub_and_canary()], places=places(), people=people(), stations=loud)
        self.policy = load_policy(CONFIG / "escalation.yaml")
        self.planner = StandardPlanner(lambda: self.registry, self.policy, ZONE)
        self.clock = clock or (lambda: now_ms() + self.later_ms)
        self.ledger = ledger
        self.outbox = Outbox(ledger)
        self.queries = AlertQueries(ledger)
        self.channels = dict(channels)
        self.couriers: list[Courier] = []
        self.desk = Desk(ledger, self.planner, on_outbox=self._wake)
        self.compose = composer(lambda: self.registry, self.policy, ZONE, "http://127.0.0.1:8080")

    def _wake(self) -> None:
        for courier in self.couriers:
            courier.wake()

    def courier(self, owner: str = "hub-1", *, outbox: Outbox | None = None, **more: Any) -> Courier:
        options = {"instead": self.planner.instead, "pace": HASTY, **more}
        compose = options.pop("compose", self.compose)
        made = Courier(outbox or self.outbox, self.channels, compose, self.clock, owner, **options)
        self.couriers.append(made)
        return made

    def alarm(
        self, device: str = "smoke-1", severity: Severity = "P1", *, canary: bool = False, rule_id: str = ""
    ) -> str:
        """Raises an alert as the pipeline would; returns its id."""
        at_ms = self.clock()
        raised = event(device=device, at_ms=at_ms, of=rule(rule_id or f"rule-{severity}", severity), canary=canary)
        self.desk.record([raised], consumer="rules", journal="j", position=1, now_ms=at_ms)
        return raised.alert_id

    def only(self, channel: str, target: str, alert_id: str, *, times: int = 1, transition: str = "x") -> None:
        """Queues deliveries to one target, as a planner might."""
        self.outbox.add(
            [
                NewDelivery(
                    alert_id=alert_id,
                    transition=f"{transition}:{n}",
                    recipient="north",
                    channel=channel,
                    target=target,
                    locale="zh-CN",
                    due_at_ms=self.clock(),
                )
                for n in range(times)
            ],
            self.clock(),
        )

    def rows(self, alert_id: str) -> list[DeliveryRow]:
        return list(self.queries.deliveries(alert_id))

    def states(self, alert_id: str) -> dict[tuple[str, str], str]:
        return {(row.recipient, row.channel): row.state for row in self.rows(alert_id)}

    def settled(self, alert_id: str, timeout_s: float = 5.0) -> list[DeliveryRow]:
        """The deliveries of the alert when none of them waits any more."""
        until = time.monotonic() + patient(timeout_s)
        while True:
            rows = self.rows(alert_id)
            if rows and all(row.state not in ("queued", "sending") for row in rows):
                return rows
            assert time.monotonic() < until, [r for r in rows if r.state in ("queued", "sending")]
            time.sleep(0.01)


@pytest.fixture
def webhook() -> Line:
    return Line("webhook")


@pytest.fixture
def siren() -> Line:
    return Line("siren", lambda target, message: Sent("broker", verified=False))


@pytest.fixture
def town(ledger: Ledger, webhook: Line, siren: Line) -> Iterator[Town]:
    made = Town(ledger, {"console": Console(), "webhook": webhook, "siren": siren})
    yield made
    for courier in made.couriers:
        courier.stop()


def quiet(town: Town) -> str:
    """An alert whose own deliveries are all done, to hang others on."""
    alert_id = town.alarm("smoke-0", "P3", rule_id="quiet")
    courier = town.courier("quiet").start()
    town.settled(alert_id)
    courier.stop()
    town.couriers.remove(courier)
    return alert_id


@contextmanager
def real_webhooks(names: list[str]) -> Iterator[tuple[dict[str, Any], Channel]]:
    with ExitStack() as stack:
        receivers = {name: stack.enter_context(receiver()) for name in names}
        section = {"webhook": {"endpoints": {name: {"url": r.url} for name, r in receivers.items()}}}
        document, _ = parse("", "hub.yaml")
        assert document is not None
        channel = open_channels(section, document, Tools(environ={}))["webhook"]
        stack.callback(channel.close)
        yield receivers, channel


def test_a_fire_is_on_the_phones_in_half_a_second(town: Town) -> None:
    names = ["crew-north", "hook-worker-a", *(f"hook-crew-{n}" for n in range(1, 5))]
    before = REGISTRY.get_sample_value("gridhub_alarm_latency_seconds_count", {"channel": "webhook"}) or 0
    with real_webhooks(names) as (receivers, channel):
        town.channels["webhook"] = channel
        town.courier().start()
        began = time.monotonic()
        alert_id = town.alarm()
        first = [receivers[name].wait_for(1)[0] for name in names]
        assert max(post.at_s for post in first) - began < patient(0.5)
        rows = town.settled(alert_id)
        assert {row.state for row in rows if row.channel in ("webhook", "console")} == {"accepted"}
        assert {row.state for row in rows if row.channel == "siren"} == {"sent"}, "the broker's word is not the siren's"
        assert {row.attempts for row in rows} == {1}
        assert receivers["crew-north"].posts[0].json["alert"] == alert_id
        assert receivers["crew-north"].posts[0].json["severity"] == "P1"
        assert all(len(r.posts) == 1 for r in receivers.values())
    after = REGISTRY.get_sample_value("gridhub_alarm_latency_seconds_count", {"channel": "webhook"}) or 0
    assert after - before == len(names)


def test_without_a_wake_the_poll_finds_it(town: Town, webhook: Line) -> None:
    town.courier().start()
    time.sleep(0.3)
    town.desk = Desk(town.ledger, town.planner)  # a desk that announces nothing, as in another process
    began = time.monotonic()
    town.alarm()
    webhook.wait_for(1)
    assert time.monotonic() - began < patient(1.0)


def test_a_fire_overtakes_everything_that_waits_for_the_same_receiver(town: Town, webhook: Line) -> None:
    base = quiet(town)
    gate = threading.Event()
    webhook.sends.clear()
    webhook.answer = lambda target, message: (gate.wait(5), Sent())[1]
    town.only("webhook", "crew-north", base, times=100)
    town.courier().start()
    webhook.wait_for(1)
    alert_id = town.alarm()
    while len(webhook.to("crew-north")) < 1 or town.states(alert_id)[("crew-1", "webhook")] == "queued":
        time.sleep(0.01)  # the fire's other deliveries show that it has been handed out
    gate.set()
    webhook.wait_for(20)
    order = [message.severity for message in webhook.to("crew-north")]
    assert order.index("P1") <= 2, order[:10]


def test_a_slow_receiver_holds_up_nobody_else(town: Town, webhook: Line) -> None:
    gate = threading.Event()
    webhook.answer = lambda target, message: (gate.wait(5) if target == "hook-crew-1" else None, Sent())[1]
    town.courier().start()
    ids = [town.alarm(f"smoke-{n}") for n in range(20)]
    others = {"crew-north", "hook-crew-2", "hook-crew-3", "hook-crew-4", "hook-worker-a"}
    until = time.monotonic() + patient(10)
    while not all(len(webhook.to(target)) == 20 for target in others):
        assert time.monotonic() < until, {t: len(webhook.to(t)) for t in others}
        time.sleep(0.01)
    assert len(webhook.to("hook-crew-1")) == 1
    gate.set()
    for alert_id in ids:
        town.settled(alert_id, 10)
    assert len(webhook.to("hook-crew-1")) == 20


def test_what_was_acknowledged_meanwhile_is_not_sent(town: Town, webhook: Line) -> None:
    town.courier().start()
    alert_id = town.alarm()
    town.settled(alert_id)
    gate = threading.Event()
    webhook.answer = lambda target, message: (gate.wait(5), Sent())[1]
    webhook.sends.clear()
    town.later_ms = 61_000
    assert town.desk.run_timers(town.clock()) == 1
    webhook.wait_for(1)
    town.desk.act(alert_id, "acknowledge", CREW, town.clock())
    in_flight = len(webhook.sends)
    gate.set()
    rows = town.settled(alert_id)
    step = [row for row in rows if row.transition == "step:1" and row.channel == "webhook"]
    assert len(webhook.sends) == in_flight
    assert {row.state for row in step} <= {"accepted", "cancelled"}
    assert all(row.reason for row in step if row.state == "cancelled")


def test_the_courier_looks_again_itself_before_it_sends(town: Town, webhook: Line) -> None:
    base = quiet(town)
    webhook.sends.clear()
    town.desk.act(base, "close", CREW, town.clock(), reason="done")
    town.only("webhook", "crew-north", base)
    town.courier().start()
    rows = town.settled(base)
    late = next(row for row in rows if row.transition == "x:0")
    assert (late.state, late.reason) == ("cancelled", "the alert is closed")
    assert all(message.fields["transition"] == "closed" for message in webhook.to("crew-north"))


def test_a_receiver_that_was_away_gets_the_same_message_once_it_is_back(town: Town, webhook: Line) -> None:
    tries: dict[str, int] = {}

    def flaky(target: str, message: Message) -> Outcome:
        tries[message.id] = tries.get(message.id, 0) + 1
        return Sent() if tries[message.id] == 4 else Retry(0.0, "HTTP 503")

    webhook.answer = flaky
    town.courier().start()
    alert_id = town.alarm()
    rows = town.settled(alert_id, 10)
    sent = [row for row in rows if row.channel == "webhook"]
    assert {row.state for row in sent} == {"accepted"}
    assert {row.attempts for row in sent} == {4}
    assert set(tries.values()) == {4}
    assert len(tries) == len(sent)


def test_a_refusal_makes_the_next_channel_due_within_five_seconds(town: Town, webhook: Line, siren: Line) -> None:
    base = quiet(town)
    siren.sends.clear()
    webhook.answer = lambda target, message: Refused("errcode 93000: invalid webhook url")
    town.only("webhook", "crew-north", base)
    town.courier().start()
    began = time.monotonic()
    siren.wait_for(1, 6.0)
    assert time.monotonic() - began < 5.0
    rows = [row for row in town.settled(base) if row.transition == "x:0"]
    assert {(row.recipient, row.channel, row.state) for row in rows} == {
        ("north", "webhook", "failed"),
        ("north", "siren", "sent"),
        ("north", "console", "accepted"),
    }
    assert next(row.reason for row in rows if row.state == "failed") == "errcode 93000: invalid webhook url"


def test_when_every_webhook_refuses_the_fire_ends_at_sirens_and_consoles_and_all_is_recorded(
    town: Town, webhook: Line, siren: Line
) -> None:
    webhook.answer = lambda target, message: Refused("HTTP 404")
    courier = town.courier().start()
    alert_id = town.alarm()
    siren.wait_for(1)
    time.sleep(1.2)  # until what is due instead has been due
    rows = town.settled(alert_id, 10)
    assert {row.state for row in rows if row.channel == "webhook"} == {"failed"}
    told = {row.recipient for row in rows if row.channel == "webhook"}
    assert {"north", "crew-1", "worker-a", "community-officer", "street-officer"} <= told, "handed on up the ladder"
    assert ("north", "siren") in {(row.recipient, row.channel) for row in rows if row.state == "sent"}
    assert "webhook crew-north" in courier.trouble()


def test_a_dead_receiver_makes_the_next_channel_due_while_it_is_still_tried(
    town: Town, webhook: Line, siren: Line
) -> None:
    base = quiet(town)
    siren.sends.clear()
    dead = threading.Event()
    dead.set()
    webhook.answer = lambda target, message: Retry(0.0, "no connection") if dead.is_set() else Sent()
    town.only("webhook", "crew-north", base, times=5)
    town.courier().start()
    siren.wait_for(5)
    assert any(row.state in ("queued", "sending") for row in town.rows(base) if row.channel == "webhook")
    dead.clear()
    rows = town.settled(base, 10)
    assert {row.state for row in rows if row.transition.startswith("x") and row.channel == "webhook"} == {"accepted"}


def test_every_fire_that_waits_for_a_dead_receiver_goes_another_way_before_it_was_even_tried(
    town: Town, webhook: Line, siren: Line
) -> None:
    courier = town.courier(pace=Pace())
    courier.start()
    alert_id = town.alarm()
    town.settled(alert_id)
    siren.sends.clear()
    webhook.sends.clear()
    webhook.answer = lambda target, message: Retry(0.0, "no connection")
    town.only("webhook", "crew-north", alert_id, times=30)
    courier.wake()
    siren.wait_for(30, 6.0)
    assert len({message.id for message in webhook.to("crew-north")}) < 30


def test_a_lesser_alert_is_given_up_after_a_day_and_the_next_channel_is_due(ledger: Ledger, siren: Line) -> None:
    clock = SteppedClock(1_767_225_600_000)
    webhook = Line("webhook", lambda target, message: Retry(0.0, "HTTP 503"))
    town = Town(ledger, {"console": Console(), "webhook": webhook, "siren": siren}, clock)
    courier = town.courier().start()
    try:
        alert_id = town.alarm(severity="P3")
        webhook.wait_for(1)
        clock.advance(s=86_400)
        town._wake()
        until = time.monotonic() + patient(5)
        while town.states(alert_id)[("worker-a", "webhook")] != "failed":
            clock.advance(s=1)
            assert time.monotonic() < until
            time.sleep(0.02)
        reason = next(row.reason for row in town.rows(alert_id) if row.recipient == "worker-a")
        assert reason is not None
        assert reason.startswith("given up after ")
    finally:
        courier.stop()


def test_a_test_alert_reaches_the_stations_webhook_marked_and_sounds_nothing(
    town: Town, webhook: Line, siren: Line
) -> None:
    town.courier().start()
    alert_id = town.alarm("canary", canary=True)
    town.settled(alert_id)
    assert [target for target, _ in webhook.sends] == ["crew-north"]
    message = webhook.sends[0][1]
    assert message.test
    assert message.text.startswith("【测试】")
    assert siren.sends == []


# Crashes, several hubs, stores that are away ---------------------------------------------------------------------------


def test_after_a_crash_in_the_middle_of_a_send_the_same_message_is_sent_again_at_once(
    town: Town, webhook: Line
) -> None:
    alert_id = town.alarm()
    claimed = town.outbox.claim(town.clock(), "hub-1", limit=100, lease_ms=60_000)
    half_done = next(d for d in claimed if d.target == "hook-crew-2")
    assert town.outbox.begin_send(half_done.id, town.clock(), owner="hub-1")
    town.courier("hub-1").start()  # the same hub, started anew
    rows = town.settled(alert_id)
    assert {row.state for row in rows} == {"accepted", "sent"}
    assert next(row.attempts for row in rows if row.id == half_done.id) == 2
    assert len({message.id for _, message in webhook.sends}) == len(webhook.sends) == 6


def test_what_another_hub_has_leased_is_left_alone_until_the_lease_ends(town: Town, webhook: Line) -> None:
    alert_id = town.alarm()
    town.outbox.claim(town.clock(), "hub-9", limit=100, lease_ms=700)
    town.courier("hub-1").start()
    time.sleep(0.4)
    assert webhook.sends == []
    town.settled(alert_id)


def test_two_hubs_on_one_ledger_send_everything_exactly_once(town: Town, webhook: Line) -> None:
    for owner in ("hub-1", "hub-2"):
        other = town.courier(owner)
        other.start()
    ids = [town.alarm(f"smoke-{n}") for n in range(30)]
    rows = [row for alert_id in ids for row in town.settled(alert_id, 20)]
    sent = [message.id for _, message in webhook.sends]
    assert len(sent) == len(set(sent)) == sum(row.channel == "webhook" for row in rows)
    assert {row.attempts for row in rows} == {1}


def test_stopping_with_a_hanging_receiver_takes_two_seconds_and_loses_nothing(town: Town, webhook: Line) -> None:
    gate = threading.Event()
    webhook.answer = lambda target, message: (gate.wait(6), Sent())[1]
    courier = town.courier("hub-1").start()
    alert_id = town.alarm()
    webhook.wait_for(6)
    town.only("webhook", "crew-north", alert_id, times=3)
    time.sleep(0.3)
    began = time.monotonic()
    courier.stop()
    assert time.monotonic() - began < patient(2.3)
    gate.set()
    webhook.answer = lambda target, message: Sent()
    town.courier("hub-1").start()
    assert {row.state for row in town.settled(alert_id, 10)} <= {"accepted", "sent"}


class ShakyOutbox(Outbox):
    """The ledger is away for the first `failures` notes of an acceptance."""

    def __init__(self, ledger: Ledger, failures: int) -> None:
        super().__init__(ledger)
        self.left = failures
        self.guard = threading.Lock()

    def accepted(self, delivery_id: int, receipt: str, now_ms: int, *, verified: bool = True) -> None:
        with self.guard:
            self.left -= 1
            if self.left >= 0:
                raise Unavailable("the database is restarting", after_s=0.05)
        super().accepted(delivery_id, receipt, now_ms, verified=verified)


def test_a_ledger_that_is_away_after_the_send_does_not_make_it_twice(town: Town, webhook: Line) -> None:
    town.courier(outbox=ShakyOutbox(town.ledger, 20)).start()
    alert_id = town.alarm()
    rows = town.settled(alert_id, 10)
    assert {row.attempts for row in rows} == {1}
    assert len(webhook.sends) == 6


class AwayOutbox(Outbox):
    """The ledger is away for the first `failures` looks at an alert."""

    left = 5

    def alert_of(self, delivery: Any) -> Any:
        self.left -= 1
        if self.left >= 0:
            raise Unavailable("the database is restarting", after_s=0.05)
        return super().alert_of(delivery)


def test_a_ledger_that_is_away_before_the_send_only_delays_it(town: Town) -> None:
    town.courier(outbox=AwayOutbox(town.ledger)).start()
    rows = town.settled(town.alarm(), 10)
    assert {row.state for row in rows} == {"accepted", "sent"}


def test_a_message_that_cannot_be_composed_is_sent_bare(town: Town, webhook: Line) -> None:
    def broken(alert: Any, delivery: Any, at_ms: int) -> Message:
        raise ZeroDivisionError

    town.courier(compose=broken).start()
    alert_id = town.alarm()
    town.settled(alert_id)
    text = webhook.sends[0][1].text
    assert text.startswith("【P1】")
    assert "派人查看" in text


def test_a_channel_that_raises_is_tried_again(town: Town, webhook: Line) -> None:
    def raising(target: str, message: Message) -> Outcome:
        if len(webhook.to(target)) == 1:
            raise ValueError("a bug")
        return Sent()

    webhook.answer = raising
    town.courier().start()
    rows = town.settled(town.alarm())
    assert {(row.state, row.attempts) for row in rows if row.channel == "webhook"} == {("accepted", 2)}


def test_a_channel_that_this_hub_does_not_have_is_given_up_and_handed_on(town: Town) -> None:
    base = quiet(town)
    town.only("pigeon", "loft", base)
    town.courier().start()
    rows = {row.channel: row for row in town.settled(base) if row.transition == "x:0"}
    assert (rows["pigeon"].state, rows["pigeon"].reason) == ("failed", "this hub has no channel 'pigeon'")
    assert rows["webhook"].state == "accepted"


def test_five_hundred_waiting_notices_do_not_hold_up_a_fire(town: Town, webhook: Line) -> None:
    base = quiet(town)
    webhook.answer = lambda target, message: (time.sleep(0.005), Sent())[1]
    town.only("webhook", "crew-north", base, times=500)
    town.courier().start()
    webhook.wait_for(20)
    began = time.monotonic()
    alert_id = town.alarm()
    until = began + patient(3.0)
    while town.states(alert_id).get(("north", "webhook")) != "accepted":
        assert time.monotonic() < until, "a fire waited for three seconds behind notices"
        time.sleep(0.005)


def test_lesser_messages_leave_a_share_of_the_receivers_limit_to_fires(town: Town, webhook: Line) -> None:
    base = quiet(town)
    webhook.sends.clear()
    webhook.limits = (Limit(5, 60.0, reserved=2),)
    town.only("webhook", "crew-north", base, times=20)
    town.courier().start()
    webhook.wait_for(3)
    time.sleep(0.4)
    assert [message.severity for message in webhook.to("crew-north")] == ["P3"] * 3
    began = time.monotonic()
    town.alarm()
    while len(webhook.to("crew-north")) < 4:
        assert time.monotonic() - began < patient(2), "the fire waited behind what is held"
        time.sleep(0.01)
    assert webhook.to("crew-north")[3].severity == "P1"
    held = [row for row in town.rows(base) if row.transition.startswith("x") and row.state == "queued"]
    assert [row.attempts for row in held] == [0] * 17, "held, not failed"


def test_fires_beyond_the_receivers_limit_go_another_way_and_are_not_sent_to_it(
    town: Town, webhook: Line, siren: Line
) -> None:
    webhook.limits = (Limit(1, 60.0),)
    courier = town.courier(pace=Pace()).start()
    alert_id = town.alarm()
    town.settled(alert_id)
    siren.sends.clear()
    town.only("webhook", "crew-north", alert_id, times=3)
    courier.wake()
    siren.wait_for(3, 5.0)
    assert len(webhook.to("crew-north")) == 1, "the service would count, and shut the hub out"
    held = [row for row in town.rows(alert_id) if row.transition.startswith("x") and row.channel == "webhook"]
    assert {row.state for row in held} == {"queued"}
    assert any("as many messages" in (row.reason or "") for row in held)


def test_a_fire_that_comes_while_a_receiver_is_shut_out_goes_another_way_within_five_seconds(
    town: Town, webhook: Line, siren: Line
) -> None:
    courier = town.courier(pace=Pace()).start()
    alert_id = town.alarm()
    town.settled(alert_id)
    siren.sends.clear()
    webhook.answer = lambda target, message: Retry(600.0, "errcode 130101: send too fast")
    town.only("webhook", "crew-north", alert_id)
    courier.wake()
    siren.wait_for(1, 5.0)
    began = time.monotonic()
    town.only("webhook", "crew-north", alert_id, transition="y")
    courier.wake()
    siren.wait_for(2, 5.0)
    assert time.monotonic() - began < 5.0
    assert len(webhook.to("crew-north")) == 2, "the second fire did not wait until it had been tried"


def test_no_telephone_number_is_in_a_log_or_on_the_health_page(
    town: Town, webhook: Line, capsys: pytest.CaptureFixture[str]
) -> None:
    base = quiet(town)
    webhook.answer = lambda target, message: Retry(0.0, "no connection")
    town.only("webhook", "13812345678", base)
    town.only("webhook", "crew.north@example.com", base, transition="y")
    courier = town.courier().start()
    webhook.wait_for(4)
    until = time.monotonic() + patient(5)
    while len(courier.trouble()) < 2:
        assert time.monotonic() < until
        time.sleep(0.01)
    output = capsys.readouterr()
    shown = output.out + output.err + repr(courier.trouble())
    assert "13812345678" not in shown
    assert "crew.north" not in shown
    assert "138****5678" in shown
