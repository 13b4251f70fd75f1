"""`gridhub contacts`, `duty`, `roster`, `silence` and `drill`: who can be told, who is there, and what is silent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from hub.cli.instants import instant, local
from hub.cli.migrate import ConfigFolder, complain
from hub.clock import now_ms
from hub.errors import Refusal, Unavailable
from hub.model.alerts import Actor

if TYPE_CHECKING:
    from hub.alerts.silences import Silences
    from hub.asking import Asking
    from hub.dispatch.routing import Ways
    from hub.model.silences import Silence, SilenceKind
    from hub.registry.snapshot import Registry
    from hub.stores.contact_checks import ContactChecks
    from hub.stores.duty_checks import DutyChecks
    from hub.stores.silence_rows import SilenceQueries

contacts = typer.Typer(help="Which contacts are proven to reach their person.", no_args_is_help=True)
duty = typer.Typer(help="Duty checks (查岗): is somebody there?", no_args_is_help=True)
roster = typer.Typer(help="Who is on duty, with swaps and leave.", no_args_is_help=True)
silence = typer.Typer(help="Silences, maintenance windows and drills.", no_args_is_help=True)

OPERATOR = Actor(id="operator", name="operator", role="admin", grids=("*",), stations=("*",), via="cli")
"""Who acts on the command line: whoever can read the ledger of this machine."""

Json = Annotated[bool, typer.Option("--json", help="JSON instead: times as ms UTC.")]
StationId = Annotated[str, typer.Argument(help="Id of a station.", metavar="STATION")]
PersonId = Annotated[str, typer.Argument(help="Id of a person.", metavar="PERSON")]


def register(app: typer.Typer) -> None:
    app.add_typer(contacts, name="contacts")
    app.add_typer(duty, name="duty")
    app.add_typer(roster, name="roster")
    app.add_typer(silence, name="silence")


class Room(NamedTuple):
    """The ledger and what works on it, as the running hub has them."""

    registry: Registry
    zone: str
    ways: Ways
    asking: Asking
    contacts: ContactChecks
    duties: DutyChecks
    silences: Silences
    silence_queries: SilenceQueries


@contextmanager
def _room(config: Path) -> Iterator[Room]:
    """Ends the program with a remedy when the ledger is away or something is refused."""
    from hub import settings as configuration
    from hub.alerts.desk import Desk
    from hub.alerts.silences import Silences
    from hub.asking import Asking
    from hub.dispatch.channels import CHANNELS, check_channels, known_targets
    from hub.dispatch.escalation import StandardPlanner
    from hub.dispatch.links import Links
    from hub.dispatch.policy import load_policy
    from hub.registry.loader import load
    from hub.stores.alert_queries import AlertQueries
    from hub.stores.contact_checks import ContactChecks
    from hub.stores.duty_checks import DutyChecks
    from hub.stores.ledger import Ledger
    from hub.stores.link_key import link_key
    from hub.stores.silence_rows import SilenceQueries

    settings = configuration.load_settings(config)
    registry = load(config / "registry")
    channels, _ = check_channels(settings.channels, configuration.document_of(config))
    try:
        ledger = Ledger.open(settings.ledger_url)
        try:
            checks, duties = ContactChecks(ledger), DutyChecks(ledger)
            checks.refresh()
            planner = StandardPlanner(
                lambda: registry,
                load_policy(config / "escalation.yaml"),
                settings.timezone,
                channels=tuple(CHANNELS),
                targets=known_targets(channels),
                locale=settings.locale,
                proven=checks.known,
            )
            desk = Desk(ledger, planner)
            key = link_key(settings.data, configuration.secret_from("GRIDHUB_LINKS_KEY", settings.links.key_file))
            links = Links(key, settings.public_url)
            asking = Asking(
                desk, checks, duties, AlertQueries(ledger), links, lambda: registry, lambda: planner.ways, now_ms
            )
            yield Room(
                registry,
                settings.timezone,
                planner.ways,
                asking,
                checks,
                duties,
                Silences(desk, lambda: registry),
                SilenceQueries(ledger),
            )
        finally:
            ledger.close()
    except Refusal as refused:
        complain(f"{refused.message}: {refused.remedy}")
    except Unavailable as away:
        complain(str(away))


# -- contacts ---------------------------------------------------------------------------------------------------------


@contacts.command("list")
def list_contacts(
    gaps: Annotated[bool, typer.Option("--gaps", help="Only those that are not verified.")] = False,
    as_json: Json = False,
    config: ConfigFolder = Path("config"),
) -> None:
    """Show everybody's contacts (without addresses), and which are verified. Exit code 1 when --gaps finds any."""
    from hub.dispatch.routing import is_verified
    from hub.stores.contact_checks import digest

    rows: list[dict[str, Any]] = []
    with _room(config) as room:
        checks = room.contacts.of()
        for person in room.registry.people.values():
            for channel, address in person.contacts:
                mine = [c for c in checks if (c.person, c.channel, c.address) == (person.id, channel, digest(address))]
                rows.append(
                    {
                        "person": person.id,
                        "channel": channel,
                        "verified": is_verified(room.registry, person.id, (channel, address), room.ways),
                        "verified_at_ms": max((c.verified_at_ms for c in mine if c.verified_at_ms), default=None),
                        "asked_at_ms": max((c.asked_at_ms for c in mine), default=None),
                    }
                )
        zone = room.zone
    rows = [row for row in rows if not gaps or not row["verified"]]
    if as_json:
        print(json.dumps(rows))
    else:
        for row in rows:
            at = row["verified_at_ms"]
            state = (
                ("verified" + (f" {local(at, zone)}" if at else " (registry)")) if row["verified"] else "not verified"
            )
            asked = f", asked {local(row['asked_at_ms'], zone)}" if row["asked_at_ms"] and not row["verified"] else ""
            print(f"{row['person']:<24} {row['channel']:<16} {state}{asked}")
    raise typer.Exit(1 if gaps and rows else 0)


