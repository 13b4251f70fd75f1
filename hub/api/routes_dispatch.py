"""Who would be told: routes and their proof, rosters, contacts and their tests, duty checks."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Path, Query

from hub.api import problems
from hub.api.auth import ACTING, ActingCaller, Caller, Parts, RulesReader
from hub.api.parts import ApiParts
from hub.api.routes_alerts import presenter_of
from hub.api.routes_registry import DeviceId
from hub.api.wire import InstantIn, Text, ms_of
from hub.api.wire_dispatch import (
    CodeIn,
    ContactOut,
    ContactTestIn,
    ContactTestOut,
    DutyIn,
    DutyOut,
    DutySpan,
    HearerOut,
    LeaveOut,
    PersonContacts,
    RosterOut,
    RouteAuditOut,
    RouteGapOut,
    RouteOut,
    RouteStepOut,
    SwapOut,
    VerifiedOut,
)
from hub.dispatch.roster import NORM_ON_DUTY, is_away, spans, wall_minute
from hub.dispatch.routes import audit, route
from hub.dispatch.routing import CONSOLE, is_verified, mutual_aid
from hub.errors import IllegalAction, NotFound
from hub.i18n import _
from hub.model.alerts import Actor
from hub.model.places import Name, Person
from hub.model.rules import Severity
from hub.stores.contact_checks import digest
from hub.stores.duty_checks import DutyCheck

router = APIRouter(tags=["dispatch"])

StationId = Annotated[str, Path(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f/]+$")]
PersonId = Annotated[str, Path(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f/]+$")]
MOST_HOURS = 7 * 24
_DAY_MIN = 1_440


# -- routes -----------------------------------------------------------------------------------------------------------


@router.get(
    "/devices/{device_id}/route",
    response_model=RouteOut,
    summary="Whom an alert of this device reaches, rung by rung",
    responses=problems.described(404),
)
def one_route(
    parts: Parts,
    caller: Caller,
    device_id: DeviceId,
    severity: Annotated[Severity, Query()] = "P1",
    at: Annotated[InstantIn | None, Query(description="When; default: now")] = None,
) -> RouteOut:
    registry, present = parts.registry(), presenter_of(parts)
    device = registry.find(device_id)
    if device is None or not caller.may_see(device.grid, registry.station_of_grid.get(device.grid, "")):
        raise problems.no_such(_("There is no such device in your grids."), _("Look it up in the list of devices."))
    asked_ms = ms_of(at)
    found = route(
        registry,
        parts.policy(),
        device_id,
        parts.clock() if asked_ms is None else asked_ms,
        parts.site.zone,
        ways=parts.dispatch.ways(),
        locale=parts.site.locale,
        severity=severity,
    )
    steps = [
        RouteStepOut(
            after_s=step.after_s,
            unless=step.unless,
            tell=list(step.tell),
            hearers=[
                HearerOut(
                    id=h.id,
                    name=Text(zh=h.name_zh, en=h.name_en),
                    is_station=h.is_station,
                    contacts=list(h.contacts),
                    verified=list(h.verified),
                    on_duty=list(h.on_duty),
                )
                for h in step.hearers
            ],
            gaps=[present.gap(gap) for gap in step.gaps],
        )
        for step in found.steps
    ]
    return RouteOut(
        device=device_id,
        severity=severity,
        at_ms=found.at_ms,
        night=found.night,
        place=found.spot.place,
        grid=found.spot.grid,
        station=present.station_ref(found.spot.station),
        steps=steps,
        repeat_s=found.repeat_s,
        go_on_s=found.go_on_s,
        gaps=[present.gap(gap) for gap in found.gaps],
        reaches=found.reaches,
    )


@router.get(
    "/routes/audit",
    response_model=RouteAuditOut,
    summary="Whether an alert of every device reaches a verified person, now and through the hours ahead",
)
def route_audit(
    parts: Parts,
    caller: RulesReader,
    hours: Annotated[int, Query(ge=0, le=MOST_HOURS)] = MOST_HOURS,
    severity: Annotated[Severity, Query()] = "P1",
) -> RouteAuditOut:
    _everywhere(caller)
    present = presenter_of(parts)
    found = audit(
        parts.registry(),
        parts.policy(),
        parts.clock(),
        parts.site.zone,
        ways=parts.dispatch.ways(),
        severity=severity,
        hours=hours,
    )
    return RouteAuditOut(
        from_ms=found.from_ms,
        until_ms=found.until_ms,
        devices=found.devices,
        routes=found.routes,
        moments=found.moments,
        gaps=[
            RouteGapOut(
                cause=present.gap(gap.cause),
                open=gap.open,
                devices=gap.devices,
                examples=list(gap.examples),
                moments=gap.moments,
                first_ms=gap.first_ms,
                last_ms=gap.last_ms,
            )
            for gap in found.gaps
        ],
    )


# -- rosters and duty checks ------------------------------------------------------------------------------------------


@router.get(
    "/stations/{station_id}/roster",
    response_model=RosterOut,
    summary="Who is on duty at a station, span by span, with swaps and leave",
    responses=problems.described(404),
)
def roster(
    parts: Parts,
    caller: Caller,
    station_id: StationId,
    at: Annotated[InstantIn | None, Query(description="From when; default: now")] = None,
    hours: Annotated[int, Query(ge=1, le=MOST_HOURS)] = 24,
) -> RosterOut:
    registry, present = parts.registry(), presenter_of(parts)
    _check_station(parts, caller, station_id)
    station = registry.stations[station_id]
    asked_ms = ms_of(at)
    from_ms = parts.clock() if asked_ms is None else asked_ms
    until_ms = from_ms + hours * 3_600_000
    found = spans(station, from_ms, until_ms, parts.site.zone)
    first, last = wall_minute(from_ms, parts.site.zone), wall_minute(until_ms, parts.site.zone)
    may_know = caller.role in ACTING
    swaps = [s for s in station.swaps if may_know and first // _DAY_MIN - 1 <= s.day <= last // _DAY_MIN]
    leave = [(who, one) for who, one in station.away if may_know and one.start < last and one.end > first]
    named = {who for _, _, crew in found for who in crew} | {who for who, _ in leave}
    named |= {who for swap in swaps for who in (swap.outgoing, swap.incoming)}
    return RosterOut(
        station=present.station_ref(station_id),
        backups=[present.station_ref(other) for other in mutual_aid(registry, station)],
        spans=[
            DutySpan(from_ms=begin, until_ms=end, people=list(crew), missing=max(0, NORM_ON_DUTY - len(crew)))
            for begin, end, crew in found
        ],
        names={who: present.actor_ref(who).name for who in sorted(named)},
        swaps=[
            SwapOut(
                day=date.fromordinal(swap.day).isoformat(),
                begins=None if swap.start_min is None else _hour(swap.start_min),
                outgoing=swap.outgoing,
                incoming=swap.incoming,
            )
            for swap in swaps
        ],
        leave=[LeaveOut(person=who, start=_wall(one.start), end=_wall(one.end)) for who, one in leave],
    )


def _hour(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _wall(minute: int) -> str:
    """A minute of the wall clock (`roster.wall_minute`) as people write it."""
    day, rest = divmod(minute, _DAY_MIN)
    return f"{date.fromordinal(day).isoformat()} {_hour(rest)}"


@router.get(
    "/stations/{station_id}/duty-checks",
    response_model=list[DutyOut],
    summary="The duty checks of a station, latest first",
    responses=problems.described(404),
)
def duty_checks(parts: Parts, caller: Caller, station_id: StationId) -> list[DutyOut]:
    _check_station(parts, caller, station_id)
    return [_duty(parts, check) for check in parts.dispatch.duties.of(station_id)]


@router.post(
    "/stations/{station_id}/duty-checks",
    response_model=DutyOut,
    status_code=201,
    summary="Ask whoever is on duty to answer in time (查岗)",
    responses=problems.described(404),
)
def check_duty(parts: Parts, caller: RulesReader, station_id: StationId, body: DutyIn | None = None) -> DutyOut:
    _check_station(parts, caller, station_id)
    answer_s = (body or DutyIn()).answer_s
    return _duty(parts, parts.dispatch.asking.check_duty(station_id, caller.id, parts.clock(), answer_s=answer_s))


def _duty(parts: ApiParts, check: DutyCheck) -> DutyOut:
    present = presenter_of(parts)
    return DutyOut(
        station=check.station,
        alert=check.alert_id,
        asked_at_ms=check.asked_at_ms,
        due_at_ms=check.due_at_ms,
        by=present.actor_ref(check.asked_by),
        answered_at_ms=check.answered_at_ms,
        answered_by=present.actor_ref(check.answered_by) if check.answered_by else None,
        unanswered=check.answered_at_ms is None and parts.clock() >= check.due_at_ms,
    )


def _check_station(parts: ApiParts, caller: Actor, station_id: str) -> None:
    station = parts.registry().stations.get(station_id)
    if station is None or not any(caller.may_see(grid, station_id) for grid in station.grids or ("",)):
        raise problems.no_such(_("There is no such station in your area."), _("Look it up in the list of stations."))


# -- contacts ---------------------------------------------------------------------------------------------------------


@router.get("/contacts", response_model=list[PersonContacts], summary="Everybody's contacts, and which are verified")
def contacts(parts: Parts, caller: RulesReader) -> list[PersonContacts]:
    _everywhere(caller)
    registry, ways, now_ms = parts.registry(), parts.dispatch.ways(), parts.clock()
    checks = parts.dispatch.contacts.of()

    def contact(person: Person, channel: str, address: str) -> ContactOut:
        mine = [c for c in checks if (c.person, c.channel, c.address) == (person.id, channel, digest(address))]
        return ContactOut(
            channel=channel,
            usable=channel != CONSOLE and ways.lead_to(channel, address),
            verified=is_verified(registry, person.id, (channel, address), ways),
            verified_at_ms=max((c.verified_at_ms for c in mine if c.verified_at_ms is not None), default=None),
            asked_at_ms=max((c.asked_at_ms for c in mine), default=None),
        )

    return [
        PersonContacts(
            id=person.id,
            name=_named(person.name),
            on_leave=is_away(person, now_ms, parts.site.zone),
            deputy=person.deputy,
            contacts=[contact(person, channel, address) for channel, address in person.contacts],
        )
        for person in registry.people.values()
    ]


@router.post(
    "/contacts/{person_id}/test",
    response_model=list[ContactTestOut],
    status_code=201,
    summary="Send a test to the contacts of a person; its answer verifies them",
    responses=problems.described(404, 409),
)
def send_tests(
    parts: Parts, caller: RulesReader, person_id: PersonId, body: ContactTestIn | None = None
) -> list[ContactTestOut]:
    _everywhere(caller)
    channels = (body or ContactTestIn()).channels
    try:
        asked = parts.dispatch.asking.test(person_id, caller.id, parts.clock(), channels=channels)
    except NotFound as missing:
        raise problems.no_such(_("There is no such person."), _("Look it up in the list of contacts.")) from missing
    except IllegalAction as refused:
        raise problems.illegal_action(refused) from refused
    return [ContactTestOut(channel=one.channel, alert=one.alert_id) for one in asked]


@router.post(
    "/contacts/{person_id}/answer",
    response_model=VerifiedOut,
    summary="Take down the code that a person has read out: the contact that it was sent to is verified",
)
def answer(parts: Parts, caller: ActingCaller, person_id: PersonId, body: CodeIn) -> VerifiedOut:
    channel = parts.dispatch.asking.answer(person_id, body.code.replace(" ", ""), caller.id, parts.clock())
    return VerifiedOut(channel=channel)


def _everywhere(caller: Actor) -> None:
    if "*" not in (*caller.grids, *caller.stations):
        raise problems.not_everywhere()


def _named(name: Name) -> Text:
    return Text(zh=name.zh, en=name.en)
