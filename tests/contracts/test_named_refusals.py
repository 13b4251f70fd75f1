"""The refusals that cost others their alarms: HTTP 200 with these codes is no yes, and each is dealt with as its service means it.

Each service is a fake that answers as the real one does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hub.dispatch.channels import Channel
from hub.model.deliveries import Outcome, Refused, Retry, Sent
from tests.support.channels import a_message, opened
from tests.support.services.dingtalk import FakeDingtalk
from tests.support.services.feishu import FakeFeishu
from tests.support.services.server import FakeService, Reply
from tests.support.services.wecom import FakeWecomRobots

KEY = "7a6ff8e1-5b1e-4a36-9c1d-b0a6c5d4e3f2"
TOKEN = "5f1c9b07d3e84a62b9a1c0d7e6f5a4b3"
SECRET = "SEC5f1c9b07d3e84a62b9a1c0d7"


@contextmanager
def wecom(**robot: Any) -> Iterator[tuple[FakeWecomRobots, Channel]]:
    with FakeWecomRobots(KEY).running() as service:
        section = {"base_url": service.url, "robots": {"crew": {"key_env": "KEY", **robot}}}
        with opened({"wecom_robot": section}, environ={"KEY": robot.pop("key", KEY)}) as channels:
            yield service, channels["wecom_robot"]


@contextmanager
def robot(name: str, service: FakeService, secret: str = SECRET) -> Iterator[Channel]:
    robots = {"crew": {"token_env": "TOKEN", "secret_env": "SECRET"}}
    section = {"base_url": service.url, "robots": robots}
    with opened({name: section}, environ={"TOKEN": TOKEN, "SECRET": secret}) as channels:
        yield channels[name]


def send(channel: Channel, **changes: Any) -> Outcome:
    return channel.send("crew", a_message(**changes), timeout_s=5)


def test_wecom_45009_too_fast_waits_a_minute_and_is_not_lost() -> None:
    with wecom() as (service, channel):
        service.always = Reply({"errcode": 45009, "errmsg": "api freq out of limit"})
        outcome = send(channel)
    assert isinstance(outcome, Retry)
    assert outcome.after_s == 60
    assert "45009" in outcome.reason


def test_wecom_93000_no_such_robot_is_refused_so_that_the_next_channel_is_due() -> None:
    with wecom() as (service, channel):
        service.always = Reply({"errcode": 93000, "errmsg": "invalid webhook url"})
        outcome = send(channel)
    assert isinstance(outcome, Refused)
    assert "93000" in outcome.reason


def test_wecom_40058_too_long_is_refused_and_what_we_send_never_is_too_long() -> None:
    with wecom() as (service, channel):
        service.always = Reply({"errcode": 40058, "errmsg": "text exceed max length 2048"})
        assert isinstance(send(channel), Refused)
        service.always = None
        long = a_message()
        assert isinstance(channel.send("crew", long, timeout_s=5), Sent)
        assert len(service.taken[-1]["text"]["content"].encode()) <= 2_048


def test_dingtalk_130101_leaves_the_robot_alone_for_ten_minutes() -> None:
    with FakeDingtalk(**{TOKEN: SECRET}).running() as service, robot("dingtalk_robot", service) as channel:
        service.script.append(Reply({"errcode": 130101, "errmsg": "send too fast, exceed 20 times per minute"}))
        outcome = send(channel)
        calls = len(service.calls)
        again = send(channel)
        assert len(service.calls) == calls, "knocking would make it longer"
    assert isinstance(outcome, Retry)
    assert outcome.after_s == 600
    assert isinstance(again, Retry)
    assert again.after_s > 590


def test_dingtalk_310000_names_the_security_setting_that_refused() -> None:
    other = "SECanother-secret-of-a-robot"
    with FakeDingtalk(**{TOKEN: SECRET}).running() as service, robot("dingtalk_robot", service, other) as channel:
        outcome = send(channel)
    assert isinstance(outcome, Refused)
    assert "310000" in outcome.reason
    assert "secret" in outcome.reason


def test_feishu_9499_is_too_fast_or_not_understood_by_its_words() -> None:
    with FakeFeishu(**{TOKEN: SECRET}).running() as service, robot("feishu_robot", service) as channel:
        service.script.append(Reply({"code": 9499, "msg": "too many request"}))
        assert isinstance(send(channel), Retry)
        service.script.append(Reply({"code": 9499, "msg": "Bad Request"}, 400))
        refused = send(channel)
        assert isinstance(refused, Refused)
        assert "9499" in refused.reason


def test_feishu_19024_says_that_the_keyword_is_missing() -> None:
    with FakeFeishu(**{TOKEN: SECRET}).running() as service, robot("feishu_robot", service) as channel:
        service.keyword = "一个别的词"
        outcome = send(channel)
    assert isinstance(outcome, Refused)
    assert "19024" in outcome.reason
    assert "keyword" in outcome.reason
