"""What the outbox promises, on an SQLite file and on a real PostgreSQL."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from hub.alerts.desk import Desk
from hub.errors import NotFound
from hub.model.deliveries import Delivery, NewDelivery
from hub.stores.alert_queries import AlertQueries
from hub.stores.ledger import Ledger
from hub.stores.outbox import Outbox
from tests.support.alerts import T0, WORKER, PlainPlanner, event, rule

LEASE = 30_000


@pytest.fixture
def outbox(ledger: Ledger) -> Outbox:
    return Outbox(ledger)


@pytest.fixture
def desk(ledger: Ledger) -> Desk:
    return Desk(ledger, PlainPlanner())


def _raise(desk: Desk, device: str = "d", severity: str = "P1", at_ms: int = T0) -> None:
    spec = rule(f"r-{severity}", severity)  # type: ignore[arg-type]
    desk.record([event(device=device, of=spec, at_ms=at_ms)], consumer="c", journal="j", position=1, now_ms=at_ms)


def _claim(outbox: Outbox, at_ms: int = T0, owner: str = "one", limit: int = 100) -> list[Delivery]:
    return outbox.claim(at_ms, owner, limit=limit, lease_ms=LEASE)


def _state(ledger: Ledger, delivery: Delivery) -> str:
    rows = AlertQueries(ledger).deliveries(delivery.alert_id)
    return next(row.state for row in rows if row.id == delivery.id)


def test_the_most_severe_comes_first_then_the_longest_due(desk, outbox):
    _raise(desk, "a", "P3", T0)
    _raise(desk, "b", "P1", T0 + 20)
    _raise(desk, "c", "P1", T0 + 10)
    claimed = [(d.severity, d.due_at_ms - T0) for d in _claim(outbox, T0 + 50)]
    assert claimed == [("P1", 10), ("P1", 10), ("P1", 20), ("P1", 20), ("P3", 0), ("P3", 0)]


def test_nothing_is_claimed_before_it_is_due(desk, outbox):
    _raise(desk)
    assert outbox.next_due_ms() == T0
    assert _claim(outbox, T0 - 1) == []
    assert len(_claim(outbox, T0)) == 2


def test_what_is_leased_is_given_to_nobody_else_until_the_lease_ends(desk, outbox):
    _raise(desk)
    assert len(_claim(outbox, owner="one")) == 2
    assert _claim(outbox, T0 + LEASE - 1, owner="other") == []
    assert outbox.next_due_ms() == T0 + LEASE
    assert len(_claim(outbox, T0 + LEASE, owner="other")) == 2


def test_a_courier_that_died_while_sending_repeats_only_what_it_had_begun(desk, outbox, ledger):
    _raise(desk)
    first, second = _claim(outbox, owner="dead")
    assert outbox.begin_send(first.id, T0 + 5, owner="dead", lease_ms=LEASE)
    outbox.accepted(first.id, "r-1", T0 + 6)
    assert outbox.begin_send(second.id, T0 + 7, owner="dead", lease_ms=LEASE)
    again = _claim(outbox, T0 + 7 + LEASE, owner="new")
    assert [(d.id, d.attempts) for d in again] == [(second.id, 1)]
    assert outbox.begin_send(second.id, T0 + 8 + LEASE, owner="new")
    assert not outbox.begin_send(second.id, T0 + 8 + LEASE, owner="dead")
    assert _state(ledger, first) == "accepted"


def test_beginning_to_send_is_refused_when_it_was_cancelled_at_the_last_moment(desk, outbox, ledger):
    _raise(desk)
    crew, head = _claim(outbox)
    desk.act(crew.alert_id, "acknowledge", WORKER, T0 + 1)
    assert not outbox.begin_send(crew.id, T0 + 2, owner="one")
    assert outbox.begin_send(head.id, T0 + 2, owner="one")
    assert (_state(ledger, crew), _state(ledger, head)) == ("cancelled", "sending")


def test_beginning_to_send_without_a_claim_is_refused(desk, outbox):
    _raise(desk)
    first, _ = _claim(outbox)
    outbox.release("one", T0)
    assert not outbox.begin_send(first.id, T0)


def test_what_became_of_a_delivery_is_written_down(desk, outbox, ledger):
    for n in range(4):
        _raise(desk, f"d{n}")
    a, b, c, d, e, *_ = _claim(outbox)
    for each in (a, b, c, d, e):
        assert outbox.begin_send(each.id, T0 + 5, owner="one")
    outbox.accepted(a.id, "msg-7", T0 + 40)
    outbox.accepted(b.id, "", T0 + 40, verified=False)
    outbox.give_up(c.id, "40058: too long", T0 + 40)
    outbox.cancel(d.id, "no longer needed", T0 + 40)
    outbox.accepted(e.id, "msg-8", T0 + 40)
    outbox.delivered(e.id, T0 + 50)
    outbox.read(e.id, T0 + 60)
    outbox.read(e.id, T0 + 99)
    rows = {row.id: row for x in (a, b, c, d, e) for row in AlertQueries(ledger).deliveries(x.alert_id)}
    assert (rows[a.id].state, rows[a.id].receipt, rows[a.id].sent_at_ms, rows[a.id].accepted_at_ms) == (
        *("accepted", "msg-7"),
        *(T0 + 5, T0 + 40),
    )
    assert (rows[b.id].state, rows[b.id].accepted_at_ms) == ("sent", None)  # not proven, so not claimed
    assert (rows[c.id].state, rows[c.id].reason) == ("failed", "40058: too long")
    assert (rows[d.id].state, rows[d.id].reason) == ("cancelled", "no longer needed")
    assert (rows[e.id].state, rows[e.id].read_at_ms) == ("read", T0 + 60)


def test_a_finished_delivery_stays_finished(desk, outbox, ledger):
    _raise(desk)
    first, _ = _claim(outbox)
    outbox.begin_send(first.id, T0)
    outbox.accepted(first.id, "", T0)
    outbox.postpone(first.id, T0 + 1, "late answer")
    outbox.give_up(first.id, "late answer", T0)
    outbox.cancel(first.id, "late answer", T0)
    assert _state(ledger, first) == "accepted"
    assert [d.id for d in _claim(outbox, T0 + 10 * LEASE)] != [first.id]


def test_a_postponed_delivery_comes_back_at_its_time(desk, outbox):
    _raise(desk)
    first, second = _claim(outbox)
    outbox.begin_send(first.id, T0)
    outbox.postpone(first.id, T0 + 5_000, "45009: too fast")
    outbox.accepted(second.id, "", T0)
    assert outbox.next_due_ms() == T0 + 5_000
    assert _claim(outbox, T0 + 4_999) == []
    (again,) = _claim(outbox, T0 + 5_000, owner="other")
    assert (again.id, again.attempts) == (first.id, 1)


def test_a_clean_stop_gives_back_what_was_not_begun(desk, outbox):
    _raise(desk)
    first, second = _claim(outbox, owner="one")
    outbox.begin_send(first.id, T0)
    assert outbox.release("one", T0) == 1
    assert [d.id for d in _claim(outbox, T0, owner="other")] == [second.id]


def test_expired_leases_can_be_put_back(desk, outbox):
    _raise(desk)
    _claim(outbox)
    assert outbox.release_expired(T0 + LEASE - 1) == 0
    assert outbox.release_expired(T0 + LEASE) == 2
    assert outbox.next_due_ms() == T0


def test_a_busy_lane_gets_no_more_for_now(desk, outbox):
    _raise(desk, "a")
    _raise(desk, "b")
    claimed = outbox.claim(T0, "one", limit=10, lease_ms=LEASE, busy=[("console", "crew@north")])
    assert {d.target for d in claimed} == {"head@north"}


def test_several_couriers_never_claim_the_same(ledger_url):
    ledgers = [Ledger.open(ledger_url) for _ in range(4)]
    desk = Desk(ledgers[0], PlainPlanner())
    events = [event(device=f"d{n}") for n in range(100)]
    desk.record(events, consumer="c", journal="j", position=1, now_ms=T0)
    claimed: list[int] = []

    def work(n: int) -> None:
        while batch := Outbox(ledgers[n]).claim(T0, f"courier-{n}", limit=7, lease_ms=LEASE):
            claimed.extend(d.id for d in batch)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    claimed += [d.id for d in Outbox(ledgers[0]).claim(T0, "last", limit=500, lease_ms=LEASE)]
    assert len(claimed) == len(set(claimed)) == 200
    for each in ledgers:
        each.close()


def test_a_further_delivery_is_queued_once(desk, outbox, ledger):
    _raise(desk)
    first, _ = _claim(outbox)
    new = NewDelivery(
        alert_id=first.alert_id,
        transition=first.transition,
        recipient=first.recipient,
        channel="sms",
        target="+86",
        locale="en",
        due_at_ms=T0 + 1_000,
    )
    outbox.add([new, replace(new, due_at_ms=T0 + 9_000)], T0)
    outbox.add([new], T0)
    outbox.add([], T0)
    rows = [row for row in AlertQueries(ledger).deliveries(first.alert_id) if row.channel == "sms"]
    assert [(row.severity, row.due_at_ms, row.state) for row in rows] == [("P1", T0 + 1_000, "queued")]
    with pytest.raises(NotFound):
        outbox.add([replace(new, alert_id="nope")], T0)


def test_the_alert_of_a_delivery_is_as_it_is_now(desk, outbox):
    _raise(desk)
    first, _ = _claim(outbox)
    desk.act(first.alert_id, "acknowledge", WORKER, T0 + 1)
    assert outbox.alert_of(first).acked_by == "li"


def test_what_waits_is_counted_by_channel(desk, outbox):
    assert (outbox.waiting(), outbox.next_due_ms()) == ({}, None)
    _raise(desk)
    assert outbox.waiting() == {"console": 2}


def test_a_receipt_that_no_database_takes_is_kept_as_well_as_can_be(desk, outbox, ledger):
    """A receiver may answer with anything; refusing to store it would send the message again and again."""
    _raise(desk)
    delivery = _claim(outbox)[0]
    assert outbox.begin_send(delivery.id, T0, owner="one")
    outbox.accepted(delivery.id, "\ud800 id \x00", T0 + 5)
    assert _state(ledger, delivery) == "accepted"
