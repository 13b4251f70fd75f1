"""The promises that every codec of the table keeps."""

from __future__ import annotations

import base64
import json
import time
from functools import cache
from pathlib import Path
from random import Random
from types import MethodType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hub.ingest.codecs as codecs
from hub.ingest.codecs import CODECS, CodecContext, Profiled
from hub.ingest.mapping import shipped_folder
from hub.ingest.mapping.trying import payload_of
from hub.ingest.router import Router, Source
from hub.model.quantities import QUANTITIES
from hub.model.readings import Decoded, Quality, Reject

NOW_MS = 1_795_000_000_000
GOLDEN = Path(__file__).parents[1] / "golden"
ROOTS = {name: kind.usual_root for name, kind in CODECS.items()}
TOPICS = {
    "native-v1": [f"sc/v1/s1/gw-1/{d}/{c}" for d in ("smoke-1", "-") for c in
                  ("birth", "online", "state", "tele", "event", "batch", "senml", "cmd", "ack", "reject", "what")],
    "zigbee2mqtt": [f"zigbee2mqtt/{t}" for t in
                    ("smoke 1", "smoke 1/smoke", "smoke 1/availability", "bridge/state", "bridge/event", "bridge/info",
                     "a/b/c", "x/set", "x/last_seen", "x/power")],
    "senml": ["senml/a", "senml/dev7/data"],
    "generic-json": ["sensors/dev1/data", "sensors/dev1/smoke", "sensors/dev1/status", "sensors/dev1", "sensors//data"],
}  # fmt: skip
EVERY = [(name, topic) for name in TOPICS for topic in TOPICS[name]]
"""The dialects of the hub itself: each topic gets examples of its own."""


def golden_messages() -> list[dict[str, str]]:
    """Every golden line and every sample of a profile."""
    found = [
        json.loads(line) for file in sorted(GOLDEN.glob("*.jsonl")) for line in file.read_text("utf-8").splitlines()
    ]
    for name, kind in CODECS.items():
        if isinstance(kind, Profiled):
            for n, sample in enumerate(kind.profile.samples):
                payload = base64.b64encode(payload_of(sample)).decode()
                found.append(
                    {
                        "id": f"{name}-{n}",
                        "system": name,
                        "topic": sample.topic,
                        "payload_b64": payload,
                        "root": sample.root,
                    }
                )
    return found


MESSAGES = golden_messages()
OTHERS = sorted({(row["system"], row["topic"], row.get("root", "")) for row in MESSAGES if row["system"] not in TOPICS})
"""The other dialects: the topics of their golden messages."""


def make(name: str, root: str | None = None) -> codecs.Codec:
    return CODECS[name].make(ROOTS[name] if root is None else root, CodecContext(zone="Asia/Shanghai"))


@cache
def made_for(name: str, topic: str, root: str) -> codecs.Codec:
    return make(name, root or CODECS[name].root_of(topic))


def said_by(name: str, topic: str, payload: bytes) -> tuple[Decoded, ...] | Reject:
    return make(name).decode(topic, payload, received_at_ms=NOW_MS, retained=False)


def assert_sound(name: str, said: tuple[Decoded, ...] | Reject) -> None:
    """What every answer of a codec looks like, whatever the bytes were."""
    if isinstance(said, Reject):
        assert said.codec == name
        assert said.reason
        return
    assert isinstance(said, tuple)
    for one in said:
        assert one.codec == name
        assert one.ignored or one.address.startswith(f"{name}:")
        for reading in (*one.readings, *one.history):
            assert reading.quantity
            assert reading.value is not None
            quantity = QUANTITIES.get(reading.quantity)
            if quantity is not None and quantity.kind == "switch":
                assert isinstance(reading.value, bool)
            elif quantity is not None and quantity.kind == "state":
                assert reading.value in quantity.states
            elif quantity is not None:
                assert isinstance(reading.value, int | float)
                assert not isinstance(reading.value, bool)
                assert reading.value == reading.value
                assert abs(reading.value) != float("inf")
            has_time = reading.observed_at_ms is not None
            assert has_time != bool(reading.quality & Quality.CLOCK)
            if has_time:
                assert 1_262_304_000_000 <= (reading.observed_at_ms or 0) <= NOW_MS + 600_000
    json.dumps([str(one) for one in said]).encode()


