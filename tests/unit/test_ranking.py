"""False alarms against what fire practice takes for normal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.alerts.ranking import level_of, ranking
from hub.model.alerts import Actor
from hub.stores.noise_queries import Times, Verdicts
from tests.support.registry import GRID_A, GRID_C, UNIT, a_device, small_registry

YEAR = int(365.25 * 86_400_000)
NOW = 1_767_225_600_000
TOWN = small_registry(
    [
        *(a_device(f"smoke-{n}", place=UNIT) for n in range(20)),
        a_device("gate-1", "gate", grid=GRID_C),
        a_device("far-1", grid=GRID_C, place=GRID_C),
    ]
)


def verdict(
    device: str,
    *,
    false: int = 0,
    real: int = 0,
    rule: str = "smoke-alarm",
    severity: str = "P1",
    kind: str = "smoke_alarm",
) -> Verdicts:
    return Verdicts(rule, device, kind, severity, false, real, 0)


def ranked(
    *verdicts: Verdicts, by: str = "device", tests: tuple[Times, ...] = (), years: float = 1, scope: Actor | None = None
):
    since = NOW - int(years * YEAR)
    return ranking(verdicts, tests, TOWN, by=by, since_ms=since, now_ms=NOW, scope=scope)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rate", "level"),
    [(0, "green"), (1 / 50, "green"), (0.0201, "amber"), (1 / 20, "amber"), (0.0501, "red"), (9, "red")],
)
def test_the_levels_are_one_false_alarm_for_fifty_and_for_twenty_detectors(rate, level):
    assert level_of(rate) == level


def test_the_rate_is_of_detectors_and_years():
    building = next(iter(TOWN.buildings))
    found = ranked(verdict("smoke-1", false=2), verdict("smoke-2", false=1), by="building", years=3)
    (row,) = found.rows
    assert (row.key, row.false, row.detectors) == (building, 3, 20)
    assert row.rate == pytest.approx(3 / 20 / 3)
    assert (row.level, found.total.detectors) == ("amber", 21)


def test_the_worst_comes_first_and_what_is_no_detector_has_no_rate():
    found = ranked(
        verdict("gate-1", false=5, rule="forced-open", severity="P2", kind="gate"),
        verdict("smoke-1", false=6),
        verdict("smoke-2", real=1),
    )
    assert [(row.key, row.level) for row in found.rows] == [("smoke-1", "red"), ("gate-1", None), ("smoke-2", "green")]
    assert found.total.false == 11
    assert found.total.rate == pytest.approx(6 / 21)  # of the fire alarms only


def test_a_fault_that_was_called_false_is_no_false_fire_alarm():
    (row,) = ranked(verdict("smoke-1", false=4, severity="P3", rule="low")).rows
    assert (row.false, row.rate, row.level) == (4, 0.0, "green")


def test_rules_are_compared_over_the_detectors_of_the_kinds_that_they_found():
    (row,) = ranked(verdict("smoke-1", false=1), by="rule").rows
    assert (row.key, row.detectors) == ("smoke-alarm", 21)


def test_tests_are_counted_apart_and_make_a_row_of_their_own():
    found = ranked(
        verdict("smoke-1", false=1), tests=(Times("smoke-alarm", "smoke-1", 2), Times("smoke-alarm", "smoke-2", 1))
    )
    assert {row.key: (row.false, row.test) for row in found.rows} == {"smoke-1": (1, 2), "smoke-2": (0, 1)}
    assert found.total.test == 3


def test_a_reader_is_compared_with_its_own_detectors_and_tests_only():
    worker = Actor(id="w", name="W", role="grid_worker", grids=(GRID_A,))
    found = ranked(verdict("smoke-1", false=1), tests=(Times("smoke-alarm", "far-1", 9),), scope=worker)
    assert (found.total.detectors, found.total.test) == (20, 0)


@given(
    st.lists(
        st.tuples(st.sampled_from(["smoke-1", "smoke-2", "gate-1", "gone"]), st.integers(0, 5), st.integers(0, 5)),
        max_size=12,
    ),
    st.sampled_from(["device", "building", "rule"]),
)
def test_nothing_is_lost_in_whatever_way_it_is_ranked(given_, by):
    found = ranked(*(verdict(device, false=false, real=real) for device, false, real in given_), by=by)
    assert sum(row.false for row in found.rows) == found.total.false == sum(false for _, false, _ in given_)
    assert sum(row.real for row in found.rows) == sum(real for *_, real in given_)
    falses = [row.false for row in found.rows]
    assert falses == sorted(falses, reverse=True)
