"""Rejected native messages are answered on the device's own topic `reject`: soon, seldom, and never in a replay."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hub.ingest.codecs.native import NativeCodec
from hub.ingest.topics import parse_native
from hub.model.readings import QuarantineRow, Reject
from hub.onboarding.rejections import EVERY_MS, FRESH_MS, Rejections

AT = 1_767_225_600_000


def rejected(topic: str, payload: bytes, *, at_ms: int = AT, count: int = 1) -> QuarantineRow:
    said = NativeCodec().decode(topic, payload, received_at_ms=at_ms, retained=False)
    reject = said if isinstance(said, Reject) else Reject(codec="native-v1", reason="unknown device", address="a")
    return QuarantineRow(
        topic=topic, reason=reject.reason, codec=reject.codec, detail=reject.detail, address=reject.address,
        count=count, first_at_ms=at_ms, last_at_ms=at_ms, position=1, payload=payload,
    )  # fmt: skip


class Desk:
    def __init__(self) -> None:
        self.now, self.said = AT, list[tuple[str, dict[str, Any]]]()
        self.rejections = Rejections(["sc/v1"], self._publish, lambda: self.now, field_of=lambda row: "ts")

    def _publish(self, topic: str, body: bytes) -> bool:
        self.said.append((topic, json.loads(body)))
        return True

    def take(self, *rows: QuarantineRow) -> None:
        self.rejections.take(rows)
        self.rejections.step()


def test_the_answer_names_reason_field_and_the_message_on_the_devices_own_topic() -> None:
    desk = Desk()
    desk.take(rejected("sc/v1/demo/gw-1/smoke-1/tele", b'{"v":1,"seq":7,"ts":"yesterday","m":[]}'))
    ((topic, body),) = desk.said
    assert topic == "sc/v1/demo/gw-1/smoke-1/reject"
    assert body["reason"]
    assert (body["channel"], body["seq"], body["field"], body["count"], body["ts"]) == ("tele", 7, "ts", 1, AT)
    assert not isinstance(parse_native(topic), Reject)


def test_an_unknown_device_and_an_unknown_channel_are_told_too() -> None:
    desk = Desk()
    desk.take(rejected("sc/v1/demo/gw-1/new/tele", b'{"v":1,"m":{"smoke":true}}'))
    desk.take(rejected("sc/v1/demo/gw-1/new/telemetry", b"{}"))
    assert [(t.rpartition("/")[0], b["reason"]) for t, b in desk.said] == [
        ("sc/v1/demo/gw-1/new", "unknown device"),
        ("sc/v1/demo/gw-1/new", "unknown channel"),
    ]


@pytest.mark.parametrize(
    "topic", ["sc/v1/demo/gw-1/smoke-1/reject", "sc/v1/demo/GW/x/tele", "sc/v1/a", "other/a/b/c/tele"]
)
def test_what_nobody_could_hear_is_not_answered(topic: str) -> None:
    desk = Desk()
    desk.take(rejected(topic, b"{"))
    assert desk.said == []


def test_the_same_again_and_again_is_answered_every_ten_seconds() -> None:
    desk = Desk()
    for n in range(100):
        desk.now = AT + n * 250
        desk.take(rejected("sc/v1/demo/gw-1/smoke-1/tele", b"{", at_ms=desk.now))
    assert len(desk.said) == 100 * 250 // EVERY_MS + 1


def test_a_replay_of_the_journal_answers_nothing() -> None:
    desk = Desk()
    desk.take(rejected("sc/v1/demo/gw-1/smoke-1/tele", b"{", at_ms=AT - FRESH_MS - 1))
    assert desk.said == []


@pytest.mark.parametrize("payload", [b"\xff", b"[1]", b'{"seq":{"a":1},"id":"' + b"x" * 200 + b'"}', b"[" * 10_000])
def test_what_cannot_be_read_is_answered_without_its_name(payload: bytes) -> None:
    desk = Desk()
    desk.take(rejected("sc/v1/demo/gw-1/smoke-1/tele", payload))
    ((_, body),) = desk.said
    assert "seq" not in body
    assert "id" not in body