@contacts.command("test")
def send_test(
    person: PersonId,
    channel: Annotated[list[str] | None, typer.Option("--channel", help="Only this channel; repeatable.")] = None,
    config: ConfigFolder = Path("config"),
) -> None:
    """Send a test to a person's contacts. Its link, or `gridhub contacts answer` with the code in it, verifies them."""
    with _room(config) as room:
        for asked in room.asking.test(person, OPERATOR.id, now_ms(), channels=channel or ()):
            print(f"{asked.channel}: queued as alert {asked.alert_id}; the running hub sends it")


@contacts.command("answer")
def answer(
    person: PersonId,
    code: Annotated[str, typer.Argument(help="The code that the person has read out.")],
    config: ConfigFolder = Path("config"),
) -> None:
    """Take down the code from a test. Exit code 1 when it is wrong, too old, or was guessed too often."""
    with _room(config) as room:
        channel = room.asking.answer(person, code, OPERATOR.id, now_ms())
    if channel is None:
        complain("this code is wrong, too old, or was guessed too often: send another test")
    print(f"{person}: {channel} is verified")


# -- duty and rosters -------------------------------------------------------------------------------------------------


@duty.command("check")
def check(
    station: StationId,
    within: Annotated[int, typer.Option("--within", min=30, max=3_600, help="Seconds in which to answer.")] = 180,
    config: ConfigFolder = Path("config"),
) -> None:
    """Ask whoever is on duty to answer. Without an answer in time the officers are told."""
    with _room(config) as room:
        made = room.asking.check_duty(station, OPERATOR.id, now_ms(), answer_s=within)
        print(f"{station}: asked, to be answered by {local(made.due_at_ms, room.zone)}; alert {made.alert_id}")


@duty.command("list")
def list_duty(station: StationId, as_json: Json = False, config: ConfigFolder = Path("config")) -> None:
    """Show the duty checks of a station, the latest first."""
    with _room(config) as room:
        room.duties.take_answers()
        found, zone = room.duties.of(station), room.zone
    if as_json:
        print(json.dumps([asdict(one) for one in found]))
        return
    for one in found:
        late = "not answered" if now_ms() >= one.due_at_ms else "waiting"
        said = late if one.answered_at_ms is None else f"answered by {one.answered_by} after "
        after = "" if one.answered_at_ms is None else f"{(one.answered_at_ms - one.asked_at_ms) // 1_000} s"
        print(f"{local(one.asked_at_ms, zone)}  {said}{after}")


