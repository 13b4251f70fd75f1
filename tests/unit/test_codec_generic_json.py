from __future__ import annotations

import json
from typing import Any

import pytest

from hub.ingest.codecs.generic_json import GenericJsonCodec
from hub.model.readings import Decoded, Quality, Reject

NOW_MS = 1_795_000_000_000


def answer(body: Any, topic: str = "sensors/dev1/data") -> Decoded | Reject:
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    found = GenericJsonCodec("sensors").decode(topic, payload, received_at_ms=NOW_MS, retained=False)
    return found if isinstance(found, Reject) else found[0]


def said(body: Any, topic: str = "sensors/dev1/data") -> Decoded:
    found = answer(body, topic)
    assert isinstance(found, Decoded), found
    return found


@pytest.mark.parametrize(
    ("topic", "device"),
    [("sensors/dev1/data", "dev1"), ("sensors/dev1", "dev1"), ("sensors/house/floor/dev1/state", "dev1"), ("sensors/dev 1/data", "dev 1"),
     ("sensors/50%/data", "50%"), ("sensors/烟感/data", "烟感")],
)  # fmt: skip
def test_the_device_is_the_last_level_but_one(topic: str, device: str) -> None:
    assert said({"temperature": 20}, topic).address == f"generic-json:sensors/{device}"


@pytest.mark.parametrize("body", [{}, [], [1, 2], 21.5, "text", {"name": "x"}, b"21.5,41", b"<html>", b"a=1"])
def test_what_has_no_schema_is_rejected(body: Any) -> None:
    assert isinstance(answer(body), Reject)


def test_units_beside_and_inside_values_are_converted() -> None:
    assert said({"temperature": 70.7, "unit": "F"}).readings[0].value == pytest.approx(21.5)
    assert said({"power": "1.2 kW"}).readings[0].value == 1200
    assert said({"current_ma": 1500}).readings[0][:2] == ("current_a", 1.5)
    # a unit that belongs to another value of the message changes nothing
    assert {r.quantity: r.value for r in said({"temperature": 20, "humidity": 40, "unit": "%"}).readings} == {
        "temperature_c": 20,
        "humidity_pct": 40,
    }


@pytest.mark.parametrize("value", [True, 1, "1", "ON", "alarm", "true", "报警"])
def test_smoke_said_in_any_clear_way_is_smoke(value: object) -> None:
    found = said({"smoke": value})
    assert found.readings[0][:2] == ("smoke", True)
    assert found.events[0][:3] == ("alarm", "smoke", True)


@pytest.mark.parametrize("value", [2, -1, "maybe", 0.5])
def test_smoke_said_unclearly_is_shown_and_unknown(value: object) -> None:
    found = said({"smoke": value})
    assert found.readings == ()
    assert found.unknown == ("smoke",)
    assert found.events[0][:2] == ("alarm_unclear", "smoke")
    assert found.warnings


def test_texts_for_no_value_make_unknown() -> None:
    for text in ("unavailable", "n/a", "", None, "null", "nan"):
        assert said({"temperature": text, "humidity": 40}).unknown == ("temperature_c",)
    for text in (b"unavailable", b"null", b"unknown", b"nan"):
        assert said(text).unknown == ("*",)


def test_a_list_of_records_keeps_each_time() -> None:
    found = said([{"ts": 1_704_067_200, "temperature": 20}, {"ts": 1_704_067_260, "temperature": 21}])
    assert [(r.value, r.observed_at_ms) for r in found.readings] == [(20, 1_704_067_200_000), (21, 1_704_067_260_000)]
    assert found.observed_at_ms == 1_704_067_260_000


def test_an_unknown_name_keeps_its_value_and_a_text_is_no_reading() -> None:
    found = said({"temperature": 20, "noise": 40, "label": "kitchen"})
    assert {r.quantity: r.value for r in found.readings} == {"temperature_c": 20, "noise": 40}


def test_gas_and_contact_are_not_guessed() -> None:
    assert said({"gas": True}).readings[0].quantity == "gas_alarm"
    assert said({"gas": 5, "unit": "%LEL"}).readings[0].quantity == "gas_lel_pct"
    assert said({"gas": 5, "unit": "m3"}).readings[0].quantity == "gas_m3"
    for body in ({"gas": 5}, {"contact": True}):
        found = said(body)
        assert found.readings[0].quantity in ("gas", "contact")
        assert found.warnings


def test_another_name_in_the_payload_is_noted_and_the_topic_counts() -> None:
    found = said({"device_id": "dev2", "temperature": 20})
    assert found.device == "dev1"
    assert "dev2" in found.warnings[0]


def test_history_is_not_live() -> None:
    found = said({"hist": True, "ts": 1_704_067_200, "smoke": True})
    assert (found.readings, found.events) == ((), ())
    assert found.history[0][:2] == ("smoke", True)


def test_the_state_of_the_connection_is_availability() -> None:
    assert said(b"offline", "sensors/dev1/status").availability is False
    assert said({"status": "online", "temperature": 20}).availability is True


def test_a_test_marks_the_alarm() -> None:
    found = said({"smoke": True, "test": True})
    assert next(r for r in found.readings if r.quantity == "smoke").quality & Quality.TEST
