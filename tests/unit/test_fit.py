"""Short forms of a notification: whole lines go first, what must be known stays, and no character is cut in two."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.dispatch.fit import cut_characters, fit, fitted, part, sound
from hub.dispatch.messages import compose
from hub.model.deliveries import Line, Message
from tests.support.notices import NOW_MS, ZONE, a_delivery, an_alert
from tests.support.registry import small_registry

KINDS: tuple[tuple[Any, int], ...] = (
    ("title", 9),
    ("when", 6),
    ("measured", 5),
    ("do_now", 10),
    ("responsible", 3),
    ("time_left", 4),
    ("link", 8),
)


def said() -> Message:
    return compose(an_alert(), a_delivery(), small_registry(), NOW_MS, ZONE, "https://hub.example")


def test_a_message_that_fits_is_said_whole() -> None:
    assert fitted(said(), 2_048) == said().text


def test_in_little_room_stand_what_and_where_what_to_do_and_the_link() -> None:
    short = fitted(said(), 150)
    assert short.split("\n") == [
        said().title,
        "现在做：带灭火器到场，断电，组织疏散",
        "https://hub.example/alerts/a1b2c3",
    ]


def test_what_the_channel_shows_elsewhere_is_left_out() -> None:
    assert said().title not in fitted(said(), 2_048, without=("title", "link"))
    assert "https://" not in fitted(said(), 2_048, without=("title", "link"))
    assert part(said(), "do_now") in fitted(said(), 100, without=("title", "link"))


def test_a_message_without_lines_is_cut() -> None:
    assert fitted(replace(said(), lines=()), 30).endswith("…")


LINK = "https://hub.example/alerts/a1b2c3"
words = st.text("烟感 报警ab🔥，", max_size=300).map(lambda text: " ".join(text.split()))
lines = st.tuples(*(words for _ in KINDS[:-1])).map(
    lambda texts: [Line(kind, text, weight) for (kind, weight), text in zip(KINDS, (*texts, LINK), strict=True)]
)


@given(lines, st.integers(0, 1_500))
def test_no_text_is_longer_than_the_limit_and_a_link_is_whole_or_not_there(given: list[Line], most: int) -> None:
    text = fit(given, most)
    assert len(text.encode()) <= most
    assert ("http" in text) == text.endswith(LINK)
    do_now = given[3].text
    assert len(do_now.encode()) > most or do_now in text, "what to do is cut last"


@given(st.text(st.characters(exclude_categories=("Cs", "Cc"))), st.integers(0, 50))
def test_a_limit_in_characters_counts_as_services_do(text: str, most: int) -> None:
    short = cut_characters(text, most)
    assert len(short.encode("utf-16-le")) // 2 <= most
    assert short == text or (short.endswith("…") or not short)
    assert text.startswith(short.removesuffix("…").rstrip())


@pytest.mark.parametrize(
    ("text", "most", "short"),
    [("烟感报警", 4, "烟感报警"), ("烟感报警", 3, "烟感…"), ("🔥🔥🔥", 5, "🔥🔥…"), ("🔥🔥", 3, "🔥…")],
)
def test_emoji_count_twice(text: str, most: int, short: str) -> None:
    assert cut_characters(text, most) == short


def test_what_cannot_be_sent_does_not_stop_the_rest() -> None:
    assert sound("烟感\ud800 报警\0\x07\n现在做") == "烟感? 报警\n现在做"
    assert fit([Line("title", "\ud800\0 3 栋", 9)], 100) == "? 3 栋"
