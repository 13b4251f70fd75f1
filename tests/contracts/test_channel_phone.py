"""Text messages and calls by Aliyun: the signature, templates and their variables, limits of a number, and what each code means."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from hub.clock import now_ms
from hub.dispatch.aliyun import digits_of, signature, words
from hub.dispatch.channels import Channel, check_channels
from hub.model.deliveries import Outcome, Refused, Retry, Sent
from tests.support.channels import a_message, hub_yaml, opened
from tests.support.services.aliyun import FakeSms, FakeVoice

KEY, SECRET, PHONE = "LTAI5tFakeFakeFakeFake00", "kR7fQ2xW9bM4nV6cZ1sD8gH3jL5pT0", "13812345678"
VARIABLES = ("danger", "place", "device", "action")


@contextmanager
def texting(*, secret: str = SECRET, clock: Any = now_ms, **section: Any) -> Iterator[tuple[FakeSms, Channel]]:
    with FakeSms(KEY, SECRET, {"SMS_1": VARIABLES, "SMS_2": VARIABLES, "SMS_3": ("a", "b")}).running() as service:
        whole = {"access_key_id": KEY, "access_key_secret_env": "S", "sign_name": "幸福里微站", "template": "SMS_1"}
        whole |= {"base_url": service.url, **section}
        with opened({"sms": whole}, environ={"S": secret}, clock=clock) as channels:
            yield service, channels["sms"]


@contextmanager
def calling(**section: Any) -> Iterator[tuple[FakeVoice, Channel]]:
    with FakeVoice(KEY, SECRET, {"TTS_1": ("danger", "place", "action")}).running() as service:
        whole = {"access_key_id": KEY, "access_key_secret_env": "S", "template": "TTS_1", "base_url": service.url}
        with opened({"voice": whole | section}, environ={"S": SECRET}) as channels:
            yield service, channels["voice"]


def send(channel: Channel, to: str = PHONE, **changes: Any) -> Outcome:
    return channel.send(to, a_message(**changes), timeout_s=5)


def test_the_signature_is_that_of_the_example_in_the_documentation_of_the_service() -> None:
    parameters = {
        "AccessKeyId": "testid", "Action": "DescribeRegions", "Format": "XML", "SignatureMethod": "HMAC-SHA1",
        "SignatureNonce": "3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf", "SignatureVersion": "1.0",
        "Timestamp": "2016-02-23T12:46:24Z", "Version": "2014-05-26",
    }  # fmt: skip
    assert signature("GET", parameters, "testsecret") == "OLeaidS1JvxuMvnyHOwuJ+uX5qY="


# Text messages -------------------------------------------------------------------------------------------------------


def test_a_text_message_fills_the_template_and_can_be_recognised_in_its_report() -> None:
    with texting() as (service, channel):
        outcome = send(channel)
        (taken,) = service.taken
    assert isinstance(outcome, Sent)
    assert outcome.receipt.endswith("^0")
    assert taken["PhoneNumbers"] == PHONE
    assert taken["OutId"] == a_message().id
    assert json.loads(taken["TemplateParam"]) == {
        "danger": "火警 P1",
        "place": "幸福里 3 栋 2 单元",
        "device": "smoke-1（中）",
        "action": "带灭火器到场，断电，组织疏散",
    }


def test_readers_of_english_get_the_english_template_where_there_is_one() -> None:
    with texting(template_en="SMS_2") as (service, channel):
        send(channel, locale="en")
        send(channel)
        assert [taken["TemplateCode"] for taken in service.taken] == ["SMS_2", "SMS_1"]
    with texting() as (service, channel):
        send(channel, locale="en")
        assert service.taken[0]["TemplateCode"] == "SMS_1"


def test_a_template_with_variables_of_its_own() -> None:
    with texting(template="SMS_3", params={"a": "when", "b": "severity"}) as (service, channel):
        assert isinstance(send(channel), Sent)
        assert json.loads(service.taken[0]["TemplateParam"]) == {"a": "12:03:05 报警（0 秒前）", "b": "P1"}


def test_what_a_template_lacks_is_refused_with_what_to_do() -> None:
    with texting(params={"danger": "danger"}) as (_, channel):
        outcome = send(channel)
    assert isinstance(outcome, Refused)
    assert "isv.TEMPLATE_MISSING_PARAMETERS: 模板缺少变量place" in outcome.reason
    assert "params" in outcome.reason


def test_long_words_are_cut_to_what_a_variable_holds_and_go_on_in_the_second_one() -> None:
    action = "一二三四五六七八九十" * 6
    message = a_message(alert={"action_zh": action, "place_zh": "很长的地址" * 20})
    said = json.loads(words(message, {"a": "action", "b": "action_2", "c": "place"}, 35))
    assert said == {"a": action[:35], "b": action[35:], "c": ("很长的地址" * 20)[:35]}
    with texting() as (_, channel):
        assert isinstance(channel.send(PHONE, message, timeout_s=5), Sent)


@pytest.mark.parametrize("place", ["【3】栋 $1★", "🔥 3 栋", "", "\n\t", "<b>3</b>"])
def test_what_the_service_does_not_allow_in_a_variable_is_left_out(place: str) -> None:
    with texting() as (_, channel):
        assert isinstance(send(channel, alert={"place_zh": place}), Sent)


def test_a_test_says_so_in_its_first_word() -> None:
    assert json.loads(words(a_message(alert={"test": True}), {"d": "danger"}, 35))["d"].startswith("测试")


@pytest.mark.parametrize(("limits", "kind", "after_s", "words_"), [
    ({"per_minute": 1}, Retry, 60, "分钟级"), ({"per_hour": 1}, Retry, 300, "小时级"), ({"per_day": 1}, Refused, 0, "today"),
])  # fmt: skip
def test_a_number_that_has_had_enough_waits_or_is_told_otherwise(
    limits: dict[str, int], kind: type[Any], after_s: float, words_: str
) -> None:
    with texting() as (service, channel):
        vars(service).update(limits)
        assert isinstance(send(channel), Sent)
        outcome = send(channel)
        assert isinstance(outcome, kind)
        assert getattr(outcome, "after_s", 0) == after_s
        assert "isv.BUSINESS_LIMIT_CONTROL" in outcome.reason
        assert words_ in outcome.reason
        assert isinstance(send(channel, "13900000000"), Sent), "another number is not concerned"


@pytest.mark.parametrize(("changes", "code"), [
    ({"secret": "another"}, "SignatureDoesNotMatch"), ({"access_key_id": "LTAI-nobody"}, "InvalidAccessKeyId.NotFound"), ({"sign_name": "别人"}, "isv.SMS_SIGNATURE_ILLEGAL"),
    ({"template": "SMS_9"}, "isv.SMS_TEMPLATE_ILLEGAL"), ({"clock": lambda: now_ms() - 3_600_000}, "InvalidTimeStamp.Expired"),
])  # fmt: skip
def test_an_account_that_is_wrong_is_refused_with_what_is_wrong(changes: dict[str, Any], code: str) -> None:
    with texting(**changes) as (service, channel):
        outcome = send(channel)
        assert service.taken == []
    assert isinstance(outcome, Refused)
    assert code in outcome.reason


def test_no_telephone_number_is_in_a_reason() -> None:
    with texting() as (_, channel):
        outcome = send(channel, "+852 12345678")
    assert isinstance(outcome, Refused)
    assert "isv.MOBILE_NUMBER_ILLEGAL" in outcome.reason
    assert "85212345678" not in repr(outcome)


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("isp.SYSTEM_ERROR", 200, Retry), ("isp.SYSTEM_ERROR", 500, Retry), ("ServiceUnavailable", 503, Retry), ("Throttling.User", 400, Retry),
        ("SignatureNonceUsed", 400, Retry), ("isv.AMOUNT_NOT_ENOUGH", 200, Refused), ("isv.OUT_OF_SERVICE", 200, Refused), ("isv.DAY_LIMIT_CONTROL", 200, Refused),
        ("isp.RAM_PERMISSION_DENY", 400, Refused), ("isv.BLACK_KEY_CONTROL_LIMIT", 200, Refused), ("Something.New", 400, Refused),
    ],
)  # fmt: skip
def test_each_code_has_its_meaning(code: str, status: int, kind: type[Any]) -> None:
    with texting() as (service, channel):
        service.always = service.gate(status, code, "so it is")
        outcome = send(channel)
    assert isinstance(outcome, kind)
    assert f"Code {code}: so it is" in outcome.reason


# Calls ---------------------------------------------------------------------------------------------------------------


def test_a_call_reads_the_template_three_times_and_has_an_id() -> None:
    with calling() as (service, channel):
        outcome = send(channel)
        (taken,) = service.taken
    assert isinstance(outcome, Sent)
    assert outcome.receipt
    assert taken["CalledNumber"] == PHONE
    assert taken["PlayTimes"] == "3"
    assert taken["OutId"] == a_message().id
    assert json.loads(taken["TtsParam"])["action"] == "带灭火器到场，断电，组织疏散"


def test_an_account_with_a_number_of_its_own_shows_it() -> None:
    with calling(shown_number="05711234567") as (service, channel):
        service.shown_numbers = ("05711234567",)
        assert isinstance(send(channel), Sent)
        service.shown_numbers = ("05717654321",)
        outcome = send(channel)
    assert isinstance(outcome, Refused)
    assert "isv.DISPLAY_NUMBER_ILLEGAL" in outcome.reason


def test_the_limit_of_calls_to_a_number_is_declared_and_what_goes_beyond_waits() -> None:
    with calling() as (service, channel):
        assert [(limit.most, limit.within_s) for limit in channel.limits] == [(1, 60.0)]
        service.per_minute = 1
        assert isinstance(send(channel), Sent)
        outcome = send(channel)
    assert isinstance(outcome, Retry)
    assert outcome.after_s == 60


# Numbers and configuration -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "digits"),
    [
        ("13812345678", "13812345678"), ("138 1234-5678", "13812345678"), ("+8613812345678", "13812345678"), ("008613812345678", "13812345678"),
        ("8613812345678", "13812345678"), ("+85212345678", "85212345678"), ("0085212345678", "85212345678"), ("057112345678", "057112345678"),
        ("", ""), ("zhang", ""), ("138", ""), ("1" * 16, ""), ("+-+1", ""), ("1381234567８", ""),
    ],
)  # fmt: skip
def test_numbers_are_understood_as_people_write_them(written: str, digits: str) -> None:
    assert digits_of(written) == digits


@pytest.mark.parametrize("name", ["sms", "voice"])
def test_a_word_that_no_message_has_is_a_complaint(name: str) -> None:
    section = {"access_key_id": "x", "access_key_secret_env": "S", "template": "T", "params": {"a": "weather"}}
    section |= {"sign_name": "s"} if name == "sms" else {}
    _, complaints = check_channels({name: section}, hub_yaml({name: section}))
    assert [c.key for c in complaints] == [f"channels.{name}.params.a"]
    assert "'weather' is not known here" in complaints[0].message
