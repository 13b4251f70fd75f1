"""What the alert queries promise, on an SQLite file and on a real PostgreSQL."""

from __future__ import annotations

import itertools

import pytest
import sqlalchemy.event

from hub.alerts.desk import Desk
from hub.model.alerts import Actor, Alert, Subject
from hub.model.rules import ConditionEvent
from hub.stores.alert_queries import AlertQueries
from hub.stores.alert_rows import live_ids
from hub.stores.ledger import Ledger
from hub.stores.schema import alerts
from tests.support.alerts import T0, PlainPlanner, event, rule
from tests.support.ledgers import migrated_url


class Mapped(PlainPlanner):
    """Puts device `<grid>/<n>` into that grid; station is the grid's first letter."""

    def subject(self, event: ConditionEvent) -> Subject:
        grid, _, number = event.device.partition("/")
        return Subject(
            device_kind="smoke_alarm",
            grid=grid,
            station=grid[:1],
            place=f"room {number}",
            place_zh=f"{number}室 50%_off",
            place_en=f"Room {number}",
        )


@pytest.fixture
def desk(ledger: Ledger) -> Desk:
    return Desk(ledger, Mapped())


@pytest.fixture
def queries(ledger: Ledger) -> AlertQueries:
    return AlertQueries(ledger)


def _record(desk: Desk, *events: ConditionEvent) -> None:
    desk.record(events, consumer="c", journal="j", position=1, now_ms=events[-1].at_ms)


def _devices(rows: list[Alert]) -> list[str]:
    return [row.device_id for row in rows]


def test_an_alert_has_exactly_the_columns_of_its_table():
    assert set(Alert.__dataclass_fields__) == set(alerts.c.keys())


