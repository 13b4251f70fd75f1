"""`gridhub routes`: whom an alert of a device reaches, and the proof that every device reaches somebody."""

from __future__ import annotations

import difflib
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from hub.cli.instants import instant, local
from hub.cli.migrate import ConfigFolder, complain, no_ledger_yet
from hub.clock import now_ms
from hub.errors import ConfigError, Unavailable

if TYPE_CHECKING:
    from hub.dispatch.policy import EscalationPolicy
    from hub.dispatch.routes import Audit, Route, RouteStep
    from hub.dispatch.routing import Ways
    from hub.registry.snapshot import Registry

group = typer.Typer(help="Whom an alert of a device reaches, and where nobody would hear it.", no_args_is_help=True)
At = Annotated[str, typer.Option("--at", help="When: 2026-12-01T03:00 (the site's time), or now.")]
Json = Annotated[bool, typer.Option("--json", help="JSON instead: times as ms UTC.")]
SeverityOption = Annotated[str, typer.Option("--severity", help="P1, P2, P3 or P4.")]


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="routes")


class Given(NamedTuple):
    """What a way is found with: the configuration, and which contacts were proven."""

    registry: Registry
    policy: EscalationPolicy
    zone: str
    locale: str
    ways: Ways


@group.command("show")
def show(
    device: Annotated[str, typer.Argument(help="Id of a device, or one of its addresses.", metavar="DEVICE")],
    at: At = "now",
    severity: SeverityOption = "P1",
    rule: Annotated[str, typer.Option("--rule", help="A rule that may have a ladder of its own.")] = "",
    as_json: Json = False,
    config: ConfigFolder = Path("config"),
) -> None:
    """Show who hears an alert of a device: at once, and later when nobody answers. Exit code 1 when nobody verified does."""
    from rich.console import Console

    from hub.dispatch.routes import route

    given = _given(config)
    registry = given.registry
    slot = registry.slot_of.get(device, registry.slot_of_address.get(device, -1))
    if slot < 0:
        near = difflib.get_close_matches(device, registry.slot_of, n=3, cutoff=0.7)
        complain(f"no device '{device}'" + (f"; did you mean {', '.join(near)}?" if near else ""))
    _check_severity(severity)
    at_ms = instant(at, "--at", zone=given.zone, now_ms=now_ms())
    found = route(
        registry,
        given.policy,
        registry.ids[slot],
        at_ms,
        given.zone,
        ways=given.ways,
        locale=given.locale,
        severity=severity,
        rule=rule,
    )
    if as_json:
        print(json.dumps(asdict(found) | {"reaches": found.reaches}, ensure_ascii=False))
    else:
        _print_route(Console(soft_wrap=True, highlight=False), found, given)
    raise typer.Exit(0 if found.reaches else 1)


@group.command("audit")
def audit(
    at: At = "now",
    hours: Annotated[int, typer.Option("--hours", min=0, max=24 * 60, help="How far ahead.")] = 7 * 24,
    severity: SeverityOption = "P1",
    only_open: Annotated[
        bool, typer.Option("--open", help="Exit code 1 only where nobody verified is reached, not for every gap.")
    ] = False,
    as_json: Json = False,
    config: ConfigFolder = Path("config"),
) -> None:
    """Prove that an alert of every device reaches a verified person who can be reached, now and for a week. Exit code 1 with gaps."""
    from rich.console import Console

    from hub.dispatch.routes import audit as walked

    given = _given(config)
    _check_severity(severity)
    at_ms = instant(at, "--at", zone=given.zone, now_ms=now_ms())
    found = walked(given.registry, given.policy, at_ms, given.zone, ways=given.ways, severity=severity, hours=hours)
    if as_json:
        print(json.dumps(asdict(found), ensure_ascii=False))
    else:
        _print_audit(Console(soft_wrap=True, highlight=False), found, given.zone)
    raise typer.Exit(1 if (found.open if only_open else found.gaps) else 0)


def _check_severity(severity: str) -> None:
    from hub.model.rules import SEVERITIES

    if severity not in SEVERITIES:
        complain(f"--severity {severity!r} is not known: use {', '.join(SEVERITIES)}")


