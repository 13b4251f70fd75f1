"""What integrators copy from the guide works as it stands: the hub's codecs take it without a warning."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest

from hub.drawings import redrawn
from hub.ingest.codecs import CODECS, CodecContext
from hub.ingest.devices_table import drawings
from hub.model.readings import Decoded

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "integrators.md").read_text("utf-8")
NOW = 4_000_000_000_000  # later than any time in the guide and in its programs


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)


def published() -> list[tuple[str, str, bool]]:
    found = []
    for block in blocks("sh"):
        for line in re.sub(r"\\\n\s*", "", block).replace("\n  {", "{").splitlines():
            if line.startswith("mosquitto_pub"):
                words = shlex.split(line)
                found.append((words[words.index("-t") + 1], words[words.index("-m") + 1], "-r" in words))
    return found


def understood(topic: str, payload: bytes, retained: bool = False, at_ms: int = NOW) -> tuple[Decoded, ...]:
    name = next(n for n, root in (("native-v1", "sc/v1"), ("zigbee2mqtt", "zigbee2mqtt"), ("senml", "senml"),
                                  ("generic-json", "sensors")) if topic.startswith(root))  # fmt: skip
    codec = CODECS[name].make(CODECS[name].usual_root, CodecContext(zone="Asia/Shanghai", known=lambda address: True))
    found = codec.decode(topic, payload, received_at_ms=at_ms, retained=retained)
    assert isinstance(found, tuple), (topic, found)
    return found


@pytest.mark.parametrize(("topic", "payload", "retained"), published(), ids=[topic for topic, _, _ in published()])
def test_a_mosquitto_pub_line_of_the_guide_is_understood(topic, payload, retained):
    for said in understood(topic, payload.encode(), retained, 1_704_067_260_000):
        assert not said.warnings
        assert not said.ignored


def test_there_are_lines_of_every_dialect_that_the_guide_begins_with():
    roots = {topic.split("/")[0] for topic, _, _ in published()}
    assert len(published()) >= 10
    assert {"sc", "zigbee2mqtt", "senml", "sensors"} <= roots


class _Published:
    def wait_for_publish(self, timeout: float) -> None:
        pass


class _Client:
    """paho's client, as far as the guide's program uses it: what it does not know fails the test."""

    said: list[tuple[str, bytes, bool]]

    def __init__(self, version: Any, client_id: str) -> None:
        assert version is paho.CallbackAPIVersion.VERSION2
        self.said = []
        _Client.latest = self

    def will_set(self, topic: str, payload: str, qos: int, retain: bool) -> None:
        self.publish(topic, payload, qos, retain)

    def publish(self, topic: str, payload: str, qos: int, retain: bool) -> _Published:
        assert qos == 1
        self.said.append((topic, payload.encode(), retain))
        return _Published()

    def connect(self, host: str, port: int) -> None:
        pass

    loop_start = loop_stop = disconnect = lambda self: None
    latest: Any = None


def test_the_program_for_paho_says_only_what_is_understood(monkeypatch):
    [program] = [block for block in blocks("python") if "paho" in block]
    monkeypatch.setattr(paho, "Client", _Client)
    exec(compile(program, "docs/integrators.md", "exec"), {})
    said = _Client.latest.said
    channels = [topic.rpartition("/")[2] for topic, _, _ in said]
    assert channels == ["online", "online", "birth", "tele", "event", "online"]
    found = [one for topic, payload, _ in said for one in understood(topic, payload)]
    assert not [warning for one in found for warning in one.warnings]
    assert {r.quantity for one in found for r in one.readings} == {"power_w", "voltage_v", "smoke"}
    for name in (
        "will_set",
        "publish",
        "connect",
        "loop_start",
        "loop_stop",
        "disconnect",
        "username_pw_set",
        "tls_set",
    ):
        assert hasattr(_RealClient, name)


_RealClient = paho.Client


def test_the_bodies_of_the_sketch_are_understood():
    [sketch] = blocks("cpp")
    bodies = [json.loads(f'"{text}"') for text in re.findall(r'"(\{\\"(?:[^"\\]|\\.)*)"', sketch)]
    assert len(bodies) == 4
    for body in bodies:
        channel = "online" if "online" in body else "event" if "alarm" in body else "state"
        filled = body.replace("%08x", "0000002a").replace("%u", "7").replace("%s", "true")
        for one in understood(f"sc/v1/site-b3/esp-7/smoke-1/{channel}", filled.encode()):
            assert not one.warnings


def test_the_flow_for_node_red_is_wired():
    [flow] = [json.loads(block) for block in blocks("json") if "mqtt-broker" in block]
    ids = {node["id"] for node in flow}
    wired = {to for node in flow for wires in node.get("wires", []) for to in wires}
    assert wired <= ids
    assert {node["broker"] for node in flow if node["type"] == "mqtt out"} <= ids
    [function] = [node["func"] for node in flow if node["type"] == "function"]
    topic = re.search(r"msg\.topic = '([^']+)'", function)
    assert topic is not None
    [said] = understood(topic[1], b'{"v":1,"seq":1,"ts":1704067200123,"m":{"temperature_c":21.5}}')
    assert [reading.quantity for reading in said.readings] == ["temperature_c"]


def test_the_table_of_devices_is_of_the_code():
    text = (ROOT / "docs" / "devices.md").read_text("utf-8")
    assert text == redrawn(text, drawings()), "python -m hub.ingest.devices_table docs/devices.md"
