from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.ingest.codecs.context import CodecContext
from hub.ingest.codecs.zigbee2mqtt import Zigbee2MqttCodec
from hub.ingest.codecs.zigbee2mqtt_properties import PLAIN, SPECIAL, Kind
from hub.model.quantities import QUANTITIES
from hub.model.readings import Decoded, Quality, Reject

NOW_MS = 1_795_000_000_000


def said(
    body: Any, topic: str = "z/dev", *, known: tuple[str, ...] = (), codec: Zigbee2MqttCodec | None = None
) -> Decoded:
    codec = codec or Zigbee2MqttCodec("z", CodecContext(known=lambda address: address in known))
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    found = codec.decode(topic, payload, received_at_ms=NOW_MS, retained=False)
    assert not isinstance(found, Reject), found
    return found[0]


def values(body: Any, topic: str = "z/dev") -> dict[str, Any]:
    return {r.quantity: r.value for r in said(body, topic).readings}


def test_every_plain_property_leads_to_a_quantity_or_says_that_it_does_not() -> None:
    for name, (quantity, kind) in PLAIN.items():
        raw = kind in (Kind.RAW_NUMBER, Kind.RAW_SWITCH)
        assert (quantity in QUANTITIES) != raw, name
        if kind in (Kind.SWITCH, Kind.INVERTED):
            assert QUANTITIES[quantity].kind == "switch"
    assert not PLAIN.keys() & SPECIAL.keys()
    assert "alarm" not in PLAIN.keys() | SPECIAL.keys()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"battery": 100, "voltage": 3055}, {"battery_pct": 100, "battery_v": 3.055}),
        ({"battery": 100, "voltage": 3.0}, {"battery_pct": 100, "battery_v": 3.0}),
        ({"voltage": 2900, "contact": True}, {"battery_v": 2.9, "door_open": False}),
        ({"voltage": 230, "power": 5}, {"voltage_v": 230, "power_w": 5}),
        ({"voltage": 230}, {"voltage_v": 230}),
        ({"battery": "100.00", "voltage": "3055"}, {"battery_pct": 100.0, "battery_v": 3.055}),
        ({"voltage": 230_000, "power": 5}, {"voltage_v": 230.0, "power_w": 5}),
    ],
)
def test_voltage_is_of_the_cell_or_of_the_line(body: dict[str, Any], expected: dict[str, Any]) -> None:
    assert values(body) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"contact": True}, {"door_open": False}),
        ({"contact": False}, {"door_open": True}),
        ({"contact": "ON"}, {"door_open": False}),
        ({"state": "ON"}, {"relay_on": True}),
        ({"state": "UNLOCK"}, {"lock_state": "unlocked"}),
        ({"state": "LOCK", "lock_state": "unlocked"}, {"lock_state": "unlocked"}),
        ({"state": "LOCK", "lock_state": None}, {"lock_state": "locked"}),
        ({"gas": True}, {"gas_alarm": True}),
        ({"gas": 3.5}, {"gas_m3": 3.5}),
        ({"gas": 3.5, "silence": False}, {"gas_lel_pct": 3.5, "mute": False}),
        ({"gas_value": 12, "gas": False}, {"gas_lel_pct": 12, "gas_alarm": False}),
        ({"power_factor": 98}, {"power_factor": 0.98}),
        ({"power_factor": -0.5}, {"power_factor": -0.5}),
        ({"smoke_state": "alarm"}, {"smoke": True}),
        ({"smoke_state": "alarm", "smoke": False}, {"smoke": False}),
        ({"smoke_state": "normal"}, {"smoke": False}),
        ({"water_warning": "alarm"}, {"water_leak": True}),
        ({"pressure": 1013.2}, {"pressure_hpa": 1013.2}),
        ({"pressure": 101.3}, {"pressure_hpa": 1013.0}),
        ({"eco2": 600}, {"co2_ppm": 600}),
        ({"eco2": 600, "co2": 500}, {"co2_ppm": 500}),
        ({"current_a": 2, "current": 9}, {"current_a_l1": 2, "current_a": 9}),
        ({"alarm": True}, {}),
        ({"alarm": "fire"}, {}),
        ({"temperature_calibration": 1.5, "update": {"state": "idle"}, "color": {"x": 1}}, {}),
        ({"self_test": "checking"}, {"test": True}),
        ({"self_test": "check_success"}, {}),
        ({"fault": "none"}, {"fault": False}),
        ({"fault": "short_circuit_alarm"}, {"fault": True}),
        ({"linkquality": 0}, {"linkquality": 0}),
    ],
)  # fmt: skip
def test_properties_mean_what_the_definitions_say(body: dict[str, Any], expected: dict[str, Any]) -> None:
    assert values(body) == expected