def alarms(said: tuple[Decoded, ...] | Reject) -> list[str]:
    """Alarms that a message raises: switches that are on, events that are active."""
    if isinstance(said, Reject):
        return []
    on = [r.quantity for d in said for r in d.readings if r.value is True and QUANTITIES[r.quantity].alarm]
    return on + [e.alarm for d in said for e in d.events if e.active or e.type == "alarm_unclear"]


def module_of(kind: codecs.CodecKind) -> str:
    """The file of a dialect: that of its class or function, or of its `filters` where one class serves several dialects."""
    at = getattr(kind.make, "__module__", "").rsplit(".", 1)[-1]
    return (
        kind.filters.__module__.rsplit(".", 1)[-1] if at == "thing_model" or isinstance(kind.make, MethodType) else at
    )


def test_every_file_of_the_folder_is_in_the_table() -> None:
    folder = Path(codecs.__file__).parent
    helpers = {"__init__", "context", "native_careful", "zigbee2mqtt_properties", "zigbee2mqtt_exposes", "lorawan_objects", "tasmota_sensors",
               "sparkplug_protobuf", "thing_model", "homeassistant_entities"}  # fmt: skip
    modules = {file.stem for file in folder.glob("*.py")} - helpers
    written = [kind for kind in CODECS.values() if not isinstance(kind, Profiled)]
    in_table = {module_of(kind) for kind in written}
    assert modules == in_table


def test_every_profile_of_the_folder_is_in_the_table() -> None:
    profiled = {name for name, kind in CODECS.items() if isinstance(kind, Profiled)}
    assert {file.stem for file in shipped_folder().glob("*.yaml")} == profiled
    assert all(kind.profile.profile == name for name, kind in CODECS.items() if isinstance(kind, Profiled))


@pytest.mark.parametrize("name", sorted(CODECS))
def test_a_codec_subscribes_only_below_its_root(name: str) -> None:
    filters = CODECS[name].filters("my/root")
    assert filters
    assert all(f"{f.topic}/".startswith("my/root/") and f.lane in ("fire", "main") for f in filters)


@pytest.mark.parametrize("name", sorted(CODECS))
def test_a_topic_outside_the_root_is_rejected(name: str) -> None:
    if name in ("senml", "esphome", "tasmota"):
        pytest.skip("the device of SenML is in the payload: the router keeps foreign topics away")
    said = said_by(name, "elsewhere/a/b/c/d/tele", b"{}")
    assert isinstance(said, Reject)
    assert said.reason == "unknown topic"


@pytest.mark.parametrize(("name", "topic"), EVERY)
@given(payload=st.binary(max_size=200))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_bytes_get_a_sound_answer(name: str, topic: str, payload: bytes) -> None:
    assert_sound(name, said_by(name, topic, payload))


@given(other=st.sampled_from(OTHERS), payload=st.binary(max_size=200))
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_bytes_get_a_sound_answer_of_every_other_dialect(other: tuple[str, str, str], payload: bytes) -> None:
    said = made_for(*other).decode(other[1], payload, received_at_ms=NOW_MS, retained=False)
    assert_sound(other[0], said)


@given(name=st.sampled_from(sorted(CODECS)), topic=st.text(max_size=60), payload=st.binary(max_size=60))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_topic_gets_a_sound_answer(name: str, topic: str, payload: bytes) -> None:
    codec = made_for(name, "x", ROOTS[name])
    for at in (topic, f"{ROOTS[name]}/{topic}"):
        said = codec.decode(at, payload, received_at_ms=NOW_MS, retained=False)
        assert_sound(name, said)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "m",
                    "v",
                    "ts",
                    "seq",
                    "r",
                    "n",
                    "bn",
                    "bt",
                    "u",
                    "vb",
                    "vs",
                    "e",
                    "hist",
                    "test",
                    "type",
                    "alarm",
                    "active",
                    "id",
                    "smoke",
                    "temperature",
                    "temperature_c",
                    "lock_state",
                    "state",
                    "contact",
                    "voltage",
                    "battery",
                    "gas",
                    "power_factor",
                    "last_seen",
                    "device",
                    "online",
                    "interval_s",
                    "metrics",
                    "unit",
                    "value",
                    "data",
                    "time",
                ]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize(("name", "topic"), EVERY)
