"""What telephones answer: reports, texts, pressed keys; signed, once, and about the right fire."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.answering import Answering
from hub.api import create_app
from hub.clock import SteppedClock
from hub.dispatch.replies import meant, said_by
from hub.model.deliveries import DeliveryRow, NewDelivery
from hub.stores.alert_queries import AlertQueries
from hub.stores.link_uses import LinkUses
from tests.support.served import STATION, Hub, hub_at

SECRET = "a-secret-of-the-gateway"
NUMBER = "13800000005"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with hub_at(tmp_path, SteppedClock(1_767_225_600_000)) as found:
        queries = AlertQueries(found.ledger)
        found.woken = []  # type: ignore[attr-defined]
        answering = Answering(
            found.parts.desk, found.links, LinkUses(found.ledger), found.outbox, queries, lambda: found.registry,
            secrets={"sms": SECRET, "voice": SECRET},
            instead=lambda alert, delivery, now_ms: [told(alert.id, "voice", delivery.transition)],
            wake=lambda: found.woken.append(1),  # type: ignore[attr-defined]
        )  # fmt: skip
        found.parts = replace(found.parts, answering=answering)
        found.app = create_app(found.parts)
        yield found


@pytest.fixture
def gateway(hub: Hub) -> TestClient:
    return TestClient(hub.app)


def told(alert_id: str, channel: str, transition: str = "raised") -> NewDelivery:
    return NewDelivery(
        alert_id=alert_id, transition=transition, recipient=STATION, channel=channel, target=f"+86 {NUMBER}", locale="en",
        due_at_ms=0,
    )  # fmt: skip


def sent(hub: Hub, channel: str, receipt: str, alert_id: str = "", transition: str = "raised") -> str:
    """A fire that a telephone was told of."""
    alert_id = alert_id or hub.says()
    hub.outbox.add([told(alert_id, channel, transition)], hub.clock())
    for delivery in hub.outbox.claim(hub.clock(), "me", limit=100, lease_ms=1_000):
        if delivery.channel == channel:
            hub.outbox.begin_send(delivery.id, hub.clock())
            hub.outbox.accepted(delivery.id, receipt, hub.clock())
    return alert_id


def row(hub: Hub, alert_id: str, channel: str) -> DeliveryRow:
    return next(d for d in hub.parts.queries.deliveries(alert_id) if d.channel == channel)


def report(
    hub: Hub, gateway: TestClient, channel: str, body: Any, *, secret: str = SECRET, at_ms: int | None = None
) -> int:
    raw = json.dumps(body).encode()
    stamp = str(hub.clock() if at_ms is None else at_ms)
    sign = "sha256=" + hmac.new(secret.encode(), stamp.encode() + b"." + raw, hashlib.sha256).hexdigest()
    headers = {"X-GridHub-Timestamp": stamp, "X-GridHub-Signature": sign}
    return gateway.post(f"/api/v1/replies/{channel}", content=raw, headers=headers).status_code


def test_a_pressed_key_acknowledges_and_the_call_was_heard(hub: Hub, gateway: TestClient) -> None:
    alert_id = sent(hub, "voice", "call-1")
    hub.clock.advance(s=41)  # type: ignore[attr-defined]
    assert report(hub, gateway, "voice", [{"call_id": "call-1", "status_code": "200000", "dtmf": "1"}]) == 200
    alert = hub.parts.queries.one(alert_id)
    assert alert is not None
    assert alert.acked_by == STATION
    assert row(hub, alert_id, "voice").state == "read"
    assert row(hub, alert_id, "voice").read_at_ms == hub.clock()


def test_a_call_that_was_taken_without_a_key_is_delivered_and_acknowledges_nothing(
    hub: Hub, gateway: TestClient
) -> None:
    alert_id = sent(hub, "voice", "call-1")
    report(hub, gateway, "voice", {"call_id": "call-1", "status_code": "200000"})
    assert row(hub, alert_id, "voice").state == "delivered"
    alert = hub.parts.queries.one(alert_id)
    assert alert is not None
    assert alert.acked_at_ms is None


def test_a_text_that_did_not_arrive_makes_the_next_channel_due(hub: Hub, gateway: TestClient) -> None:
    alert_id = sent(hub, "sms", "biz-1")
    item = {"biz_id": "biz-1", "phone_number": NUMBER, "success": False, "err_code": "MOBILE_NOT_ON_SERVICE"}
    assert report(hub, gateway, "sms", [item, item]) == 200
    lost = row(hub, alert_id, "sms")
    assert lost.state == "failed"
    assert "MOBILE_NOT_ON_SERVICE" in (lost.reason or "")
    assert row(hub, alert_id, "voice").state == "queued"
    assert hub.woken == [1]  # type: ignore[attr-defined]


@pytest.mark.parametrize(("content", "field"), [("1", "acked_by"), ("收到", "acked_by"), ("已到场", "on_scene_by")])
def test_a_text_back_answers_the_newest_notification(hub: Hub, gateway: TestClient, content: str, field: str) -> None:
    alert_id = sent(hub, "sms", "biz-1")
    item = {"phone_number": f"86{NUMBER}", "content": content, "sequence_id": "7"}
    assert report(hub, gateway, "sms", [item]) == 200
    assert getattr(hub.parts.queries.one(alert_id), field) == STATION
    report(hub, gateway, "sms", [item])
    done = [r.action for r in hub.parts.queries.audit(alert_id)]
    assert not any(action.endswith("_again") for action in done), "the same text twice is one"


def test_a_text_of_somebody_who_was_told_nothing_answers_nothing(hub: Hub, gateway: TestClient) -> None:
    alert_id = sent(hub, "sms", "biz-1")
    report(hub, gateway, "sms", [{"phone_number": "13900000000", "content": "1"}])
    alert = hub.parts.queries.one(alert_id)
    assert alert is not None
    assert alert.acked_at_ms is None


def test_a_key_pressed_for_the_fire_before_does_not_silence_the_next_one(hub: Hub, gateway: TestClient) -> None:
    began = hub.clock()
    alert_id = sent(hub, "voice", "call-1")
    hub.clock.advance(s=1)  # type: ignore[attr-defined]
    hub.says(kind="cleared", start_ms=began, value=False)
    hub.clock.advance(s=1)  # type: ignore[attr-defined]
    hub.says()
    report(hub, gateway, "voice", {"call_id": "call-1", "status_code": "200000", "dtmf": "1"})
    alert = hub.parts.queries.one(alert_id)
    assert alert is not None
    assert alert.acked_at_ms is None


def test_what_is_not_signed_is_not_heard(hub: Hub, gateway: TestClient) -> None:
    alert_id = sent(hub, "voice", "call-1")
    key = {"call_id": "call-1", "status_code": "200000", "dtmf": "1"}
    assert report(hub, gateway, "voice", key, secret="another secret") == 404
    assert report(hub, gateway, "voice", key, at_ms=hub.clock() - 400_000) == 404
    assert gateway.post("/api/v1/replies/voice", json=key).status_code == 404
    assert gateway.post("/api/v1/replies/voice/not-the-secret-at-all", json=key).status_code == 404
    alert = hub.parts.queries.one(alert_id)
    assert alert is not None
    assert alert.acked_at_ms is None
    assert gateway.post(f"/api/v1/replies/voice/{SECRET}", json=key).json()["code"] == 0
    for _ in range(10):
        gateway.post("/api/v1/replies/sms", json={})
    assert gateway.post("/api/v1/replies/sms", json={}).status_code == 429


@pytest.mark.parametrize("text", ["不是误报", "没收到", "误报，已到场", "not ok", "", "5", "11", "谁啊"])
def test_an_unclear_text_answers_nothing(text: str) -> None:
    assert meant(text) is None


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["sms", "voice"]),
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(
        st.sampled_from(["phone_number", "content", "biz_id", "success", "call_id", "dtmf", "status_code"]), x), max_leaves=12),
)  # fmt: skip
def test_whatever_a_gateway_sends_gives_values(channel: str, body: Any) -> None:
    list(said_by(channel, body))


def test_neither_number_nor_text_is_in_a_log(hub: Hub, gateway: TestClient, logs: list[dict[str, Any]]) -> None:
    sent(hub, "sms", "biz-1")
    report(hub, gateway, "sms", [{"phone_number": NUMBER, "content": "my private words"}])
    report(hub, gateway, "sms", [{"phone_number": "13900000000", "content": "1"}])
    gateway.post(f"/api/v1/replies/sms/{SECRET}x", json={})
    assert logs
    for secret in (NUMBER, "13900000000", "my private words", SECRET):
        assert secret not in str(logs)
    assert NUMBER not in repr(list(said_by("sms", [{"phone_number": NUMBER, "content": "x"}])))
