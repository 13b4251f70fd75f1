"""The example place under the shipped rules: an ordinary evening alarms nobody, a kitchen fire alarms whom it should."""

from __future__ import annotations

import pytest

from devices.simulators.behaviours import Cue
from tests.support.played_town import raised, told

pytestmark = pytest.mark.slow
MORNING_MS = 1_704_067_200_000  # 2024-01-01 08:00 in Shanghai
EVENING_MS = MORNING_MS + 10 * 3_600_000


def test_an_evening_of_charging_and_coming_home_tells_nobody_anything():
    assert raised(told([("calm_day", Cue())], start_ms=EVENING_MS, hours=1.5, step_s=5)) == {}


def test_a_kitchen_fire_is_confirmed_by_the_neighbours_and_opens_the_gates():
    events = told([("calm_day", Cue()), ("kitchen_fire", Cue(at_s=60.0))], start_ms=MORNING_MS, hours=0.3)
    found = raised(events)
    assert found["P1", "smoke-alarm"] == 4, "the kitchen and three neighbours"
    assert found["P1", "fire-confirmed"] == 1, "one staircase burns, once"
    assert ("P1", "gate-shut-in-fire") not in found
    assert {rule for severity, rule in found if severity == "P1"} <= {
        "smoke-alarm",
        "fire-confirmed",
        "lane-blocked-in-fire",  # somebody drives by just then
    }
    live = set()
    for event in events:
        key = (event.rule.id, event.device)
        if event.kind == "raised":
            assert key not in live, "one live alarm for each rule and detector"
            live.add(key)
        elif event.kind == "cleared":
            live.remove(key)
    assert live == set(), "all is over"
