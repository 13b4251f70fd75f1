"""A device gone mad is held back: its alarms pass, its drops are counted and said, and the others never notice."""

from __future__ import annotations

import json
import time

import pytest

from hub.ingest.codecs.context import CodecContext
from hub.ingest.flood import CALM_MS, FloodGuard
from hub.ingest.reader import FLOOD_REASON, Reader
from hub.ingest.router import Router, Source
from hub.ingest.screen import Limits, Screen
from hub.model.readings import Envelope
from hub.registry.snapshot import Registry
from hub.stores.journal import MESSAGE, Record

AT = 1_767_225_600_000
MAD, CALM = "sc/v1/demo/gw-1/mad/tele", "sc/v1/demo/gw-1/calm/tele"
Z2M = "zigbee2mqtt/Kitchen"


class Gate:
    def __init__(self, *, rate: float = 10, burst: float = 20, standing: tuple[str, ...] = ()) -> None:
        self.now, self.told, self.said = AT, list[Envelope](), list[tuple[str, bool]]()
        sources = [Source(codec="native-v1", root="sc/v1"), Source(codec="zigbee2mqtt", root="zigbee2mqtt")]
        router = Router(sources, CodecContext())
        self.guard = FloodGuard(
            lambda e: router.decode(e.topic, e.payload, received_at_ms=e.received_at_ms, retained=False),
            self.told.append,
            lambda device, on: self.said.append((device, on)),
            lambda: self.now,
            device_of=lambda address: address.rpartition("/")[2],
            standing=lambda: standing,
            native_roots=["sc/v1"],
            rate_per_s=rate,
            burst=burst,
        )

    def admits(
        self, topic: str = MAD, payload: bytes = b'{"v":1,"m":{"power_w":1.0}}', *, retained: bool = False
    ) -> bool:
        return self.guard.admits(Envelope(topic, payload, self.now, retained))

    def flood(self, count: int = 1_000, topic: str = MAD, **more: bytes) -> int:
        """How many of so many messages in one moment pass."""
        return sum(self.admits(topic, **more) for _ in range(count))


def z2m(**said: object) -> bytes:
    return json.dumps(said).encode()


def test_whoever_keeps_to_the_rate_loses_nothing() -> None:
    gate = Gate()
    for n in range(3_000):
        gate.now = AT + n * 100
        assert gate.admits()
    assert gate.guard.dropped == 0


def test_a_burst_passes_and_then_the_rate() -> None:
    gate = Gate()
    assert gate.flood() == 20
    gate.now += 1_000
    assert gate.flood() == 10
    gate.now += 3_600_000
    assert gate.flood() == 20


def test_the_others_never_notice_and_all_channels_of_a_device_count_together() -> None:
    gate = Gate()
    gate.flood()
    assert gate.admits(CALM)
    assert not gate.admits(MAD.replace("tele", "batch"))
    gate.flood(topic=Z2M, payload=z2m(temperature=1))
    assert gate.admits("zigbee2mqtt/Hall", z2m(temperature=1))


def test_alarms_pass_a_flood_and_so_does_their_end() -> None:
    gate = Gate()
    gate.flood(topic=Z2M, payload=z2m(temperature=1))
    said = [True, True, False, False, True]
    assert [gate.admits(Z2M, z2m(smoke=on, temperature=9)) for on in said] == [True, False, True, False, True]
    assert not gate.admits(Z2M, z2m(temperature=3))
    gate.now += 999
    gate.flood(100, topic=Z2M, payload=z2m(temperature=1))
    gate.now += 1
    assert gate.admits(Z2M, z2m(smoke=True)), "the same is said again each second"


def test_an_alarm_after_an_ordinary_message_is_news_again() -> None:
    gate = Gate()
    gate.flood(topic=Z2M, payload=z2m(temperature=1))
    assert gate.admits(Z2M, z2m(smoke=True))
    gate.now += 100
    assert gate.admits(Z2M, z2m(smoke=False)), "within the rate"
    assert gate.admits(Z2M, z2m(smoke=True))


def test_retained_messages_at_the_connect_are_no_flood() -> None:
    gate = Gate()
    assert all(gate.admits(Z2M, retained=True) for _ in range(100))


def test_garbage_and_a_codec_that_fails_do_not_stop_the_guard() -> None:
    gate = Gate()
    gate.flood(payload=b"\xff")
    assert not gate.admits(payload=b"\xff")

    def fails(envelope: Envelope) -> tuple[()]:
        raise RuntimeError("bug")

    gate.guard._decode = fails
    assert gate.admits(), "a message that the guard cannot read goes on to where that is said"


def test_drops_are_counted_and_said_once() -> None:
    gate = Gate()
    gate.flood(1_020)
    gate.guard.step()
    gate.guard.step()
    (record,) = gate.told
    assert record.topic == f"$hub/flood/1000/{MAD}"
    assert gate.said == [("mad", True)]
    gate.flood(7)
    gate.guard.step()
    assert [e.topic.split("/")[2] for e in gate.told] == ["1000", "7"]
    gate.now += CALM_MS
    gate.guard.step()
    assert gate.said == [("mad", True), ("mad", False)]


def test_after_a_restart_a_flood_that_is_over_is_said_to_be_over() -> None:
    gate = Gate(standing=("mad", "old"))
    gate.flood(30)
    gate.guard.step()
    gate.guard.step()
    assert gate.said == [("mad", True), ("old", False)]


def test_the_drops_stand_in_the_quarantine_with_their_number() -> None:
    reader = Reader(Router([]).decode, lambda: Registry.of([]), Screen(Limits()))
    records = [
        Record(n, MESSAGE, AT + n, f"$hub/flood/{count}/{MAD}", b"native-v1:demo/gw-1/mad", False)
        for n, count in enumerate(("1000", "7", "x", ""))
    ]
    (segment,) = reader.read(records)
    (row,) = segment.quarantine
    assert (row.topic, row.reason, row.count, row.address) == (MAD, FLOOD_REASON, 1_007, "native-v1:demo/gw-1/mad")


def test_memory_is_bounded_however_many_topics_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    from hub.ingest import flood

    monkeypatch.setattr(flood, "_MOST_KEYS", 100)
    gate = Gate()
    for n in range(1_000):
        assert gate.admits(f"zigbee2mqtt/d{n}")
    assert len(gate.guard._full_at) <= 100


def test_a_message_below_the_rate_costs_next_to_nothing() -> None:
    gate = Gate(rate=1e6, burst=1e7)
    envelopes = [Envelope(f"sc/v1/demo/gw-1/d{n}/tele", b"", AT) for n in range(1_000)]
    best = 1.0
    for _ in range(5):
        began = time.perf_counter()
        for envelope in envelopes:
            gate.guard.admits(envelope)
        best = min(best, (time.perf_counter() - began) / len(envelopes))
    assert best < 10e-6
