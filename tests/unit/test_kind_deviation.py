"""What is not as usual for a device: against its own mean, median, week, drift, and the places where it has been."""

from __future__ import annotations

import math
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.errors import ConfigError
from hub.rules.kinds import KINDS
from hub.rules.kinds.detectors import DETECTORS
from hub.rules.ruleset import load_rules
from tests.support import twins
from tests.support.twins import DAY, START, Leap, Say, Step

MINUTE, HOUR = 60_000, 3_600_000
METHODS = sorted(DETECTORS)
every_method = pytest.mark.parametrize("method", METHODS)
Row = tuple[float, float]  # minutes, value


def told(when: dict[str, Any], rows: list[Row], quantity: str = "temperature_c") -> list[str]:
    """What the rule, and its twin, say of one device."""
    story: list[Step] = [Say(0, quantity, v, START + int(m * MINUTE), START + int(m * MINUTE)) for m, v in rows]
    return twins.agrees_with_twin("deviation", quantity, when, story, 1)


def noise(readings: int, every_min: float = 1.0, *, seed: int = 1, at: float = 20.0, by: float = 0.3) -> list[Row]:
    random = Random(seed)
    return [(n * every_min, at + random.gauss(0, by)) for n in range(readings)]


def daily(days: float, every_min: float = 20.0, *, seed: int = 1, by: float = 0.3) -> list[Row]:
    """Warm at noon, cold at midnight, by the clock of Shanghai."""
    return [
        (m, v + 5 - 5 * math.cos(2 * math.pi * (m / 60 + 8) / 24))
        for m, v in noise(int(days * 1_440 / every_min), every_min, seed=seed, by=by)
    ]


def after(rows: list[Row], *values: float) -> list[Row]:
    step = rows[-1][0] - rows[-2][0]
    return rows + [(rows[-1][0] + step * (n + 1), value) for n, value in enumerate(values)]


# The arrays are the twin -----------------------------------------------------------------------------------------------


@every_method
@pytest.mark.parametrize("more", [{}, {"sensitivity": "high", "margin": 1.5, "warm_up_h": 0.01}], ids=str)
@given(data=st.data())
@settings(max_examples=8, deadline=None)
def test_arrays_say_what_the_row_by_row_twin_says(method: str, more: dict[str, Any], data: st.DataObject) -> None:
    when = {"method": method, "warm_up_h": 0, **more}
    values = [20.0, 20.5, 21.0, 22.0, 25.0, 60.0, -3.0, 1e300, float("inf"), 5e-324]
    pauses = (0, 1_000, MINUTE, MINUTE, 20 * MINUTE, HOUR, 8 * HOUR, 26 * HOUR)
    story = data.draw(twins.stories(values, quantities=["temperature_c"], pauses=pauses))
    twins.agrees_with_twin("deviation", "temperature_c", when, story, 3)


@every_method
@given(seed=st.integers(0, 10_000), every_min=st.sampled_from([0.5, 10, 60, 300]), margin=st.sampled_from([0.0, 0.7]))
@settings(max_examples=4, deadline=None)
def test_arrays_say_what_the_twin_says_of_a_long_life(method: str, seed: int, every_min: float, margin: float) -> None:
    random, at, level, scale, skew = Random(seed), START, 20.0, random_scale(seed), 0
    story: list[Step] = []
    for _ in range(250):
        at += int(every_min * MINUTE * random.choice([1, 1, 1, 0.5, 3]))
        if random.random() < 0.03:
            level += random.choice([-1, 1, 8]) * scale
        if random.random() < 0.01:
            skew = random.choice([0, DAY, -DAY])
        if random.random() < 0.01:
            by = random.choice([DAY, -DAY, 2 * HOUR])
            at += by
            story.append(Leap(by, at))
        value = random.choice([level, level + random.gauss(0, scale), round(level), level + random.gauss(0, scale)])
        value = random.choice([value] * 30 + [float("nan"), 40 * scale])
        story.append(Say(random.randint(0, 1), "temperature_c", value, at, at + skew))
    when = {"method": method, "warm_up_h": 0, "margin": margin * scale, "sensitivity": "high"}
    assert "unknown" in twins.agrees_with_twin("deviation", "temperature_c", when, story, 2) or not any(
        isinstance(s, Say) and math.isnan(s.value) for s in story
    )


