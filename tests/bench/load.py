"""The load that everything is measured with: native telemetry of 4 metrics, 157 bytes with its topic, and alarms on demand."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path

from devices.simulators.town import write_town
from hub.registry.loader import load
from hub.registry.snapshot import Registry

START_MS = 1_704_067_200_000


def town_of(folder: Path, devices: int) -> Registry:
    """A generated place of `devices` devices."""
    write_town(folder, devices=devices, seed=1, site="bench")
    return load(folder)


def native_topics(registry: Registry, kind: str | None = None) -> list[str]:
    """Topic prefixes (sc/v1/site/node/device) of the devices that speak native, of `kind` if given."""
    return [
        "sc/v1/" + address.removeprefix("native-v1:")
        for device in registry.devices()
        if kind is None or device.kind == kind
        for address in device.addresses[:1]
        if address.startswith("native-v1:") and device.kind not in ("hub", "canary", "gateway", "siren")
    ]


def telemetry(topics: list[str], count: int, *, at_ms: int) -> Iterator[tuple[str, bytes]]:
    """`count` telemetry messages over `topics` in turn, 1 ms apart."""
    for n in range(count):
        body = (
            f'{{"v":1,"seq":{n},"ts":{at_ms + n},"m":{{"power_w":{1200 + n % 97},"voltage_v":{229 + n % 7 / 10},'
            f'"current_a":{5 + n % 11 / 10},"temperature_c":{21 + n % 13 / 10}}}}}'
        )
        yield f"{topics[n % len(topics)]}/tele", body.encode()


def alarm(prefix: str, number: int, at_ms: int) -> tuple[str, bytes]:
    """A smoke alarm event of its own identity."""
    body = {"v": 1, "id": f"bench-{number}-{at_ms}", "ts": at_ms, "type": "alarm", "alarm": "smoke", "active": True}
    return f"{prefix}/event", json.dumps(body).encode()


# -- just enough MQTT 3.1.1 to load a broker, and to do nothing with what it sends, as fast as Python can ----------------


def _length(n: int) -> bytes:
    out = bytearray()
    while True:
        n, low = divmod(n, 128)
        out.append(low | (0x80 if n else 0))
        if not n:
            return bytes(out)


def _text(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("!H", len(raw)) + raw


def connect_packet(client_id: str) -> bytes:
    body = _text("MQTT") + bytes([4, 2]) + struct.pack("!H", 60) + _text(client_id)
    return b"\x10" + _length(len(body)) + body


def subscribe_packet(topic: str, qos: int) -> bytes:
    body = struct.pack("!H", 1) + _text(topic) + bytes([qos])
    return b"\x82" + _length(len(body)) + body


def publish_packet(topic: str, payload: bytes, qos: int, packet_id: int) -> bytes:
    body = _text(topic) + (struct.pack("!H", packet_id) if qos else b"") + payload
    return bytes([0x30 | qos << 1]) + _length(len(body)) + body
