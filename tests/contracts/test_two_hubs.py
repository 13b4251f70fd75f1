"""Two hubs on one ledger: one may die, their clocks may differ, and a receiver's limit is kept by both together."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from sqlalchemy import select

from hub.alerts.desk import Desk
from hub.clock import SteppedClock
from hub.dispatch.courier import LEASE_MS, SILENT_MS, Courier
from hub.dispatch.messages import bare
from hub.dispatch.pace import Limit, Spent
from hub.errors import Unavailable
from hub.model.deliveries import Message, NewDelivery, Outcome, Sent
from hub.stores.ledger import Ledger
from hub.stores.outbox import Outbox
from hub.stores.schema import hubs
from tests.support.alerts import T0, PlainPlanner, event
from tests.support.pace import patient

ROBOT = ("wecom_robot", "crew")
MINUTE = (Limit(20, 60.0, reserved=5),)


@pytest.fixture
def outbox(ledger: Ledger) -> Outbox:
    return Outbox(ledger)


def fire(ledger: Ledger, device: str = "smoke-1") -> str:
    raised = event(device=device)
    Desk(ledger, PlainPlanner()).record([raised], consumer="rules", journal="j", position=1, now_ms=T0)
    return raised.alert_id


def test_what_a_dead_hub_had_claimed_and_begun_is_taken_over_within_five_seconds(
    ledger: Ledger, outbox: Outbox
) -> None:
    fire(ledger)
    outbox.beat("dead", T0)
    outbox.beat("alive", T0)
    claimed = outbox.claim(T0, "dead", limit=10, lease_ms=60_000)
    assert len(claimed) == 2
    outbox.begin_send(claimed[0].id, T0, owner="dead")
    outbox.beat("alive", T0 + SILENT_MS)
    assert outbox.take_over(T0 + SILENT_MS, silent_ms=SILENT_MS) == {}, "it may be slow"
    later = T0 + SILENT_MS + 1
    assert later - T0 < 4_000
    assert outbox.take_over(later, silent_ms=SILENT_MS) == {"dead": 2}
    assert {d.id for d in outbox.claim(later, "alive", limit=10, lease_ms=5_000)} == {d.id for d in claimed}
    assert not outbox.begin_send(claimed[1].id, later, owner="dead"), "should it come back, it begins nothing"
    assert outbox.begin_send(claimed[1].id, later, owner="alive")


def test_a_hub_that_beats_keeps_its_work_however_long_it_takes(ledger: Ledger, outbox: Outbox) -> None:
    fire(ledger)
    outbox.claim(T0, "slow", limit=10, lease_ms=60_000)
    for s in range(10):
        outbox.beat("slow", T0 + s * 1_000)
        assert outbox.take_over(T0 + s * 1_000, silent_ms=SILENT_MS) == {}


def test_hubs_with_clocks_an_hour_apart_do_not_take_work_from_each_other(ledger: Ledger) -> None:
    if ledger.is_sqlite:
        pytest.skip("one machine, one clock")
    shared = Outbox(ledger, server_time=True)
    fire(ledger)
    hour = 3_600_000
    mine = shared.claim(T0 + hour, "slow clock", limit=10, lease_ms=LEASE_MS)
    shared.beat("slow clock", T0 + hour)
    assert len(mine) == 2
    assert shared.claim(T0 + 2 * hour, "quick clock", limit=10, lease_ms=LEASE_MS) == []
    assert shared.take_over(T0 + 2 * hour, silent_ms=SILENT_MS) == {}


def test_after_an_outage_of_the_ledger_nobody_takes_over_at_once() -> None:
    clock, asked = SteppedClock(T0), []

    @dataclass
    class Shared:
        is_shared: bool = True
        away: bool = False

        def beat(self, owner: str, now_ms: int) -> None:
            if self.away:
                raise Unavailable("away")

        def take_over(self, now_ms: int, *, silent_ms: int) -> dict[str, int]:
            asked.append(now_ms)
            return {}

    shared = Shared()
    courier = Courier(shared, {}, lambda a, d, n: bare(a, d), clock, "me")  # type: ignore[arg-type]
    courier._beat()
    assert asked == []
    assert courier._beating_since_s is not None
    courier._beating_since_s -= SILENT_MS / 1_000 + 1
    courier._beat()
    assert len(asked) == 1
    shared.away = True
    with pytest.raises(Unavailable):
        courier._beat()
    shared.away = False
    courier._beat()
    assert len(asked) == 1


def test_the_limit_of_a_receiver_is_kept_by_all_hubs_together(outbox: Outbox) -> None:
    """A robot's minute: 20 messages, 5 of them for fires, from whichever hub."""
    ours, theirs = Spent(MINUTE), Spent(MINUTE)
    waits = []
    for n in range(20):
        hub = ours if n % 2 else theirs
        wait, _ = outbox.reserve(
            *ROBOT, T0 + n, keep_ms=hub.keep_ms, wait_s=lambda ages, h=hub: h.room_in_s("P3", ages)
        )
        waits.append(wait)
    assert waits[:15] == [0.0] * 15
    assert all(wait > 50 for wait in waits[15:])
    for _ in range(5):
        assert outbox.reserve(*ROBOT, T0 + 100, keep_ms=ours.keep_ms, wait_s=lambda a: ours.room_in_s("P1", a))[0] == 0
    wait, ages = outbox.reserve(*ROBOT, T0 + 100, keep_ms=ours.keep_ms, wait_s=lambda a: ours.room_in_s("P1", a))
    assert wait > 50
    assert len(ages) == 20
    ours.learn(ages, 1_000.0)
    assert ours.wait_s("P1", 1_000.0) == pytest.approx(wait, abs=0.01)
    other, _ = outbox.reserve("wecom_robot", "another", T0, keep_ms=1, wait_s=lambda a: float(len(a)))
    assert other == 0
    later = T0 + 62_000
    assert outbox.reserve(*ROBOT, later, keep_ms=ours.keep_ms, wait_s=lambda a: ours.room_in_s("P3", a)) == (0.0, [])