@roster.command("show")
def show_roster(
    station: StationId,
    at: Annotated[str, typer.Option("--at", help="From when: 2026-12-01T03:00 (the site's time), or now.")] = "now",
    hours: Annotated[int, typer.Option("--hours", min=1, max=24 * 31)] = 24,
    as_json: Json = False,
    config: ConfigFolder = Path("config"),
) -> None:
    """Show who is on duty at a station, stretch by stretch. Needs no ledger."""
    from hub.dispatch.roster import NORM_ON_DUTY, spans
    from hub.registry.loader import load
    from hub.settings import load_settings

    zone = load_settings(config).timezone
    found = load(config / "registry").stations.get(station)
    if found is None:
        complain(f"there is no station {station!r}")
    begin = instant(at, "--at", zone=zone, now_ms=now_ms())
    rows = spans(found, begin, begin + hours * 3_600_000, zone)
    if as_json:
        print(json.dumps([{"from_ms": a, "until_ms": b, "people": list(crew)} for a, b, crew in rows]))
        return
    for a, b, crew in rows:
        few = "" if len(crew) >= NORM_ON_DUTY else f"  ({len(crew)} of {NORM_ON_DUTY})"
        print(f"{local(a, zone)[:16]} … {local(b, zone)[:16]}  {', '.join(crew) or '(nobody)'}{few}")


# -- silences and drills ----------------------------------------------------------------------------------------------


@silence.command("make")
def make(
    reason: Annotated[str, typer.Option("--reason", help="Why; stays in the record.")],
    until: Annotated[str, typer.Option("--until", help="2026-12-01T18:00 (the site's time).")] = "",
    hours: Annotated[float, typer.Option("--hours", min=0, help="How long, instead of --until.")] = 0,
    at: Annotated[str, typer.Option("--from", help="When it begins.")] = "now",
    kind: Annotated[str, typer.Option("--kind", help="silence, maintenance or drill.")] = "silence",
    place: Annotated[str, typer.Option("--place", help="Code of a place; what lies under it is covered too.")] = "",
    device_kind: Annotated[list[str] | None, typer.Option("--device-kind", help="Repeatable.")] = None,
    device: Annotated[list[str] | None, typer.Option("--device", help="Repeatable.")] = None,
    include_p1: Annotated[bool, typer.Option("--include-p1", help="Also fires; 4 hours at most.")] = False,
    tell: Annotated[list[str] | None, typer.Option("--tell", help="Person or station of a drill; repeatable.")] = None,
    config: ConfigFolder = Path("config"),
) -> None:
    """Silence a place, kinds or devices for a time; or begin a drill, which tells its list only."""
    if kind not in ("silence", "maintenance", "drill"):
        complain(f"--kind {kind!r} is not known: use silence, maintenance or drill")
    now = now_ms()
    with _room(config) as room:
        begin = instant(at, "--from", zone=room.zone, now_ms=now)
        end = instant(until, "--until", zone=room.zone, now_ms=now) if until else begin + int(hours * 3_600_000)
        chosen: SilenceKind = kind  # type: ignore[assignment]  # checked above
        made = room.silences.make(
            chosen,
            OPERATOR,
            now,
            start_ms=begin,
            end_ms=end,
            reason=reason,
            place=place,
            device_kinds=device_kind or (),
            devices=device or (),
            include_p1=include_p1,
            tell=tell or (),
        )
        print(_line(made, room.zone))


@silence.command("list")
def list_silences(
    over: Annotated[bool, typer.Option("--over", help="Also those that are over.")] = False,
    as_json: Json = False,
    config: ConfigFolder = Path("config"),
) -> None:
    """Show what is silent, and drills; the latest first."""
    with _room(config) as room:
        found = room.silence_queries.all(over_too=over)
        caught = {one.id: room.silence_queries.caught(one.id) for one in found}
        zone = room.zone
    if as_json:
        print(json.dumps([asdict(one) | {"caught": caught[one.id]} for one in found], ensure_ascii=False))
        return
    for one in found:
        print(f"{_line(one, zone)}; {caught[one.id]} caught")


@silence.command("end")
def end(
    number: Annotated[int, typer.Argument(help="The number that `gridhub silence list` shows.")],
    config: ConfigFolder = Path("config"),
) -> None:
    """End a silence or drill before its time. What it has kept and still holds is told at once."""
    with _room(config) as room:
        print(_line(room.silences.end(number, OPERATOR, now_ms()), room.zone))


def _line(found: Silence, zone: str) -> str:
    of = [found.place, *found.device_kinds, *found.devices]
    p1 = ", fires too" if found.include_p1 else ""
    told = f", tells {', '.join(found.tell)}" if found.tell else ""
    ended = "" if found.ended_at_ms is None else f", ended {local(found.ended_at_ms, zone)[:16]} by {found.ended_by}"
    span = f"{local(found.start_ms, zone)[:16]} … {local(found.end_ms, zone)[:16]}"
    return f"{found.id}: {found.kind} of {' '.join(filter(None, of))}, {span}{p1}{told}{ended} ({found.reason})"