def test_alerts_come_newest_first_in_pages_that_new_ones_do_not_shift(desk, queries):
    for n in range(25):
        _record(desk, event(device=f"a1/{n:02}", at_ms=T0 + n // 3))
    seen: list[str] = []
    before = None
    for page_number in itertools.count():
        page = queries.list(scope=None, limit=4, before=before)
        seen += _devices(page.rows)
        _record(desk, event(device=f"a1/new-{page_number}", at_ms=T0 + 1_000 + page_number))
        if page.next is None:
            break
        before = page.next
    assert sorted(seen) == [f"a1/{n:02}" for n in range(25)]
    rows = queries.list(scope=None, limit=100).rows
    assert [row.raised_at_ms for row in rows] == sorted((row.raised_at_ms for row in rows), reverse=True)


@pytest.mark.parametrize("mark", ["", "x", "12", "-a", "12-", "1e5-a", "９-a", "9" * 30 + "-a", "'; drop table alerts"])
def test_a_mark_that_no_page_gave_is_refused(queries, mark):
    with pytest.raises(ValueError, match="not a mark"):
        queries.list(scope=None, before=mark)


def test_every_filter_filters(desk, queries):
    hot, low = rule("hot", "P2"), rule("low", "P3")
    _record(desk, event(device="a1/1", at_ms=T0), event(device="a2/2", at_ms=T0 + 10, of=hot))
    _record(desk, event(device="b1/3", at_ms=T0 + 20, of=low), event(device="b1/4", at_ms=T0 + 30, canary=True))
    _record(desk, event("cleared", device="b1/3", at_ms=T0 + 40, start_ms=T0 + 20, of=low))
    one = queries.list(scope=None, device="b1/3").rows[0]
    desk.act(one.id, "false_alarm", Actor(id="x", name="x", role="admin", stations=("*",)), T0 + 50, reason="x")

    def found(**filters: object) -> list[str]:
        return sorted(_devices(queries.list(scope=None, **filters).rows))  # type: ignore[arg-type]

    assert found() == ["a1/1", "a2/2", "b1/3", "b1/4"]
    assert found(live=True) == ["a1/1", "a2/2", "b1/4"]
    assert found(live=False) == ["b1/3"]
    assert found(severity="P2") == ["a2/2"]
    assert found(station="a") == ["a1/1", "a2/2"]
    assert found(grid="b1") == ["b1/3", "b1/4"]
    assert found(grid="a") == ["a1/1", "a2/2"]
    assert found(grid="_") == []
    assert found(device="a1/1") == ["a1/1"]
    assert found(state="false_alarm") == found(state="normal") == ["b1/3"]
    assert found(state="active_unacked") == ["a1/1", "a2/2", "b1/4"]
    assert found(since_ms=T0 + 10, until_ms=T0 + 30) == ["a2/2", "b1/3"]
    assert found(test=True) == ["b1/4"]
    assert found(test=False, live=True) == ["a1/1", "a2/2"]
    assert found(text="ROOM 3") == found(text="3室") == ["b1/3"]
    assert found(text="规则 HOT") == ["a2/2"]
    assert found(text="50%_off") == found()
    assert found(text="50%%off") == found(text="nowhere") == []


def test_an_actor_sees_only_its_own(desk, queries):
    _record(desk, *[event(device=f"{grid}/1") for grid in ("a1", "a2", "b1", "c1")])
    for actor, expected in (
        (Actor(id="", name="", role="viewer", grids=("a1",)), ["a1/1"]),
        (Actor(id="", name="", role="viewer", grids=("a1",), stations=("b",)), ["a1/1", "b1/1"]),
        (Actor(id="", name="", role="viewer", stations=("*",)), ["a1/1", "a2/1", "b1/1", "c1/1"]),
        (Actor(id="", name="", role="admin"), []),
    ):
        assert sorted(_devices(queries.list(scope=actor).rows)) == expected
        assert sorted(_devices(queries.changed_since(0, scope=actor))) == expected
        assert queries.open_counts(scope=actor)["P1"] == len(expected)
        rows = queries.list(scope=None).rows
        assert sorted(row.device_id for row in rows if queries.one(row.id, scope=actor)) == expected
        assert all((queries.one(r.id, scope=actor) is not None) == actor.may_see(r.grid, r.station) for r in rows)


def test_one_alert_or_none(desk, queries):
    _record(desk, event(device="a1/1"))
    (row,) = queries.list(scope=None).rows
    assert queries.one(row.id) == row
    assert queries.one("nope") is None


def test_the_stream_resumes_from_any_change_and_misses_nothing(desk, queries):
    assert queries.last_change() == 0
    _record(desk, event(device="a1/1"), event(device="a1/2"))
    seen = queries.last_change()
    assert seen == 2
    _record(desk, event("cleared", device="a1/1", at_ms=T0 + 5, start_ms=T0))
    _record(desk, event(device="a1/3", at_ms=T0 + 6))
    changed = queries.changed_since(seen, scope=None)
    assert [(a.device_id, a.change) for a in changed] == [("a1/1", 3), ("a1/3", 4)]
    assert queries.changed_since(queries.last_change(), scope=None) == []
    assert _devices(queries.changed_since(0, scope=None, limit=1)) == ["a1/2"]
    assert [row.id for row in queries.audit_since(2, 10)] == [3, 4]
    assert [row.id for row in queries.audit_since(0, 3)] == [1, 2, 3]


def test_open_alerts_are_counted_by_severity(desk, queries):
    _record(desk, event(device="a1/1"), event(device="a1/2", of=rule("x", "P4")))
    assert queries.open_counts() == {"P1": 1, "P2": 0, "P3": 0, "P4": 1}


def test_finding_the_live_alert_of_a_condition_uses_the_index(tmp_path):
    with migrated_url("sqlite", tmp_path) as url:
        ledger = Ledger.open(url)
        seen: list[str] = []
        with ledger.read() as connection:

            @sqlalchemy.event.listens_for(connection, "before_cursor_execute")
            def note(conn, cursor, statement, parameters, context, executemany):
                seen.append(str(cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()))

            live_ids(connection, ["a", "b"], ["c", "d"])
        assert "uq_alerts_one_live" in seen[0]
        ledger.close()
