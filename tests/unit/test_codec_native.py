from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.ingest.codecs.native import NativeCodec
from hub.ingest.topics import NativeTopic, parse_native
from hub.model.quantities import BY_CODE, QUANTITIES
from hub.model.readings import Decoded, Event, Quality, Reading, Reject

NOW_MS = 1_795_000_000_000
THEN_MS = NOW_MS - 5_000


def said(channel: str, body: Any, device: str = "smoke-1") -> Decoded:
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    found = NativeCodec("sc/v1").decode(
        f"sc/v1/s1/gw-1/{device}/{channel}", payload, received_at_ms=NOW_MS, retained=False
    )
    assert not isinstance(found, Reject), found
    assert len(found) == 1
    return found[0]


def rejected(channel: str, body: Any) -> Reject:
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    found = NativeCodec("sc/v1").decode(f"sc/v1/s1/gw-1/d-1/{channel}", payload, received_at_ms=NOW_MS, retained=False)
    assert isinstance(found, Reject), found
    return found


PLAIN_VALUES = st.dictionaries(
    st.sampled_from([q.name for q in BY_CODE]),
    st.booleans() | st.floats(allow_nan=False, allow_infinity=False, width=32) | st.integers(-10, 300)
    | st.sampled_from(["locked", "open", "charging", "granted", "nonsense"]) | st.none(),
    max_size=6,
)  # fmt: skip


@given(
    PLAIN_VALUES,
    st.none() | st.just(THEN_MS) | st.integers(0, 2 * NOW_MS),
    st.none() | st.integers(0, 99),
    st.sampled_from(["tele", "state"]),
)
def test_the_quick_path_says_what_the_careful_path_says(
    values: dict[str, Any], ts: int | None, seq: int | None, channel: str
) -> None:
    body = {"v": 1, "seq": seq, "ts": ts, "m": values}
    quick = said(channel, body)
    careful = said(channel, json.dumps(body).encode() + b" " * 5_000)  # too long for the quick path
    # Doubtful values carry warnings on the careful path only; what is said is the same.
    assert quick.unknown == careful.unknown
    assert [r[:3] for r in quick.readings] == [r[:3] for r in careful.readings]
    assert (quick.observed_at_ms, quick.seq, quick.address) == (careful.observed_at_ms, careful.seq, careful.address)
    assert quick.retained_state == careful.retained_state == (channel == "state")


@given(PLAIN_VALUES, st.none() | st.just(THEN_MS) | st.integers(0, 2 * NOW_MS), st.none() | st.integers(0, 99))
def test_a_message_that_is_plain_at_a_glance_says_what_it_says_in_full(
    values: dict[str, Any], ts: int | None, seq: int | None
) -> None:
    codec, topic = NativeCodec("sc/v1"), "sc/v1/s1/gw-1/env-1/tele"
    payload = json.dumps({"v": 1, "seq": seq, "ts": ts, "m": values}).encode()
    decoded = codec.decode(topic, payload, received_at_ms=NOW_MS, retained=False)
    assert not isinstance(decoded, Reject)
    for measured in (b'{"m":{"power_w":1}}', payload):  # the second look comes when the device is known for plain ones
        codec.decode(topic, measured, received_at_ms=NOW_MS, retained=False)
    glance = codec.plain(topic, payload, NOW_MS)
    if glance is not None:
        address, observed, at_seq, codes, numbers = glance
        (one,) = decoded
        quality = 0 if observed is not None else Quality.CLOCK
        names = [BY_CODE[code].name for code in np.frombuffer(codes, np.int16)]
        assert (address, observed, at_seq) == (one.address, one.observed_at_ms, one.seq)
        assert tuple(Reading(n, v, observed, quality) for n, v in zip(names, numbers, strict=True)) == one.readings
        assert (one.unknown, one.events, one.history, one.warnings) == ((), (), (), ())
    everyday = bool(values) and ts in (None, THEN_MS) and all(_is_measured(n, v) for n, v in values.items())
    assert not everyday or glance is not None


def _is_measured(name: str, value: object) -> bool:
    return (
        QUANTITIES[name].kind in ("gauge", "counter") and isinstance(value, int | float) and not isinstance(value, bool)
    )


def test_only_telemetry_of_a_device_that_was_heard_before_is_plain_at_a_glance() -> None:
    codec, plain = NativeCodec("sc/v1"), b'{"m":{"power_w":1}}'
    assert codec.plain("sc/v1/s1/gw-1/abc/tele", plain, NOW_MS) is None
    codec.decode("sc/v1/s1/gw-1/abc/tele", plain, received_at_ms=NOW_MS, retained=False)
    assert codec.plain("sc/v1/s1/gw-1/abc/tele", plain, NOW_MS) is not None
    for channel in ("state", "event", "cmd", "tele/x", "what"):
        assert codec.plain(f"sc/v1/s1/gw-1/abc/{channel}", plain, NOW_MS) is None
    assert codec.plain("sc/v1/s1/gw-1/abcd/cmd", plain, NOW_MS) is None
    assert codec.plain("sc/v1/s1/gw-1/abc/tele", b'{"m":{"power_w":1},"hist":true}', NOW_MS) is None