def random_scale(seed: int) -> float:
    return float(10 ** (seed % 5 - 2))


@every_method
def test_the_clock_of_a_device_does_not_matter(method: str) -> None:
    when = {"method": method, "warm_up_h": 0}
    rows = after(daily(22, 40), 60.0, 61.0, 20.0)
    right, wrong = (
        [
            Say(0, "temperature_c", v, START + int(m * MINUTE), START + int(m * MINUTE) + n % 7 * by)
            for n, (m, v) in enumerate(rows)
        ]
        for by in (0, DAY)
    )
    assert twins.agrees_with_twin("deviation", "temperature_c", when, right, 1) == twins.agrees_with_twin(
        "deviation", "temperature_c", when, wrong, 1
    )


# What each finds -------------------------------------------------------------------------------------------------------


@every_method
def test_nothing_is_said_while_it_warms_up_and_nothing_is_odd_in_mere_noise(method: str) -> None:
    rows = daily(21)
    said = told({"method": method, "margin": 1.0}, rows)
    warm_up = int(max(DETECTORS[method].warm_up_h, 24) * 3)
    assert set(said[:warm_up]) == {"unknown"}
    assert "unknown" not in said[warm_up:]
    assert said.count("breach") <= (method == "score") * 3


@pytest.mark.parametrize("method", ["ewma", "robust", "score"])
def test_a_jump_is_found_at_once(method: str) -> None:
    rows = noise(2_000)
    said = told({"method": method, "warm_up_h": 1}, after(rows, 40.0))
    assert said[-1] == "breach"
    assert said[-500:-1].count("breach") <= (method == "score") * 5


def test_a_few_outliers_do_not_blind_the_robust_method_as_they_do_the_mean() -> None:
    rows = noise(400)
    rows[350:360] = [(m, 90.0) for m, _ in rows[350:360]]
    rows = after(rows, 24.0)
    assert told({"method": "robust", "warm_up_h": 1}, rows)[-1] == "breach"
    assert told({"method": "ewma", "warm_up_h": 1}, rows)[-1] == "clear"


def test_a_warm_midnight_is_odd_for_the_season_though_noon_is_as_warm() -> None:
    rows = daily(21, 10)
    midnight = (16 * 60 - rows[-1][0] % 1_440) % 1_440 + rows[-1][0]
    noon = midnight + 12 * 60
    when = {"method": "seasonal"}
    assert told(when, [*rows, (midnight, 30.0)])[-1] == "breach"
    assert told(when, [*rows, (noon, 30.0)])[-1] == "clear"
    assert told({"method": "ewma"}, [*rows, (midnight, 30.0)])[-1] == "clear"


def test_an_hour_of_the_week_that_was_seen_once_is_not_known() -> None:
    assert "breach" not in told({"method": "seasonal", "warm_up_h": 0}, after(daily(13), 500.0))


def test_a_drift_of_a_tenth_a_day_is_found_that_no_day_shows() -> None:
    rows = [(m, v + 0.1 * max(0.0, m / 1_440 - 14)) for m, v in daily(42, 30, by=0.5)]
    said = told({"method": "cusum"}, rows)
    first = said.index("breach") / 48
    assert 14 < first < 21
    assert set(said[said.index("breach") :]) == {"breach"}
    assert "breach" not in told({"method": "cusum"}, daily(42, 30, by=0.5))
    assert "breach" not in told({"method": "ewma", "sensitivity": "high"}, rows)


def test_a_place_where_the_device_has_been_is_not_new() -> None:
    rows = noise(2_500)
    rows[1_000:1_100] = [(m, v + 15) for m, v in rows[1_000:1_100]]
    rows[2_000:2_100] = [(m, v + 15) for m, v in rows[2_000:2_100]]
    said = told({"method": "score", "warm_up_h": 1}, rows)
    assert said[1_000] == "breach"
    assert "breach" not in said[2_002:2_100]