def _given(config: Path) -> Given:
    """Everything as the hub would have it. Raises ConfigError when the files are wrong."""
    from hub.dispatch.channels import CHANNELS, check_channels, known_targets
    from hub.dispatch.policy import load_policy
    from hub.dispatch.routing import Ways
    from hub.registry.loader import load
    from hub.settings import document_of, load_settings

    settings = load_settings(config)
    configs, _ = check_channels(settings.channels, document_of(config))
    ways = Ways(frozenset(CHANNELS), known_targets(configs), _proven(settings.ledger_url))
    return Given(
        load(config / "registry"), load_policy(config / "escalation.yaml"), settings.timezone, settings.locale, ways
    )


def _proven(url: str) -> frozenset[tuple[str, str, str]]:
    """The contacts by which tests were answered; none where there is no ledger yet, or it is away (and that is said)."""
    from hub.stores.contact_checks import ContactChecks
    from hub.stores.ledger import Ledger

    if no_ledger_yet(url):
        return frozenset()
    try:
        ledger = Ledger.open(url, migrate=False)
    except (Unavailable, ConfigError) as away:
        typer.echo(f"{away}: contacts that were verified by a test count as not verified", err=True)
        return frozenset()
    try:
        return ContactChecks(ledger).proven()
    finally:
        ledger.close()


def _print_route(console: Any, found: Route, given: Given) -> None:
    from rich.text import Text

    device = given.registry.find(found.device)
    name = f"{device.name.zh} / {device.name.en}" if device else ""
    console.print(Text(f"{found.severity} {found.device}", style="bold").append(f"  {name}", style="not bold"))
    spot = found.spot
    console.print(
        f"at {local(found.at_ms, given.zone)}{', night' if found.night else ''}: place {spot.place}, grid ", end=""
    )
    console.print(f"{spot.grid}, station {spot.station or '(none)'}", markup=False)
    for step in found.steps:
        _print_step(console, step, given.locale)
    if found.repeat_s is not None:
        on = "" if found.go_on_s is None else f"; then every {found.go_on_s} s the others, until somebody is on scene"
        console.print(f"then     every {found.repeat_s} s everybody again until somebody answers{on}")
    for gap in found.gaps:
        console.print(Text("gap      ", style="bold red").append(gap, style="default"))


def _print_step(console: Any, step: RouteStep, locale: str) -> None:
    from rich.text import Text

    when = f"{step.after_s} s" if step.after_s else "at once"
    unless = f" unless {step.unless.replace('_', ' ')}" if step.after_s else ""
    console.print(Text(f"{when:<9}", style="bold").append(f"{', '.join(step.tell)}{unless}", style="not bold"))
    for hearer in step.hearers:
        name = hearer.name_en if locale == "en" else hearer.name_zh
        ways = ", ".join(f"{c} (verified)" if c in hearer.verified else c for c in hearer.contacts) or "(no way)"
        console.print(Text(f"         {name} ", style="default").append(f"{hearer.id}: {ways}", style="dim"))
        if hearer.is_station:
            console.print(Text(f"           on duty: {', '.join(hearer.on_duty) or '(nobody)'}", style="dim"))


def _print_audit(console: Any, found: Audit, zone: str) -> None:
    from rich.text import Text

    for gap in found.gaps:
        line = Text("OPEN  " if gap.open else "gap   ", style="bold red" if gap.open else "yellow")
        always = gap.moments == found.moments
        span = "always" if always else f"{local(gap.first_ms, zone)[:16]} … {local(gap.last_ms, zone)[:16]}"
        often = "" if always else f" ({gap.moments} of {found.moments} moments)"
        several = f"{gap.devices} device{'' if gap.devices == 1 else 's'}"
        line.append(f"{gap.cause}: {several}, {span}{often}; ", style="default")
        line.append(f"e.g. {', '.join(gap.examples)}", style="dim")
        console.print(line)
    spans = f"{local(found.from_ms, zone)[:16]} … {local(found.until_ms, zone)[:16]}"
    console.print(f"{found.devices} devices on {found.routes} routes, {found.moments} moments of {spans}", markup=False)
    if not found.gaps:
        console.print("[bold green]Every alert reaches a verified person who can be reached.[/]")
    else:
        console.print(f"[bold red]{len(found.open)} open, {len(found.gaps) - len(found.open)} other gaps.[/]")
