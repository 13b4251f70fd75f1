"""Profiles: dialects described in YAML."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hub.__main__ import app
from hub.documents import Document
from hub.errors import ConfigError
from hub.ingest.codecs import CODECS, CodecContext
from hub.ingest.mapping import ProfileCodec, parse_profile
from hub.ingest.mapping.trying import tried
from hub.ingest.router import Router, Source
from hub.ingest.sources import sources_of
from hub.model.readings import Decoded, Reject
from hub.settings import SourceEntry

NOW_MS = 1_795_000_000_000
DOCS = Path(__file__).parents[2] / "docs" / "profiles.md"


def codec_of(messages: str, **more: Any) -> ProfileCodec:
    return ProfileCodec(
        parse_profile(f"profile: mine\nroot: mine\nmessages:\n{messages}"), "mine", CodecContext(**more)
    )


def said(codec: ProfileCodec, topic: str, payload: object) -> Decoded:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    found = codec.decode(topic, body, received_at_ms=NOW_MS, retained=False)
    assert not isinstance(found, Reject), found
    return found[0]


def values(one: Decoded) -> dict[str, object]:
    return {r.quantity: r.value for r in one.readings}


def test_the_profile_in_the_documentation_says_what_it_says() -> None:
    text = re.findall(r"```text\n(# yaml.*?)```", DOCS.read_text("utf-8"), re.DOTALL)[0]
    profile = parse_profile(text)
    assert [*tried(profile, received_at_ms=NOW_MS)] == [[]]


def test_a_unit_a_scale_an_offset_and_the_ratio_of_a_transformer_are_applied() -> None:
    codec = codec_of("""
  - topic: "{root}/{device}"
    device: "{device}"
    metrics:
      p: {quantity: power_w, unit: kW, times: [ct, pt]}
      t: {quantity: temperature_c, scale: 0.1, offset: -40}
      f: {quantity: temperature_c_2, unit: °F}
""")
    one = said(codec, "mine/a", {"p": 0.5, "ct": 20, "pt": 2, "t": 615, "f": 68})
    assert values(one) == {"power_w": 20_000, "temperature_c": 21.5, "temperature_c_2": 20}
    assert "power_w" in said(codec, "mine/a", {"p": 0.5, "t": 1}).unknown, "without its ratio a value means nothing"


def test_quick_and_careful_paths_say_the_same() -> None:
    rows = """
  - topic: "{root}/{device}"
    device: "{device}"
    time: ts
    metrics: {p: power_w, d: {quantity: door_open, invert: true}, s: {quantity: charger_state, words: {c: charging}}, i: {quantity: current_a, unit: mA}}
"""
    quick, careful = codec_of(rows), codec_of(rows + "    info: {x: nothing}\n")
    assert quick._rows[0]._simple is not None
    assert careful._rows[0]._simple is None
    for body in (
        {"ts": 1_704_067_200, "p": 1, "d": True, "s": "c", "i": 1500},
        {"ts": 1_704_067_200_123, "p": 1.5, "d": False, "extra": [1]},
        {"p": "12", "d": None, "ts": "2024-01-01T00:00:00Z"},
        {"p": -1, "ts": 5},
        {"s": "what", "p": 3},
    ):
        a, b = said(quick, "mine/a", body), said(careful, "mine/a", body)
        assert (a.readings, a.unknown, a.observed_at_ms, a.events) == (
            b.readings,
            b.unknown,
            b.observed_at_ms,
            b.events,
        ), body


def test_null_is_unknown_absent_is_nothing_and_neither_clears_an_alarm() -> None:
    codec = codec_of("""
  - topic: "{root}/{device}"
    device: "{device}"
    metrics:
      smoke: {quantity: smoke, words: {a: true, n: false}, "null": [x], absent: ["-"]}
      p: power_w
""")
    assert said(codec, "mine/a", {"smoke": "x"}).unknown == ("smoke",)
    assert said(codec, "mine/a", {"smoke": None}).unknown == ("smoke",)
    silent = said(codec, "mine/a", {"smoke": "-", "p": 1})
    assert "smoke" not in values(silent)
    assert not silent.unknown
    unclear = said(codec, "mine/a", {"smoke": "q"})
    assert unclear.events[0].type == "alarm_unclear"


def test_a_bare_word_that_can_be_one_cut_off_is_rejected() -> None:
    codec = codec_of("""
  - topic: "{root}/{device}/{key}"
    device: "{device}"
    payload: value
    as: "{key}"
    metrics: {smoke: smoke}
