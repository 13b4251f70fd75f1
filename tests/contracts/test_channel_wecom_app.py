"""Messages of a WeCom application: the token is kept and renewed, a member who is not there is no yes, cards lead to the alert."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from hub.dispatch.channels import Channel, Tools, open_channels
from hub.errors import ConfigError
from hub.model.deliveries import Line, Outcome, Refused, Retry, Sent
from tests.support.channels import a_message, hub_yaml, opened
from tests.support.services.server import Call, Reply
from tests.support.services.wecom import FakeWecomApp

SECRET = "app-secret-Zq8_x1Yv3TnW"
CORP, AGENT = "ww1234567890abcdef", 1_000_002


@contextmanager
def application(*, secret: str = SECRET, **section: Any) -> Iterator[tuple[FakeWecomApp, Channel]]:
    with FakeWecomApp(CORP, SECRET, AGENT, "zhang", "li").running() as service:
        whole = {"base_url": service.url, "corp_id": CORP, "agent_id": AGENT, "secret_env": "S", **section}
        with opened({"wecom_app": whole}, environ={"S": secret}) as channels:
            yield service, channels["wecom_app"]


def send(channel: Channel, target: str = "zhang", **changes: Any) -> Outcome:
    return channel.send(target, a_message(**changes), timeout_s=5)


# The token -----------------------------------------------------------------------------------------------------------


def test_one_token_is_used_for_many_messages() -> None:
    with application() as (service, channel):
        assert [send(channel, to) for to in ("zhang", "li", "zhang")] == [Sent("msg-1"), Sent("msg-2"), Sent("msg-3")]
        assert service.tokens_asked == 1


def test_many_at_once_ask_for_one_token() -> None:
    with application() as (service, channel):
        outcomes: list[Outcome] = []
        threads = [threading.Thread(target=lambda: outcomes.append(send(channel))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert len(outcomes) == 8
        assert all(isinstance(outcome, Sent) for outcome in outcomes)
        assert service.tokens_asked == 1


def test_a_token_that_the_service_forgot_is_renewed_in_the_same_send() -> None:
    with application() as (service, channel):
        send(channel)
        service.forget_tokens()
        assert isinstance(send(channel), Sent)
        assert service.tokens_asked == 2


def test_a_token_that_has_ended_is_renewed_in_the_same_send() -> None:
    with application() as (service, channel):
        send(channel)
        service.ahead_s = 7_300
        assert isinstance(send(channel), Sent)
        assert service.tokens_asked == 2


def test_a_token_is_renewed_before_it_ends() -> None:
    with application() as (service, channel):
        service.expires_in = 60  # shorter than the two minutes that a token must still have
        send(channel)
        send(channel)
        assert service.tokens_asked == 2
        assert len(service.taken) == 2


def test_a_token_that_is_never_accepted_is_asked_for_twice_and_not_for_ever() -> None:
    with application() as (service, channel):
        service.script.extend([
            service.answer(_asked()), Reply({"errcode": 40014, "errmsg": "invalid access_token"}),
            service.answer(_asked()), Reply({"errcode": 40014, "errmsg": "invalid access_token"}),
        ])  # fmt: skip
        outcome = send(channel)
        assert isinstance(outcome, Retry)
        assert "40014" in outcome.reason
        assert len(service.calls) == 4


def test_no_token_is_told_when_the_service_quotes_it() -> None:
    with application() as (service, channel):
        send(channel)
        (token,) = service.tokens
        service.script.append(Reply({"errcode": 60020, "errmsg": f"not allow to access from your ip, token {token}"}))
        assert token not in repr(send(channel))


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"corp_id": "ww-other"}, "40013"), ({"secret": "another-secret"}, "40001"), ({"agent_id": 7}, "40056")],
)
def test_an_account_that_is_wrong_is_refused_with_what_is_wrong(changes: dict[str, Any], code: str) -> None:
    with application(**changes) as (_, channel):
        outcome = send(channel)
    assert isinstance(outcome, Refused)
    assert code in outcome.reason


@pytest.mark.parametrize(
    "body", [{"errcode": 0}, {"errcode": 0, "access_token": 7}, {"errcode": 0, "access_token": ""}]
)
def test_a_yes_without_a_token_is_tried_again(body: dict[str, Any]) -> None:
    with application() as (service, channel):
        service.script.append(Reply(body))
        assert isinstance(send(channel), Retry)
        assert isinstance(send(channel), Sent)


def _asked() -> Call:
    return Call("GET", "/cgi-bin/gettoken", {"corpid": CORP, "corpsecret": SECRET}, "", {}, b"")


# Receivers -----------------------------------------------------------------------------------------------------------


def test_a_member_who_is_not_there_is_refused() -> None:
    with application() as (_, channel):
        outcome = send(channel, "nobody")
    assert isinstance(outcome, Refused)
    assert "81013" in outcome.reason


@pytest.mark.parametrize("key", ["invaliduser", "invalidparty", "invalidtag", "unlicenseduser"])
def test_a_yes_that_names_the_receiver_as_invalid_is_no_yes(key: str) -> None:
    with application() as (service, channel):
        send(channel)
        service.script.append(Reply({"errcode": 0, "errmsg": "ok", key: "zhang", "msgid": "m"}))
        outcome = send(channel)
    assert isinstance(outcome, Refused)
    assert key in outcome.reason


@pytest.mark.parametrize(
    ("target", "key", "value"), [("zhang", "touser", "zhang"), ("party:2", "toparty", "2"), ("tag:7", "totag", "7")]
)
def test_members_departments_and_tags_can_be_told(target: str, key: str, value: str) -> None:
    with application() as (service, channel):
        assert isinstance(send(channel, target), Sent)
        assert service.taken[0][key] == value


def test_the_limit_beyond_which_the_service_drops_messages_is_declared() -> None:
    with application() as (service, channel):
        for _ in range(31):
            assert isinstance(send(channel), Sent)
        assert len(service.lost) == 1, "the service says yes and drops it: only the courier's own count helps"
        assert any(limit.most == 30 and limit.within_s == 60 for limit in channel.limits)


# Forms ---------------------------------------------------------------------------------------------------------------

LINKS = {
    f"{name}": f"https://hub.example/{name}"
    for name in ("alert", "acknowledge", "on_scene", "false_alarm", "reinforce")
}


def test_a_text_card_opens_the_alert() -> None:
    with application() as (service, channel):
        send(channel)
        card = service.taken[0]["textcard"]
    assert card["url"] == "https://hub.example/alerts/a1b2c3"
    assert card["title"].startswith("【火警·P1】")
    assert card["title"] not in card["description"]
    assert "https://" not in card["description"]


def test_no_word_of_ours_is_a_tag_in_a_card() -> None:
    with application() as (service, channel):
        send(channel, lines=(Line("title", "t", 9), Line("do_now", "<div>" * 200, 10)))
        assert "<" not in service.taken[0]["textcard"]["description"]


def test_a_template_card_carries_the_answers() -> None:
    with application(form="template_card") as (service, channel):
        assert isinstance(send(channel, links=LINKS), Sent)
        card = service.taken[0]["template_card"]
    assert card["card_action"] == {"type": 1, "url": LINKS["alert"]}
    assert [jump["title"] for jump in card["jump_list"]] == ["受理", "已到场", "求增援"]


def test_a_text_says_all_of_it() -> None:
    with application(form="text") as (service, channel):
        assert isinstance(send(channel), Sent)
        assert service.taken[0]["text"]["content"] == a_message().text


def test_a_form_that_does_not_exist_is_a_complaint() -> None:
    section = {"corp_id": CORP, "agent_id": AGENT, "secret_env": "S", "form": "fax"}
    with pytest.raises(ConfigError, match=r"channels.wecom_app.form: 'fax' is not known here"):
        open_channels({"wecom_app": section}, hub_yaml({"wecom_app": section}), Tools(environ={"S": SECRET}))


def test_an_account_without_its_numbers_is_a_complaint_for_each() -> None:
    with pytest.raises(ConfigError) as caught:
        open_channels(
            {"wecom_app": {"secret_env": "S"}},
            hub_yaml({"wecom_app": {"secret_env": "S"}}),
            Tools(environ={"S": SECRET}),
        )
    assert [c.key for c in caught.value.complaints] == ["channels.wecom_app.corp_id", "channels.wecom_app.agent_id"]
