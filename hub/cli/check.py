"""`gridhub check DIR`: reads a whole configuration as the hub would, and says everything that is wrong with it at once."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar
from zoneinfo import ZoneInfo

import typer

from hub import documents
from hub.errors import Complaint, ConfigError
from hub.wrong_values import near

if TYPE_CHECKING:
    from rich.console import Console

    from hub.registry.snapshot import Registry
    from hub.rules.kinds.kind import Context
    from hub.rules.ruleset import RuleSet
    from hub.settings import Settings

T = TypeVar("T")
SHOWN_PER_FILE = 50
AHEAD_DAYS = 14
"""How far ahead leave and swaps are looked at."""
NATIVE, ZIGBEE = "native-v1", "zigbee2mqtt"

Folder = Annotated[Path, typer.Argument(help="The configuration folder.", metavar="DIR")]


@dataclass(slots=True)
class Examination:
    """What was found: complaints stop the hub from starting, warnings do not. `counts` are of the parts that could be read."""

    complaints: list[Complaint] = field(default_factory=list)
    warnings: list[Complaint] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)


def register(app: typer.Typer) -> None:
    app.command("check")(check)


def check(folder: Folder = Path("config")) -> None:
    """Check every file of a configuration: syntax, keys, references between files. Exit code 1 when the hub would not start."""
    from rich.console import Console

    found = examine(folder)
    console = Console(soft_wrap=True, highlight=False)
    _print(console, "complaint", "bold red", found.complaints)
    _print(console, "warning", "yellow", found.warnings)
    counted = ", ".join(f"{number} {what if number != 1 else what[:-1]}" for what, number in found.counts.items())
    if counted:
        console.print(f"{folder}: {counted}", markup=False)
    warned = f"{len(found.warnings)} warning{'' if len(found.warnings) == 1 else 's'}"
    if found.complaints:
        plural = "" if len(found.complaints) == 1 else "s"
        console.print(f"[bold red]{len(found.complaints)} complaint{plural}[/], {warned}: the hub would not start.")
        raise typer.Exit(1)
    console.print(f"[bold green]No complaints[/], {warned}.")


def examine(folder: Path) -> Examination:
    """Checks `folder` as a whole. Changes nothing, opens no connection, and needs no broker or database."""
    from hub.dispatch.policy import load_policy, wrong_rules
    from hub.registry.loader import load
    from hub.rules.calendar_file import load_context
    from hub.rules.ruleset import load_rules
    from hub.settings import load_settings

    found = Examination()
    if not folder.is_dir():
        found.complaints.append(
            Complaint(
                file=str(folder), line=None, key="", message="no such folder", remedy="name the one with hub.yaml"
            )
        )
        return found
    registry = _read(lambda: load(folder / "registry"), found)
    settings = _read(lambda: load_settings(folder), found)
    context = _read(lambda: load_context(folder, zone=settings.timezone if settings else "UTC"), found)
    rules = _read(lambda: load_rules(folder / "rules", context=context), found)
    policy = _read(lambda: load_policy(folder / "escalation.yaml"), found)
    if registry is not None:
        found.warnings += registry.warnings
        found.counts["places"] = len(registry.places)
        found.counts["devices"] = len(registry.slot_of)
        found.counts["stations"] = len(registry.stations)
        found.counts["persons"] = len(registry.people)
        found.complaints += _unknown_channels(folder, registry)
    if rules is not None:
        found.counts["rules"] = len(rules.rules)
    if rules is not None and policy is not None:
        severities = {rule.spec.id: rule.spec.severity for rule in rules.rules}
        found.warnings += wrong_rules(folder / "escalation.yaml", policy, severities)
    found.warnings += _unread(folder / "rules")
    if rules is not None and registry is not None:
        found.warnings += _blind_rules(rules, registry)
        _check_actions(folder, rules, registry, found)
    if rules is not None and context is not None:
        _check_shadow(folder / "rules" / "shadow", rules, context, registry, found)
    if settings is not None:
        _check_settings(folder, settings, found)
    if context is not None:
        found.warnings += _outdated_calendar(folder, context)
    if settings is not None:
        found.complaints += _unheard(folder, settings)
    if settings is not None and registry is not None:
        found.warnings += _thin_days(folder, registry, settings.timezone)
        _lost_contacts(folder, settings, registry, found)
    return found


def _check_actions(folder: Path, rules: RuleSet, registry: Registry, found: Examination) -> None:
    from hub.actuation.table import load_actions, unknown_devices

    kinds = {rule.spec.id: rule.spec.kind for rule in rules.rules}
    table = _read(lambda: load_actions(folder, kinds=kinds), found)
    if table is not None:
        found.warnings += unknown_devices(folder, table, registry.slot_of)


def _read(load: Callable[[], T], found: Examination) -> T | None:
    try:
        return load()
    except ConfigError as wrong:
        found.complaints += wrong.complaints
        return None


def _unread(folder: Path) -> Iterator[Complaint]:
    """Files that somebody may take for rules in force."""
    inside = [path for path in folder.rglob("*.y*ml") if path.relative_to(folder).parts[0] not in ("scenes", "shadow")]
    for path in sorted(inside):
        if path.parent != folder or path.suffix != ".yaml":
            yield Complaint(
                file=str(path),
                line=None,
                key="",
                message="is not read: rules lie in *.yaml files of the folder itself",
                remedy=f"move it to {folder / path.with_suffix('.yaml').name}, or take it away",
            )


def _blind_rules(rules: RuleSet, registry: Registry, *, where: str = "") -> Iterator[Complaint]:
    """Names in scopes that nothing bears, and devices that a rule can never judge. `where` is said behind the rule's id."""
    from hub.rules.coverage import blind
    from hub.rules.scope import strangers

    for stranger in strangers(rules, registry):
        yield replace(
            stranger, key=f"rule {stranger.key}{where}", message=f"{stranger.message}: nothing is watched there"
        )
    for one in blind(rules, registry):
        rule = one.rule
        yield Complaint(
            file=rule.file, line=rule.line, key=f"rule {rule.id}{where}", message=one.message, remedy=one.remedy
        )


