"""Buttons, mentions and priorities: what a message asks for, and where its links lead."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hub.dispatch.buttons import buttons, calls, is_over, is_public
from hub.dispatch.messages import compose
from hub.model.deliveries import Message
from tests.support.notices import NOW_MS, ZONE, a_delivery, an_alert
from tests.support.registry import small_registry

URL = "https://hub.example"


def said(transition: str = "raised", locale: str = "zh-CN", **changes: Any) -> Message:
    delivery = a_delivery(transition=transition, locale=locale)
    return compose(an_alert(**changes), delivery, small_registry(), NOW_MS, ZONE, URL)


def test_the_answers_come_before_the_page_and_speak_the_language_of_the_reader() -> None:
    links = {"alert": f"{URL}/alerts/1", "acknowledge": f"{URL}/a/1", "on_scene": f"{URL}/a/2", "map": f"{URL}/map"}
    assert buttons(replace(said(), links=links), most=9) == [
        ("受理", f"{URL}/a/1"), ("已到场", f"{URL}/a/2"), ("查看告警", f"{URL}/alerts/1"), ("map", f"{URL}/map"),
    ]  # fmt: skip
    assert [label for label, _ in buttons(replace(said(locale="en"), links=links), most=2)] == [
        "Acknowledge",
        "On scene",
    ]


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("https://hub.example/x", True), ("http://10.0.0.5:8080/x", True), ("http://127.0.0.1:8080/x", False), ("http://[::1]/x", False),
        ("http://localhost/x", False), ("http://hub/x", False), ("ftp://hub.example", False), ("", False), ("http://[", False), ("http://0.0.0.0/", False),
    ],
)  # fmt: skip
def test_links_that_only_the_hub_itself_could_open_are_no_buttons_outside(url: str, public: bool) -> None:
    assert is_public(url) is public
    assert bool(buttons(replace(said(), links={"alert": url}), most=3, public=True)) is public


def test_only_a_fire_that_burns_calls_people() -> None:
    assert calls(said())
    assert calls(said("step:1"))
    assert not calls(said("closed"))
    assert not calls(said("cleared:2"))
    assert not calls(said(severity="P2"))
    assert not calls(said(test=True))
    assert is_over(said("closed:2"))
