from __future__ import annotations

import json
from typing import Any

import pytest

from hub.ingest.codecs.senml import SenmlCodec, resolve
from hub.model.readings import Decoded, Reject

NOW_MS = 1_795_000_000_000


def said(pack: Any, topic: str = "senml/a") -> tuple[Decoded, ...]:
    found = SenmlCodec("senml").decode(topic, json.dumps(pack).encode(), received_at_ms=NOW_MS, retained=False)
    assert not isinstance(found, Reject), found
    return found


def values(pack: Any) -> dict[str, Any]:
    return {r.quantity: r.value for d in said(pack) for r in d.readings}


def test_base_fields_hold_until_they_change() -> None:
    pack = [
        {"bn": "a:", "bu": "Cel", "bt": 1_704_067_200, "n": "temp", "v": 1},
        {"n": "temp", "t": 5, "v": 2},
        {"bn": "b:", "bt": 1_704_067_300, "n": "temp", "v": 3},
    ]
    found = {d.address: [(r.value, r.observed_at_ms) for r in d.readings] for d in said(pack)}
    assert found == {
        "senml:a": [(1, 1_704_067_200_000), (2, 1_704_067_205_000)],
        "senml:b": [(3, 1_704_067_300_000)],
    }


def test_records_come_in_order_of_time() -> None:
    pack = [{"bn": "a:", "bt": 1_704_067_200, "n": "power", "u": "W", "t": -t, "v": t} for t in (0, 2, 1)]
    assert [r.value for r in said(pack)[0].readings] == [2, 1, 0]


def test_times_below_two_to_the_28_are_relative_to_now() -> None:
    past = said([{"bn": "a:", "n": "power", "u": "W", "v": 1, "t": -60}])[0]
    assert past.readings[0].observed_at_ms == NOW_MS - 60_000
    ahead = said([{"bn": "a:", "n": "power", "u": "W", "v": 1, "t": 400}])[0]
    assert ahead.readings[0].observed_at_ms is None
    assert "future" in ahead.warnings[0]


def test_base_value_and_base_sum_are_added() -> None:
    records = resolve([{"bn": "a", "bv": 10, "bs": 100, "v": 1, "s": 5}, {"v": 2}, {"s": 1}], NOW_MS, [])
    assert not isinstance(records, str)
    assert [(r.value, r.sum) for r in records] == [(11, 105), (12, 100), (10, 101)]


@pytest.mark.parametrize(
    ("unit", "name", "value", "quantity", "canonical"),
    [
        ("Cel", "x", 20, "temperature_c", 20),
        ("Cel", "cable", 20, "cable_temperature_c", 20),
        ("K", "x", 300, "temperature_c", 26.85),
        ("%RH", "x", 40, "humidity_pct", 40),
        ("%EL", "x", 80, "battery_pct", 80),
        ("W", "x", 5, "power_w", 5),
        ("kW", "x", 5, "power_w", 5_000),
        ("MW", "x", 5, "power_w", 5e6),
        ("kWh", "x", 5, "energy_import_kwh", 5),
        ("Wh", "export", 5_000, "energy_export_kwh", 5),
        ("V", "x", 230, "voltage_v", 230),
        ("V", "battery", 3, "battery_v", 3),
        ("mV", "battery", 3_000, "battery_v", 3),
        ("A", "current_l2", 2, "current_a_l2", 2),
        ("mA", "residual", 12, "residual_current_ma", 12),
        ("mA", "x", 1_200, "current_a", 1.2),
        ("m3", "x", 7, "water_m3", 7),
        ("l", "gas", 7_000, "gas_m3", 7),
        ("ppm", "co", 7, "co_ppm", 7),
        ("ppm", "co2", 700, "co2_ppm", 700),
        ("lx", "x", 5, "illuminance_lx", 5),
        ("dBm", "x", -70, "rssi_dbm", -70),
        ("kPa", "water", 300, "water_pressure_kpa", 300),
        ("hPa", "x", 1_013, "pressure_hpa", 1_013),
        ("Hz", "x", 50, "frequency_hz", 50),
    ],
)
def test_units_lead_to_quantities(unit: str, name: str, value: float, quantity: str, canonical: float) -> None:
    found = values([{"bn": "d:", "n": name, "u": unit, "v": value}])
    assert found == {quantity: pytest.approx(canonical)}


