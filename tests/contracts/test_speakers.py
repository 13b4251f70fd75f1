"""Promises that every row of SPEAKERS keeps: the hub's own codec understands all that a simulated device says."""

from __future__ import annotations

import pytest

from devices.simulators.behaviours import BEHAVIOURS, Cue
from devices.simulators.families import FAMILIES
from devices.simulators.fleet import Fleet
from devices.simulators.publisher import Message
from devices.simulators.speakers import DEFAULT_ROOTS, SPEAKERS, speakers
from devices.simulators.world import World
from hub.ingest.codecs import CODECS, CodecContext
from hub.model.quantities import QUANTITIES
from hub.model.readings import Decoded
from tests.support.simulated import NOON_MS, ZIGBEE_KINDS, a_device

every = pytest.mark.parametrize("codec", sorted(SPEAKERS))

ADDRESSES = {"native-v1": "native-v1:demo/gw-1/{}", "zigbee2mqtt": "zigbee2mqtt:zigbee2mqtt/{}"}
SAID_BY = {"native-v1": frozenset(FAMILIES), "zigbee2mqtt": frozenset(ZIGBEE_KINDS)}


def a_fleet(codec: str, kind: str, *happening: str, name: str = "one") -> Fleet:
    world = World([a_device("one", kind, ADDRESSES[codec].format(name))])
    behaviours = [BEHAVIOURS[b].make(world, NOON_MS, Cue(at_s=5.0)) for b in happening]
    return Fleet(world, behaviours, start_ms=NOON_MS)


def decoded(codec: str, message: Message, at_ms: int = NOON_MS) -> Decoded:
    root = DEFAULT_ROOTS[codec][0]
    made = CODECS[codec].make(root, CodecContext(zone="Asia/Shanghai", known=lambda address: True))
    found = made.decode(message.topic, message.payload, received_at_ms=at_ms + 50, retained=False)
    assert isinstance(found, tuple), (message, found)
    assert len(found) == 1, (message, found)
    assert not found[0].warnings, (message, found)
    return found[0]


def test_there_is_an_address_form_for_every_row():
    assert set(SPEAKERS) == set(ADDRESSES) == set(SAID_BY) == set(DEFAULT_ROOTS)
    assert set(SPEAKERS) <= set(CODECS)


@every
def test_what_is_said_is_what_the_hub_reads(codec):
    for kind in sorted(SAID_BY[codec]):
        fleet = a_fleet(codec, kind, "calm_day")
        list(fleet.advance(NOON_MS + 1_000))
        said = [decoded(codec, m) for m in fleet.greet(NOON_MS + 1_000)]
        heard = {r.quantity: r for d in said for r in d.readings if d.address == ADDRESSES[codec].format("one")}
        group = fleet.world.groups[kind]
        for signal in group.family.signals:
            if codec == "zigbee2mqtt" and signal.quantity not in heard:
                continue  # a property that Zigbee2MQTT has no name for; the next test says which must be there
            truth = float(group.columns[signal.quantity][0])
            reading = heard[signal.quantity]
            quantity = QUANTITIES[signal.quantity]
            if quantity.kind == "state":
                assert reading.value == quantity.states[int(truth)], signal
            else:
                assert float(reading.value) == pytest.approx(truth, abs=0.51 * 10**-signal.decimals), signal
            assert reading.observed_at_ms in (None, NOON_MS + 1_000)


def test_zigbee_says_what_matters_of_each_family():
    matters = {
        "smoke_alarm": {"smoke", "smoke_density_db_m", "battery_pct", "tamper"},
        "co_alarm": {"co_alarm", "co_ppm"},
        "gas_detector": {"gas_alarm"},
        "door": {"door_open"},
        "lock": {"lock_state"},
        "water_leak": {"water_leak"},
        "env": {"temperature_c", "humidity_pct"},
        "meter": {"power_w", "voltage_v", "current_a", "energy_import_kwh"},
    }
    assert set(matters) == set(ZIGBEE_KINDS)
    for kind, wanted in matters.items():
        said = [decoded("zigbee2mqtt", m) for m in a_fleet("zigbee2mqtt", kind, "calm_day").greet(NOON_MS)]
        assert wanted <= {r.quantity for d in said for r in d.readings}, kind


@every
def test_every_message_of_a_fire_is_understood_and_the_alarm_begins_and_ends(codec):
    fleet = a_fleet(codec, "smoke_alarm", "calm_day", "kitchen_fire")
    smoke: list[bool] = []
    for second in range(800):
        at_ms = NOON_MS + second * 1_000
        for message in fleet.advance(at_ms):
            smoke += [r.value for r in decoded(codec, message, at_ms).readings if r.quantity == "smoke"]
    changes = [now for before, now in zip([False, *smoke], smoke, strict=False) if now != before]
    assert changes == [True, False]


@every
def test_a_node_that_dies_or_leaves_takes_its_devices_along(codec):
    fleet = a_fleet(codec, "smoke_alarm", "calm_day")
    up = [d for d in (decoded(codec, m) for m in fleet.greet(NOON_MS)) if d.availability is not None]
    assert up
    assert all(d.availability for d in up)
    for goodbye in (fleet.will(fleet.nodes[0]), *fleet.leave(NOON_MS)):
        assert goodbye.retain
        said = decoded(codec, goodbye)
        assert (said.availability, said.cascade) == (False, True)


@every
def test_locating_refuses_an_address_that_is_not_its_own(codec):
    with pytest.raises(ValueError, match="address"):
        speakers()[codec].locate("nonsense")


def test_zigbee_names_may_hold_slashes_and_spaces_and_bases_too():
    speaker = speakers([("zigbee2mqtt", "zigbee2mqtt"), ("zigbee2mqtt", "zigbee2mqtt/east")])["zigbee2mqtt"]
    assert speaker.locate("zigbee2mqtt/east/幸福里 1/客厅") == ("zigbee2mqtt/east", "幸福里 1/客厅")
    assert speaker.locate("zigbee2mqtt/客厅/烟感") == ("zigbee2mqtt", "客厅/烟感")
