"""Strict YAML: values as they stand, lines for everything, and no text that kills or bloats the process."""

from __future__ import annotations

import gc
import weakref
from itertools import pairwise
from typing import Literal

import pytest
import yaml
from pydantic import Field

from hub import documents


def test_values_come_out_plain_and_with_their_lines() -> None:
    document, complaints = documents.parse("a: 1\nb:\n  - true\n  - x\nday: 2024-01-31\n07: null\n", "x.yaml")
    assert complaints == []
    assert document is not None
    assert document.data == {"a": 1, "b": [True, "x"], "day": "2024-01-31", "07": None}
    assert [document.line(path) for path in (("b",), ("b", 1), ("b", 9), ("day",))] == [2, 4, 2, 5]


def test_times_of_day_stay_text_with_and_without_quotes() -> None:
    document, _ = documents.parse('a: 22:00\nb: "22:00"\nc: 06:30\nd: 20:30:15\ne: 1320\nf: -1.5\n', "x.yaml")
    assert document is not None
    assert document.data == {"a": "22:00", "b": "22:00", "c": "06:30", "d": "20:30:15", "e": 1320, "f": -1.5}


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 100_000, "- " * 5_000 + "x"])
def test_deep_nesting_is_a_complaint_and_not_a_crash(text: str) -> None:
    document, complaints = documents.parse(text, "x.yaml")
    assert document is None
    assert "nested deeper than 32 levels" in complaints[0].message


def test_aliases_of_aliases_are_a_complaint_before_they_fill_the_memory() -> None:
    names = "abcdefghijklmno"
    text = "a: &a [1, 2, 3, 4, 5, 6, 7, 8, 9]\n"
    text += "".join(f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in pairwise(names))
    document, complaints = documents.parse(text, "x.yaml")
    assert document is None
    assert "aliases make too much" in complaints[0].message
    shared, complaints = documents.parse("a: &a {zh: 一, en: one}\nb: [*a, *a]\n", "x.yaml")
    assert complaints == []
    assert shared is not None
    assert shared.data["b"] == [{"zh": "一", "en": "one"}] * 2


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("a: [1, 2\nb: 3", "expected ',' or ']'", 2),
        ("a: 1\nb: 'x", "unexpected end of stream", 2),
        ("a: *x", "undefined alias", 1),
        (
            "a: 1\nb: !!python/object:os.system x",
            "the tag 'tag:yaml.org,2002:python/object:os.system' means nothing",
            2,
        ),
        ("a: 2024-13-45", "month must be in 1..12", 1),
        ("? [a, b]\n: c", "a key cannot be a list or a mapping", 1),
        ("a: 1\na: 2", "the key is given twice", 2),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, message: str, line: int) -> None:
    _, complaints = documents.parse(text, "x.yaml")
    assert message in complaints[0].message
    assert complaints[0].line == line


def test_without_libyaml_the_same_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a: {b: [1, 2.5, yes, ~], c: &x {d: e}}\nf: *x\n"
    with_it = documents.parse(text, "x.yaml")
    monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    assert documents.parse(text, "x.yaml") == with_it


def test_nothing_of_a_document_is_kept_after_it_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[weakref.ref[yaml.Node]] = []
    compose = documents._composed

    def watched(text: str) -> yaml.Node | None:
        node = compose(text)
        assert isinstance(node, yaml.MappingNode)
        kept.extend(weakref.ref(value) for _, value in node.value)
        return node

    monkeypatch.setattr(documents, "_composed", watched)
    documents.parse("a: 1\nb: 2.5\nc: 2024-01-31\n", "x.yaml")
    gc.collect()
    assert [ref() for ref in kept] == [None, None, None]


class Inner(documents.Strict):
    level: str
    parent: str = ""


class Outer(documents.Strict):
    above: float | None = Field(None, gt=0)
    equals: bool | str | None = None
    hold_s: int = 0
    window_h: float = 1.0
    kind: Literal["threshold", "offline"] = "offline"
    place: str | list[str] = []
    inner: list[Inner] = []
    named: dict[str, Inner] = {}
    quiet: list[str | Inner] = []


def complaints_of(text: str) -> list[str]:
    document, wrong = documents.parse(text, "x.yaml")
    assert document is not None
    return [f"{c.key}: {c.message} → {c.remedy}" for c in [*wrong, *documents.check(Outer, document)[1]]]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("above: yes", "above: expected a number, found True → write a number; without quotes, yes and on are read as true, no and off as false"),
        ("window_h: off", "window_h: expected a number, found False → write a number; without quotes, yes and on are read as true, no and off as false"),
        ("hold_s: true", "hold_s: expected a whole number, found True → write a number; without quotes, yes and on are read as true, no and off as false"),
        ("hold_s: 0120", "hold_s: '0120' has a zero in front: YAML reads it to the base of 8 → write 120, or \"0120\" in quotes if it is a text"),
        ("above: -007", "above: '-007' has a zero in front: YAML reads it to the base of 8 → write -7, or \"-007\" in quotes if it is a text"),
        ("hold_s: 2m", "hold_s: expected a whole number, found '2m' → write it in seconds: 120"),
        ("window_h: 90min", "window_h: expected a number, found '90min' → write it in hours: 1.5"),
        ("above: 2m", "above: expected a number, found '2m' → correct the value"),
        ("kind: treshold", "kind: 'treshold' is not known here → did you mean 'threshold'?"),
        ("kind: x", "kind: 'x' is not known here → use 'threshold' or 'offline'"),
        ("place: 440399001001", 'place: expected a text or a list, found 440399001001 → put it in quotes: "440399001001"'),
        ("place: [a, 440399001001]", 'place.1: expected a text, found 440399001001 → put it in quotes: "440399001001"'),
        ("place: 0440", "place: '0440' has a zero in front: YAML reads it to the base of 8 → write 440, or \"0440\" in quotes if it is a text"),
        ("quiet: [{levl: a}]", "quiet.0.level: this key is missing → add 'level'"),
        ("inner: [x]", "inner.0: expected keys and values, found 'x' → write keys and values: level: …"),
        ("named: [x]", "named: expected keys and values, found a list → write each under its name: name: {level: …}"),
        ("[x]", ": expected keys and values, found a list → write keys and values: above: …, equals: …, hold_s: …, window_h: …, kind: …"),
    ],
)  # fmt: skip
def test_a_value_that_is_not_read_as_it_looks_is_refused_with_what_to_write(text: str, complaint: str) -> None:
    assert complaints_of(text)[0] == complaint


@pytest.mark.parametrize("text", ["above: yes", "hold_s: 0120", "place: 440399001001", "place: 0440", "named: [x]"])
def test_one_mistake_is_one_complaint(text: str) -> None:
    assert len(complaints_of(text)) == 1


def test_plain_numbers_switches_and_quoted_digits_are_read_as_before() -> None:
    document, wrong = documents.parse('{above: 1, equals: yes, hold_s: 0, window_h: 0.5, place: "0440"}', "x.yaml")
    assert document is not None
    read, more = documents.check(Outer, document)
    assert (wrong, more) == ([], [])
    assert read is not None
    assert (read.above, read.equals, read.hold_s, read.window_h, read.place) == (1.0, True, 0, 0.5, "0440")