def _check_shadow(folder: Path, live: RuleSet, context: Context, registry: Registry | None, found: Examination) -> None:
    """Rules in shadow mode: what is wrong with them stops nothing that runs, so all of it are warnings."""
    from hub.rules.ruleset import as_set, laid_over

    files = sorted(folder.glob("*.yaml"))
    if not files:
        return
    read = [documents.read(path) for path in files]
    known = [document for document, _ in read if document is not None]
    try:
        whole = laid_over(live, known, [one for _, wrong in read for one in wrong], context=context)
    except ConfigError as wrong:
        effect = "so no rule of the shadow runs"
        found.warnings += [replace(one, message=f"{one.message}, {effect}") for one in wrong.complaints]
        return
    files_read = {document.file for document in known}
    own = as_set([rule for rule in whole.rules if rule.spec.file in files_read])
    found.counts["shadow rules"] = len(own.rules)
    if registry is not None:
        found.warnings += _blind_rules(own, registry, where=" (in the shadow)")


def _thin_days(folder: Path, registry: Registry, zone: str) -> Iterator[Complaint]:
    """Stretches of the next two weeks in which leave and swaps leave fewer than the norm; the plain shifts are the loader's."""
    from dataclasses import replace

    from hub.clock import now_ms, wall_clock
    from hub.dispatch.roster import NORM_ON_DUTY, on_duty, spans

    now = now_ms()
    for station in registry.stations.values():
        if not station.swaps and not station.away:
            continue
        plain = replace(station, swaps=(), away=())
        for begin, end, crew in spans(station, now - now % 60_000, now + AHEAD_DAYS * 86_400_000, zone):
            usual = len(on_duty(plain, begin, zone))
            if len(crew) < min(NORM_ON_DUTY, usual):
                span = f"{wall_clock(begin, zone, '%Y-%m-%d %H:%M')} – {wall_clock(end, zone, '%Y-%m-%d %H:%M')}"
                yield Complaint(
                    file=str(folder / "registry" / "stations.yaml"),
                    line=None,
                    key=f"{station.id}.roster",
                    message=f"only {len(crew)} on duty at '{station.id}' {span}, because of leave or swaps",
                    remedy=f"arrange a swap; the norm is {NORM_ON_DUTY} at any hour",
                )


