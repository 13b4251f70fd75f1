"""A fleet of simulated devices: who speaks, when, and on which topic."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from devices.simulators.behaviours import BEHAVIOURS, Cue
from devices.simulators.fleet import Fleet
from devices.simulators.publisher import Message
from devices.simulators.world import World
from tests.support.simulated import NOON_MS, a_device, a_world


def a_fleet(world: World | None = None, *, rate: float | None = None, **fire) -> Fleet:
    world = world or a_world()
    happening = [BEHAVIOURS["calm_day"].make(world, NOON_MS, Cue())]
    if fire:
        happening.append(BEHAVIOURS["kitchen_fire"].make(world, NOON_MS, Cue(**fire)))
    return Fleet(world, happening, start_ms=NOON_MS, rate=rate)


def run(fleet: Fleet, seconds: float, *, step_s: float = 1.0, from_s: float = 0.0) -> list[Message]:
    said: list[Message] = []
    n = 0
    while from_s + n * step_s <= seconds:
        said += fleet.advance(NOON_MS + int((from_s + n * step_s) * 1_000))
        n += 1
    return said


def of(said: list[Message], *parts: str) -> list[dict]:
    return [json.loads(m.payload) for m in said if all(p in m.topic for p in parts)]


def test_the_same_seed_says_the_same_bytes():
    first, second = (list(a_fleet().greet(NOON_MS)) for _ in range(2))
    assert first == second
    first, second = (run(a_fleet(device="smoke-alarm-1", at_s=3.0), 90) for _ in range(2))
    assert first == second
    assert first != run(a_fleet(a_world(seed=2)), 90)


def test_every_device_is_greeted_with_a_birth_and_a_value():
    fleet = a_fleet()
    greeting = list(fleet.greet(NOON_MS))
    births = [m for m in greeting if m.topic.endswith("/birth")]
    assert len(births) == sum(
        1
        for kind in fleet.world.groups
        for d in fleet.world.groups[kind].devices
        if d.addresses[0].startswith("native")
    )
    assert all(m.retain and m.qos == 1 for m in births)
    listed = of(greeting, "zigbee2mqtt/bridge/devices")[0]
    names = {entry["friendly_name"] for entry in listed}
    for name in names:
        assert of(greeting, f"zigbee2mqtt/{name}")
    assert len(fleet) == len(births) + len(names)


def test_states_are_retained_and_measurements_and_events_are_not():
    said = run(a_fleet(device="smoke-alarm-1", at_s=3.0), 120)
    retained = {m.topic.rsplit("/", 1)[1] for m in said if m.retain}
    fleeting = {m.topic.rsplit("/", 1)[1] for m in said if not m.retain and m.topic.startswith("sc/")}
    assert {"state", "online"} <= retained
    assert fleeting == {"tele", "event"}


def test_each_device_reports_at_its_own_heartbeat():
    world = World(
        [
            a_device("quick", "meter", "native-v1:d/g/quick", interval_s=10),
            a_device("slow", "meter", "native-v1:d/g/slow", interval_s=60),
        ]
    )
    said = run(a_fleet(world), 600)
    count = Counter(m.topic for m in said)
    assert count["sc/v1/d/g/quick/tele"] == pytest.approx(60, abs=1)
    assert count["sc/v1/d/g/slow/tele"] == pytest.approx(10, abs=1)


def test_a_rate_scales_all_heartbeats():
    fleet = a_fleet(rate=200.0)
    said = run(fleet, 30, step_s=0.05)
    assert len(said) / 30 == pytest.approx(200, rel=0.1)
    assert fleet.skipped == 0


def test_a_fleet_that_is_called_too_seldom_says_what_it_skipped():
    fleet = a_fleet(rate=1_000.0)
    run(fleet, 60, step_s=10.0)
    assert fleet.skipped > 0


def test_sequence_numbers_of_a_node_have_no_hole():
    said = run(a_fleet(device="smoke-alarm-1", at_s=3.0), 200)
    seqs = [body["seq"] for body in of(said, "sc/v1/demo/gw-1/") if "seq" in body]
    assert seqs == list(range(1, len(seqs) + 1))


def test_event_ids_are_unique_over_restarts():
    def ids(start_ms: int) -> set[str]:
        world = a_world()
        fire = BEHAVIOURS["kitchen_fire"].make(world, start_ms, Cue())
        fleet = Fleet(world, [fire], start_ms=start_ms)
        said = [m for s in range(120) for m in fleet.advance(start_ms + s * 1_000)]
        found = [body["id"] for body in of(said, "/event")]
        assert len(set(found)) == len(found)
        return set(found)

    assert ids(NOON_MS).isdisjoint(ids(NOON_MS + 60_000))


def test_messages_carry_the_stamp_and_not_the_time_of_the_world():
    fleet = a_fleet()
    said = list(fleet.advance(NOON_MS + 600_000, NOON_MS + 5))
    stamps = {body["ts"] for body in of(said, "sc/v1/") if "ts" in body} | {
        body["last_seen"] for body in of(said, "zigbee2mqtt/") if "last_seen" in body
    }
    assert stamps == {NOON_MS + 5}


def test_a_device_in_no_dialect_of_ours_is_named_and_stays_silent():
    world = World(
        [a_device("odd", "meter", "generic-json:sensors/odd"), a_device("ours", "meter", "native-v1:d/g/ours")]
    )
    fleet = a_fleet(world)
    assert fleet.unspoken == ["odd"]
    assert all("odd" not in m.topic for m in [*fleet.greet(NOON_MS), *run(fleet, 120)])


def test_a_will_says_offline_without_a_time():
    fleet = a_fleet()
    native, bridge = fleet.will("demo/gw-0"), fleet.will("zigbee2mqtt")
    assert native == Message("sc/v1/demo/gw-0/-/online", b'{"online":false,"reason":"lwt"}', 1, True, "demo/gw-0")
    assert (bridge.topic, json.loads(bridge.payload), bridge.retain) == (
        "zigbee2mqtt/bridge/state",
        {"state": "offline"},
        True,
    )
    assert {m.topic for m in fleet.leave(NOON_MS)} == {
        "sc/v1/demo/gw-0/-/online",
        "sc/v1/demo/gw-1/-/online",
        "sc/v1/demo/gw-2/-/online",
        "zigbee2mqtt/bridge/state",
    }


class TestAKitchenFire:
    def said(self, seconds: float, **cue) -> list[Message]:
        return run(a_fleet(device=cue.pop("device", "smoke-alarm-1"), at_s=10.0, **cue), seconds)

    def test_sounds_the_alarm_within_six_seconds_of_ignition(self):
        events = of(self.said(16), "/smoke-alarm-1/event")
        assert [(e["alarm"], e["active"]) for e in events] == [("smoke", True)]
        assert NOON_MS + 10_000 < events[0]["ts"] <= NOON_MS + 16_000

    def test_repeats_the_state_every_few_seconds_while_it_burns(self):
        states = of(self.said(40), "/smoke-alarm-1/state")
        alarmed = [s for s in states if s["m"]["smoke"]]
        assert len(alarmed) >= 5

    def test_reaches_the_neighbours_of_the_house_later_and_no_other_house(self):
        fleet = a_fleet(device="smoke-alarm-1", at_s=10.0)
        run(fleet, 50)
        smoke = {d.id: fleet.world.get(d.id, "smoke") for d in fleet.world.groups["smoke_alarm"].devices}
        assert sum(smoke.values()) == 1
        run(fleet, 200, from_s=51)
        smoke = {d.id: fleet.world.get(d.id, "smoke") for d in fleet.world.groups["smoke_alarm"].devices}
        assert sum(smoke.values()) == 4
        assert smoke["smoke-elsewhere"] == 0

    def test_clears_with_an_explicit_end(self):
        events = of(self.said(800), "/smoke-alarm-1/event")
        assert [e["active"] for e in events] == [True, False]

    def test_of_a_zigbee_alarm_shows_in_its_state(self):
        states = of(self.said(20, device="z-smoke-alarm-0"), "zigbee2mqtt/smoke_alarm 0")
        assert any(s["smoke"] for s in states)

    def test_at_a_device_that_is_no_smoke_alarm_is_refused(self):
        with pytest.raises(Exception, match="meter-1' is a meter"):
            a_fleet(device="meter-1")

    def test_is_told_to_the_one_who_watches(self):
        fleet = a_fleet(device="smoke-alarm-1", at_s=1.0)
        run(fleet, 400)
        told = fleet.world.said()
        assert len(told) == 2
        assert "smoke-alarm-1" in told[0]
        assert fleet.world.said() == []
