"""Figures as the ledger counts them, on an SQLite file and on a real PostgreSQL."""

from __future__ import annotations

import pytest
from sqlalchemy import insert, update

from hub.alerts.figures import flood, loads, mean_s, ratio, split
from hub.stores.figure_queries import Answered, Attained, FigureQueries, Handled, Span, Told
from hub.stores.ledger import Ledger
from hub.stores.schema import alerts, cases
from tests.contracts.test_desk import Room, fire
from tests.support.alerts import GRID, OTHER, STRANGER, T0, WORKER, rule

MINUTE = 60_000
LOW = rule("low", "P3")


class Counted(Room):
    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self.figures = FigureQueries(ledger)

    def span(self, now_ms: int = T0 + 60 * MINUTE) -> Span:
        return Span(T0 - 1, T0 + 60 * MINUTE, now_ms)

    def act(self, device: str, action: str, after_s: float, who=WORKER) -> None:
        (alert,) = self.queries.list(scope=None, device=device, live=True).rows
        self.desk.act(alert.id, action, who, T0 + int(after_s * 1_000), reason="seen")  # type: ignore[arg-type]

    def case(self, number: str, **more: object) -> None:
        row = {
            "id": number, "source": "hotline", "number": number, "severity": "P3", "title_zh": "t", "title_en": "t",
            "grid": GRID, "step": "reported", "opened_at_ms": T0, "changed_at_ms": T0,
        }  # fmt: skip
        with self.ledger.begin() as connection:
            connection.execute(insert(cases).values(**row | more))


@pytest.fixture
def room(ledger: Ledger) -> Counted:
    return Counted(ledger)


def test_times_to_acknowledge_and_to_close_by_severity(room: Counted) -> None:
    room.record(fire(device="a"), fire(device="b"), fire(device="c", of=LOW), fire(device="t", canary=True))
    room.act("a", "acknowledge", 20)
    room.act("b", "acknowledge", 50)
    room.act("a", "false_alarm", 120)
    found = {row.severity: row for row in room.figures.answered(room.span(), scope=None)}
    assert found["P1"] == Answered("P1", 2, 2, 70_000, 1, 120_000, 50_000)
    assert found["P3"] == Answered("P3", 1, 0, 0, 0, 0, 0)
    assert mean_s(found["P1"].ack_ms, found["P1"].acked) == 35.0
    assert room.figures.answered(room.span(), scope=STRANGER) == []


def test_one_three_five_counts_what_had_to_be_and_was(room: Counted) -> None:
    room.record(*(fire(device=device) for device in ("best", "slow", "false", "nobody", "low")))
    room.act("best", "acknowledge", 30)
    room.act("best", "on_scene", 150)
    room.act("best", "on_scene", 290, who=OTHER)
    room.act("slow", "acknowledge", 61)
    room.act("slow", "on_scene", 181)
    room.act("slow", "on_scene", 200)  # the same person again is no second one
    room.act("false", "acknowledge", 10)
    room.act("false", "false_alarm", 100)  # nobody had to go
    now = T0 + 60 * MINUTE
    acked, scene, joint = room.figures.attained(room.span(now), scope=None)
    assert acked == Attained(5, 2)
    assert scene == Attained(4, 1)
    assert joint == Attained(4, 1)
    early = room.figures.attained(room.span(T0 + 50_000), scope=None)
    assert early == (Attained(2, 2), Attained(1, 1), Attained(1, 1)), (
        "what may still be kept is not held against anybody"
    )


def test_a_drill_counts_nowhere(room: Counted) -> None:
    room.record(fire(device="a"))
    with room.ledger.begin() as connection:
        connection.execute(update(alerts).values(drill=True))
    assert room.figures.answered(room.span(), scope=None) == []
    assert room.figures.attained(room.span(), scope=None)[0] == Attained(0, 0)
    assert room.figures.told(room.span(), scope=None) == []
    assert room.figures.handled(room.span(), scope=None) == []


def test_closing_rates_of_cases(room: Counted) -> None:
    late, soon = T0 + 50 * MINUTE, T0 + 500 * MINUTE
    room.case("on time", step="closed", due_at_ms=late, closed_at_ms=late, handling="self")
    room.case("too late", step="closed", due_at_ms=late, closed_at_ms=late + 1, handling="transferred")
    room.case("open and due", due_at_ms=late)
    room.case("has time", due_at_ms=soon)
    room.case("closed early", step="closed", due_at_ms=soon, closed_at_ms=late, handling="self")
    room.case("no limit", step="closed", closed_at_ms=late)
    room.case("nothing", step="false_alarm", closed_at_ms=late, due_at_ms=late)
    (found,) = room.figures.handled(room.span(), scope=None)
    assert found == Handled("hotline", 7, 1, 6, 4, 4, 3, 2, 2, 1)
    assert (ratio(found.closed, found.filed), ratio(found.on_time, found.due)) == (4 / 6, 0.5)
    assert room.figures.handled(room.span(), scope=STRANGER) == []
    assert len(room.figures.handled(room.span(), scope=WORKER)) == 1


def test_alarms_of_each_recipient_by_ten_minutes(room: Counted) -> None:
    for n in range(12):
        room.record(fire(device=f"d{n}", at_ms=T0 + n * 1_000))
    found = room.figures.told(room.span(), scope=None)
    assert [row.alarms for row in found if row.recipient == found[0].recipient] == [12]
    (load, *_) = loads(found, 6)
    assert (load.alarms, load.busiest, load.floods, load.average) == (12, 12, 1, 2.0)
    assert load.in_flood == pytest.approx(1 / 6)
    assert room.figures.told(room.span(), scope=STRANGER) == []
    assert room.figures.standing(T0 + 25 * 60 * MINUTE, scope=None, over_ms=24 * 60 * MINUTE) == (12, 0)


def test_a_flood_goes_on_until_fewer_than_five(room: Counted) -> None:
    assert flood({1: 11, 2: 5, 3: 4}) == (1, 2)
    assert flood({1: 10}) == (0, 0)
    assert flood({1: 11, 3: 5}) == (1, 1), "ten minutes without an alarm end it"
    assert flood({1: 11, 2: 4, 3: 11}) == (2, 2)
    assert split({"P1": 1, "P3": 3}) == {"P1": 0.25, "P2": 0.0, "P3": 0.75, "P4": 0.0}
    assert split({}) == {"P1": None, "P2": None, "P3": None, "P4": None}
    assert loads([Told("a", 1, 2), Told("a", 2, 1), Told("b", 1, 9)], 10)[0].recipient == "b"
