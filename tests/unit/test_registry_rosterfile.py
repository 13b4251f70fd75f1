"""Leave, deputies and swaps in the registry's files."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.dispatch.roster import on_duty
from hub.errors import ConfigError
from hub.registry.loader import load
from tests.support.registry_files import PEOPLE, STATIONS, write_small

NOON = 1_796_097_600_000  # 2026-12-01 12:00 in Shanghai
ZONE = "Asia/Shanghai"
BOB = "{id: bob, name: {zh: 乙, en: Bob}, role: crew"
SPARE = "  - {id: dan, name: {zh: 丁, en: Dan}, role: crew}\n"


def folder(tmp_path: Path, *, bob: str = "", swaps: str = "") -> Path:
    people = PEOPLE.replace(BOB, BOB + bob) + SPARE
    stations = STATIONS.replace("    roster:\n", f"    swaps: [{swaps}]\n    roster:\n", 1)
    return write_small(tmp_path, people=people, stations=stations)


def test_leave_takes_a_person_off_duty_and_a_swap_puts_another_on(tmp_path: Path) -> None:
    leave = ', leave: [{from: 2026-12-01, until: "2026-12-02 09:00"}], deputy: ann'
    registry = load(folder(tmp_path, bob=leave))
    assert on_duty(registry.stations["north"], NOON, ZONE) == ("ann", "cat")
    assert on_duty(registry.stations["north"], NOON + 22 * 3_600_000, ZONE) == ("ann", "bob", "cat")
    assert registry.people["bob"].deputy == "ann"
    swapped = load(folder(tmp_path, bob=leave, swaps='{on: 2026-12-01, from: "08:00", out: bob, in: dan}'))
    assert on_duty(swapped.stations["north"], NOON, ZONE) == ("ann", "dan", "cat")


def test_days_may_stand_in_quotes_and_are_meant_whole(tmp_path: Path) -> None:
    registry = load(folder(tmp_path, bob=', leave: [{from: "2026-12-01", until: "2026-12-01"}]'))
    day = [len(on_duty(registry.stations["north"], NOON + h * 3_600_000, ZONE)) for h in (-13, -12, 0, 11, 12)]
    assert day == [3, 2, 2, 2, 3]


@pytest.mark.parametrize(
    ("bob", "swaps", "key", "message"),
    [
        (", leave: [{from: 2026-12-02, until: 2026-12-01}]", "", "people.3.leave.0", "ends before it begins"),
        (", leave: [{from: tomorrow, until: 2026-12-01}]", "", "people.3.leave.0.from", "expected a day"),
        (', leave: [{from: "2026-12-01T20:00Z", until: 2026-12-03}]', "", "people.3.leave.0.from", "without a zone"),
        (", deputy: anne", "", "people.3.deputy", "nobody is called 'anne'"),
        (", deputy: bob", "", "people.3.deputy", "stand in for themselves"),
        ("", "{on: 2026-12-01, out: dan, in: bob}", "stations.0.swaps.0", "'dan' has no shift to swap on 2026-12-01"),
        ("", '{on: 2026-12-01, from: "09:00", out: bob, in: dan}', "stations.0.swaps.0", "has no shift to swap"),
        ("", "{on: 2026-12-01, out: bob, in: don}", "stations.0.swaps.0.in", "nobody is called 'don'"),
        ("", "{on: 12, out: bob, in: dan}", "stations.0.swaps.0.on", "expected a day"),
    ],
)
def test_what_is_wrong_is_said_where_it_stands(tmp_path: Path, bob: str, swaps: str, key: str, message: str) -> None:
    with pytest.raises(ConfigError) as wrong:
        load(folder(tmp_path, bob=bob, swaps=swaps))
    assert any(c.key == key and message in c.message for c in wrong.value.complaints), wrong.value
