"""The way from a device to people, and what is said when it has a hole."""

from __future__ import annotations

from dataclasses import replace

from hub.dispatch.routing import (
    Spot,
    Ways,
    contacts_of,
    metres,
    mutual_aid,
    place_text,
    reach,
    recipient_of,
    spot_of,
    thin,
    unmanned,
)
from hub.model.places import Device, Leave, Name, Person, Place, Shift, Station
from hub.registry.snapshot import Registry
from tests.support.registry import (
    GRID_A,
    GRID_C,
    UNIT,
    a_device,
    hub_and_canary,
    people,
    places,
    small_registry,
    stations,
)

ZONE = "Asia/Shanghai"
NOW = 1_704_067_200_000  # 2024-01-01 08:00 in Shanghai
ALL = Ways(frozenset({"console", "webhook", "siren"}))


def reached(
    registry: Registry, tell: str, device: str = "smoke-1", *, ways: Ways = ALL
) -> tuple[list[str], tuple[str, ...]]:
    found = reach(registry, tell, spot_of(registry, device), NOW, ZONE, ways=ways, locale="zh-CN")  # type: ignore[arg-type]
    return [r.id for r in found.recipients], found.gaps


def with_stations(*given: Station) -> Registry:
    return Registry.of(
        [a_device("smoke-1", place=UNIT), *hub_and_canary()], places=places(), people=people(), stations=given
    )


def test_a_device_leads_to_the_station_of_its_grid() -> None:
    assert spot_of(small_registry(), "smoke-1") == Spot(place=UNIT, grid=GRID_A, station="north")
    assert spot_of(small_registry(), "gate-1").grid == GRID_C


def test_an_unknown_device_leads_to_where_the_hub_is() -> None:
    assert spot_of(small_registry(), "never-seen") == spot_of(small_registry(), "hub")


def test_telling_a_station_means_the_station_itself_then_its_crew_on_duty() -> None:
    assert reached(small_registry(), "station") == (["north", "crew-1", "crew-2", "crew-3", "crew-4"], ())


def test_every_level_of_the_ladder_has_its_responsible_person() -> None:
    registry = small_registry()
    assert reached(registry, "grid") == (["worker-a"], ())
    assert reached(registry, "community") == (["community-officer"], ())
    assert reached(registry, "street") == (["street-officer"], ())
    assert reached(registry, "compound") == ([], ("nobody is responsible for compound 440399001001-c1",))


def test_the_worker_of_a_micro_grid_is_told_before_the_worker_of_its_grid() -> None:
    micro = Place(
        code=f"{GRID_A}01",
        level="micro_grid",
        name=Name(zh="微网格", en="Micro"),
        parent=GRID_A,
        responsible="worker-b",
    )
    registry = Registry.of(
        [a_device("smoke-1", grid=micro.code), *hub_and_canary()],
        places=[*places(), micro],
        people=people(),
        stations=stations(),
    )
    assert reached(registry, "grid")[0] == ["worker-b", "worker-a"]


def test_backups_come_in_the_order_of_mutual_aid_and_the_first_reachable_one_is_enough() -> None:
    mute = Station(id="mute", name=Name(zh="哑", en="Mute"), grids=())
    north, east = stations()
    registry = with_stations(replace(north, backups=("gone", "mute", "east")), east, mute)
    who, gaps = reached(registry, "backup_station")
    assert who == ["mute", "east", "crew-5", "crew-6", "crew-7", "crew-8"]
    assert gaps == ("backup station gone does not exist", "nobody is on duty at station mute; telling all its members")


def test_when_nobody_is_on_duty_all_members_are_told_and_the_gap_is_said() -> None:
    north, east = stations()
    who, gaps = reached(with_stations(replace(north, roster=()), east), "station")
    assert who == ["north", "crew-1", "crew-2", "crew-3", "crew-4"]
    assert gaps == ("nobody is on duty at station north; telling all its members",)


def test_a_grid_without_a_station_is_said() -> None:
    assert reached(with_stations(), "station") == ([], (f"no station serves grid {GRID_A}",))


def test_a_person_without_a_usable_contact_is_said_by_id() -> None:
    north, _ = stations()
    silent = Person(id="crew-1", name=Name(zh="哑", en="Mute"), role="crew")
    by_pigeon = Person(id="crew-2", name=Name(zh="鸽", en="Pigeon"), role="crew", contacts=(("pigeon", "coo"),))
    registry = Registry.of(
        [a_device("smoke-1"), *hub_and_canary()],
        places=places(),
        people=[silent, by_pigeon],
        stations=[replace(north, roster=(Shift(people=("crew-1", "crew-2", "crew-x"), start_min=0, end_min=0),))],
    )
    who, gaps = reached(registry, "station")
    assert who == ["north"]
    assert gaps == (
        "person crew-1 has no contact",
        "person crew-2 has no contact that this hub can use (pigeon)",
        "person crew-x does not exist",
    )


