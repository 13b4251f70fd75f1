"""What a digest says: how many more alerts of an incident there are, of what, and where; in both languages."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from hub.alerts.incidents import about_of
from hub.dispatch.escalation import load_policy
from hub.dispatch.messages import MOST_BYTES, compose, message_id
from hub.model.alerts import Incident
from hub.model.deliveries import Message
from tests.support.notices import NOW_MS, ZONE, a_delivery, an_alert
from tests.support.paths import CONFIG
from tests.support.registry import GRID_A, small_registry

POLICY = load_policy(CONFIG / "escalation.yaml")


def said(count: int, locale: str = "zh-CN", **alert: Any) -> Message:
    fault = {
        "severity": "P3",
        "title_zh": "电池设备失联",
        "title_en": "Battery device lost",
        "quantity": "",
        "value": "null",
    }
    members = [an_alert(id=f"a{n}", device_id=f"smoke-{n}", **{**fault, **alert}) for n in range(count)]
    incident = Incident(
        id="i1", rule_id="lost", place="b1", grid=GRID_A, station="north", severity="P3", title_zh="", title_en="",
        first_alert="a", opened_at_ms=NOW_MS, last_at_ms=NOW_MS, window_at_ms=NOW_MS,
    )  # fmt: skip
    about = json.dumps(about_of(incident, members), ensure_ascii=False)
    delivery = replace(a_delivery(), alert_id="a0", transition="digest:1", severity="P3", locale=locale, about=about)
    return compose(members[0], delivery, small_registry(), NOW_MS, ZONE, "https://hub.example", policy=POLICY)


@pytest.mark.parametrize(
    ("locale", "title", "where"),
    [
        (
            "zh-CN",
            "【故障·P3】又有 3 起：电池设备失联",
            "幸福里 3 栋 2 单元 smoke-0；幸福里 3 栋 2 单元 smoke-1；幸福里 3 栋 2 单元 smoke-2",
        ),
        (
            "en",
            "[Fault P3] 3 more: Battery device lost",
            "Xingfuli, Building 3, Unit 2 smoke-0; Xingfuli, Building 3, Unit 2 smoke-1; Xingfuli, Building 3, Unit 2 smoke-2",
        ),
    ],
)
def test_a_digest_says_how_many_more_of_what_and_where(locale: str, title: str, where: str) -> None:
    message = said(3, locale)
    assert message.title == title
    assert message.text.splitlines()[:2] == [title, where]
    assert message.links["alert"] in message.text


def test_only_the_first_few_are_named_and_the_others_counted() -> None:
    text = said(12, "en").text
    assert "smoke-4 and 7 others" in text
    assert "smoke-5" not in text
    assert "smoke-4等 12 起" in said(12).text or "另有 7 起" in said(12).text


def test_machines_read_the_incident_and_its_alerts() -> None:
    fields = said(3).fields
    assert (fields["incident"], fields["more"], fields["alerts"]) == ("i1", 3, ["a0", "a1", "a2"])
    assert fields["transition"] == "digest:1"


def test_a_digest_with_long_names_fits_the_tightest_channel() -> None:
    message = said(200, "en", place_en="Very long name of a place " * 40)
    assert len(message.text.encode()) <= MOST_BYTES
    assert message.title.startswith("[Fault P3] 200 more")


def test_two_digests_are_two_messages() -> None:
    first = replace(a_delivery(), transition="digest:1")
    assert message_id(first) != message_id(replace(first, transition="digest:2"))
