"""WeCom group robots: what each code means, whom a fire mentions, and the limits that the service sets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from hub.dispatch.channels import Channel, Tools, open_channels
from hub.errors import ConfigError
from hub.model.deliveries import Outcome, Refused, Retry, Sent
from tests.support.channels import a_message, hub_yaml, opened
from tests.support.services.server import Reply
from tests.support.services.wecom import FakeWecomRobots

KEY = "7a6ff8e1-5b1e-4a36-9c1d-b0a6c5d4e3f2"


@contextmanager
def crew(*, key: str = KEY, **robot: Any) -> Iterator[tuple[FakeWecomRobots, Channel]]:
    with FakeWecomRobots(KEY).running() as service:
        section = {"base_url": service.url, "robots": {"crew": {"key_env": "KEY", **robot}}}
        with opened({"wecom_robot": section}, environ={"KEY": key}) as channels:
            yield service, channels["wecom_robot"]


def send(channel: Channel, **changes: Any) -> Outcome:
    return channel.send("crew", a_message(**changes), timeout_s=5)


@pytest.mark.parametrize(
    ("code", "kind", "after_s"),
    [
        (-1, Retry, 0), (45009, Retry, 60), (45033, Retry, 5), (40058, Refused, 0), (45002, Refused, 0), (93000, Refused, 0), (93004, Refused, 0),
        (40008, Refused, 0), (44004, Refused, 0), (99999, Refused, 0),
    ],
)  # fmt: skip
def test_each_code_has_its_meaning(code: int, kind: type[Any], after_s: float) -> None:
    with crew() as (service, channel):
        service.always = Reply({"errcode": code, "errmsg": "so it is"})
        outcome = send(channel)
    assert isinstance(outcome, kind)
    assert f"errcode {code}: so it is" in outcome.reason
    assert getattr(outcome, "after_s", 0) == after_s


def test_the_twenty_first_message_of_a_minute_waits_a_minute_and_is_no_yes() -> None:
    with crew() as (service, channel):
        assert all(isinstance(send(channel), Sent) for _ in range(20))
        late = send(channel)
        assert isinstance(late, Retry)
        assert late.after_s == 60
        assert len(service.taken) == 20
        service.ahead_s = 61
        assert isinstance(send(channel), Sent)


def test_a_robot_that_was_removed_is_refused_with_what_to_do() -> None:
    with crew(key="another-key-than-that-of-the-robot") as (_, channel):
        outcome = send(channel)
    assert isinstance(outcome, Refused)
    assert "93000" in outcome.reason
    assert "removed" in outcome.reason


def test_a_fire_mentions_everybody_or_those_who_are_named() -> None:
    with crew() as (service, channel):
        send(channel)
        assert service.taken[0]["text"]["mentioned_list"] == ["@all"]
        assert "mentioned_mobile_list" not in service.taken[0]["text"]
    with crew(mention=["zhang"], mention_mobiles=["13800000001"]) as (service, channel):
        send(channel)
        assert service.taken[0]["text"]["mentioned_list"] == ["zhang"]
        assert service.taken[0]["text"]["mentioned_mobile_list"] == ["13800000001"]


@pytest.mark.parametrize(
    "quiet", [{"severity": "P2"}, {"test": True}, {"transition": "closed"}, {"transition": "cleared"}]
)
def test_what_is_no_fire_or_is_over_mentions_nobody(quiet: dict[str, Any]) -> None:
    with crew() as (service, channel):
        send(channel, **quiet)
        assert set(service.taken[0]["text"]) == {"content"}


def test_the_whole_address_may_be_given_instead_of_the_key() -> None:
    with FakeWecomRobots(KEY).running() as service:
        section = {"base_url": service.url, "robots": {"crew": {"key_env": "KEY"}}}
        environ = {"KEY": f"{service.url}/cgi-bin/webhook/send?key={KEY}"}
        with opened({"wecom_robot": section}, environ=environ) as channels:
            assert isinstance(send(channels["wecom_robot"]), Sent)


def test_an_address_at_another_host_is_a_complaint_before_anything_starts() -> None:
    section = {"robots": {"crew": {"key_env": "KEY"}}}
    environ = {"KEY": f"https://oapi.dingtalk.com/robot/send?access_token={KEY}"}
    with pytest.raises(
        ConfigError, match=r"channels.wecom_robot.robots.crew.key_env: the address is not at base_url"
    ) as caught:
        open_channels({"wecom_robot": section}, hub_yaml({"wecom_robot": section}), Tools(environ=environ))
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("robot", [{}, {"key_env": "A", "key_file": "b"}])
def test_a_robot_has_one_key(robot: dict[str, str]) -> None:
    section = {"robots": {"crew": robot}}
    with pytest.raises(ConfigError, match="give exactly one of key_env and key_file"):
        open_channels({"wecom_robot": section}, hub_yaml({"wecom_robot": section}), Tools(environ={"A": KEY}))