""")
    assert values(said(codec, "mine/a/smoke", b"true")) == {"smoke": True}
    assert isinstance(codec.decode("mine/a/smoke", b"tru", received_at_ms=NOW_MS, retained=False), Reject)


def test_a_binary_message_is_believed_whole_or_not_at_all() -> None:
    codec = codec_of("""
  - topic: "{root}/{device}"
    device: "{id}"
    payload: binary
    binary:
      starts: "7e"
      length: 9
      checksum: sum8
      fields: {t: {at: 1, type: i16be}, flags: {at: 3, type: u8}, id: {at: 4, type: hex, size: 4}}
    let: {id: id}
    metrics: {t: {quantity: temperature_c, scale: 0.1}, flags: [{quantity: smoke, bit: 0}, {quantity: tamper, bit: 1}]}
""")
    frame = bytes.fromhex("7effe60200000007")
    frame += bytes((sum(frame) & 0xFF,))
    one = said(codec, "mine/x", frame)
    assert one.device == "00000007"
    assert values(one) == {"temperature_c": -2.6, "smoke": False, "tamper": True}
    for n in range(len(frame)):
        assert isinstance(codec.decode("mine/x", frame[:n], received_at_ms=NOW_MS, retained=False), Reject)
    assert isinstance(codec.decode("mine/x", frame[:-1] + b"\\0", received_at_ms=NOW_MS, retained=False), Reject)


def test_devices_and_records_in_one_message_keep_their_own_times() -> None:
    codec = codec_of("""
  - topic: "{root}/{gw}"
    device: "{gw}"
    each:
      - {at: devices, device: id, time: t, metrics: {v: power_w}}
      - {at: old, device: id, time: t, history: true, metrics: {v: power_w}}
""")
    body = {"devices": [{"id": "a", "v": 1, "t": 1_704_067_200}, {"id": "b", "v": 2, "t": 1_704_067_260}],
            "old": [{"id": "c", "v": 3, "t": 1_600_000_000}]}  # fmt: skip
    found = codec.decode("mine/g", json.dumps(body).encode(), received_at_ms=NOW_MS, retained=False)
    assert not isinstance(found, Reject)
    assert [(d.device, d.observed_at_ms) for d in found[:2]] == [("a", 1_704_067_200_000), ("b", 1_704_067_260_000)]
    assert found[2].readings == ()
    assert found[2].history[0].observed_at_ms == 1_600_000_000_000


def test_units_can_depend_on_the_model() -> None:
    codec = codec_of("""
  - topic: "{root}/{device}"
    device: "{device}"
    model: model
    metrics: {current: {quantity: current_a, models: {WS523: {unit: mA}}}}
""")
    assert values(said(codec, "mine/a", {"model": "WS523", "current": 74})) == {"current_a": 0.074}
    assert values(said(codec, "mine/a", {"model": "CT103", "current": 30})) == {"current_a": 30}


def test_personal_data_is_hashed_unless_the_hub_may_keep_it() -> None:
    row = """
  - topic: "{root}/{device}"
    device: "{device}"
    events: [{type: =access, detail: {card: {from: card, personal: true}}}]
