"""Telegram: chats that moved, buttons that the service does not like, and how long it wants to be left alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from hub.dispatch.channels import Channel
from hub.model.deliveries import Outcome, Refused, Retry, Sent
from tests.support.channels import a_message, opened
from tests.support.services.server import Reply
from tests.support.services.telegram import FakeTelegram

TOKEN = "123456789:AAF8kQ2xW9bM4nV6cZ1sD8gH3jL5pT0uYe"


@contextmanager
def bot(*, token: str = TOKEN) -> Iterator[tuple[FakeTelegram, Channel]]:
    with FakeTelegram(TOKEN, "42", "-100", "-1009876543210").running() as service:
        section = {"base_url": service.url, "token_env": "T"}
        with opened({"telegram": section}, environ={"T": token}) as channels:
            yield service, channels["telegram"]


def send(channel: Channel, chat: str = "42", **changes: Any) -> Outcome:
    return channel.send(chat, a_message(**changes), timeout_s=5)


def test_the_receipt_is_the_id_of_the_message() -> None:
    with bot() as (_, channel):
        assert [send(channel), send(channel)] == [Sent("7"), Sent("8")]


def test_buttons_lead_to_the_answers_and_the_text_does_not_repeat_them() -> None:
    links = {"alert": "https://hub.example/alerts/1", "acknowledge": "https://hub.example/a"}
    with bot() as (service, channel):
        send(channel, links=links)
        (body,) = service.taken
    assert body["reply_markup"]["inline_keyboard"] == [
        [{"text": "受理", "url": links["acknowledge"]}],
        [{"text": "查看告警", "url": links["alert"]}],
    ]
    assert "https://" not in body["text"]


def test_links_inside_the_house_stay_in_the_text() -> None:
    message = a_message(links={"alert": "http://127.0.0.1:8080/alerts/1"})
    with bot() as (service, channel):
        assert isinstance(channel.send("42", message, timeout_s=5), Sent)
        assert "reply_markup" not in service.taken[0]
        assert "https://hub.example/alerts/a1b2c3" in service.taken[0]["text"]


def test_buttons_that_the_service_does_not_like_cost_no_message() -> None:
    with bot() as (service, channel):
        service.script.append(
            Reply({"ok": False, "error_code": 400, "description": "Bad Request: BUTTON_URL_INVALID"}, 400)
        )
        assert isinstance(send(channel), Sent)
        assert len(service.calls) == 2
        assert "reply_markup" not in service.taken[0]
        assert "https://hub.example" in service.taken[0]["text"]


def test_a_group_that_became_a_supergroup_is_followed_and_remembered() -> None:
    with bot() as (service, channel):
        service.moved["-100"] = -1009876543210
        assert isinstance(send(channel, "-100"), Sent)
        assert isinstance(send(channel, "-100"), Sent)
        assert len(service.calls) == 3, "the second message goes to the new id at once"
        assert {body["chat_id"] for body in service.taken} == {"-1009876543210"}


def test_chats_that_move_in_circles_are_given_up() -> None:
    with bot() as (service, channel):
        service.moved |= {"-100": -200, "-200": -100}
        assert isinstance(send(channel, "-100"), Refused)
        assert len(service.calls) == 2


def test_the_service_says_how_long_it_wants_to_be_left_alone() -> None:
    with bot() as (_, channel):
        assert all(isinstance(send(channel), Sent) for _ in range(20))
        outcome = send(channel)
    assert isinstance(outcome, Retry)
    assert outcome.after_s == 34
    assert any(limit.most == 20 and limit.reserved for limit in channel.limits)


@pytest.mark.parametrize("retry_after", [-5, "soon", None, True, 10**9, float("inf")])
def test_nonsense_about_how_long_is_bounded(retry_after: Any) -> None:
    body = {
        "ok": False,
        "error_code": 429,
        "description": "Too Many Requests",
        "parameters": {"retry_after": retry_after},
    }
    with bot() as (service, channel):
        service.always = Reply(body, 429)
        outcome = send(channel)
    assert isinstance(outcome, Retry)
    assert 0 <= outcome.after_s <= 3_600


@pytest.mark.parametrize(
    ("arrange", "chat", "words"),
    [
        (lambda service: None, "999", "chat not found"),
        (lambda service: service.blocked.add("42"), "42", "bot was blocked by the user"),
    ],
)
def test_people_who_cannot_be_told_are_refused_with_the_reason(arrange: Any, chat: str, words: str) -> None:
    with bot() as (service, channel):
        arrange(service)
        outcome = send(channel, chat)
    assert isinstance(outcome, Refused)
    assert words in outcome.reason


def test_a_wrong_token_is_refused() -> None:
    with bot(token="1:wrong") as (_, channel):
        outcome = send(channel)
    assert isinstance(outcome, Refused)
    assert "401" in outcome.reason


def test_faults_and_notices_make_no_sound() -> None:
    with bot() as (service, channel):
        for severity in ("P1", "P2", "P3", "P4"):
            channel.send("42", replace(a_message(), severity=severity), timeout_s=5)
        assert [body["disable_notification"] for body in service.taken] == [False, False, True, True]
