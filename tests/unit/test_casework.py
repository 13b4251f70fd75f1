"""The steps of a case: every row of the table, who may make which move, and what each leaves behind."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest

from hub.alerts import casework
from hub.alerts.casework import CASEWORK, ORDER, PEOPLE, agreed, moved, needs_check, objection, of_alert, possible
from hub.alerts.diagram import case_drawings
from hub.alerts.lifecycle import CASE, OPEN, opened
from hub.drawings import redrawn
from hub.model.alerts import Alert, Subject
from hub.model.cases import STEPS, Case, Move
from tests.support.alerts import event, rule
from tests.support.paths import ROOT

T0 = 1_767_225_600_000
BASE = Case(id="c", source="report", severity="P3", title_zh="t", title_en="t", grid="g", opened_at_ms=T0)


def at(step: str, **more: object) -> Case:
    return replace(BASE, step=step, **more)  # type: ignore[arg-type]


def test_every_step_answers_every_move() -> None:
    assert set(CASEWORK) == set(STEPS) == set(casework.SHORT)
    for answers in CASEWORK.values():
        assert set(answers) == set(get_args(Move))


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("move", get_args(Move))
def test_each_row_of_the_table_is_what_happens(step: str, move: Move) -> None:
    case, to = at(step), CASEWORK[step][move]  # type: ignore[index]
    if to is None:
        with pytest.raises(ValueError, match="refused"):
            moved(case, move, "li", T0 + 1, "words", "crew")
        refused = objection(case, move, "admin", "words", "crew")
        assert refused is not None
        assert refused.code == "case-step"
        return
    after = moved(case, move, "li", T0 + 1, "words", "crew")
    assert after.step == to
    assert (after.closed_at_ms is not None) == (to in ("closed", "false_alarm") and after is not case)
    if after is not case:
        assert (after.revision, after.changed_at_ms) == (case.revision + 1, T0 + 1)


@pytest.mark.parametrize("step", ORDER[:4])
def test_as_long_as_an_alert_is_open_its_case_is_where_its_short_state_is(step: str) -> None:
    pairs = {"accept": "acknowledge", "arrive": "on_scene", "handle": "close", "false_alarm": "false_alarm"}
    for move, action in pairs.items():
        to = CASEWORK[step][move]  # type: ignore[index]
        assert casework.SHORT[to] == CASE[casework.SHORT[step]][action]  # type: ignore[index]
    for move in ("raised", "settled"):
        to = casework.SHORT[CASEWORK[step][move]]  # type: ignore[index]
        short = CASE[casework.SHORT[step]][move]  # type: ignore[index]
        assert to == short or step == "dispatched"  # whoever is on the way goes on


def test_steps_go_forward_except_when_sent_back_reopened_or_a_new_fire_comes() -> None:
    for step, answers in CASEWORK.items():
        for move, to in answers.items():
            if to in ORDER and step in ORDER and ORDER.index(to) < ORDER.index(step):
                assert move in ("send_back", "reopen", "raised"), (step, move)


def test_no_move_of_the_hub_closes_what_somebody_works_on() -> None:
    for step in ("dispatched", "on_scene", "handled", "feedback", "verified"):
        assert CASEWORK[step]["settled"] == step  # type: ignore[index]


@pytest.mark.parametrize(
    ("step", "move", "role", "code"),
    [
        ("feedback", "verify", "grid_worker", "case-checker"),
        ("feedback", "verify", "station", "case-checker"),
        ("feedback", "verify", "officer", None),
        ("verified", "close", "grid_worker", "case-checker"),
        ("verified", "close", "admin", None),
        ("closed", "reopen", "station", "case-checker"),
        ("handled", "send_back", "station", "case-checker"),
        ("dispatched", "send_back", "station", None),
        ("handled", "close", "grid_worker", None),
    ],
)
def test_who_did_the_work_does_not_check_it(step: str, move: Move, role: str, code: str | None) -> None:
    refused = objection(at(step), move, role, "words")  # type: ignore[arg-type]
    assert (refused.code if refused else None) == code


@pytest.mark.parametrize("move", sorted(casework.WORDED))
def test_moves_that_need_words_are_refused_without(move: Move) -> None:
    step = next(step for step in STEPS if CASEWORK[step][move] is not None)
    for words, code in (("", "case-words"), ("  ", "case-words"), ("x" * 501, "case-too-long"), ("x", None)):
        refused = objection(at(step), move, "officer", words)
        assert (refused.code if refused else None) == code


def test_a_fire_a_citizens_order_and_what_was_handed_on_are_verified() -> None:
    assert needs_check(at("handled", source="alert", severity="P1"))
    assert needs_check(at("handled", source="hotline"))
    assert needs_check(at("handled", handling="transferred"))
    assert not needs_check(at("handled", handling="self"))
    assert not needs_check(at("handled", source="alert", severity="P3"))


def test_what_is_dispatched_to_somebody_else_is_transferred_and_to_oneself_is_not() -> None:
    mine = moved(at("accepted"), "dispatch", "li", T0 + 1, to="li")
    assert (mine.step, mine.assignee, mine.handling) == ("dispatched", "li", "")
    assert moved(mine, "handle", "li", T0 + 2).handling == "self"
    theirs = moved(mine, "dispatch", "li", T0 + 2, to="property")
    assert (theirs.assignee, theirs.handling) == ("property", "transferred")
    assert moved(theirs, "handle", "wang", T0 + 3).handling == "transferred"
    assert moved(theirs, "dispatch", "li", T0 + 4, to="property") is theirs


def test_sent_back_work_forgets_the_moments_of_later_steps() -> None:
    case = at("reported")
    for n, move in enumerate(("accept", "dispatch", "arrive", "handle", "feed_back"), start=1):
        case = moved(case, move, "li", T0 + n, "w", "x")  # type: ignore[arg-type]
    back = moved(case, "send_back", "chen", T0 + 9, "not clean")
    assert (back.step, back.sent_back, back.assignee) == ("dispatched", 1, "x")
    assert (back.accepted_at_ms, back.dispatched_at_ms) == (T0 + 1, T0 + 9)
    assert (back.on_scene_at_ms, back.handled_at_ms, back.feedback_at_ms) == (None, None, None)


def test_what_is_possible_is_what_is_not_refused() -> None:
    for step in STEPS:
        for role in ("grid_worker", "officer"):
            for move in possible(at(step), role, None):  # type: ignore[arg-type]
                assert objection(at(step), move, role, "-", "-") is None  # type: ignore[arg-type]
    assert possible(at("closed"), "grid_worker", None) == ()
    assert possible(at("closed"), "officer", None) == ("reopen",)


def alert(**more: object) -> Alert:
    made = opened(event("raised", of=rule("fire", "P1"), device="d", at_ms=T0), Subject(grid="g", station="s"))
    return replace(made, **more)  # type: ignore[arg-type]


def test_the_case_of_an_alert_that_an_older_hub_moved_follows_it() -> None:
    case = of_alert(alert())
    assert (case.step, case.id) == ("reported", alert().id)
    taken = alert(case_state="accepted", acked_at_ms=T0 + 5)
    assert (agreed(case, taken).step, agreed(case, taken).accepted_at_ms) == ("accepted", T0 + 5)
    over = alert(case_state="closed", live=False, closed_at_ms=T0 + 9, closed_by="li", close_reason="x")
    assert (agreed(case, over).step, agreed(case, over).closed_by) == ("closed", "li")
    for step in STEPS:  # what fits stays the same object
        state = casework.SHORT[step]
        fitting = alert(case_state=state, live=state in OPEN)
        assert agreed(replace(case, step=step), fitting).step == step


def test_a_false_alarm_cannot_contradict_an_alert_closed_as_done() -> None:
    done = alert(case_state="closed", live=False)
    refused = objection(at("handled"), "false_alarm", "officer", "x", alert=done)
    assert refused is not None
    assert refused.code == "case-alert-done"
    assert PEOPLE  # the moves of people are named once


def test_the_steps_in_the_documentation_are_those_of_the_table() -> None:
    document = (ROOT / "docs" / "cases.md").read_text("utf-8")
    assert redrawn(document, case_drawings()) == document, "run: python -m hub.alerts.diagram docs/cases.md"
