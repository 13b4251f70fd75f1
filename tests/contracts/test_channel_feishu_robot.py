"""Feishu and Lark group robots: signatures, mentions, and codes that come with HTTP 200 or 400."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from hub.clock import now_ms
from hub.dispatch.channels import Channel, Tools, open_channels
from hub.dispatch.channels.feishu_robot import signature
from hub.errors import ConfigError
from hub.model.deliveries import Line, Outcome, Refused, Retry, Sent
from tests.support.channels import a_message, hub_yaml, opened
from tests.support.services.feishu import FakeFeishu
from tests.support.services.server import Reply

TOKEN = "1d2c3b4a-5f6e-4789-a0b1-c2d3e4f50617"
SECRET = "Ht3kQz8vWn5pLr2yBx7mCd"


@contextmanager
def crew(
    *, secret: str = SECRET, token: str = TOKEN, clock: Any = now_ms, **robot: Any
) -> Iterator[tuple[FakeFeishu, Channel]]:
    with FakeFeishu(**{TOKEN: SECRET}).running() as service:
        robots = {"crew": {"token_env": "TOKEN", "secret_env": "SECRET", **robot}}
        section = {"base_url": service.url, "robots": robots}
        environ = {"TOKEN": token, "SECRET": secret}
        with opened({"feishu_robot": section}, environ=environ, clock=clock) as channels:
            yield service, channels["feishu_robot"]


def send(channel: Channel, **changes: Any) -> Outcome:
    return channel.send("crew", a_message(**changes), timeout_s=5)


def test_the_signature_is_the_one_of_the_service() -> None:
    # Computed with openssl: printf '' | openssl dgst -sha256 -mac HMAC -macopt hexkey:<"1700000000\nthis is secret"> -binary | base64
    assert signature("this is secret", "1700000000") == "OfGzRzoUICBOoc8wVra1e4A1hPfbZ9zqXozA8CWVUuY="


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"secret": "another"}, "19021"),
        ({"token": "0" * 36}, "19001"),
        ({"clock": lambda: now_ms() + 2 * 3_600_000}, "19021"),
    ],
)
def test_what_the_robot_does_not_accept_is_refused_with_what_to_do(changes: dict[str, Any], code: str) -> None:
    with crew(**changes) as (_, channel):
        outcome = send(channel)
    assert isinstance(outcome, Refused)
    assert code in outcome.reason


def test_the_sixth_message_of_a_second_is_tried_again() -> None:
    with crew() as (service, channel):
        service.now_s = lambda: 1_000.0  # type: ignore[method-assign]
        assert all(isinstance(send(channel), Sent) for _ in range(5))
        outcome = send(channel)
    assert isinstance(outcome, Retry)
    assert "11232" in outcome.reason


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize(
    ("code", "words", "kind"),
    [
        (9499, "too many request", Retry), (9499, "Bad Request", Refused), (11232, "frequency limited psm", Retry), (19001, "param invalid", Refused),
        (19021, "sign match fail", Refused), (19022, "Ip Not Allowed", Refused), (19024, "Key Words Not Found", Refused), (7, "who knows", Refused),
    ],
)  # fmt: skip
def test_each_code_has_its_meaning(status: int, code: int, words: str, kind: type[Any]) -> None:
    with crew() as (service, channel):
        service.always = Reply({"code": code, "data": {}, "msg": words}, status)
        outcome = send(channel)
    assert isinstance(outcome, kind)
    assert f"code {code}: {words}" in outcome.reason


def test_the_old_form_of_a_yes_is_a_yes() -> None:
    with crew() as (service, channel):
        service.always = Reply({"Extra": None, "StatusCode": 0, "StatusMessage": "success"})
        assert isinstance(send(channel), Sent)


def test_a_fire_mentions_everybody_or_those_who_are_named_and_nothing_else_does() -> None:
    with crew() as (service, channel):
        send(channel)
        send(channel, transition="cleared")
        fire, over = (body["content"]["text"] for body in service.taken)
    assert fire.endswith('\n<at user_id="all"></at>')
    assert "<at" not in over
    with crew(mention=["ou_1", "ou_2"]) as (service, channel):
        send(channel)
        assert service.taken[0]["content"]["text"].endswith('\n<at user_id="ou_1"></at><at user_id="ou_2"></at>')


def test_no_word_of_ours_mentions_anybody() -> None:
    with crew() as (service, channel):
        send(channel, severity="P3", lines=(Line("title", 'x <at user_id="all"></at>', 9),))
        assert "<at" not in service.taken[0]["content"]["text"]


def test_the_keyword_of_the_robot_is_added_where_it_is_missing() -> None:
    with crew(keyword="网格") as (service, channel):
        service.keyword = "网格"
        assert isinstance(send(channel, transition="closed"), Sent)


def test_an_address_of_lark_at_feishu_is_a_complaint_that_says_what_to_set() -> None:
    section = {"robots": {"crew": {"token_env": "TOKEN"}}}
    environ = {"TOKEN": f"https://open.larksuite.com/open-apis/bot/v2/hook/{TOKEN}"}
    with pytest.raises(ConfigError, match=r"base_url.*open.larksuite.com") as caught:
        open_channels({"feishu_robot": section}, hub_yaml({"feishu_robot": section}), Tools(environ=environ))
    assert TOKEN not in str(caught.value)


def test_a_mention_cannot_break_out_of_its_tag() -> None:
    section = {"robots": {"crew": {"token_env": "TOKEN", "mention": ['x"></at><at user_id="all']}}}
    with pytest.raises(ConfigError, match=r"mention"):
        open_channels({"feishu_robot": section}, hub_yaml({"feishu_robot": section}), Tools(environ={"TOKEN": TOKEN}))
