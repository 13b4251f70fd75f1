"""Who is told when: the shipped ladder, its holes, its repeats, and the promise that nobody is told nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.dispatch.escalation import EscalationPolicy, StandardPlanner, load_policy
from hub.dispatch.policy import Ladder, Night, Step
from hub.errors import ConfigError
from hub.model.alerts import Alert
from hub.model.deliveries import NewDelivery, Plan
from hub.model.places import Device, Name, Person, Place, Shift, Station
from hub.model.rules import SEVERITIES, ConditionEvent, RuleSpec
from hub.registry.snapshot import Registry
from tests.support.notices import NOW_MS, ZONE, a_delivery, an_alert
from tests.support.paths import CONFIG
from tests.support.registry import GRID_A, UNIT, a_device, hub_and_canary, people, places, small_registry, stations

POLICY = load_policy(CONFIG / "escalation.yaml")
NIGHT_MS = NOW_MS + 10 * 3_600_000  # 22:03:05


def planner(registry: Registry | None = None, policy: EscalationPolicy = POLICY, **more: Any) -> StandardPlanner:
    chosen = registry or with_sirens()
    return StandardPlanner(lambda: chosen, policy, ZONE, **more)


def with_sirens(*, given: tuple[Station, ...] | None = None, crowd: list[Person] | None = None) -> Registry:
    loud = tuple(replace(s, contacts=(*s.contacts, ("siren", f"sc/v1/demo/{s.id}/siren/cmd"))) for s in stations())
    return Registry.of(
        [a_device("smoke-1", place=UNIT), *hub_and_canary()],
        places=places(),
        people=people() if crowd is None else crowd,
        stations=loud if given is None else given,
    )


def told(deliveries: tuple[NewDelivery, ...]) -> list[tuple[str, str]]:
    return [(d.recipient, d.channel) for d in deliveries]


def due(plan: Plan, since_ms: int = NOW_MS) -> list[tuple[int, float]]:
    return [(t.step, (t.due_at_ms - since_ms) / 1_000) for t in plan.timers]


NORTH = [("north", "webhook"), ("north", "console"), ("north", "siren")]
EAST = [("east", "webhook"), ("east", "console"), ("east", "siren")]
NORTH_CREW = [(f"crew-{n}", "webhook") for n in (1, 2, 3, 4)]
EAST_CREW = [(f"crew-{n}", "webhook") for n in (5, 6, 7, 8)]


def test_a_fire_goes_at_once_to_the_station_its_crew_and_the_grid_worker() -> None:
    plan = planner().raised(an_alert(), NOW_MS)
    assert told(plan.deliveries) == [*NORTH, *NORTH_CREW, ("worker-a", "webhook")]
    assert {d.due_at_ms for d in plan.deliveries} == {NOW_MS}
    assert {d.transition for d in plan.deliveries} == {"raised"}
    assert due(plan) == [(1, 60), (2, 180), (3, 300)]
    assert plan.gaps == ()


def test_at_night_the_backup_station_is_called_after_half_the_time() -> None:
    assert due(planner().raised(an_alert(raised_at_ms=NIGHT_MS), NIGHT_MS), NIGHT_MS) == [(1, 30), (2, 180), (3, 300)]


def test_the_ladder_counts_from_the_alarm_even_when_the_hub_was_away() -> None:
    plan = planner().raised(an_alert(), NOW_MS + 120_000)
    assert due(plan) == [(1, 60), (2, 180), (3, 300)]
    assert {d.due_at_ms for d in plan.deliveries} == {NOW_MS + 120_000}


def test_a_second_occurrence_climbs_from_its_own_beginning() -> None:
    later = NOW_MS + 3_600_000
    again = an_alert(occurrences=2, received_at_ms=later)
    assert due(planner().raised(again, later), later) == [(1, 60), (2, 180), (3, 300)]


def test_without_an_answer_the_fire_climbs_the_ladder() -> None:
    standing = planner()
    first = standing.step(an_alert(), 1, NOW_MS + 60_000)
    assert told(first.deliveries) == [*NORTH, *NORTH_CREW, *EAST, *EAST_CREW]
    assert {d.needed_while for d in first.deliveries} == {"unacknowledged"}
    second = standing.step(an_alert(), 2, NOW_MS + 180_000)
    assert told(second.deliveries) == [*NORTH, *NORTH_CREW, ("community-officer", "webhook")]
    third = standing.step(an_alert(), 3, NOW_MS + 300_000)
    assert told(third.deliveries) == [*EAST, *EAST_CREW, ("street-officer", "webhook")]
    assert {d.needed_while for d in third.deliveries} == {"not_on_scene"}
    assert first.timers == second.timers == ()
    assert due(third) == [(4, 360)]


def test_an_unanswered_fire_is_repeated_every_minute_for_ever() -> None:
    everybody = {
        *NORTH,
        *NORTH_CREW,
        *EAST,
        *EAST_CREW,
        ("worker-a", "webhook"),
        ("community-officer", "webhook"),
        ("street-officer", "webhook"),
    }
    for step in (4, 5, 1_000):
        now = NOW_MS + 360_000 + (step - 4) * 60_000
        plan = planner().step(an_alert(), step, now)
        assert set(told(plan.deliveries)) == everybody
        assert {d.transition for d in plan.deliveries} == {f"step:{step}"}
        assert due(plan, now) == [(step + 1, 60)]


def test_an_acknowledged_fire_wakes_no_backup_but_climbs_on_until_somebody_is_on_scene() -> None:
    taken = an_alert(acked_at_ms=NOW_MS + 20_000)
    assert planner().step(taken, 1, NOW_MS + 60_000) == Plan()
    assert planner().step(taken, 2, NOW_MS + 180_000).deliveries
    last = planner().step(taken, 3, NOW_MS + 300_000)
    assert last.deliveries
    assert due(last) == [(4, 420)]


def test_after_the_first_acknowledgement_the_others_go_on_hearing_it_until_somebody_is_on_scene() -> None:
    taken = an_alert(acked_at_ms=NOW_MS + 20_000, acked_by="crew-2")
    for step in (4, 5, 50):
        now = NOW_MS + 420_000 + (step - 4) * 120_000
        plan = planner().step(taken, step, now)
        heard = {recipient for recipient, _ in told(plan.deliveries)}
        assert {"crew-1", "crew-3", "community-officer", "street-officer", "north", "east"} <= heard
        assert "crew-2" not in heard  # knows, and is on the way
        assert {d.needed_while for d in plan.deliveries} == {"not_on_scene"}
        assert due(plan, now) == [(step + 1, 120)]
    there = replace(taken, on_scene_at_ms=NOW_MS + 430_000)
    assert planner().step(there, 5, NOW_MS + 540_000) == Plan()


def test_who_acknowledged_hears_it_all_the_same_when_nobody_else_is_left() -> None:
    alone = [p for p in people() if p.id == "crew-2"]
    quiet = tuple(replace(s, contacts=(), members=("crew-2",), head="") for s in stations())
    taken = an_alert(acked_at_ms=NOW_MS + 20_000, acked_by="crew-2")
    registry = with_sirens(given=quiet, crowd=alone)
    plan = planner(registry, channels=("webhook",)).step(taken, 4, NOW_MS + 420_000)
    assert told(plan.deliveries) == [("crew-2", "webhook")]


def test_a_ladder_that_need_not_go_on_ends_with_the_acknowledgement() -> None:
    short = Ladder(steps=(Step(tell=("station",)),), repeat_s=60)
    policy = POLICY.model_copy(update={"severities": POLICY.severities.model_copy(update={"P1": short})})
    taken = an_alert(acked_at_ms=NOW_MS + 20_000)
    assert planner(policy=policy).step(taken, 1, NOW_MS + 60_000) == Plan()


def test_somebody_on_scene_ends_the_climb() -> None:
    there = an_alert(on_scene_at_ms=NOW_MS + 100_000)
    assert all(planner().step(there, n, NOW_MS + 300_000) == Plan() for n in (1, 2, 3, 4))


def test_a_closed_alert_asks_for_nothing_more() -> None:
    done = an_alert(live=False, closed_at_ms=NOW_MS + 1_000)
    assert all(planner().step(done, n, NOW_MS + 300_000) == Plan() for n in (1, 2, 3, 4))


@pytest.mark.parametrize(
    ("severity", "first", "timers"),
    [
        ("P2", [("north", "webhook"), ("north", "console"), *NORTH_CREW, ("worker-a", "webhook")], [(1, 300)]),
        ("P3", [("worker-a", "webhook"), ("north", "console")], []),
        ("P4", [("north", "console")], []),
    ],
)
def test_lesser_alerts_tell_fewer_people_and_sound_no_siren(severity: Any, first: list[Any], timers: list[Any]) -> None:
    plan = planner().raised(an_alert(severity=severity), NOW_MS)
    assert told(plan.deliveries) == first
    assert due(plan) == timers
    assert plan.gaps == ()


def test_the_ladder_of_a_lesser_alert_ends() -> None:
    last = planner().step(an_alert(severity="P2"), 1, NOW_MS + 300_000)
    assert told(last.deliveries) == [
        ("east", "webhook"),
        ("east", "console"),
        *EAST_CREW,
        ("community-officer", "webhook"),
    ]
    assert last.timers == ()


def test_a_test_alert_goes_to_the_stations_own_receivers_only() -> None:
    standing, test = planner(), an_alert(test=True)
    plan = standing.raised(test, NOW_MS)
    assert told(plan.deliveries) == [("north", "webhook"), ("north", "console")]
    assert plan.timers == ()
    assert standing.step(test, 1, NOW_MS + 60_000) == Plan()
    for after in (standing.returned(test, NOW_MS), standing.closed(test, NOW_MS), standing.reinforced(test, 1, NOW_MS)):
        assert told(after.deliveries) == [("north", "webhook"), ("north", "console")]


def test_a_fire_in_a_grid_without_a_station_goes_to_community_and_street_at_once() -> None:
    plan = planner(with_sirens(given=())).raised(an_alert(station=""), NOW_MS)
    assert told(plan.deliveries) == [
        ("worker-a", "webhook"),
        ("community-officer", "webhook"),
        ("street-officer", "webhook"),
        ("hub", "console"),
    ]
    assert plan.gaps == (f"no station serves grid {GRID_A}",)


def test_a_fault_whose_worker_cannot_be_reached_goes_to_the_station() -> None:
    crowd = [p for p in people() if p.id != "worker-a"]
    plan = planner(with_sirens(crowd=crowd)).raised(an_alert(severity="P3"), NOW_MS)
    assert told(plan.deliveries) == [("north", "webhook"), ("north", "console"), *NORTH_CREW]
    assert plan.gaps == ("person worker-a does not exist",)


def test_when_nobody_has_a_contact_the_console_still_shows_it_and_the_gap_says_so() -> None:
    plan = planner(with_sirens(given=(), crowd=[])).raised(an_alert(station=""), NOW_MS)
    assert told(plan.deliveries) == [("hub", "console")]
    assert "nobody at all can be reached" in plan.gaps


def test_a_channel_that_the_hub_does_not_have_is_not_planned() -> None:
    plan = planner(channels=("console", "webhook")).raised(an_alert(), NOW_MS)
    assert {channel for _, channel in told(plan.deliveries)} == {"console", "webhook"}


def test_receivers_that_are_not_configured_are_passed_over_until_somebody_is_reached() -> None:
    known = {"webhook": frozenset({"hook-street-officer"})}
    plan = planner(small_registry(), targets=known).raised(an_alert(), NOW_MS)
    assert told(plan.deliveries) == [("north", "console"), ("street-officer", "webhook")]
    assert "person worker-a has no contact that this hub can use (webhook)" in plan.gaps


def test_when_nobody_can_be_reached_consoles_are_not_told_all_over_the_town() -> None:
    plan = planner(small_registry(), targets={"webhook": frozenset()}).raised(an_alert(severity="P3"), NOW_MS)
    assert told(plan.deliveries) == [("north", "console")]
    assert "nobody at all can be reached" in plan.gaps


def test_reinforcement_grows_with_every_call() -> None:
    first = planner().reinforced(an_alert(), 1, NOW_MS)
    assert told(first.deliveries) == [*EAST, *EAST_CREW, ("community-officer", "webhook")]
    assert {d.transition for d in first.deliveries} == {"reinforce:1"}
    for nth in (2, 3, 9):
        more = planner().reinforced(an_alert(), nth, NOW_MS)
        assert ("street-officer", "webhook") in told(more.deliveries)
        assert {d.transition for d in more.deliveries} == {f"reinforce:{nth}"}


def test_when_it_is_over_everybody_who_was_told_hears_it_and_sirens_stop() -> None:
    early = an_alert(live=False, acked_at_ms=NOW_MS + 30_000, closed_at_ms=NOW_MS + 50_000)
    plan = planner().closed(early, NOW_MS + 50_000)
    assert told(plan.deliveries) == [*NORTH, *NORTH_CREW, ("worker-a", "webhook")]
    assert {d.needed_while for d in plan.deliveries} == {"always"}
    late = an_alert(live=False, closed_at_ms=NOW_MS + 400_000)
    heard = told(planner().closed(late, NOW_MS + 400_000).deliveries)
    assert ("street-officer", "webhook") in heard
    assert ("community-officer", "webhook") in heard
    assert set(EAST) <= set(heard)


def test_back_to_normal_leaves_the_siren_to_the_people() -> None:
    plan = planner().returned(an_alert(returned_at_ms=NOW_MS + 5_000), NOW_MS + 5_000)
    assert told(plan.deliveries) == [*NORTH[:2], *NORTH_CREW, ("worker-a", "webhook")]
    assert {d.transition for d in plan.deliveries} == {"cleared"}


def test_a_refused_station_webhook_is_followed_by_its_siren_and_console() -> None:
    refused = a_delivery(recipient="north", target="crew-north")
    instead = planner().instead(an_alert(), refused, NOW_MS)
    assert told(instead) == [("north", "siren"), ("north", "console")]
    assert all(NOW_MS < d.due_at_ms <= NOW_MS + 5_000 and d.transition == "raised" for d in instead)


def test_a_person_with_no_other_contact_is_stood_in_for_up_the_ladder_and_never_in_a_circle() -> None:
    seen: list[str] = []
    recipient = "crew-2"
    while recipient != "north" and len(seen) < 10:
        refused = a_delivery(recipient=recipient, target=f"hook-{recipient}")
        recipient = planner().instead(an_alert(), refused, NOW_MS)[0].recipient
        seen.append(recipient)
    assert seen == ["crew-1", "worker-a", "community-officer", "street-officer", "north"]


def test_a_second_contact_of_the_same_person_comes_before_a_stand_in() -> None:
    crowd = [
        replace(p, contacts=(*p.contacts, ("siren", "sc/v1/demo/pager/2/cmd"))) if p.id == "crew-2" else p
        for p in people()
    ]
    refused = a_delivery(recipient="crew-2", target="hook-crew-2")
    assert told(planner(with_sirens(crowd=crowd)).instead(an_alert(), refused, NOW_MS)) == [
        ("crew-2", "siren"),
        ("north", "console"),
    ]


def test_a_refused_test_wakes_nobody_instead() -> None:
    refused = a_delivery(recipient="north", target="crew-north")
    assert told(planner().instead(an_alert(test=True), refused, NOW_MS)) == [("north", "console")]


def an_event(device: str) -> ConditionEvent:
    name = Name(zh="烟", en="Smoke")
    rule = RuleSpec(
        id="smoke", kind="threshold", name=name, severity="P1", device_kinds=("smoke_alarm",), quantity="smoke", when=None,
        cause=name, consequence=name, action=name, respond_within_s=60, responder="station", source="-",
    )  # fmt: skip
    return ConditionEvent(
        kind="raised", rule=rule, slot=0, device=device, at_ms=NOW_MS, observed_at_ms=NOW_MS, episode_start_ms=NOW_MS,
        position=1, value=True, quantity="smoke",
    )  # fmt: skip


def test_the_subject_copies_where_the_device_is() -> None:
    subject = planner(small_registry()).subject(an_event("smoke-1"))
    assert (subject.device_kind, subject.place, subject.grid, subject.station) == ("smoke_alarm", UNIT, GRID_A, "north")
    assert subject.place_en.startswith("Court, ")
    assert (subject.lat, subject.lon) == (22.53, 113.93)


def test_an_unknown_device_is_where_the_hub_is() -> None:
    subject = planner(small_registry()).subject(an_event("never-seen"))
    assert (subject.device_kind, subject.grid, subject.station) == ("unknown", GRID_A, "north")


# Any registry, also a broken one -------------------------------------------------------------------------------------

CODES = st.sampled_from(["440399001001001", "440399001001002", "440399001002001", "", "x"])
WHO = st.sampled_from(["p1", "p2", "p3", "p4", "gone", ""])
CONTACTS = st.lists(
    st.sampled_from([("webhook", "a"), ("webhook", "b"), ("siren", "t"), ("console", ""), ("pager", "1")]),
    max_size=3,
    unique_by=lambda contact: contact[0],
).map(tuple)
SHIFTS = st.builds(
    Shift,
    people=st.lists(WHO, max_size=3).map(tuple),
    start_min=st.integers(0, 1_439),
    end_min=st.integers(0, 1_439),
    days=st.lists(st.integers(0, 6), unique=True).map(tuple),
)
STATIONS = st.lists(
    st.builds(
        Station,
        id=st.sampled_from(["s1", "s2", "s3"]),
        name=st.just(Name(zh="站", en="Station")),
        grids=st.lists(CODES, max_size=2, unique=True).map(tuple),
        backups=st.lists(st.sampled_from(["s1", "s2", "s3", "gone"]), max_size=3).map(tuple),
        head=WHO,
        members=st.lists(WHO, max_size=3).map(tuple),
        roster=st.lists(SHIFTS, max_size=2).map(tuple),
        contacts=CONTACTS,
    ),
    max_size=3,
    unique_by=lambda s: s.id,
)
PEOPLE = st.lists(
    st.builds(
        Person,
        id=st.sampled_from(["p1", "p2", "p3", "p4"]),
        name=st.just(Name(zh="人", en="Person")),
        role=st.just("crew"),
        contacts=CONTACTS,
        verified=st.lists(st.sampled_from(["webhook", "siren"]), max_size=2).map(tuple),
    ),
    max_size=4,
    unique_by=lambda p: p.id,
)


@st.composite
def registries(draw: st.DrawFn) -> Registry:
    def place(code: str, level: Any, parent: str) -> Place:
        return Place(code=code, level=level, name=Name(zh=code, en=code), parent=parent, responsible=draw(WHO))

    tree = [
        place("440399001", "street", ""),
        place("440399001001", "community", "440399001"),
        place("440399001001001", "grid", "440399001001"),
        place("440399001001002", "grid", "440399001001"),
    ]
    device = replace(a_device("d1"), grid=draw(CODES), place=draw(CODES))
    devices: list[Device] = (
        [device, *(replace(d, grid=draw(CODES)) for d in hub_and_canary())] if draw(st.booleans()) else []
    )
    return Registry.of(
        devices, places=draw(st.lists(st.sampled_from(tree), unique=True)), people=draw(PEOPLE), stations=draw(STATIONS)
    )


def alert_of(standing: StandardPlanner, severity: Any) -> Alert:
    subject = standing.subject(an_event("d1"))
    return an_alert(severity=severity, grid=subject.grid, station=subject.station, place=subject.place, device_id="d1")


@given(registries(), st.sampled_from(SEVERITIES), st.integers(0, 7 * 86_400))
def test_in_any_registry_an_alert_reaches_somebody_and_nobody_twice(
    registry: Registry, severity: Any, later_s: int
) -> None:
    now = NOW_MS + later_s * 1_000
    standing = planner(registry)
    alert = replace(alert_of(standing, severity), raised_at_ms=now)
    plans = [standing.raised(alert, now), *(standing.step(alert, n, now + 400_000) for n in range(1, 7))]
    plans += [standing.reinforced(alert, 1, now), standing.returned(alert, now), standing.closed(alert, now)]
    for plan in plans:
        keys = told(plan.deliveries)
        assert len(keys) == len(set(keys))
        assert set(dict.fromkeys(channel for _, channel in keys)) <= {"console", "webhook", "siren"}
        assert len(plan.gaps) == len(set(plan.gaps))
    raised = plans[0]
    assert any(channel == "console" for _, channel in told(raised.deliveries))
    allowed = {"P1": {"webhook", "siren"}, "P2": {"webhook"}, "P3": {"webhook"}, "P4": set()}[severity]
    has_contact = [who.id for who in registry.people.values() if allowed & {c for c, _ in who.contacts}]
    has_contact += [s.id for s in registry.stations.values() if allowed & {c for c, _ in s.contacts}]
    if has_contact:
        assert any(channel != "console" for _, channel in told(raised.deliveries)), "somebody could have been told"
    waits = [timer.due_at_ms for timer in raised.timers]
    assert waits == sorted(set(waits))
    assert [t.step for t in raised.timers] == sorted({t.step for t in raised.timers})
    again = planner(registry).raised(alert, now)
    assert again == raised


@given(
    registries(),
    st.sampled_from(["p1", "s1", "hub", "gone"]),
    st.sampled_from(["webhook", "siren", "console"]),
    st.booleans(),
)
def test_what_is_due_instead_is_always_at_least_a_console(
    registry: Registry, recipient: str, channel: str, test: bool
) -> None:
    standing = planner(registry)
    alert = replace(alert_of(standing, "P1"), test=test)
    instead = standing.instead(alert, a_delivery(recipient=recipient, channel=channel, target="a"), NOW_MS)
    assert any(d.channel == "console" for d in instead)
    assert all((d.recipient, d.channel) != (recipient, channel) or channel == "console" for d in instead)
    assert not test or all(d.channel != "siren" for d in instead)


# The file ------------------------------------------------------------------------------------------------------------


def complaints(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "escalation.yaml"
    file.write_text(text, "utf-8")
    with pytest.raises(ConfigError) as caught:
        load_policy(file)
    return [str(c).removeprefix(str(tmp_path) + "/") for c in caught.value.complaints]


LEAST = """\
severities:
  P1: {repeat_s: 60, steps: [{tell: [station]}]}
  P2: {steps: [{tell: [station]}]}
  P3: {steps: [{tell: [grid]}]}
  P4: {steps: [{tell: [station], channels: [console]}]}
