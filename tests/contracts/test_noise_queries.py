"""What makes noise, as the ledger tells it, on an SQLite file and on a real PostgreSQL."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hub.stores.ledger import Ledger
from hub.stores.noise_queries import DAY_MS, NoiseQueries, Times, Verdicts
from tests.contracts.test_desk import Room, fire, gone
from tests.support.alerts import STRANGER, T0, WORKER, event, rule

HOUR = 3_600_000
LOW = rule("low", "P3")


class Noisy(Room):
    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self.noise = NoiseQueries(ledger)

    def ends(self, device: str, action: str, at_ms: int) -> None:
        (alert,) = self.queries.list(scope=None, device=device, live=True).rows
        self.desk.act(alert.id, action, WORKER, at_ms, reason="seen")  # type: ignore[arg-type]


@pytest.fixture
def room(ledger: Ledger) -> Noisy:
    return Noisy(ledger)


def test_stale_is_what_has_held_for_more_than_a_day_since_its_latest_raising(room):
    room.record(fire(device="old", at_ms=T0), fire(device="again", at_ms=T0), fire(device="gone", at_ms=T0, of=LOW))
    room.record(fire(device="test", at_ms=T0, canary=True), fire(device="young", at_ms=T0 + HOUR))
    room.record(fire(device="again", at_ms=T0 + HOUR), gone(device="gone", at_ms=T0 + HOUR, of=LOW))
    room.ends("old", "acknowledge", T0 + 5)  # taken, and it stands all the same
    now = T0 + DAY_MS
    assert [a.device_id for a in room.noise.stale(now, scope=None)] == ["old"]
    assert room.noise.stale_count(now) == 1
    later = [a.device_id for a in room.noise.stale(now + HOUR, scope=None)]
    assert (later[0], sorted(later[1:])) == ("old", ["again", "young"])
    assert [a.device_id for a in room.noise.stale(now + HOUR, scope=None, limit=1)] == ["old"]
    assert room.noise.stale(now, scope=STRANGER) == []
    assert len(room.noise.stale(now, scope=None, over_ms=HOUR)) == 3


def test_verdicts_tell_false_real_and_undecided_apart(room):
    for device, action in (("a", "false_alarm"), ("b", "on_scene"), ("c", "acknowledge")):
        room.record(fire(device=device))
        room.ends(device, action, T0 + 1)
    room.record(gone(device="b", at_ms=T0 + 2))
    room.ends("b", "close", T0 + 3)
    room.record(fire(device="low", of=LOW), fire(device="t", canary=True))
    found = {(v.device_id): v for v in room.noise.verdicts(T0, scope=None)}
    assert found["a"] == Verdicts("smoke", "a", "smoke_alarm", "P1", 1, 0, 0)
    assert found["b"] == Verdicts("smoke", "b", "smoke_alarm", "P1", 0, 1, 0)
    assert found["c"].undecided == 1
    assert found["low"].severity == "P3"
    assert "t" not in found
    assert room.noise.verdicts(T0 + 1, scope=None) == []
    assert room.noise.verdicts(T0, scope=STRANGER) == []


def test_tests_are_pressed_buttons_and_test_fires_but_no_heartbeats(room):
    room.record(event("test", device="a"), event("test", device="a", at_ms=T0 + 1), fire(device="canary", canary=True))
    beat = replace(fire(device="canary", canary=True, of=rule("beat", "P4")), quantity="heartbeat")
    room.record(beat)
    assert sorted(room.noise.tests(T0)) == [Times("smoke", "a", 2), Times("smoke", "canary", 1)]
    assert room.noise.tests(T0 + 5) == []


def test_sources_are_the_ten_that_alarmed_most_often_and_what_all_did_together(room):
    for n in range(12):
        for k in range(n + 1):
            at_ms = T0 + (n * 20 + k) * 1_000
            room.record(
                fire(device=f"d{n:02}", at_ms=at_ms), gone(device=f"d{n:02}", at_ms=at_ms + 500, start_ms=at_ms)
            )
    room.record(fire(device="t", canary=True), event("test", device="d00"))
    room.record(event("chatter", device="d11", at_ms=T0 + 10**6, start_ms=T0 + 231_000))
    most, total = room.noise.sources(T0, scope=None)
    assert most[:2] == [Times("smoke", "d11", 12), Times("smoke", "d10", 11)]
    assert (len(most), total) == (10, 78)
    assert room.noise.sources(T0, scope=STRANGER) == ([], 0)
    assert room.noise.sources(T0 + 10**7, scope=None) == ([], 0)


def test_flapping_is_counted_by_source_and_shown_while_it_lasts(room):
    room.record(fire(device="a"), fire(device="b"))
    for n in range(2):
        room.record(event("chatter", device="a", at_ms=T0 + n, start_ms=T0 + n))
    room.record(event("chatter", device="b", at_ms=T0 + 9, start_ms=T0))
    room.record(event("chatter", device="stranger", at_ms=T0 + 9, start_ms=T0))
    assert room.noise.flapped(T0, scope=None) == [
        Times("smoke", "a", 2),
        Times("smoke", "b", 1),
        Times("smoke", "stranger", 1),
    ]
    assert room.noise.flapped(T0, scope=WORKER) == [Times("smoke", "a", 2), Times("smoke", "b", 1)]
    assert room.noise.flapped(T0, scope=STRANGER) == []
    assert {a.device_id for a in room.noise.chattering(scope=None)} == {"a", "b"}
    room.record(gone(device="a", at_ms=T0 + 70_000))
    assert [a.device_id for a in room.noise.chattering(scope=WORKER)] == ["b"]
    assert room.noise.chattering(scope=STRANGER) == []