def test_a_device_that_sends_plain_messages_again_is_looked_at_again() -> None:
    codec, topic, plain = NativeCodec("sc/v1"), "sc/v1/s1/gw-1/abc/tele", b'{"m":{"power_w":1}}'
    for payload, known in ((plain, True), (b'{"m":{"smoke":true}}', False), (plain, True)):
        codec.plain(topic, payload, NOW_MS)
        codec.decode(topic, payload, received_at_ms=NOW_MS, retained=False)
        assert (codec.plain(topic, plain, NOW_MS) is not None) is known


def test_the_quick_path_takes_no_part_in_a_drill() -> None:
    found = said("state", {"m": {"smoke": True, "test": True, "temperature_c": 90}})
    assert {r.quantity: bool(r.quality & Quality.TEST) for r in found.readings} == {
        "smoke": True,
        "test": False,
        "temperature_c": False,  # a device under test can still be on fire
    }
    assert said("tele", {"m": {"temperature_c": 90}, "test": True}).readings[0].quality & Quality.TEST


def test_an_alarm_event_sets_the_switch_of_its_alarm() -> None:
    body = {"v": 1, "id": "e1", "seq": 4, "ts": THEN_MS, "type": "alarm", "alarm": "co", "active": True}
    found = said("event", body)
    assert found.readings == (Reading("co_alarm", True, THEN_MS, 0),)
    assert found.events == (Event("alarm", "co", True, False),)
    assert (found.dedupe_key, found.seq) == ("e1", 4)


@pytest.mark.parametrize("extra", [{}, {"zone": 4}])
def test_a_test_alarm_is_marked_on_both_paths(extra: dict[str, Any]) -> None:
    body = {"id": "e1", "ts": THEN_MS, "type": "alarm", "alarm": "smoke", "active": True, "test": True, **extra}
    found = said("event", body)
    assert found.readings[0].quality == Quality.TEST
    assert found.events[0].test is True
    assert (found.events[0].detail or {}) == extra


def test_a_clear_event_clears() -> None:
    found = said("event", {"id": "e2", "type": "alarm", "alarm": "smoke", "active": False, "ts": THEN_MS})
    assert found.readings[0].value is False


@pytest.mark.parametrize("active", [2, "perhaps", [True]])
def test_an_unclear_alarm_is_shown_and_clears_nothing(active: object) -> None:
    found = said("event", {"id": "e3", "type": "alarm", "alarm": "smoke", "active": active})
    assert found.readings == ()
    assert found.unknown == ("smoke",)
    assert "alarm_unclear" in [e.type for e in found.events]
    assert found.warnings


def test_null_makes_unknown_and_absent_says_nothing() -> None:
    found = said("tele", {"m": {"temperature_c": None, "humidity_pct": 40}})
    assert found.unknown == ("temperature_c",)
    assert [r.quantity for r in found.readings] == ["humidity_pct"]


def test_without_a_time_the_clock_flag_is_set() -> None:
    assert said("tele", {"m": {"temperature_c": 20}}).readings[0].quality == Quality.CLOCK
    assert said("tele", {"ts": THEN_MS, "m": {"temperature_c": 20}}).readings[0].quality == 0


def test_an_unknown_metric_keeps_its_name() -> None:
    found = said("tele", {"m": {"noise_db": 40}})
    assert found.readings[0][:2] == ("noise_db", 40)
    assert found.warnings == ("metric 'noise_db' is not known to this hub",)


def test_a_batch_is_history_in_order_of_time() -> None:
    records = [{"ts": THEN_MS + n, "m": {"power_w": n}} for n in (3, 1, 2)]
    found = said("batch", {"hist": True, "r": records})
    assert [r.value for r in found.history] == [1, 2, 3]
    assert all(r.quality == Quality.HISTORY for r in found.history)
    assert found.readings == ()


def test_the_will_of_a_node_takes_its_devices_along() -> None:
    will = said("online", {"online": False, "reason": "lwt", "ts": THEN_MS}, device="-")
    assert (will.device, will.availability, will.cascade, will.observed_at_ms) == ("gw-1", False, True, None)
    assert will.address == "native-v1:s1/gw-1/-"
    assert not said("online", {"online": False}, device="d-1").cascade


def test_a_birth_tells_of_the_device() -> None:
    found = said("birth", {"kind": "smoke", "model": "X", "fw": "2", "interval_s": 60, "metrics": ["smoke", "odd"]})
    assert found.expected_interval_s == 60
    assert found.info == {"kind": "smoke", "model": "X", "firmware": "2", "metrics": ["smoke", "odd"]}
    assert found.warnings == ("metric 'odd' is not known to this hub",)