def test_after_a_finding_the_score_rests() -> None:
    random = Random(2)
    rows = after(noise(2_000), *(random.uniform(20, 90) for _ in range(40)))
    said = told({"method": "score", "warm_up_h": 1}, rows)[2_000:]
    assert said[0] == "breach"
    assert said[1:31] == ["between"] * 30


def test_who_finds_something_all_the_time_finds_less_and_less() -> None:
    random = Random(3)
    rows = [
        (float(n), random.choice([20.0, 20.0, random.uniform(0, 10 ** random.uniform(0, 3))])) for n in range(4_000)
    ]
    said = told({"method": "score", "warm_up_h": 0, "sensitivity": "high"}, rows)
    assert said[:1_500].count("breach") > said[2_500:].count("breach")


@pytest.mark.parametrize("method", ["ewma", "robust", "score"])
def test_differences_below_the_margin_are_never_odd(method: str) -> None:
    flat = after([(float(n), 20.0) for n in range(600)], 20.4)
    assert told({"method": method, "warm_up_h": 1}, flat)[-1] == "breach", "it had never moved before"
    assert told({"method": method, "warm_up_h": 1, "margin": 0.5}, flat)[-1] != "breach"
    assert told({"method": method, "warm_up_h": 1, "margin": 0.5}, after(flat, 21.5))[-1] == "breach"


@every_method
def test_a_high_sensitivity_finds_whatever_a_low_one_does_first(method: str) -> None:
    limits = DETECTORS[method].limits
    assert limits["low"] > limits["medium"] > limits["high"] > 0


@every_method
def test_memory_of_a_device_stays_within_four_kib(method: str) -> None:
    run, _ = twins.compiled("deviation", "temperature_c", {"method": method})
    assert run.memory is not None
    assert run.memory.itemsize <= 4_096


def test_the_figure_is_what_is_held_against_the_limit() -> None:
    run, _ = twins.compiled("deviation", "temperature_c", {"method": "ewma", "warm_up_h": 0})
    player = twins.Player(run, 1)
    assert run.figure is not None
    assert np.isnan(run.figure(player.memory)[0]), "nothing yet"
    story = [
        Say(0, "temperature_c", v, START + n * MINUTE, START) for n, v in enumerate([20.0, 21.0, 20.0, 21.0, 80.0])
    ]
    assert player.play(story)[-1] == "breach"
    assert run.threshold is not None
    assert run.figure(player.memory)[0] >= run.threshold
    assert run.figure_unit == "σ"


RULE = """\
rules:
  - id: odd
    kind: deviation
    name: {zh: 异常, en: Odd}
    on: {device_kind: water_pressure, quantity: water_pressure_kpa}
    when: {method: score}
    severity: SEVERITY
    cause: {zh: 不明, en: Unknown}
    consequence: {zh: 不明, en: Unknown}
    action: {zh: 查看, en: Look}
    respond_within_s: 3600
    responder: property
    source: test
    certainty: C
"""


@pytest.mark.parametrize("severity", ["P1", "P2", "P3"])
def test_a_rule_that_finds_oddities_does_not_load_with_a_severity_that_pages(severity: str, tmp_path: Path) -> None:
    (tmp_path / "odd.yaml").write_text(RULE.replace("SEVERITY", severity), "utf-8")
    with pytest.raises(ConfigError, match="P4"):
        load_rules(tmp_path)


@pytest.mark.parametrize("severity", ["P1", "P2", "P3"])
def test_an_override_does_not_lift_it_either(severity: str, tmp_path: Path) -> None:
    lifted = f"    overrides:\n      - {{scope: {{tag: school}}, severity: {severity}, why: a school}}\n"
    (tmp_path / "odd.yaml").write_text(RULE.replace("SEVERITY", "P4") + lifted, "utf-8")
    with pytest.raises(ConfigError, match="P4"):
        load_rules(tmp_path)


def test_as_advice_it_loads(tmp_path: Path) -> None:
    (tmp_path / "odd.yaml").write_text(RULE.replace("SEVERITY", "P4"), "utf-8")
    (rule,) = load_rules(tmp_path).rules
    assert rule.spec.severity == "P4"
    assert KINDS["deviation"].advisory