def deliver(alert_id: str, transition: str) -> NewDelivery:
    return NewDelivery(
        alert_id=alert_id, transition=transition, recipient="li", channel="sms", target="13800000001", locale="en",
        due_at_ms=T0, needed_while="always",
    )  # fmt: skip


def test_news_that_it_is_over_does_not_overtake_the_alarm(ledger: Ledger, outbox: Outbox) -> None:
    alert_id = fire(ledger)
    outbox.claim(T0, "other", limit=10, lease_ms=60_000)
    outbox.add([deliver(alert_id, "raised:9")], T0)
    outbox.add([deliver(alert_id, "cleared")], T0)
    (alarm,) = outbox.claim(T0, "me", limit=10, lease_ms=5_000)
    assert alarm.transition == "raised:9"
    assert outbox.claim(T0, "another hub", limit=10, lease_ms=5_000) == []
    outbox.begin_send(alarm.id, T0, owner="me")
    outbox.postpone(alarm.id, T0 + 3_000, "busy")
    assert outbox.claim(T0 + 1_000, "me", limit=10, lease_ms=5_000) == []
    (again,) = outbox.claim(T0 + 3_000, "me", limit=10, lease_ms=5_000)
    outbox.begin_send(again.id, T0 + 3_000, owner="me")
    outbox.accepted(again.id, "r", T0 + 3_000)
    (over,) = outbox.claim(T0 + 3_000, "me", limit=10, lease_ms=5_000)
    assert over.transition == "cleared"


@dataclass
class Phone:
    """A channel that remembers what it was given."""

    name: str = "sms"
    idempotent: bool = False
    limits: tuple[Limit, ...] = ()
    got: list[str] = field(default_factory=list)

    def send(self, target: str, message: Message, *, timeout_s: float) -> Outcome:
        self.got.append(message.id)
        return Sent("r")

    def close(self) -> None:
        pass


@pytest.fixture
def phone() -> Phone:
    return Phone()


def test_two_live_couriers_send_everything_once_and_say_that_they_live(ledger_url: str, phone: Phone) -> None:
    import time

    ledgers = [Ledger.open(ledger_url) for _ in range(2)]
    alert_id = fire(ledgers[0])
    boxes = [Outbox(each, server_time=True) for each in ledgers]
    boxes[0].add([deliver(alert_id, f"step:{n}") for n in range(30)], T0)
    clock = SteppedClock(T0)
    couriers = [
        Courier(box, {"sms": phone}, lambda a, d, n: bare(a, d), clock, f"hub-{i}") for i, box in enumerate(boxes)
    ]
    for courier in couriers:
        courier.start()
    until = time.monotonic() + patient(8)
    while len(phone.got) < 30 and time.monotonic() < until:
        time.sleep(0.02)
    for courier in couriers:
        courier.stop()
    with ledgers[0].read() as connection:
        alive = connection.execute(select(hubs.c.owner)).scalars().all()
    shared = boxes[0].is_shared
    for each in ledgers:
        each.close()
    assert len(phone.got) == 30
    assert len(set(phone.got)) == 30
    assert sorted(alive) == (["hub-0", "hub-1"] if shared else [])