def test_a_number_without_unit_keeps_its_own_name() -> None:
    assert values([{"bn": "d:", "n": "temp", "v": 21}]) == {"temp": 21}


def test_booleans_and_words_are_known_by_name() -> None:
    pack = [{"bn": "d:", "n": "smoke", "vb": True}, {"n": "lock_state", "vs": "locked"}, {"n": "door", "vb": False}]
    assert values(pack) == {"smoke": True, "lock_state": "locked", "door_open": False}
    assert said(pack)[0].events[0][:3] == ("alarm", "smoke", True)


@pytest.mark.parametrize(
    ("pack", "address"),
    [
        ([{"bn": "dev:", "n": "temp", "u": "Cel", "v": 1}], "dev"),
        ([{"bn": "dev-1", "n": "temp", "u": "Cel", "v": 1}], "dev-1"),
        ([{"bn": "urn:dev:ow:10e2073a0108006;", "n": "temp", "u": "Cel", "v": 1}], "urn:dev:ow:10e2073a0108006"),
        ([{"n": "urn:dev:ow:1/temp", "u": "Cel", "v": 1}], "urn:dev:ow:1"),
        ([{"n": "urn:dev:ow:10e2073a01080063", "u": "Cel", "v": 1}], "urn:dev:ow:10e2073a01080063"),
        ([{"bn": "urn:dev:ow:1", "u": "Cel", "v": 1}], "urn:dev:ow:1"),
        ([{"bn": "dev:te", "n": "mperature", "u": "Cel", "v": 1}], "dev"),
    ],
)
def test_the_device_is_in_the_name(pack: Any, address: str) -> None:
    found = said(pack)[0]
    assert found.address == f"senml:{address}"
    assert found.readings[0].quantity == "temperature_c"


def test_a_bare_metric_belongs_to_the_device_of_the_topic() -> None:
    pack = [{"n": "temperature", "u": "Cel", "v": 1}]
    assert said(pack, "senml/dev7/up")[0].address == "senml:dev7"
    assert said(pack, "senml/dev7")[0].address == "senml:dev7"


def test_an_update_time_is_the_expected_interval() -> None:
    assert said([{"bn": "d:", "n": "t", "u": "Cel", "v": 1, "ut": 150}])[0].expected_interval_s == 150


@pytest.mark.parametrize(
    "pack",
    [[], {}, 5, [5], [{"v": 1}], [{"n": "a"}], [{"n": "a", "v": 1, "vb": True}], [{"n": "a", "v": "1"}], [{"n": "a", "vb": 1}],
     [{"n": "a", "vs": 1}], [{"n": 5, "v": 1}], [{"bn": 5, "n": "a", "v": 1}], [{"bt": "x", "n": "a", "v": 1}],
     [{"n": "a", "t": "x", "v": 1}], [{"bver": 11, "n": "a", "v": 1}], [{"bver": "5", "n": "a", "v": 1}], [{"n": "a", "v": 1, "zz_": 0}]],
)  # fmt: skip
def test_what_is_no_senml_is_rejected_with_the_record(pack: Any) -> None:
    found = SenmlCodec("senml").decode("senml/a", json.dumps(pack).encode(), received_at_ms=NOW_MS, retained=False)
    assert isinstance(found, Reject)
    assert found.reason == "bad SenML"
    assert found.detail


def test_a_number_too_large_to_add_to_costs_its_own_record_only() -> None:
    from hub.ingest.codecs import CODECS, CodecContext

    pack = (
        '[{"bn":"d:","bv":0.5,"n":"temperature_c","u":"Cel","v":'
        + "9" * 400
        + '},{"n":"humidity_pct","u":"%RH","v":40}]'
    )
    said = (
        CODECS["senml"].make("senml", CodecContext()).decode("senml/x", pack.encode(), received_at_ms=1, retained=False)
    )
    assert isinstance(said, tuple) or "too large" in said.detail
