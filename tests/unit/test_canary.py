"""The hub's heartbeat: it beats once a minute, is looked for, and what does not arrive is counted."""

from __future__ import annotations

import json

import pytest

from hub import canary
from hub.canary import Canary, topic_of
from hub.errors import Unavailable
from hub.ingest.codecs.context import CodecContext
from hub.ingest.router import Router, Source
from hub.model.quantities import ALARM_QUANTITY
from hub.registry.loader import load
from hub.stores.fact_queries import Beat
from tests.support.paths import CONFIG

T0 = 1_767_225_600_000


class World:
    """A broker, rules and a ledger that take `way_ms` for a beat, or are away."""

    def __init__(self, *, way_ms: int = 300) -> None:
        self.now_ms, self.way_ms = T0, way_ms
        self.broker, self.rules, self.ledger = True, True, True
        self.active = False  # what the rules believe
        self.beat: Beat | None = None
        self.under_way: list[tuple[int, bool]] = []
        self.published: list[tuple[int, bool]] = []
        self.canary = Canary(self.publish, self.lookup, "sc/v1/demo/hub/canary/event", lambda: self.now_ms)

    def publish(self, topic: str, payload: bytes) -> bool:
        if not self.broker:
            return False
        active = json.loads(payload)["active"]
        self.published.append((self.now_ms, active))
        if self.rules:
            self.under_way.append((self.now_ms + self.way_ms, active))
        return True

    def lookup(self) -> Beat | None:
        if not self.ledger:
            raise Unavailable("the ledger is away")
        return self.beat

    def run(self, seconds: float) -> int:
        until_ms = self.now_ms + int(seconds * 1_000)
        while self.now_ms < until_ms:
            while self.under_way and self.under_way[0][0] <= self.now_ms:
                at_ms, active = self.under_way.pop(0)
                if active != self.active:
                    self.active, self.beat = active, Beat(active, at_ms)
            pause_s = self.canary.step()
            assert 0 < pause_s <= 1
            self.now_ms += max(int(pause_s * 1_000), 1)
        return self.canary.missed


def test_it_beats_once_a_minute_on_and_off():
    world = World()
    assert world.run(10 * 60 + 30) == 0
    assert [active for _, active in world.published] == [True, False] * 5
    gaps = {(b - a) // 1_000 for (a, _), (b, _) in zip(world.published, world.published[1:], strict=False)}
    assert gaps <= {60, 61}


def test_it_waits_a_minute_after_a_start():
    world = World()
    world.run(59)
    assert world.published == []


@pytest.mark.parametrize("part", ["broker", "rules", "ledger"])
def test_whatever_is_broken_beats_are_missed_and_the_first_that_arrives_ends_it(part):
    world = World()
    world.run(150)
    setattr(world, part, False)
    assert world.run(5 * 60) in (4, 5)
    setattr(world, part, True)
    assert world.run(3 * 60) == 0


def test_a_beat_that_takes_too_long_is_missed_though_it_arrives():
    world = World(way_ms=30_000)
    assert world.run(5 * 60) >= 3
    world.way_ms = 100
    assert world.run(3 * 60) == 0


def test_one_that_was_lost_is_followed_by_its_opposite_so_that_rules_that_know_it_hear_news():
    world = World()
    world.active = True  # the ledger was put back from a copy: it knows nothing of this
    world.run(5 * 60)
    assert [active for _, active in world.published][:2] == [True, False]
    assert world.canary.missed == 0


def test_a_test_fire_of_somebody_else_is_not_taken_for_a_beat():
    world = World()
    world.rules = False
    world.beat = Beat(False, T0 - 5)
    assert world.run(90) == 1


def test_a_clock_that_leaps_back_does_not_silence_it():
    world = World()
    world.run(90)
    world.now_ms -= 86_400_000
    before = len(world.published)
    world.run(180)
    assert len(world.published) > before


def test_it_never_flaps_by_its_own_pace():
    """Three transitions within a minute count as flapping."""
    world = World()
    world.run(30 * 60)
    times = [at_ms for at_ms, _ in world.published]
    assert all(c - a > 60_000 for a, c in zip(times, times[2:], strict=False))


def test_its_event_is_understood_as_a_test_of_the_test_device():
    registry = load(CONFIG / "registry")
    topic = topic_of(registry, "sc/v1")
    assert topic == "sc/v1/demo/hub/canary/event"
    router = Router([Source(codec="native-v1", root="sc/v1")], CodecContext(zone="UTC", known=lambda address: True))
    payload = canary.event(canary.ALARM, active=True, now_ms=T0)
    (said,) = router.decode(topic, payload, received_at_ms=T0, retained=False)  # type: ignore[misc]
    (device,) = [d for d in registry.devices() if said.address in d.addresses]
    assert device.kind == "canary"
    (event,) = said.events
    assert (event.alarm, event.active, event.test) == ("heartbeat", True, True)
    assert ALARM_QUANTITY["heartbeat"] == "heartbeat"
    assert payload != canary.event(canary.ALARM, active=True, now_ms=T0)


def test_without_a_test_device_there_is_no_topic():
    registry = load(CONFIG / "registry")

    class Bare:
        def devices(self):
            return (d for d in registry.devices() if d.kind != "canary")

    assert topic_of(Bare(), "sc/v1") is None  # type: ignore[arg-type]