"""
    hidden = said(codec_of(row), "mine/a", {"card": "04AB"}).events[0].detail or {}
    shown = said(codec_of(row, personal=True), "mine/a", {"card": "04AB"}).events[0].detail or {}
    assert hidden["card"].startswith("#")
    assert shown["card"] == "04AB"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("profile: x\nmessages:\n  - topic: a\n    device: a\n    metricks: {}\n", 5, "did you mean 'metrics'"),
        ("profile: x\nmessages:\n  - topic: a\n    device: a\n    metrics:\n      t: {quantity: temperature_c, unit: parsec}\n", 6, "not known"),
        ("profile: x\nmessages:\n  - topic: a\n    device: a\n    metrics:\n      t: {quantity: temperature_c, unit: V}\n", 6, "does not fit"),
        ("profile: x\nmessages:\n  - topic: 'a/b{c}'\n    device: a\n", 3, "stands alone"),
        ("profile: x\nmessages:\n  - topic: a\n    metrics: {t: temperature_c}\n", 3, "which device"),
        ("profile: x\nmessages:\n  - topic: a\n    device: a\n    metrics:\n      s: {quantity: gate_state, words: {a: ajar}}\n", 6, "no state of gate_state"),
        ("profile: x\nmessages:\n  - topic: a\n    device: a\n    payload: binary\n", 3, "belong together"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line(text: str, line: int, words: str) -> None:
    with pytest.raises(ConfigError) as wrong:
        parse_profile(text, "mine.yaml")
    assert any(c.line == line and words in f"{c.message} {c.remedy}" for c in wrong.value.complaints), (
        wrong.value.complaints
    )


def test_a_sample_that_is_not_understood_as_expected_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        'profile: mine\nroot: mine\nmessages:\n  - {topic: "{root}/{device}", device: "{device}", metrics: {t: temperature_c}}\n'
        "samples:\n  - {topic: mine/a, json: {t: 1}, expect: {metrics: {temperature_c: 2}}}\n",
        "utf-8",
    )
    result = CliRunner().invoke(app, ["profile", "test", str(file)])
    assert result.exit_code == 1
    assert f"{file}:6: mine/a: temperature_c: expected 2" in result.stdout
    assert result.stdout.endswith("0 passed, 1 failed\n")


def test_a_profile_of_ones_own_is_a_source_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        'profile: mine\nroot: mine\nmessages:\n  - {topic: "{root}/{device}", device: "{device}", metrics: {t: temperature_c}}\n',
        "utf-8",
    )
    router = Router(sources_of([SourceEntry(codec="mine.yaml"), SourceEntry(codec="sparkplug-b")], tmp_path))
    found = router.decode("mine/a", b'{"t":1}', received_at_ms=NOW_MS)
    assert not isinstance(found, Reject)
    assert found[0].address == "mine:a"
    assert {"mine/#", "spBv1.0/+/DDATA/#"} <= {f.topic for f in router.filters}
    with pytest.raises(ConfigError, match=r"gone\.yaml"):
        sources_of([SourceEntry(codec="gone.yaml")], tmp_path, Document("hub.yaml", None))


def test_dialects_without_a_root_are_found_by_their_filters() -> None:
    router = Router([Source(codec="shelly-gen2", root=""), Source(codec="kepware", root="iotgateway"), Source(codec="alink", root="/sys"),
                     Source(codec="homeassistant-discovery", root="homeassistant", also=("hall/#",))])  # fmt: skip
    for topic, codec in (("plug/online", "shelly-gen2"), ("iotgateway", "kepware"), ("/sys/p/d/thing/event/property/post", "alink"),
                         ("hall/smoke", "homeassistant-discovery")):  # fmt: skip
        found = router.decode(topic, b"true", received_at_ms=NOW_MS)
        assert (found.codec if isinstance(found, Reject) else found[0].codec) == codec
    unknown = router.decode("$SYS/online", b"true", received_at_ms=NOW_MS)
    assert isinstance(unknown, Reject)
    assert unknown.reason == "unknown topic"


def test_a_described_dialect_costs_no_more_than_three_times_a_hand_written_one() -> None:
    """Twice on an idle machine; the bound leaves room for a busy one."""
    described = codec_of("""
  - topic: "{root}/{device}"
    device: "{device}"
    time: ts
    metrics: {p: power_w, u: {quantity: voltage_v, scale: 0.1}, i: {quantity: current_a, unit: mA}, e: energy_import_kwh}
""")
    written = CODECS["native-v1"].make("sc/v1", CodecContext())
    pairs = (
        (described, "mine/a", b'{"ts":1704067200123,"p":1291,"u":2299,"i":5620,"e":1834.21}'),
        (
            written,
            "sc/v1/s/n/d/tele",
            b'{"ts":1704067200123,"m":{"power_w":1291.5,"voltage_v":229.9,"current_a":5.62,"energy_import_kwh":1834.21}}',
        ),
    )
    spent = []
    for codec, topic, payload in pairs:
        best = 1.0
        for _ in range(7):
            begin = time.process_time()
            for _ in range(2_000):
                codec.decode(topic, payload, received_at_ms=NOW_MS, retained=False)
            best = min(best, time.process_time() - begin)
        spent.append(best)
    assert spent[0] < 3 * spent[1], spent


def test_zigbee2mqtt_takes_units_from_the_list_of_its_devices() -> None:
    codec = CODECS["zigbee2mqtt"].make("z", CodecContext())
    exposes = [
        {"property": "voltage", "unit": "mV"},
        {"property": "current", "unit": "mA"},
        {"property": "power", "unit": "W"},
    ]
    devices = [{"friendly_name": "plug", "definition": {"exposes": exposes}}]
    codec.decode("z/bridge/devices", json.dumps(devices).encode(), received_at_ms=NOW_MS, retained=True)
    found = codec.decode(
        "z/plug", b'{"voltage":231000,"current":500,"power":110}', received_at_ms=NOW_MS, retained=False
    )
    assert not isinstance(found, Reject)
    assert values(found[0]) == {"voltage_v": 231, "current_a": 0.5, "power_w": 110}


def test_a_rebirth_is_asked_for_once_a_minute_and_is_a_command_that_sparkplug_reads() -> None:
    from hub.ingest.codecs.sparkplug import SparkplugCodec
    from hub.ingest.codecs.sparkplug_protobuf import read_payload

    codec = SparkplugCodec()
    data = bytes.fromhex("08e0bccb92cc31120d100a18e0bccb92cc31200b70011809")
    for at_ms in (NOW_MS, NOW_MS + 1_000):
        assert isinstance(codec.decode("spBv1.0/g/DDATA/e/d", data, received_at_ms=at_ms, retained=False), Reject)
    asked = codec.asks()
    assert [topic for topic, _ in asked] == ["spBv1.0/g/NCMD/e"]
    assert read_payload(asked[0][1]).metrics[0].name == "Node Control/Rebirth"
    assert codec.asks() == ()
