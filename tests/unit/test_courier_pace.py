"""How patiently a delivery is tried again, and when it is not wanted any more."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.dispatch.pace import Limit, Pace, Spent, burning, not_needed
from hub.model.deliveries import Retry
from tests.support.notices import NOW_MS, a_delivery, an_alert

PACE = Pace()
OWN = Retry(0.0, "HTTP 503")


@given(st.integers(0, 10_000))
def test_a_fire_that_nobody_has_acknowledged_is_tried_again_within_five_seconds(failures: int) -> None:
    assert 0 < PACE.again_in_s(an_alert(), failures, OWN) <= 5.0


@given(st.integers(0, 10_000_000_000))
def test_a_fire_that_nobody_has_acknowledged_is_never_given_up(age_ms: int) -> None:
    assert not PACE.is_over(an_alert(), a_delivery(), NOW_MS + age_ms)


@pytest.mark.parametrize("change", [{"severity": "P2"}, {"severity": "P4"}, {"acked_at_ms": NOW_MS}, {"live": False}])
def test_everything_else_is_tried_for_a_day(change: dict[str, Any]) -> None:
    day_ms = 86_400_000
    assert not PACE.is_over(an_alert(**change), a_delivery(), NOW_MS + day_ms - 1)
    assert PACE.is_over(an_alert(**change), a_delivery(), NOW_MS + day_ms)


@pytest.mark.parametrize(("severity", "most_s"), [("P2", 60), ("P3", 300), ("P4", 300)])
def test_lesser_alerts_wait_longer_but_not_for_ever(severity: Any, most_s: float) -> None:
    waits = [PACE.again_in_s(an_alert(severity=severity), n, OWN) for n in (0, 3, 50)]
    assert waits[0] < waits[1] < waits[2] <= most_s


@pytest.mark.parametrize(("severity", "asked_s", "waits_s"), [("P1", 12, 12), ("P1", 600, 30), ("P3", 600, 600)])
def test_a_receiver_that_asks_for_time_gets_it_but_a_fire_gives_at_most_half_a_minute(
    severity: Any, asked_s: float, waits_s: float
) -> None:
    assert PACE.again_in_s(an_alert(severity=severity), 0, Retry(asked_s, "HTTP 429")) == waits_s


@given(st.integers(0, 10_000), st.floats(0, 1e6))
def test_a_lane_never_rests_longer_than_half_a_minute(failures: int, asked_s: float) -> None:
    assert 0 < PACE.rest_s(failures, Retry(asked_s, "")) <= 30


ACKED, THERE, CLOSED = {"acked_at_ms": 1}, {"on_scene_at_ms": 2}, {"live": False}


@pytest.mark.parametrize(
    ("needed_while", "state", "reason"),
    [
        ("live", {}, ""),
        ("live", ACKED, ""),
        ("live", THERE, ""),
        ("live", CLOSED, "the alert is closed"),
        ("unacknowledged", {}, ""),
        ("unacknowledged", ACKED, "it is acknowledged"),
        ("unacknowledged", THERE, "somebody is on scene"),
        ("unacknowledged", CLOSED, "the alert is closed"),
        ("not_on_scene", ACKED, ""),
        ("not_on_scene", THERE, "somebody is on scene"),
        ("not_on_scene", CLOSED, "the alert is closed"),
        ("always", CLOSED, ""),
    ],
)
def test_what_is_no_longer_needed_says_why(needed_while: str, state: dict[str, Any], reason: str) -> None:
    assert not_needed(an_alert(**state), needed_while) == reason


def test_a_fire_burns_until_somebody_answers() -> None:
    assert burning(an_alert())
    assert not any(burning(an_alert(**state)) for state in (ACKED, THERE, CLOSED, {"severity": "P2"}))


# Limits of receivers -------------------------------------------------------------------------------------------------

ROBOT = (Limit(20, 60.0, reserved=5),)


def test_a_robots_minute_is_for_fifteen_lesser_messages_and_for_twenty_fires() -> None:
    spent = Spent(ROBOT)
    for n in range(15):
        assert spent.wait_s("P3", float(n)) == 0
        spent.spend(float(n))
    assert 45 < spent.wait_s("P3", 15.0) < 48, "until the first of them is a minute old"
    assert spent.wait_s("P2", 15.0) > 0
    for n in range(15, 20):
        assert spent.wait_s("P1", float(n)) == 0
        spent.spend(float(n))
    assert spent.wait_s("P1", 20.0) > 0
    assert spent.wait_s("P1", 62.0) == 0
    assert spent.wait_s("P3", 62.0) > 0, "the fires have taken of it too"


def test_the_narrowest_of_several_limits_counts() -> None:
    spent = Spent((Limit(100, 60.0, reserved=20), Limit(5, 1.0, reserved=1)))
    for _ in range(4):
        spent.spend(0.0)
    assert 1 <= spent.wait_s("P3", 0.0) < 2
    assert spent.wait_s("P1", 0.0) == 0


def test_a_receiver_without_limits_never_waits() -> None:
    spent = Spent(())
    for _ in range(1_000):
        spent.spend(0.0)
    assert spent.wait_s("P4", 0.0) == 0
    assert spent.is_idle(0.0)


@given(
    st.integers(1, 20),
    st.integers(0, 19),
    st.floats(0.5, 100),
    st.lists(st.tuples(st.sampled_from(["P1", "P3"]), st.floats(0, 20)), max_size=80),
)
def test_no_window_ever_holds_more_than_the_limit(
    most: int, reserved: int, within_s: float, asks: list[tuple[str, float]]
) -> None:
    limit = Limit(most, within_s, reserved=min(reserved, most - 1))
    spent, now_s, sent = Spent((limit,)), 1_000.0, []
    for severity, later_s in asks:
        now_s += later_s
        wait_s = spent.wait_s(severity, now_s)
        assert 0 <= wait_s <= within_s * 1.02 + 0.1 + 1e-6
        if wait_s == 0:
            spent.spend(now_s)
            sent.append((now_s, severity))
            inside = [s for at_s, s in sent if at_s > now_s - within_s]
            assert len(inside) <= most
            assert severity == "P1" or len(inside) <= most - limit.reserved


@pytest.mark.parametrize("wrong", [(0, 60.0, 0), (5, 60.0, 5), (5, 0.0, 0), (5, 60.0, -1)])
def test_a_limit_that_lets_nothing_through_is_a_mistake(wrong: tuple[int, float, int]) -> None:
    with pytest.raises(ValueError):
        Limit(*wrong)