def test_people_are_not_missed_where_only_the_console_is_asked_for() -> None:
    assert reached(small_registry(), "station", ways=ALL.only(("console",))) == (["north"], ())


def test_a_verified_contact_comes_first() -> None:
    person = Person(
        id="p", name=Name(zh="", en=""), role="", contacts=(("siren", "s"), ("webhook", "w")), verified=("webhook",)
    )
    assert contacts_of(person, ALL) == (("webhook", "w"), ("siren", "s"))
    assert contacts_of(replace(person, verified=()), ALL) == (("siren", "s"), ("webhook", "w"))


def test_a_station_always_has_a_console_and_only_channels_that_the_hub_has() -> None:
    registry = small_registry()
    found = recipient_of(registry, "north", ALL.only(("console", "siren")), "zh-CN")
    assert found is not None
    assert found.contacts == (("console", ""),)


def test_the_last_resort_is_the_nearest_other_station_then_everybody() -> None:
    _, east = stations()
    who, gaps = reached(with_stations(east), "anyone")
    assert who[0] == "east"
    assert gaps == ("no responsible person can be reached; telling station east",)
    who, gaps = reached(with_stations(), "anyone")
    assert len(who) == len(people())
    assert gaps == ("no responsible person can be reached; telling everybody who has a contact",)


def test_a_place_is_named_from_the_compound_down() -> None:
    name = place_text(small_registry(), UNIT)
    assert name.en == "Court, 440399001001-c1-b1, 440399001001-c1-b1-u1"
    assert name.zh.startswith("Court（中） ")
    assert place_text(small_registry(), "nowhere").en == "nowhere"
    assert place_text(small_registry(), "440399001").en == "440399001"


def test_a_device_of_no_grid_takes_the_grid_above_its_place() -> None:
    device: Device = replace(a_device("lost"), grid="", place=GRID_C)
    registry = Registry.of([device, *hub_and_canary()], places=places(), people=people(), stations=stations())
    assert spot_of(registry, "lost").station == "east"


def test_a_contact_at_a_receiver_that_is_not_configured_is_a_gap_and_not_a_way() -> None:
    ways = Ways(ALL.channels, {"webhook": frozenset({"crew-north", "hook-crew-1"})})
    who, gaps = reached(small_registry(), "station", ways=ways)
    assert who == ["north", "crew-1"]
    assert gaps == tuple(f"person crew-{n} has no contact that this hub can use (webhook)" for n in (2, 3, 4))
    who, gaps = reached(small_registry(), "station", ways=Ways(ALL.channels, {"webhook": frozenset()}))
    assert who == ["north"]
    assert gaps[0] == "station north has a contact that this hub does not know (webhook)"


def test_a_console_is_the_stations_and_no_way_to_a_person() -> None:
    at_desk = [replace(p, contacts=(("console", ""),)) if p.id == "crew-1" else p for p in people()]
    registry = Registry.of([a_device("smoke-1")], places=places(), people=at_desk, stations=stations())
    assert reached(registry, "station") == (["north", "crew-2", "crew-3", "crew-4"], ())


# -- grids with nobody to tell


def grids_of(*given: Station) -> list[str]:
    return [grid for station in given for grid in station.grids]


def test_grids_are_unmanned_while_nobody_of_their_station_is_on_duty() -> None:
    north, east = stations()
    served = set(grids_of(north, east))
    without = {p.code for p in places() if p.level == "grid"} - served
    assert set(unmanned(with_stations(north, east), NOW, ZONE, ways=ALL)) == without
    empty = with_stations(replace(north, roster=()), east)
    assert set(unmanned(empty, NOW, ZONE, ways=ALL)) == without | set(grids_of(north))


def test_a_grid_without_a_station_is_unmanned() -> None:
    _, east = stations()
    found = unmanned(with_stations(east), NOW, ZONE, ways=ALL)
    assert GRID_A in found
    assert not set(east.grids) & set(found)


