"""A lane: one at a time, fires first, nothing twice, nothing forgotten."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from hub.dispatch.lane import Lane, Result
from hub.errors import Unavailable
from hub.model.deliveries import Delivery
from tests.support.notices import NOW_MS, a_delivery


class Work:
    """A `deliver` that can be held, and that notes what it was given."""

    def __init__(self, does: Callable[[Delivery, int], Result] = lambda delivery, failures: Result()) -> None:
        self.done: list[tuple[int, int]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.does = does
        self.changed = threading.Condition()

    def __call__(self, delivery: Delivery, failures: int) -> Result:
        with self.changed:
            self.done.append((delivery.id, failures))
            self.changed.notify_all()
        assert self.gate.wait(5)
        return self.does(delivery, failures)

    def ids(self, count: int) -> list[int]:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.done) >= count, 5), self.done
            return [number for number, _ in self.done]


@pytest.fixture
def work() -> Work:
    return Work()


def lane_of(work: Work, **more: Any) -> Lane:
    return Lane("webhook crew", work, lambda: None, **more)


def end(lane: Lane) -> None:
    lane.ask_to_end()
    assert lane.join(5)


def test_the_most_severe_goes_first_then_the_longest_due(work: Work) -> None:
    lane = lane_of(work)
    work.gate.clear()
    lane.offer(a_delivery(id=1, severity="P4"))
    work.ids(1)
    for number, severity, due in ((2, "P3", 0), (3, "P1", 9), (4, "P2", 0), (5, "P1", 5), (6, "P3", 0)):
        lane.offer(a_delivery(id=number, severity=severity, due_at_ms=NOW_MS + due))
    assert lane.depth == 6
    work.gate.set()
    assert work.ids(6) == [1, 5, 3, 4, 2, 6]
    end(lane)


def test_a_delivery_that_is_inside_is_not_taken_again(work: Work) -> None:
    lane = lane_of(work)
    work.gate.clear()
    for _ in range(3):
        lane.offer(a_delivery(id=1))
        lane.offer(a_delivery(id=2))
    work.gate.set()
    assert work.ids(2) == [1, 2]
    end(lane)
    assert len(work.done) == 2
    assert lane.depth == 0


def test_a_delivery_that_was_postponed_and_is_due_again_is_not_forgotten(work: Work) -> None:
    lane = lane_of(work)
    work.gate.clear()
    lane.offer(a_delivery(id=1))
    work.ids(1)
    lane.offer(a_delivery(id=1, due_at_ms=NOW_MS + 10, attempts=1))
    work.gate.set()
    assert work.ids(2) == [1, 1]
    end(lane)


def test_failures_in_a_row_are_counted_and_forgotten_after_a_success() -> None:
    work = Work(lambda delivery, failures: Result(0.0, "HTTP 503") if delivery.id < 3 else Result())
    lane = lane_of(work)
    for number in (1, 2, 3, 4):
        lane.offer(a_delivery(id=number))
    work.ids(4)
    end(lane)
    assert work.done == [(1, 0), (2, 1), (3, 2), (4, 0)]
    assert lane.trouble == ""


def test_while_the_ledger_is_away_the_delivery_stays_first_in_line() -> None:
    def away_once(delivery: Delivery, failures: int) -> Result:
        if len(work.done) == 1:
            raise Unavailable("restarting", after_s=0.01)
        return Result()

    work = Work(away_once)
    lane = lane_of(work)
    lane.offer(a_delivery(id=1))
    lane.offer(a_delivery(id=2))
    assert work.ids(3) == [1, 1, 2]
    end(lane)


def test_a_bug_drops_one_delivery_and_not_the_lane() -> None:
    def broken(delivery: Delivery, failures: int) -> Result:
        if delivery.id == 1:
            raise ZeroDivisionError
        return Result()

    work = Work(broken)
    lane = lane_of(work)
    lane.offer(a_delivery(id=1))
    lane.offer(a_delivery(id=2))
    assert work.ids(2) == [1, 2]
    assert lane.offer(a_delivery(id=1)), "its lease brings it back"
    work.ids(3)
    end(lane)


def test_a_lane_with_nothing_to_do_ends_and_says_so(work: Work) -> None:
    lane = lane_of(work, idle_s=0.05)
    assert lane.join(5)
    assert lane.ended
    assert not lane.offer(a_delivery())


def test_a_rest_ends_when_the_lane_is_asked_to_end() -> None:
    work = Work(lambda delivery, failures: Result(60.0, "HTTP 503"))
    lane = lane_of(work)
    lane.offer(a_delivery(id=1))
    lane.offer(a_delivery(id=2))
    work.ids(1)
    end(lane)
    assert [number for number, _ in work.done] == [1]
    assert lane.trouble == "HTTP 503"
    assert [d.id for d in lane.waiting()] == [2]


def test_what_is_held_lets_a_fire_pass_and_goes_when_its_time_has_come(work: Work) -> None:
    open_at = threading.Event()
    lane = lane_of(work, hold=lambda delivery: 0.0 if delivery.severity == "P1" or open_at.is_set() else 0.05)
    lane.offer(a_delivery(id=1, severity="P3"))
    lane.offer(a_delivery(id=2, severity="P3", due_at_ms=NOW_MS + 1))
    assert work.done == []
    lane.offer(a_delivery(id=3, severity="P1"))
    assert work.ids(1) == [3]
    assert lane.depth == 2
    open_at.set()
    assert work.ids(3) == [3, 1, 2]
    end(lane)


def test_a_lane_that_holds_something_ends_when_it_is_asked_to(work: Work) -> None:
    lane = lane_of(work, hold=lambda delivery: 60.0)
    lane.offer(a_delivery(id=1, severity="P3"))
    end(lane)
    assert work.done == []


def test_a_lane_says_for_how_long_it_rests(work: Work) -> None:
    work.does = lambda delivery, failures: Result(20.0, "shut out")
    lane = lane_of(work)
    assert lane.rests_s == 0
    lane.offer(a_delivery(id=1))
    work.ids(1)
    until = 100
    while lane.rests_s == 0 and (until := until - 1):
        threading.Event().wait(0.01)
    assert 15 < lane.rests_s <= 20
    end(lane)
