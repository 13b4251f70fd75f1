"""DingTalk group robots: signatures, the ten minutes outside, and what each code means."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from hub.clock import now_ms
from hub.dispatch.channels import Channel, dingtalk_robot
from hub.dispatch.channels.dingtalk_robot import signature
from hub.model.deliveries import Outcome, Refused, Retry, Sent
from tests.support.channels import a_message, opened
from tests.support.services.dingtalk import FakeDingtalk
from tests.support.services.server import Reply

TOKEN = "3f1c5b7e9d2a4c6f8e0b1d3a5c7e9f2b"
SECRET = "SEC0a1b2c3d4e5f60718293a4b5c6d7e8f9"


@contextmanager
def crew(
    *, secret: str = SECRET, token: str = TOKEN, clock: Any = now_ms, **robot: Any
) -> Iterator[tuple[FakeDingtalk, Channel]]:
    with FakeDingtalk(**{TOKEN: SECRET}).running() as service:
        robots = {"crew": {"token_env": "TOKEN", "secret_env": "SECRET", **robot}}
        section = {"base_url": service.url, "robots": robots}
        environ = {"TOKEN": token, "SECRET": secret}
        with opened({"dingtalk_robot": section}, environ=environ, clock=clock) as channels:
            yield service, channels["dingtalk_robot"]


def send(channel: Channel, **changes: Any) -> Outcome:
    return channel.send("crew", a_message(**changes), timeout_s=5)


def test_the_signature_is_the_one_of_the_service() -> None:
    # Computed with openssl: printf '1700000000000\nthis is secret' | openssl dgst -sha256 -hmac 'this is secret' -binary | base64
    assert signature("this is secret", "1700000000000") == "sSFWELbV2YwjdDQhWZwTcWlX5BWUx5J6TPpsZmuPii0="


def test_a_wrong_secret_is_refused_with_what_to_do() -> None:
    with crew(secret="SECanother") as (_, channel):
        outcome = send(channel)
    assert isinstance(outcome, Refused)
    assert "310000: sign not match" in outcome.reason
    assert "secret" in outcome.reason


def test_a_clock_that_is_wrong_by_hours_is_said() -> None:
    with crew(clock=lambda: now_ms() - 2 * 3_600_000) as (_, channel):
        outcome = send(channel)
    assert isinstance(outcome, Refused)
    assert "clock" in outcome.reason


def test_a_robot_that_does_not_exist_is_refused() -> None:
    with crew(token="0" * 32) as (_, channel):
        outcome = send(channel)
    assert isinstance(outcome, Refused)
    assert "300005: token is not exist" in outcome.reason


def test_who_sends_too_fast_is_left_outside_for_ten_minutes_and_does_not_knock(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 1_000.0
    monkeypatch.setattr(dingtalk_robot, "monotonic_s", lambda: now_s)
    with crew() as (service, channel):
        assert all(isinstance(send(channel), Sent) for _ in range(20))
        out = send(channel)
        assert isinstance(out, Retry)
        assert out.after_s == 600
        now_s += 300
        still_out = send(channel)
        assert isinstance(still_out, Retry)
        assert still_out.after_s == 300
        assert "130101" in still_out.reason
        assert len(service.calls) == 21, "nothing is sent meanwhile"
        now_s += 301
        service.ahead_s = 601
        assert isinstance(send(channel), Sent)


def test_being_busy_leaves_nobody_outside() -> None:
    with crew() as (service, channel):
        service.script.append(Reply({"errcode": -1, "errmsg": "系统繁忙"}))
        assert isinstance(send(channel), Retry)
        assert isinstance(send(channel), Sent)


@pytest.mark.parametrize(
    ("code", "words", "kind", "hint"),
    [
        (310000, "keywords not in content", Refused, "keyword"),
        (310000, "sign not match", Refused, "secret"),
        (310000, "ip 1.2.3.4 not in whitelist", Refused, "address"),
        (310000, "something new", Refused, "security"),
        (410100, "too fast", Retry, "too fast"),
        (300001, "token is not exist", Refused, "no robot"),
        (300001, "send too fast, rate limit", Refused, "no robot"),
        (400013, "group", Refused, "gone"),
        (400102, "bot is stopped", Refused, "switched off"),
        (430102, "text", Refused, "does not like"),
        (460101, "message too long, exceed 20000 bytes", Refused, "20,000"),
        (99, "who knows", Refused, "who knows"),
    ],
)
def test_each_code_has_its_meaning(code: int, words: str, kind: type[Any], hint: str) -> None:
    with crew() as (service, channel):
        service.always = Reply({"errcode": code, "errmsg": words})
        outcome = send(channel)
    assert isinstance(outcome, kind)
    assert f"errcode {code}" in outcome.reason
    assert hint in outcome.reason


def test_a_fire_mentions_everybody_or_those_who_are_named_and_nothing_else_does() -> None:
    with crew() as (service, channel):
        send(channel)
        send(channel, severity="P2")
        fire, other = service.taken
    assert fire["at"] == {"isAtAll": True, "atUserIds": [], "atMobiles": []}
    assert "at" not in other
    with crew(at_all=False, at_users=["zhang"], at_mobiles=["13800000001"]) as (service, channel):
        send(channel)
        assert service.taken[0]["at"] == {"isAtAll": False, "atUserIds": ["zhang"], "atMobiles": ["13800000001"]}
        assert service.taken[0]["text"]["content"].endswith("\n@zhang @13800000001")


def test_the_keyword_of_the_robot_is_also_in_the_message_that_all_is_well() -> None:
    with crew(keyword="火警") as (service, channel):
        service.keyword = "火警"
        assert isinstance(send(channel), Sent)
        assert isinstance(send(channel, transition="closed"), Sent)
        first, second = (body["text"]["content"] for body in service.taken)
    assert first == a_message().text, "it was there already"
    assert second.endswith("\n火警")


def test_without_its_keyword_a_robot_refuses_and_says_so() -> None:
    with crew() as (service, channel):
        service.keyword = "消防"
        outcome = send(channel, alert={"action_zh": "去看"})
    assert isinstance(outcome, Refused)
    assert "keyword" in outcome.reason