def _outdated_calendar(folder: Path, context: Context) -> Iterator[Complaint]:
    from hub.clock import now_ms
    from hub.rules.calendar_file import CALENDAR_FILE, outdated

    today = datetime.fromtimestamp(now_ms() / 1_000, ZoneInfo(context.zone)).date()
    if message := outdated(context, today):
        yield Complaint(
            file=str(folder / CALENDAR_FILE),
            line=None,
            key="holidays",
            message=message,
            remedy="add the days as the authorities announced them",
        )


def _check_settings(folder: Path, settings: Settings, found: Examination) -> None:
    """What only the parts know that hub.yaml configures: its codecs, and the channels with their secrets."""
    from hub.dispatch.channels import check_channels
    from hub.errors import ConfigError
    from hub.ingest.sources import sources_of
    from hub.settings import document_of

    document = document_of(folder)
    try:
        sources_of(settings.sources, settings.folder, document)
    except ConfigError as wrong_sources:
        found.complaints += wrong_sources.complaints
    configs, wrong = check_channels(settings.channels, document)
    found.complaints += wrong
    for name, config in configs.items():
        for path, message, remedy in config.missing(os.environ):
            # A warning only: the secrets may well be on another machine than the one that checks.
            found.warnings.append(document.complain(("channels", name, *path), message, remedy))


def _contacts(folder: Path, registry: Registry) -> Iterator[tuple[str, str, str, str, Callable[[str, str], Complaint]]]:
    """Every contact of stations and people: (whose, id, channel, address, how to complain about it)."""
    holders: tuple[tuple[str, Iterable[tuple[str, tuple[tuple[str, str], ...]]]], ...] = (
        ("stations", ((station.id, station.contacts) for station in registry.stations.values())),
        ("people", ((person.id, person.contacts) for person in registry.people.values())),
    )
    for what, who in holders:
        document, _ = documents.read(folder / "registry" / f"{what}.yaml")
        if document is None:
            continue  # it was there a moment ago; the next check says what happened to it
        index = {entry["id"]: n for n, entry in enumerate(document.data[what])}
        for holder, contacts in who:
            for channel, address in contacts:
                path: documents.Path_ = (what, index.get(holder, 0), "contacts", channel)

                def complain(
                    message: str, remedy: str, document: documents.Document = document, path: documents.Path_ = path
                ) -> Complaint:
                    return document.complain(path, message, remedy)

                yield what, holder, channel, address, complain


def _unknown_channels(folder: Path, registry: Registry) -> Iterator[Complaint]:
    from hub.dispatch.channels import CHANNELS

    for _, holder, channel, address, complain in _contacts(folder, registry):
        if channel not in CHANNELS:
            yield complain(f"'{holder}' has a contact on an unknown channel '{channel}'", f"use {', '.join(CHANNELS)}")
        elif channel == "siren" and (not address or any(c in address for c in "+#\0")):
            yield complain(
                f"'{address}' is no topic to publish to", "write the siren's command topic, without wildcards"
            )


_NAMED = {"webhook": ("endpoints", "endpoint"), "apprise": ("addresses", "address")}
"""Where hub.yaml has the receivers that a contact names, and what one of them is called; else these are robots."""


