"""The mistakes that people make in rule files are told to them in their language."""

from __future__ import annotations

import json
import re
from string import Formatter
from typing import Any

import pytest

from hub import documents
from hub.api import complaints
from hub.errors import Complaint, ConfigError
from hub.rules.ruleset import rules_of
from tests.unit.test_schemas import NONSENSE, edited

MORE: list[tuple[list[Any], Any]] = [
    (["rules", 0, "latch"], "maybe"),
    (["rules", 0, "enabled"], 3),
    (["rules", 0, "respond_within_s"], "soon"),
    (["rules", 0, "respond_within_s"], 10**9),
    (["rules", 0, "on", "place"], {}),
    (["rules", 0, "when", "samples"], 1_000),
    (["rules", 0, "when"], {}),
    (["rules", 0, "when", "clear_below"], 99),
    (["rules", 0, "id"], 5),
    (["rules", 0, "name"], None),
]
TEXTS = ["a: [", "rules: 5", "rules: [5]", "rules: [null]", "- a", "rules: []\nrules: []"]


def found(text: str) -> list[Complaint]:
    document, wrong = documents.parse(text, "x.yaml")
    if document is None:
        return wrong
    with pytest.raises(ConfigError) as refused:
        rules_of([document], wrong)
    return list(refused.value.complaints)


@pytest.mark.parametrize("text", [*TEXTS, *(json.dumps(edited(path, value)) for path, value in NONSENSE + MORE)])
def test_what_people_write_wrongly_is_said_in_chinese(text: str) -> None:
    for complaint in complaints.told(found(text), "zh-CN"):
        assert re.search(r"[\u4e00-\u9fff]", complaint.message), complaint.message
        assert re.search(r"[\u4e00-\u9fff]", complaint.remedy), complaint.remedy


def test_english_says_what_the_file_reader_says() -> None:
    for text in TEXTS:
        for told, complaint in zip(complaints.told(found(text), "en"), found(text), strict=True):
            assert (told.message, told.remedy) == (complaint.message, complaint.remedy)


def test_what_is_not_known_is_said_as_it_is() -> None:
    assert complaints.said("the moon is too full", "zh-CN") == "the moon is too full"
    assert complaints.said("", "zh-CN") == ""


def test_every_pattern_fills_the_words_that_its_text_asks_for() -> None:
    for pattern, message in complaints._KNOWN:
        asked = {name for _, name, _, _ in Formatter().parse(message) if name}
        assert asked <= set(pattern.groupindex), message


def test_a_file_that_is_wrong_in_every_line_does_not_fill_the_page() -> None:
    many = [Complaint(file="x", line=n, key="", message="unknown key") for n in range(1_000)]
    assert len(complaints.told(many, "en")) == complaints.MOST
