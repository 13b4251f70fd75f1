"""ntfy: priorities by severity, buttons that answer, tokens, and the limits of the server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from hub.dispatch.channels import Channel
from hub.model.deliveries import Outcome, Refused, Retry, Sent
from tests.support.channels import a_message, opened
from tests.support.services.ntfy import FakeNtfy
from tests.support.services.server import Reply

TOKEN = "tk_agq3kx8d5b2f7v1m9z4w6c0y8h3n5j"


@contextmanager
def pushing(*, token: str = TOKEN) -> Iterator[tuple[FakeNtfy, Channel]]:
    with FakeNtfy(TOKEN).running() as service:
        section = {"base_url": service.url, "token_env": "T"}
        with opened({"ntfy": section}, environ={"T": token}) as channels:
            yield service, channels["ntfy"]


def send(channel: Channel, **changes: Any) -> Outcome:
    return channel.send("crew-north", a_message(**changes), timeout_s=5)


@pytest.mark.parametrize(
    ("changes", "priority", "tag"),
    [
        ({"severity": "P1"}, 5, "rotating_light"), ({"severity": "P2"}, 4, "warning"), ({"severity": "P3"}, 3, "wrench"), ({"severity": "P4"}, 2, "information_source"),
        ({"transition": "closed"}, 3, "white_check_mark"), ({"transition": "cleared"}, 3, "white_check_mark"),
    ],
)  # fmt: skip
def test_the_priority_follows_the_severity_and_good_news_do_not_alarm(
    changes: dict[str, Any], priority: int, tag: str
) -> None:
    with pushing() as (service, channel):
        assert isinstance(send(channel, **changes), Sent)
        assert service.taken[0]["priority"] == priority
        assert service.taken[0]["tags"] == [tag]


def test_a_tap_opens_the_alert_and_the_first_three_answers_are_buttons() -> None:
    links = {
        name: f"https://hub.example/{name}" for name in ("alert", "acknowledge", "on_scene", "false_alarm", "reinforce")
    }
    with pushing() as (service, channel):
        send(channel, links=links)
        (body,) = service.taken
    assert body["click"] == links["alert"]
    assert [(a["action"], a["label"], a["url"]) for a in body["actions"]] == [
        ("view", "受理", links["acknowledge"]), ("view", "已到场", links["on_scene"]), ("view", "求增援", links["reinforce"]),
    ]  # fmt: skip
    assert body["title"] == a_message().title
    assert body["title"] not in body["message"]


def test_the_receipt_is_the_id_of_the_server() -> None:
    with pushing() as (service, channel):
        service.script.append(Reply({"id": "sPs71M8A2T", "event": "message", "topic": "crew-north"}))
        assert send(channel) == Sent("sPs71M8A2T")


def test_an_answer_that_is_no_message_is_no_yes() -> None:
    with pushing() as (service, channel):
        service.script.append(Reply({"id": "x", "event": "open"}))
        assert isinstance(send(channel), Refused)


def test_a_wrong_token_and_a_topic_of_others_are_refused() -> None:
    with pushing(token="tk_another") as (_, channel):
        outcome = send(channel)
        assert isinstance(outcome, Refused)
        assert "40101" in outcome.reason
    with pushing() as (service, channel):
        service.forbidden.add("crew-north")
        outcome = send(channel)
        assert isinstance(outcome, Refused)
        assert "40301" in outcome.reason


def test_more_than_the_server_takes_at_once_is_tried_again() -> None:
    with pushing() as (service, channel):
        service.left, service.at_s = 1.0, service.now_s()
        assert isinstance(send(channel), Sent)
        outcome = send(channel)
        assert isinstance(outcome, Retry)
        assert outcome.after_s == 5
        service.ahead_s = 6
        assert isinstance(send(channel), Sent)


@pytest.mark.parametrize(
    ("code", "kind"),
    [(42908, Retry), (42905, Retry), (41303, Refused), (40018, Refused), (50001, Retry), (50701, Retry)],
)
def test_each_code_has_its_meaning(code: int, kind: type[Any]) -> None:
    with pushing() as (service, channel):
        service.always = Reply({"code": code, "http": code // 100, "error": "so it is"}, code // 100)
        outcome = send(channel)
    assert isinstance(outcome, kind)
    assert f"code {code}: so it is" in outcome.reason


def test_a_server_that_lets_everybody_write_needs_no_token() -> None:
    with FakeNtfy(TOKEN).running() as service, opened({"ntfy": {"base_url": service.url}}, environ={}) as channels:
        assert isinstance(send(channels["ntfy"]), Refused), "but this one does"
        assert "authorization" not in service.calls[0].headers