def _lost_contacts(folder: Path, settings: Settings, registry: Registry, found: Examination) -> None:
    """Contacts that cannot be right are complaints; those whose channel leads nowhere as hub.yaml is now are warnings."""
    from hub.dispatch.channels import CHANNELS, check_channels, known_targets
    from hub.settings import document_of

    configs, _ = check_channels(settings.channels, document_of(settings.folder))
    known = known_targets(configs)
    for _, holder, channel, address, complain in _contacts(folder, registry):
        if channel not in CHANNELS or channel == "siren" or (channel in settings.channels and channel not in configs):
            continue  # complained about already
        if channel not in configs:
            found.warnings.append(
                complain(
                    f"'{holder}' cannot be told by {channel}: hub.yaml does not set it up",
                    f"add channels.{channel}, see docs/dispatch.md",
                )
            )
        elif wrong := configs[channel].wrong_target(address):
            found.complaints.append(complain(f"'{holder}': {wrong}", "correct the address"))
        elif address not in known.get(channel, (address,)):
            key, one = _NAMED.get(channel, ("robots", "robot"))
            found.warnings.append(
                complain(
                    f"'{holder}' cannot be told by {channel}: hub.yaml has no {one} '{address}'",
                    near(address, known[channel], f"add it under channels.{channel}.{key}"),
                )
            )


def _unheard(folder: Path, settings: Settings) -> Iterator[Complaint]:
    """Addresses that no source of hub.yaml can ever report: such a device would be silent for ever, and nobody would know why."""
    from hub.errors import ConfigError
    from hub.ingest.codecs import CODECS
    from hub.ingest.sources import Entry, sources_of
    from hub.registry.devicefile import addresses_in

    sources: Sequence[Entry] = settings.sources
    with suppress(ConfigError):  # complained about already
        sources = sources_of(settings.sources, settings.folder)
    path = folder / "registry" / "devices.csv"
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return  # complained about already
    roots: dict[str, list[str]] = {}
    for source in sources:
        roots.setdefault(source.codec, []).append(source.root)
    heard: set[str] = set()
    for line, device, address in addresses_in(text):
        if device == "canary":
            heard.add(address)
        codec, _, rest = address.partition(":")
        if codec not in CODECS and codec not in roots:
            message, remedy = f"unknown codec '{codec}'", near(codec, CODECS, f"use {', '.join(CODECS)}")
        elif codec not in roots:
            message, remedy = f"hub.yaml has no source of codec '{codec}'", "add one under sources"
        elif codec == ZIGBEE and not any(rest.startswith(f"{root}/") for root in roots[codec]):
            message = f"'{rest}' is under none of the roots {', '.join(roots[codec])}"
            remedy = "correct the address, or add a source in hub.yaml"
        else:
            continue
        yield Complaint(
            file=str(path), line=line, key=f"{device}.addresses", message=f"{address}: {message}", remedy=remedy
        )
    wanted = f"{NATIVE}:{settings.site}/hub/canary"
    row = re.search(r"^canary,", text, re.MULTILINE)  # without one, that is what is said
    if NATIVE in roots and row is not None and wanted not in heard:
        yield Complaint(
            file=str(path),
            line=text.count("\n", 0, row.start()) + 1,
            key="canary.addresses",
            message=f"the self-test of site '{settings.site}' would not be recognised",
            remedy=f"give the canary the address {wanted}",
        )


def _print(console: Console, what: str, style: str, complaints: Iterable[Complaint]) -> None:
    """One line each, by file; a file with thousands of the same mistake must not hide the others."""
    from rich.text import Text

    by_file: dict[str, list[Complaint]] = {}
    for complaint in complaints:
        by_file.setdefault(complaint.file, []).append(complaint)
    for several in by_file.values():
        several.sort(key=lambda complaint: complaint.line or 0)
        for complaint in several[:SHOWN_PER_FILE]:
            line = Text(f"{what}  ", style=style)
            line.append(str(complaint), style="default")
            console.print(line)
        if len(several) > SHOWN_PER_FILE:
            console.print(Text(f"{what}  … and {len(several) - SHOWN_PER_FILE} more in this file", style=style))
