"""What people read: every part of the text, both languages, the size limit, the fields for machines."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.dispatch.fit import cut, sound
from hub.dispatch.messages import MOST_BYTES, bare, compose, masked, message_id
from hub.dispatch.policy import EscalationPolicy, load_policy
from hub.model.alerts import Alert
from hub.model.deliveries import Delivery, Message
from hub.model.places import Name, Person
from hub.registry.snapshot import Registry
from tests.support.notices import NOW_MS, ZONE, a_delivery, an_alert
from tests.support.paths import CONFIG
from tests.support.registry import a_device, hub_and_canary, people, places, small_registry, stations

URL = "https://hub.example"


@pytest.fixture(scope="module")
def policy() -> EscalationPolicy:
    return load_policy(CONFIG / "escalation.yaml")


def said(
    alert: Alert,
    delivery: Delivery | None = None,
    *,
    locale: str = "zh-CN",
    after_s: float = 3,
    policy: EscalationPolicy | None = None,
    registry: Registry | None = None,
) -> Message:
    chosen = delivery or a_delivery(locale=locale)
    now_ms = alert.raised_at_ms + int(after_s * 1_000)
    return compose(alert, chosen, registry or small_registry(), now_ms, ZONE, URL, policy=policy)


def test_a_fire_says_what_where_when_what_to_do_who_and_how_long(policy: EscalationPolicy) -> None:
    assert said(an_alert(), policy=policy).text.split("\n") == [
        "【火警·P1】幸福里 3 栋 2 单元 smoke-1（中）",
        "12:03:05 报警（3 秒前）",
        "烟雾报警",
        "现在做：带灭火器到场，断电，组织疏散",
        (
            "责任：440399001001001（中） worker-a（中） 138****0003 · north（中） "
            "crew-1（中） 138****0005 / crew-2（中） 138****0006 / crew-3（中） 138****0007"
        ),
        "倒计时：57 秒内受理 · 2 分钟内到场",
        f"{URL}/alerts/a1b2c3",
    ]


def test_the_same_in_english(policy: EscalationPolicy) -> None:
    assert said(an_alert(), locale="en", policy=policy).text.split("\n") == [
        "[Fire alarm P1] Xingfuli, Building 3, Unit 2 smoke-1",
        "12:03:05 alarm (3 s ago)",
        "Smoke alarm",
        "Do now: Go there with an extinguisher, cut the power, evacuate",
        (
            "Responsible: 440399001001001 worker-a 138****0003 · north "
            "crew-1 138****0005 / crew-2 138****0006 / crew-3 138****0007"
        ),
        "Time left: acknowledge within 57 s · on scene within 2 min",
        f"{URL}/alerts/a1b2c3",
    ]


@pytest.mark.parametrize(("locale", "mark"), [("zh-CN", "【测试】"), ("en", "[TEST]")])
def test_a_test_says_so_before_anything_else(locale: str, mark: str, policy: EscalationPolicy) -> None:
    message = said(an_alert(test=True), locale=locale, policy=policy)
    assert message.text.startswith(mark)
    assert message.title.startswith(mark)
    assert message.test
    assert message.fields["test"] is True
    assert "倒计时" not in message.text


def test_an_analogue_value_comes_with_unit_and_limit() -> None:
    hot = an_alert(quantity="temperature_c", value="61.5", threshold=55.0, severity="P2")
    assert "烟雾报警 · temperature_c 61.5 °C（限值 55 °C）" in said(hot).text
    assert "temperature_c 61.5 °C (limit 55 °C)" in said(hot, locale="en").text


@pytest.mark.parametrize(
    ("quantity", "severity", "word"),
    [
        ("smoke", "P1", "【火警·P1】"),
        ("gas_alarm", "P1", "【燃气报警·P1】"),
        ("co_ppm", "P1", "【一氧化碳报警·P1】"),
        ("cell_temperature_c", "P1", "【紧急警报·P1】"),
        ("residual_current_ma", "P2", "【重要警报·P2】"),
        ("battery_low", "P3", "【故障·P3】"),
        ("", "P4", "【提示·P4】"),
    ],
)
def test_the_first_word_is_the_danger(quantity: str, severity: Any, word: str) -> None:
    assert said(an_alert(quantity=quantity, severity=severity)).text.startswith(word)


def test_a_later_step_says_that_nobody_answered_and_since_when(policy: EscalationPolicy) -> None:
    text = said(an_alert(), a_delivery(transition="step:1"), after_s=61, policy=policy).text
    assert "12:03:05 报警（61 秒前） · 尚无人受理，第 2 次通知" in text
    assert "倒计时：受理已超时 1 秒 · 119 秒内到场" in text


def test_a_later_step_after_the_acknowledgement_asks_for_somebody_on_scene(policy: EscalationPolicy) -> None:
    taken = an_alert(acked_at_ms=NOW_MS + 20_000)
    text = said(taken, a_delivery(transition="step:2"), after_s=185, policy=policy).text
    assert "已受理，尚无人到场，第 3 次通知" in text
    assert "倒计时：到场已超时 5 秒" in text


def test_a_second_occurrence_counts_from_itself(policy: EscalationPolicy) -> None:
    again = an_alert(occurrences=2, received_at_ms=NOW_MS + 600_000)
    text = said(again, a_delivery(transition="raised:2"), after_s=601, policy=policy).text
    assert "12:13:05 报警（1 秒前）" in text
    assert "59 秒内受理" in text


def test_a_call_for_reinforcement_is_numbered() -> None:
    assert "现场请求增援（第 2 次）" in said(an_alert(), a_delivery(transition="reinforce:2")).text


def test_back_to_normal_still_asks_to_look(policy: EscalationPolicy) -> None:
    back = an_alert(returned_at_ms=NOW_MS + 60_000, alarm_state="returned_unacked")
    text = said(back, a_delivery(transition="cleared"), after_s=61, policy=policy).text
    assert text.startswith("【恢复正常·P1】")
    assert "12:04:05 设备恢复正常（1 秒前），仍需现场确认" in text
    assert "倒计时" not in text


@pytest.mark.parametrize(("case", "words"), [("false_alarm", "误报结案：做饭"), ("closed", "结案：做饭")])
def test_a_closed_alert_gives_its_reason_and_nothing_to_do(case: Any, words: str) -> None:
    done = an_alert(live=False, case_state=case, closed_at_ms=NOW_MS + 60_000, close_reason="做饭")
    text = said(done, a_delivery(transition="closed"), after_s=60).text
    assert words in text
    assert "现在做" not in text


def test_an_empty_shift_is_said_in_the_message() -> None:
    north, east = stations()
    registry = Registry.of(
        [a_device("smoke-1"), *hub_and_canary()],
        places=places(),
        people=people(),
        stations=[replace(north, roster=()), east],
    )
    assert "north（中） （无人值班）" in said(an_alert(), registry=registry).text


def test_a_device_that_is_gone_from_the_registry_still_makes_a_message() -> None:
    message = said(an_alert(device_id="gone", grid="nowhere", station="gone", place="gone"))
    assert "gone" in message.title
    assert "现在做" in message.text


@pytest.mark.parametrize(
    ("phone", "shown"),
    [("13800001234", "138****1234"), ("+86 138-0000-1234", "+86****1234"), ("12345", "****"), ("", "")],
)
def test_a_phone_number_is_masked(phone: str, shown: str) -> None:
    assert masked(phone) == shown


def test_no_message_carries_a_whole_phone_number() -> None:
    message = said(an_alert())
    whole = message.text + json.dumps(dict(message.fields), ensure_ascii=False)
    assert not any(person.phone in whole for person in people())


def test_the_fields_are_plain_json_with_times_in_milliseconds() -> None:
    fields = said(an_alert(value="NaN", threshold=float("inf"))).fields
    parsed = json.loads(json.dumps(dict(fields), allow_nan=False))
    assert parsed["alert"] == "a1b2c3"
    assert parsed["raised_at_ms"] == NOW_MS
    assert parsed["value"] is None
    assert parsed["threshold"] is None
    assert parsed["places"][-1] == parsed["place"]
    assert parsed["links"] == {"alert": f"{URL}/alerts/a1b2c3"}


def test_the_id_of_a_message_depends_on_what_is_told_and_not_on_the_row() -> None:
    first = a_delivery(id=1)
    assert message_id(first) == message_id(replace(first, id=99, attempts=7))
    others = [
        replace(first, transition="step:1"),
        replace(first, recipient="crew-2"),
        replace(first, channel="siren"),
        replace(first, alert_id="other"),
    ]
    assert len({message_id(d) for d in (first, *others)}) == 5


words = st.text(st.characters(codec="utf-8"), max_size=1_500)


@given(
    place=words,
    action=words,
    title=words,
    reason=words,
    name=words,
    kind=st.sampled_from(["raised", "step:1", "closed", "cleared"]),
)
def test_a_text_never_exceeds_the_limit_and_never_loses_what_to_do(
    place: str, action: str, title: str, reason: str, name: str, kind: str
) -> None:
    long_winded = [Person(id="worker-a", name=Name(zh=name, en=name), role="", phone="13800001234")]
    registry = Registry.of(
        [a_device("smoke-1"), *hub_and_canary()], places=places(), people=long_winded, stations=stations()
    )
    alert = an_alert(place_zh=place, action_zh=action, title_zh=title, close_reason=reason)
    text = said(alert, a_delivery(transition=kind), registry=registry).text
    assert len(text.encode()) <= MOST_BYTES
    line = "现在做：" + " ".join(sound(action).split())
    if action.strip() and kind != "closed" and len(line.encode()) < MOST_BYTES:
        assert " ".join(line.split()) in text


def test_a_long_place_gives_way_to_the_link_and_the_action() -> None:
    text = said(an_alert(place_zh="很长的地址" * 400)).text
    assert len(text.encode()) <= MOST_BYTES
    assert "现在做：带灭火器到场，断电，组织疏散" in text
    assert text.startswith("【火警·P1】")


@given(st.text(st.characters(codec="utf-8"), max_size=60), st.integers(0, 80))
def test_a_cut_falls_between_characters(text: str, most: int) -> None:
    short = cut(text, most)
    assert len(short.encode()) <= most
    assert sound(text).startswith(short.removesuffix("…").rstrip()) or short == sound(text)


@pytest.mark.parametrize(
    ("of", "name", "told"),
    [
        ("幸福里第一网格", "幸福里第一网格网格员", "网格员"),
        ("1号微型消防站", "1号微型消防站队员7", "队员7"),
        ("Micro fire station 1", "Crew 7, Micro fire station 1", "Crew 7"),
        ("Micro fire station 1", "Micro fire station 11 crew", "Micro fire station 11 crew"),
        ("North", "Northcote", "Northcote"),
        ("North", "North", "North"),
        ("1号微型消防站", "王芳", "王芳"),
    ],
)
def test_a_name_does_not_repeat_the_place_that_was_just_said(of: str, name: str, told: str) -> None:
    person = Person(id="p", name=Name(zh=name, en=name), role="crew", phone="", contacts=(), verified=())
    registry = small_registry()
    station = replace(registry.stations["north"], name=Name(zh=of, en=of))
    shown = replace(registry, people={i: replace(person, id=i) for i in registry.people}, stations={"north": station})
    responsible = next(line for line in said(an_alert(), registry=shown).text.split("\n") if line.startswith("责任"))
    assert responsible.endswith(f"{of} {told} / {told} / {told}")


def test_a_drill_says_so_before_everything_else_in_both_languages_and_to_machines() -> None:
    drilled = an_alert(drill=True)
    registry = small_registry()
    zh = compose(drilled, a_delivery(), registry, NOW_MS, ZONE, "http://hub")
    en = compose(drilled, a_delivery(locale="en"), registry, NOW_MS, ZONE, "http://hub")
    assert zh.title.startswith("【演练】")
    assert en.title.startswith("[DRILL]")
    assert zh.fields["drill"] is True
    assert bare(drilled, a_delivery()).title.startswith("【演练】")
