"""The way from a device to people, shown for one device and proven for all, by the functions of the live path."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from typer.testing import CliRunner

from hub.__main__ import app
from hub.dispatch.escalation import StandardPlanner, load_policy
from hub.dispatch.routes import NOBODY, UNVERIFIED, Audit, audit, moments_from, route
from hub.dispatch.routing import Ways
from hub.model.places import Leave, Person, Shift, Station
from hub.registry.snapshot import Registry
from hub.stores.contact_checks import digest
from tests.support.notices import NOW_MS, ZONE, an_alert
from tests.support.paths import CONFIG
from tests.support.registry import UNIT, a_device, hub_and_canary, people, places, small_registry, stations

POLICY = load_policy(CONFIG / "escalation.yaml")
WAYS = Ways(frozenset({"console", "webhook", "siren"}))
HOUR = 3_600_000


def audited(registry: Registry, *, ways: Ways = WAYS, at_ms: int = NOW_MS, zone: str = ZONE, hours: int = 168) -> Audit:
    return audit(registry, POLICY, at_ms, zone, ways=ways, hours=hours)


def town(*given: Station, crowd: list[Person] | None = None) -> Registry:
    devices = [a_device("smoke-1", place=UNIT), a_device("smoke-2", place=UNIT), *hub_and_canary()]
    return Registry.of(
        devices, places=places(), people=people() if crowd is None else crowd, stations=given or stations()
    )


def causes(found: Audit) -> set[str]:
    return {gap.cause for gap in found.gaps}


def test_a_route_names_those_whom_the_live_path_would_tell() -> None:
    registry = small_registry()
    found = route(registry, POLICY, "smoke-1", NOW_MS, ZONE, ways=WAYS, locale="en")
    planner = StandardPlanner(lambda: registry, POLICY, ZONE)
    live = planner.raised(an_alert(), NOW_MS).deliveries
    assert [h.id for h in found.steps[0].hearers] == list(dict.fromkeys(d.recipient for d in live))
    for n, step in enumerate(found.steps[1:], start=1):
        climbed = planner.step(an_alert(), n, NOW_MS + step.after_s * 1_000).deliveries
        assert [h.id for h in step.hearers] == list(dict.fromkeys(d.recipient for d in climbed))
    assert [step.after_s for step in found.steps] == [0, 60, 180, 300]
    assert (found.reaches, found.gaps, found.repeat_s, found.go_on_s) == (True, (), 60, 120)


def test_at_night_the_second_rung_comes_sooner_and_the_crew_is_that_of_the_night() -> None:
    north, east = stations()
    day, night = ("crew-1", "crew-2", "crew-3"), ("crew-4", "crew-2", "crew-3")
    north = replace(
        north,
        roster=(Shift(people=day, start_min=480, end_min=1_200), Shift(people=night, start_min=1_200, end_min=480)),
    )
    found = route(town(north, east), POLICY, "smoke-1", NOW_MS + 10 * HOUR, ZONE, ways=WAYS, locale="en")
    assert found.night
    assert found.steps[1].after_s == 30
    assert found.steps[0].hearers[0].on_duty == night


def test_everybody_reachable_and_verified_leaves_no_gap() -> None:
    found = audited(small_registry())
    assert found.gaps == ()
    assert (found.devices, found.moments) == (7, 337)
    assert found.routes == 3  # one for each grid: units of one grid go the same way


def test_nobody_at_all_is_open() -> None:
    found = audited(town(*(replace(s, contacts=()) for s in stations()), crowd=[]), hours=1)
    assert NOBODY in {gap.cause for gap in found.open}
    assert found.open[0].devices == 4


def test_contacts_that_nobody_has_verified_are_open_until_a_test_was_answered() -> None:
    unproven = [replace(p, verified=()) for p in people()]
    found = audited(town(crowd=unproven), hours=1)
    assert UNVERIFIED in {gap.cause for gap in found.open}
    assert "person crew-1 has no verified contact" in causes(found)
    proven = frozenset((p.id, "webhook", digest(p.contacts[0][1])) for p in people())
    assert audited(town(crowd=unproven), ways=replace(WAYS, proven=proven), hours=1).gaps == ()


def test_a_proof_is_worth_nothing_after_the_address_has_changed() -> None:
    moved = [replace(p, verified=(), contacts=(("webhook", "elsewhere"),)) for p in people()]
    proven = frozenset((p.id, "webhook", digest(p.contacts[0][1])) for p in people())
    assert UNVERIFIED in causes(audited(town(crowd=moved), ways=replace(WAYS, proven=proven), hours=1))


def test_one_unverified_member_is_a_gap_that_leaves_somebody_reached() -> None:
    crowd = [replace(p, verified=()) if p.id == "crew-2" else p for p in people()]
    found = audited(town(crowd=crowd), hours=1)
    assert (causes(found), found.open) == ({"person crew-2 has no verified contact"}, ())
    assert found.gaps[0].examples[:2] == ("smoke-1", "smoke-2")


def test_a_crew_that_looks_at_its_console_is_reached_there() -> None:
    desk = [replace(p, contacts=(("console", ""),), verified=("console",)) for p in people()]
    assert audited(town(crowd=desk), hours=1).gaps == ()
    blind = [replace(p, verified=()) for p in desk]
    assert UNVERIFIED in causes(audited(town(crowd=blind), hours=1))


def test_an_empty_hour_of_the_week_is_found_and_dated() -> None:
    north, east = stations()
    shift = Shift(people=("crew-1", "crew-2", "crew-3"), start_min=60, end_min=0)  # nobody from 00:00 to 01:00
    found = audited(town(replace(north, roster=(shift,)), east))
    (gap,) = [g for g in found.gaps if g.cause.startswith("nobody is on duty at station north")]
    first = datetime.fromtimestamp(gap.first_ms / 1_000, ZoneInfo(ZONE))
    assert (first.hour, first.minute) == (0, 0)
    assert gap.moments == 14  # half past and full, seven nights
    assert not gap.open  # all members are told


def test_leave_in_three_days_is_a_gap_of_those_days_only() -> None:
    start = datetime.fromtimestamp(NOW_MS / 1_000, ZoneInfo(ZONE)).toordinal() * 1_440 + 3 * 1_440
    leave = (Leave(start=start, end=start + 1_440),)
    crowd = [replace(p, leave=leave) if p.id in ("crew-1", "crew-2") else p for p in people()]
    found = audited(town(crowd=crowd))
    assert causes(found) == {"only 2 of 3 on duty at station north"}
    assert found.gaps[0].moments == 48
    assert audited(town(crowd=crowd), hours=24).gaps == ()


@pytest.mark.parametrize("around", ["2024-03-31T00:00", "2024-10-27T00:00"])
def test_a_week_with_a_clock_change_has_no_gap_when_the_shifts_share_out_the_day(around: str) -> None:
    crew = ("crew-1", "crew-2", "crew-3")
    thirds = tuple(Shift(people=crew, start_min=a, end_min=b) for a, b in ((0, 150), (150, 180), (180, 0)))
    registry = town(*(replace(s, roster=thirds) for s in stations()))
    at_ms = int(datetime.fromisoformat(around).replace(tzinfo=ZoneInfo("Europe/Berlin")).timestamp() * 1_000)
    assert audited(registry, at_ms=at_ms, zone="Europe/Berlin", hours=48).gaps == ()


def test_moments_are_now_and_the_halves_of_the_wall_clock() -> None:
    moments = moments_from(NOW_MS, ZONE, hours=2)  # 12:03:05
    walls = [datetime.fromtimestamp(m / 1_000, ZoneInfo(ZONE)).strftime("%H:%M:%S") for m in moments]
    assert walls == ["12:03:05", "12:30:00", "13:00:00", "13:30:00", "14:00:00"]


# -- the command


def gridhub(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["routes", *arguments])
    return result.exit_code, result.output


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    import shutil

    shutil.copytree(CONFIG, tmp_path / "config")
    return tmp_path / "config"


def test_the_command_shows_a_route_and_proves_all_of_them(folder: Path) -> None:
    code, shown = gridhub("show", "smoke-c1b1-01", "--at", "2026-12-01T03:00", "--config", str(folder))
    assert code == 0
    assert "night" in shown
    assert "on duty: st-1-crew-7, st-1-crew-8, st-1-crew-9" in shown
    code, said = gridhub("audit", "--json", "--hours", "24", "--config", str(folder))
    found = json.loads(said)
    assert (code, found["devices"]) == (1, 300)
    assert {g["cause"] for g in found["gaps"]} == {
        f"station st-{n} has a contact that this hub does not know (webhook)" for n in (1, 2, 3)
    }
    stationfile = folder / "registry" / "stations.yaml"
    stationfile.write_text(stationfile.read_text("utf-8").replace("webhook: ", "wecom_robot: "), "utf-8")
    assert gridhub("audit", "--open", "--hours", "1", "--config", str(folder))[0] == 0


def test_the_command_says_what_device_could_be_meant(folder: Path) -> None:
    code, said = gridhub("show", "smoke-c1b1-1", "--config", str(folder))
    assert code == 1
    assert "did you mean smoke-c1b1-" in said