"""


def test_the_least_policy_loads_and_repeats_its_only_step(tmp_path: Path) -> None:
    (tmp_path / "e.yaml").write_text(LEAST, "utf-8")
    policy = load_policy(tmp_path / "e.yaml")
    plan = planner(policy=policy).raised(an_alert(), NOW_MS)
    assert due(plan) == [(1, 60)]
    assert due(planner(policy=policy).step(an_alert(), 1, NOW_MS + 60_000), NOW_MS + 60_000) == [(2, 60)]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("repeat_s: 60, ", ""), "escalation.yaml:1: severities: the ladder of P1 must repeat until somebody answers"),
        (("P4: {", "P4: {chanels: 1, "), "escalation.yaml:5: severities.P4.chanels: unknown key"),
        (("[grid]", "[gird]"), "escalation.yaml:4: severities.P3.steps.0.tell.0: 'gird' is not known here"),
        (("[console]", "[fax]"), "escalation.yaml:5: severities.P4.steps.0.channels.0: 'fax' is not a channel"),
        (("  P3: {steps: [{tell: [grid]}]}\n", ""), "severities.P3: this key is missing"),
        (("[{tell: [grid]}]", "[{tell: [grid], after_s: 5}]"), "escalation.yaml:4: severities.P3: the first step must be at once"),
        (("[{tell: [grid]}]", "[{tell: [grid]}, {tell: [street]}]"), "each step must come later than the one before"),
        (("[{tell: [grid]}]", "[{tell: [grid]}, {tell: [street], after_s: 9, night_after_s: 10}]"), "waits longer at night"),
        (("repeat_s: 60", "repeat_s: 1"), "severities.P1.repeat_s: input should be greater than or equal to 10"),
        (("[{tell: [grid]}]", "[{tell: []}]"), "severities.P3.steps.0.tell: tuple should have at least 1 item"),
        (("severities:", "night: {start: 25:00}\nseverities:"), 'a time of day is written "HH:MM"'),
        (("severities:", "nigth: {}\nseverities:"), "did you mean 'night'?"),
        (("P1: {", "P1: {{"), "not valid YAML"),
        (("tell: [station]}]}\n  P2", "tell: [grid]}]}\n  P2"), "the first step of P1 must tell the station"),
    ],
)  # fmt: skip
def test_a_wrong_policy_is_refused_with_file_line_and_key(
    tmp_path: Path, change: tuple[str, str], expected: str
) -> None:
    assert change[0] in LEAST
    found = complaints(tmp_path, LEAST.replace(*change, 1))
    assert any(expected in one for one in found), found


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="file not found"):
        load_policy(tmp_path / "none.yaml")


@pytest.mark.parametrize(("start", "end"), [("20:00", "06:00"), (1_200, 360)])
def test_the_night_runs_over_midnight_and_may_be_written_with_or_without_quotes(start: Any, end: Any) -> None:
    night = Night(start=start, end=end)
    assert [night.at(NOW_MS + h * 3_600_000, ZONE) for h in (0, 7, 8, 12, 17, 18)] == [
        False,
        False,
        True,
        True,
        True,
        False,
    ]


@given(
    st.lists(st.integers(1, 5_000), min_size=1, max_size=6, unique=True).map(sorted),
    st.lists(st.sampled_from(["acknowledged", "on_scene", "closed"]), min_size=6, max_size=6),
    st.integers(0, 6_000),
    st.integers(0, 6_000) | st.none(),
)
def test_who_was_told_only_grows_with_time(
    waits: list[int], unless: list[Any], now_s: int, acked_s: int | None
) -> None:
    steps = [Step(tell=("station",))]
    steps += [Step(tell=("street",), after_s=s, unless=u) for s, u in zip(waits, unless, strict=False)]
    ladder = Ladder(steps=tuple(steps))
    alert = an_alert(acked_at_ms=None if acked_s is None else NOW_MS + acked_s * 1_000)
    before = ladder.told_by(alert, NOW_MS + now_s * 1_000, night=False)
    after = ladder.told_by(alert, NOW_MS + now_s * 1_000 + 60_000, night=False)
    assert after[: len(before)] == before
