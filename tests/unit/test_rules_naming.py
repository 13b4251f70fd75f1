"""A mistake in a rule file names file, line, rule, key and remedy."""

from __future__ import annotations

import pytest

from hub import documents
from hub.errors import Complaint, ConfigError
from hub.rules.naming import named
from hub.rules.ruleset import rules_of

GOOD = """
  - id: {id}
    kind: threshold
    name: {{zh: a, en: a}}
    on: {{device_kind: smoke_alarm, quantity: smoke}}
    when: {{{when}}}
    severity: P1
    cause: {{zh: a, en: a}}
    consequence: {{zh: a, en: a}}
    action: {{zh: a, en: a}}
    respond_within_s: 60
    responder: station
    source: chosen here
    certainty: C
"""


def complaints(*rules: str) -> list[Complaint]:
    document, wrong = documents.parse("rules:" + "".join(rules), "rules/x.yaml")
    assert document is not None
    with pytest.raises(ConfigError) as refused:
        rules_of([document], wrong)
    return list(refused.value.complaints)


def test_a_mistake_in_the_second_rule_is_told_with_all_that_mends_it() -> None:
    good = GOOD.format(id="one", when="equals: true")
    (found,) = complaints(good, GOOD.format(id="two", when="equal: true"))[:1]
    assert (found.file, found.line, found.rule, found.key) == ("rules/x.yaml", 20, "two", "when.equal")
    assert str(found) == "rules/x.yaml:20: rule 'two' when.equal: unknown key → did you mean 'equals'?"


def test_a_rule_that_is_wrong_in_two_ways_is_told_both() -> None:
    found = complaints(GOOD.format(id="one", when="equal: true").replace("P1", "P9"))
    assert [(one.rule, one.key) for one in found][:2] == [("one", "severity"), ("one", "when.equal")]


def test_two_rules_with_one_id_name_it() -> None:
    good = GOOD.format(id="one", when="equals: true")
    (found,) = complaints(good, good)
    assert (found.line, found.rule, found.key) == (16, "one", "")
    assert str(found).startswith("rules/x.yaml:16: rule 'one': a rule with this id exists already → rename it")


def test_a_rule_without_an_id_is_told_by_its_place() -> None:
    (found,) = complaints(GOOD.format(id="one", when="equals: true").replace("- id: one\n    kind", "- kind"))
    assert (found.rule, found.key, found.message) == ("", "rules.0.id", "this key is missing")


@pytest.mark.parametrize("text", ["rules: 7", "rules: [7, null, {id: 3}]", "- a", "a: 1", "null"])
def test_what_is_no_rule_at_all_hinders_nobody(text: str) -> None:
    document, _ = documents.parse(text, "x")
    assert document is not None
    wrong = [
        Complaint(file=f, line=1, key=k, message="m") for f in ("x", "y") for k in ("", "a", "rules.0", "rules.9.id")
    ]
    assert named(wrong, [document]) == wrong


@pytest.mark.parametrize(
    ("text", "line", "remedy"),
    [
        ("rules:\n  id: a\n  kind: offline\n", 1, "begin each rule with '- id: …'"),
        ("rules:\n  - id: a\n    kind: offline\n  id: b\n    kind: offline\n", 4, "begin each entry of the list with '- ' and indent them alike"),
        ("rules:\n  - id: a\n    kind: offline\n    id: b\n", 4, "keep one (the first is at line 2), or begin a new entry with '- id: …'"),
        ("rules:\n", 1, "begin each rule with '- id: …'"),
        ("- id: a\n", 1, "start the file with 'rules:'"),
    ],
)  # fmt: skip
def test_a_forgotten_dash_is_told_with_the_dash(text: str, line: int, remedy: str) -> None:
    document, wrong = documents.parse(text, "rules/x.yaml")
    with pytest.raises(ConfigError) as refused:
        rules_of([] if document is None else [document], wrong)
    first = refused.value.complaints[0]
    assert (first.line, first.remedy) == (line, remedy)