@given(
    st.permutations(["smoke", "battery", "voltage", "linkquality", "temperature", "state", "contact", "tamper"]),
    st.data(),
)
def test_the_remembered_shape_of_a_message_does_not_carry_values_over(names: list[str], data: st.DataObject) -> None:
    """A codec that has seen messages of this shape says the same as a new one."""
    some = st.one_of(
        st.booleans(), st.none(), st.integers(-5, 5_000), st.sampled_from(["ON", "OFF", "LOCK", "12", "x"])
    )
    used = Zigbee2MqttCodec("z")
    for _ in range(3):
        body = {name: data.draw(some) for name in names}
        assert said(body, codec=used) == said(body)


def test_null_is_unknown_and_clears_nothing() -> None:
    found = said({"smoke": None, "battery": None, "contact": None, "voltage": None, "linkquality": 48})
    assert set(found.unknown) == {"smoke", "battery_pct", "door_open", "battery_v"}
    assert [r.quantity for r in found.readings] == ["linkquality"]


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e999"])
def test_what_is_no_number_is_unknown(number: bytes) -> None:
    found = said(b'{"temperature":' + number + b',"humidity":40}')
    assert found.unknown == ("temperature_c",)
    assert [r.quantity for r in found.readings] == ["humidity_pct"]


def test_a_test_button_does_not_page() -> None:
    found = said({"smoke": True, "test": True})
    assert [r.quality & Quality.TEST for r in found.readings if r.quantity == "smoke"] == [Quality.TEST]
    assert found.events[0][:4] == ("alarm", "smoke", True, True)


def test_names_with_slashes_are_found_by_the_registry_first() -> None:
    assert said({"smoke": True}, "z/floor 1/smoke").device == "floor 1/smoke"
    assert said({"smoke": True}, "z/floor 1/smoke", known=("zigbee2mqtt:z/floor 1/smoke",)).device == "floor 1/smoke"
    # an attribute topic of a device that is known, or whose payload is a bare value
    assert said(b"true", "z/floor 1/smoke", known=("zigbee2mqtt:z/floor 1",)).device == "floor 1"
    assert said(b"true", "z/floor 1/smoke").device == "floor 1"
    # a device that is called like a sub-topic
    assert (
        said({"smoke": True}, "z/hall/availability", known=("zigbee2mqtt:z/hall/availability",)).device
        == "hall/availability"
    )


def test_an_empty_payload_says_that_the_device_was_renamed_or_removed() -> None:
    assert said(b"", "z/dev").events[0].type == "device_renamed_or_removed"
    assert said(b"", "z/dev/availability").ignored


@pytest.mark.parametrize("payload", [b'{"state":"offline"}', b"offline", b'"offline"'])
def test_the_bridge_takes_its_devices_along(payload: bytes) -> None:
    found = said(payload, "z/bridge/state")
    assert (found.address, found.availability, found.cascade) == ("zigbee2mqtt:z/bridge", False, True)
    assert said(payload, "z/dev/availability").cascade is False


def test_what_the_bridge_tells_is_no_reading() -> None:
    for part in ("info", "devices", "groups", "logging", "health", "response/device/rename", "request/permit_join"):
        assert said(b'{"smoke":true}', f"z/bridge/{part}").ignored
    event = said({"type": "device_leave", "data": {"friendly_name": "x"}}, "z/bridge/event")
    assert event.ignored
    assert event.events[0].type == "device_leave"
    assert event.readings == ()


@pytest.mark.parametrize(
    "seen", [1_735_821_119_250, "2025-01-02T12:31:59.250Z", "2025-01-02T14:31:59.250+02:00", "1735821119250"]
)
def test_last_seen_is_the_time_of_the_message_in_all_its_forms(seen: object) -> None:
    assert said({"last_seen": seen, "smoke": False}).observed_at_ms == 1_735_821_119_250
    assert said(str(seen).encode(), "z/dev/last_seen").observed_at_ms == 1_735_821_119_250


def test_the_device_block_gives_the_identity_and_no_readings() -> None:
    found = said({"smoke": False, "device": {"ieeeAddr": "0x1", "modelId": "lumi", "temperature": 99}})
    assert found.device_uid == "0x1"
    assert found.info == {"model": "lumi"}
    assert [r.quantity for r in found.readings] == ["smoke"]


def test_eighty_five_degrees_is_kept_and_flagged() -> None:
    found = said({"temperature": 85})
    assert found.readings[0].value == 85
    assert found.readings[0].quality & Quality.SUSPECT
    assert said({"temperature": -127}).unknown == ("temperature_c",)


@pytest.mark.parametrize("value", [2, "perhaps", -1, 0.5])
def test_smoke_that_is_neither_is_shown_and_never_silence(value: object) -> None:
    found = said({"smoke": value})
    assert found.unknown == ("smoke",)
    assert found.events[0][:2] == ("alarm_unclear", "smoke")
    assert found.warnings
