"""Strict YAML: values as they stand, lines for everything, and no text that kills or bloats the process."""

from __future__ import annotations

import gc
import weakref
from itertools import pairwise

import pytest
import yaml

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