def test_a_crew_that_nobody_can_reach_mans_nothing_unless_it_looks_at_a_console() -> None:
    north, east = stations()
    mute = Registry.of(
        [a_device("smoke-1", place=UNIT), *hub_and_canary()],
        places=places(),
        people=[replace(person, contacts=()) for person in people()],
        stations=[replace(north, contacts=()), east],
    )
    assert GRID_A in unmanned(mute, NOW, ZONE, ways=ALL)
    console = Registry.of(
        [a_device("smoke-1", place=UNIT), *hub_and_canary()],
        places=places(),
        people=[replace(person, contacts=(("console", ""),)) for person in people()],
        stations=[replace(north, contacts=()), east],
    )
    assert GRID_A not in unmanned(console, NOW, ZONE, ways=ALL)


def test_the_maintainer_is_everybody_with_that_role_and_else_a_gap() -> None:
    assert reached(small_registry(), "maintainer") == ([], ("no person has the role maintainer",))
    keeper = Person(id="keeper", name=Name(zh="运维", en="Keeper"), role="maintainer", contacts=(("webhook", "k"),))
    registry = Registry.of(
        [a_device("smoke-1", place=UNIT), *hub_and_canary()],
        places=places(),
        people=[*people(), keeper],
        stations=stations(),
    )
    assert reached(registry, "maintainer") == (["keeper"], ())


def test_without_named_backups_the_nearest_stations_help() -> None:
    north, east = stations()
    here = replace(north, backups=(), lat=22.530, lon=113.930)
    far = replace(east, lat=22.590, lon=113.930)
    near = Station(id="near", name=Name(zh="近", en="Near"), grids=(), lat=22.530, lon=113.935, roster=east.roster)
    nowhere = Station(id="nowhere", name=Name(zh="无", en="Nowhere"), grids=(), roster=east.roster)
    assert mutual_aid(with_stations(here, far, near, nowhere), here) == ("near", "east")
    assert mutual_aid(with_stations(replace(here, backups=("east",)), far, near), replace(here, backups=("east",))) == (
        "east",
    )


def test_distance_is_reckoned_across_the_date_line() -> None:
    assert round(metres((0.0, 179.999), (0.0, -179.999))) == 222


def on_leave(*ids: str, **deputies: str) -> Registry:
    week = Leave(start=0, end=10**10)
    crowd = [
        replace(p, leave=(week,) if p.id in ids else (), deputy=deputies.get(p.id.replace("-", "_"), ""))
        for p in people()
    ]
    return Registry.of(
        [a_device("smoke-1", place=UNIT), *hub_and_canary()], places=places(), people=crowd, stations=stations()
    )


def test_the_deputy_is_told_while_the_responsible_person_is_on_leave() -> None:
    assert reached(on_leave("worker-a", worker_a="worker-b"), "grid") == (["worker-b"], ())
    assert reached(on_leave("worker-a", "worker-b", worker_a="worker-b", worker_b="crew-8"), "grid") == (["crew-8"], ())


def test_without_a_deputy_the_person_on_leave_is_told_all_the_same_and_the_gap_is_said() -> None:
    said = ("person worker-a is on leave and has no deputy",)
    assert reached(on_leave("worker-a"), "grid") == (["worker-a"], said)
    assert reached(on_leave("worker-a", "worker-b", worker_a="worker-b", worker_b="worker-a"), "grid") == (
        ["worker-a"],
        said,
    )


def test_leave_leaves_a_shift_thinner_and_an_empty_one_tells_all_members() -> None:
    who, gaps = reached(on_leave("crew-1", "crew-2"), "station")
    assert (who, gaps) == (["north", "crew-3", "crew-4"], ())
    who, gaps = reached(on_leave("crew-1", "crew-2", "crew-3", "crew-4"), "station")
    assert who == ["north", "crew-1", "crew-2", "crew-3", "crew-4"]
    assert gaps == ("nobody is on duty at station north; telling all its members",)


def test_a_shift_is_thin_when_fewer_than_three_of_it_can_be_told() -> None:
    north, east = stations()
    assert thin(with_stations(north, east), NOW, ZONE, ways=ALL) == ()
    two = replace(north, roster=(Shift(people=("crew-1", "crew-2"), start_min=0, end_min=0),))
    assert thin(with_stations(two, east), NOW, ZONE, ways=ALL) == ("north",)
    assert thin(with_stations(replace(north, roster=()), east), NOW, ZONE, ways=ALL) == ()  # that grid is unmanned
    mute = [replace(p, contacts=()) if p.id in ("crew-1", "crew-2") else p for p in people()]
    registry = Registry.of([a_device("smoke-1")], places=places(), people=mute, stations=stations())
    assert thin(registry, NOW, ZONE, ways=ALL) == ("north",)