@given(value=ANY_JSON)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_json_gets_a_sound_answer(name: str, topic: str, value: object) -> None:
    assert_sound(name, said_by(name, topic, json.dumps(value).encode()))


@given(other=st.sampled_from(OTHERS), value=ANY_JSON)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_json_gets_a_sound_answer_of_every_other_dialect(other: tuple[str, str, str], value: object) -> None:
    payload = json.dumps(value).encode()
    assert_sound(other[0], made_for(*other).decode(other[1], payload, received_at_ms=NOW_MS, retained=False))


@pytest.mark.parametrize(("name", "topic"), EVERY)
@pytest.mark.parametrize(
    "payload",
    [b"[" * 100_000, b'{"m":' * 50_000, b'{"a":' * 100_000, b"[[" * 20 + b"]]" * 20, b"\x00" * 50, b"\xff" * 50],
    ids=["100,000 lists", "50,000 objects", "100,000 objects", "40 levels", "NULs", "no text"],
)
def test_hostile_nesting_and_binary_raise_no_error_and_no_alarm(name: str, topic: str, payload: bytes) -> None:
    said = said_by(name, topic, payload)
    assert_sound(name, said)
    assert not alarms(said)


def a_topic(name: str) -> str:
    """A topic on which the dialect has values."""
    if name in TOPICS:
        return TOPICS[name][3 if name == "native-v1" else 0]
    return next(topic for system, topic, root in OTHERS if system == name and topic.startswith(root or ROOTS[name]))


def root_for(name: str) -> str:
    at = a_topic(name)
    return "" if name in TOPICS else next(root for system, topic, root in OTHERS if (system, topic) == (name, at))


@pytest.mark.parametrize("name", sorted(CODECS))
def test_a_payload_of_one_mebibyte_is_too_large(name: str) -> None:
    payload = b'{"smoke":true,"pad":"' + b"x" * 1_048_576 + b'"}'
    topic = a_topic(name)
    root = made_for(name, topic, root_for(name)).root  # type: ignore[attr-defined]
    for said in (
        made_for(name, topic, root_for(name)).decode(topic, payload, received_at_ms=NOW_MS, retained=False),
        Router([Source(codec=name, root=root)]).decode(topic, payload, received_at_ms=NOW_MS),
    ):
        assert isinstance(said, Reject)
        assert said.reason == "payload too large"


GOLDEN_ROWS = [
    pytest.param(row, id=row["id"])
    for row in MESSAGES
    if len(row.get("payload", "")) < 6_000 and len(row.get("payload_b64", "")) < 8_000
]


@pytest.mark.parametrize("row", GOLDEN_ROWS)
def test_a_message_cut_short_anywhere_never_raises_an_alarm(row: dict[str, str]) -> None:
    payload = base64.b64decode(row["payload_b64"]) if "payload_b64" in row else row["payload"].encode()
    kind = CODECS[row["system"]]
    codec = kind.make(row.get("root") or kind.root_of(row["topic"]), CodecContext())
    for length in range(len(payload)):
        said = codec.decode(row["topic"], payload[:length], received_at_ms=NOW_MS, retained=False)
        assert_sound(row["system"], said)
        # Only whole objects say something: of two in a row the first may still be one.
        if row["id"] != "own-gen-two-objects":
            assert not alarms(said), payload[:length]