@pytest.mark.parametrize("interval", [0, -1, "60", True, 1e9])
def test_an_interval_that_is_none_is_not_taken(interval: object) -> None:
    found = said("birth", {"interval_s": interval})
    assert found.expected_interval_s is None
    assert found.warnings


def test_senml_of_a_native_device_belongs_to_that_device() -> None:
    pack = [{"bn": "other:", "n": "temperature_c", "u": "Cel", "v": 20}, {"n": "", "u": "V", "v": 3}]
    found = said("senml", pack, device="t-1")
    assert found.address == "native-v1:s1/gw-1/t-1"
    assert {r.quantity: r.value for r in found.readings} == {"temperature_c": 20, "voltage_v": 3}


@pytest.mark.parametrize(
    ("channel", "body", "reason", "field"),
    [
        ("tele", {"v": 1}, "missing field", "m"),
        ("tele", {"m": [1]}, "bad field", "m"),
        ("event", {"id": "x"}, "missing field", "type"),
        ("online", {}, "missing field", "online"),
        ("online", {"online": "perhaps"}, "bad field", "online"),
        ("batch", {"hist": True}, "missing field", "r"),
        ("tele", [1], "not an object", ""),
        ("tele", b"{", "malformed JSON", ""),
        ("senml", {}, "bad SenML", ""),
    ],
)
def test_a_rejection_names_reason_and_field(channel: str, body: Any, reason: str, field: str) -> None:
    found = rejected(channel, body)
    assert (found.reason, found.field, found.address) == (reason, field, "native-v1:s1/gw-1/d-1")


@pytest.mark.parametrize(
    ("topic", "reason", "field"),
    [
        ("sc/v1/s/n/d", "bad topic", ""),
        ("sc/v1/s/n/d/tele/x", "bad topic", ""),
        ("sc/v1/S/n/d/tele", "bad topic", "site"),
        ("sc/v1/s/n n/d/tele", "bad topic", "node"),
        ("sc/v1/s/n//tele", "bad topic", "device"),
        (f"sc/v1/s/n/{'d' * 65}/tele", "bad topic", "device"),
        ("sc/v1/s/n/d/Tele", "unknown channel", "channel"),
        ("other/s/n/d/tele", "unknown topic", ""),
    ],
)
def test_a_bad_topic_names_the_level(topic: str, reason: str, field: str) -> None:
    found = parse_native(topic)
    assert isinstance(found, Reject)
    assert (found.reason, found.field) == (reason, field)


LEVEL = st.from_regex(r"[a-z0-9_-]{1,64}", fullmatch=True)


@given(LEVEL, LEVEL, LEVEL, st.sampled_from(["tele", "event", "state"]))
def test_topics_survive_writing_and_parsing(site: str, node: str, device: str, channel: str) -> None:
    topic = NativeTopic(site, node, device, channel)
    assert parse_native(topic.under("my/root"), "my/root") == topic


def test_a_command_tells_what_was_asked_for_at_the_time_of_receipt() -> None:
    body = {
        "v": 1,
        "id": "c-17",
        "ts": THEN_MS,
        "set": {"relay_on": False, "lock_state": "unlock", "gate_state": "open"},
    }
    found = said("cmd", body, device="cabinet-1")
    assert [(r.quantity, r.value, r.observed_at_ms) for r in found.readings] == [
        ("relay_wanted", False, None),
        ("lock_wanted", "unlocked", None),
        ("gate_wanted", "open", None),
    ]
    assert (found.dedupe_key, found.observed_at_ms, found.ignored) == ("c-17", None, "")


def test_a_command_that_lay_for_long_is_stored_and_not_judged() -> None:
    found = said("cmd", {"id": "c-18", "ts": NOW_MS - 300_001, "set": {"relay_on": False}})
    assert found.readings == ()
    assert [(r.quantity, r.observed_at_ms) for r in found.history] == [("relay_wanted", NOW_MS - 300_001)]
    assert found.history[0].quality & Quality.HISTORY
    assert said("cmd", {"id": "c-18", "ts": NOW_MS - 300_000, "set": {"relay_on": False}}).readings


def test_what_a_command_leaves_unclear_is_unknown() -> None:
    assert said("cmd", {"set": {"relay_on": None}}).unknown == ("relay_wanted",)
    assert said("cmd", {"set": {"lock_state": "ajar"}}).unknown == ("lock_wanted",)


@pytest.mark.parametrize(
    "body",
    [
        {"v": 1, "id": "s-1", "cmd": "siren", "on": True},
        {"set": {"brightness": 3}},
        {"set": "off"},
        {"set": {}},
        ["set"],
        b"OFF",
        b"",
        b"\xff\xfe",
    ],
)
def test_other_commands_are_none_of_the_readings(body: Any) -> None:
    assert said("cmd", body).ignored == "command"


def test_answers_to_commands_are_passed_over() -> None:
    assert said("ack", {"id": "c-17", "ok": False}).ignored == "answer to a command"