@given(row=st.sampled_from([p.values[0] for p in GOLDEN_ROWS]), random=st.randoms(use_true_random=False))
@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_garbled_message_gets_a_sound_answer(row: dict[str, str], random: Random) -> None:
    payload = bytearray(base64.b64decode(row["payload_b64"]) if "payload_b64" in row else row["payload"].encode())
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(payload) + 1)
        payload[at : at + random.randint(0, 2)] = random.choice(
            [b"", b"null", b"{", b'"', b",", b"1e999", b"NaN", b"-Infinity", b"[", b"true", b"\xff", b"-", b"9" * 20]
        )
    kind = CODECS[row["system"]]
    codec = kind.make(row.get("root") or kind.root_of(row["topic"]), CodecContext())
    assert_sound(row["system"], codec.decode(row["topic"], bytes(payload), received_at_ms=NOW_MS, retained=False))


HEAVY = {
    "noise": bytes(range(256)) * 1_024,
    "brackets": b"[" * 262_144,
    "empty objects": b"[" + b"{}," * 87_000 + b"{}]",
    "numbers": b"[" + b"1," * 131_000 + b"1]",
    "quotes": b'"' * 262_144,
    "escapes": b'{"a":"' + b"\\" * 262_000,
    "colons": b":" * 262_144,
    "keys": b"{" + b",".join(b'"k%d":1' % n for n in range(18_000)) + b"}",
    "digits": b'{"temperature":' + b"9" * 262_000 + b"}",
    "almost JSON": b"{" + b",".join(b"k%d:1" % n for n in range(400)) + b"}",
    "GBK": b"\xb0\xa1" * 131_072,
    "blanks": b"[" + b" " * 262_000,
}


@pytest.mark.parametrize("heavy", sorted(HEAVY))
def test_no_payload_within_the_limit_takes_long(heavy: str) -> None:
    """5 ms each on an idle machine; the bound here leaves room for a busy one."""
    payload = HEAVY[heavy]
    assert len(payload) <= 256 * 1024
    for name in CODECS:
        topic = a_topic(name)
        codec = made_for(name, topic, root_for(name))
        spent = []
        for _ in range(3):
            before = time.process_time()
            assert_sound(name, codec.decode(topic, payload, received_at_ms=NOW_MS, retained=False))
            spent.append(time.process_time() - before)
        assert min(spent) < 0.05, f"{name}: {min(spent) * 1_000:.1f} ms"


def test_the_router_takes_the_longest_root_and_whole_levels_only() -> None:
    router = Router([Source(codec="generic-json", root="a"), Source(codec="zigbee2mqtt", root="a/b")])
    near = router.decode("a/b/dev", b'{"temperature":20}', received_at_ms=NOW_MS)
    wide = router.decode("a/bc/dev/data", b'{"temperature":20}', received_at_ms=NOW_MS)
    none = router.decode("ab/dev/data", b'{"temperature":20}', received_at_ms=NOW_MS)
    assert not isinstance(near, Reject)
    assert near[0].codec == "zigbee2mqtt"
    assert not isinstance(wide, Reject)
    assert wide[0].codec == "generic-json"
    assert isinstance(none, Reject)
    assert none.reason == "unknown topic"


def test_alarm_channels_of_the_native_dialect_have_the_fire_lane() -> None:
    lanes = {f.topic.rsplit("/", 1)[-1]: f.lane for f in Router([Source(codec="native-v1", root="sc/v1")]).filters}
    assert {channel for channel, lane in lanes.items() if lane == "fire"} == {"event", "state"}
    assert {"tele", "birth", "online", "batch", "senml", "cmd"} <= lanes.keys()
    assert not {"ack", "reject"} & lanes.keys()


def test_the_caches_of_topics_stay_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    from hub.ingest.codecs import CODECS, CodecContext, native, zigbee2mqtt

    for module in (native, zigbee2mqtt):
        monkeypatch.setattr(module, "_REMEMBERED", 10)
    one, other = CODECS["native-v1"].make("sc/v1", CodecContext()), CODECS["zigbee2mqtt"].make("z", CodecContext())
    for n in range(50):
        one.decode(f"sc/v1/s/n/d{n}/tele", b'{"m":{}}', received_at_ms=NOW_MS, retained=False)
        other.decode(f"z/d{n}", b"{}", received_at_ms=NOW_MS, retained=False)
    assert len(one._known) <= 10  # type: ignore[attr-defined]
    assert len(other._where) <= 10  # type: ignore[attr-defined]
