"""`gridhub audit`: whether every alarm is accounted for, and whether the record that says so is whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli.instants import instant
from hub.cli.migrate import ConfigFolder, complain, no_ledger_yet
from hub.clock import now_ms
from hub.errors import Unavailable

if TYPE_CHECKING:
    from hub.audit.alarms import Said
    from hub.settings import Settings
    from hub.stores.audit_log import Head
    from hub.stores.ledger import Ledger

group = typer.Typer(help="Prove that every alarm is accounted for.", no_args_is_help=True)
KeptHead = Annotated[
    str, typer.Option("--head", help="NUMBER:HASH that was kept elsewhere; the log must still have it.")
]


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="audit")


@group.command("verify")
def verify(head: KeptHead = "", config: ConfigFolder = Path("config")) -> None:
    """Compute the audit log's chain of hashes again. Exit code 1 and the first row that does not fit when it was changed."""
    from hub.stores.audit_log import AuditLog

    kept = _head(head)
    with _ledger(config) as (ledger, _):
        found = AuditLog(ledger).verify(kept=kept)
    if found.broken is not None:
        complain(f"BROKEN at row {found.broken.number}: {found.broken.why}")
    before = f", {found.unchained:,} of them from before there was a chain" if found.unchained else ""
    print(f"whole: {found.rows:,} rows{before}")
    if found.head is not None:
        print(f"head:  {found.head}")
        print("keep the head somewhere else; later: gridhub audit verify --head " + str(found.head))


@group.command("report")
def report(
    from_: Annotated[str, typer.Option("--from", help="Begin, e.g. 2026-01-01, 2026-01-01T08:00, -7d.")] = "-1d",
    to: Annotated[str, typer.Option("--to", help="End; now by default.")] = "now",
    form: Annotated[str, typer.Option("--format", help="text, json, csv or html.")] = "text",
    out: Annotated[Path | None, typer.Option("--out", help="Write into this file instead.")] = None,
    lang: Annotated[str, typer.Option("--lang", help="en or zh-CN.")] = "en",
    journal: Annotated[bool, typer.Option(help="Also read the journal for alarms that no alert followed.")] = True,
    head: KeptHead = "",
    config: ConfigFolder = Path("config"),
) -> None:
    """Every alarm (P1, P2) of a time, with what became of it. Exit code 1 when one is not accounted for."""
    from hub.audit.render import FORMATS, rendered
    from hub.audit.report import collect
    from hub.i18n import LOCALES
    from hub.stores.account_queries import AccountQueries
    from hub.stores.audit_log import AuditLog

    if form not in FORMATS:
        complain(f"--format {form!r} is none of {', '.join(FORMATS)}")
    if lang not in LOCALES:
        complain(f"--lang {lang!r} is none of {', '.join(LOCALES)}")
    kept, made_ms = _head(head), now_ms()
    with _ledger(config) as (ledger, settings):
        begin = instant(from_, "--from", zone=settings.timezone, now_ms=made_ms)
        end = instant(to, "--to", zone=settings.timezone, now_ms=made_ms)
        if end <= begin:
            complain("--to is not after --from")
        registry = _registry(config)
        found = collect(
            AccountQueries(ledger),
            AuditLog(ledger),
            site=settings.site,
            zone=settings.timezone,
            from_ms=begin,
            to_ms=end,
            now_ms=made_ms,
            said=_said(settings, registry, begin, min(end, made_ms - 10_000)) if journal else None,
            untested=_untested(settings, registry),
            kept=kept,
        )
    said = rendered(found, form, lang)
    if out is None:
        print(said, end="" if said.endswith("\n") else "\n")
    else:
        out.write_text(said, "utf-8", newline="")
        print(f"{out}: {len(found.alarms):,} alarms, {len(found.findings):,} findings")
    if not found.complete:
        raise typer.Exit(1)


def _head(text: str) -> Head | None:
    from hub.stores.audit_log import Head

    if not text:
        return None
    number, colon, digest = text.partition(":")
    if not (colon and number.isdigit() and len(digest) == 64):
        complain(f"--head {text!r} is none: give NUMBER:HASH as `gridhub audit verify` prints it")
    return Head(int(number), digest)


def _registry(config: Path) -> Any:
    from hub.registry.loader import load

    return load(config / "registry")


def _untested(settings: Settings, registry: Any) -> list[str]:
    from hub.audit.synthetic import devices_in, untested
    from hub.canary import CODEC

    native = next((source.root for source in settings.sources if source.codec == CODEC), None)
    return untested(registry, devices_in(registry, CODEC, native) if native is not None else [])


def _said(settings: Settings, registry: Any, begin: int, end: int) -> Iterator[Said] | None:
    """The alarms in the journal of this machine, as `alarms_in` finds them; None when there is no journal here."""
    from hub.stores.journal_shelf import Shelf

    if not settings.journal_folder.is_dir():
        return None
    shelf = Shelf(settings.journal_folder)
    shelf.refresh()
    return _alarms(settings, registry, shelf, begin, end)


def _alarms(settings: Settings, registry: Any, shelf: Any, begin: int, end: int) -> Iterator[Said]:
    from hub.audit.alarms import alarms_in, watched_at_once
    from hub.ingest.codecs.context import CodecContext
    from hub.ingest.router import Router
    from hub.ingest.sources import sources_of
    from hub.rules.calendar_file import load_context
    from hub.rules.ruleset import load_rules
    from hub.stores.journal import Trimmed

    rules = load_rules(settings.folder / "rules", context=load_context(settings.folder, zone=settings.timezone))
    watched = watched_at_once(rules)
    context = CodecContext(
        zone=settings.timezone, known=lambda a: a in registry.slot_of_address, own_text=lambda a: registry.own_text(a)
    )
    dialects = Router(sources_of(settings.sources, settings.folder), context)
    position = shelf.position_at(begin)
    while True:
        try:
            records = shelf.read(position, limit=4_096)
        except Trimmed as gone:
            position = gone.first_kept
            continue
        if not records or records[0].at_ms >= end:
            return
        yield from alarms_in((r for r in records if begin <= r.at_ms < end), dialects, registry, watched)
        position = records[-1].position + 1


@contextmanager
def _ledger(config: Path) -> Iterator[tuple[Ledger, Settings]]:
    from hub.settings import load_settings
    from hub.stores.ledger import Ledger

    settings = load_settings(config)
    if missing := no_ledger_yet(settings.ledger_url):
        complain(missing)
    try:
        ledger = Ledger.open(settings.ledger_url, migrate=False)
        try:
            yield ledger, settings
        finally:
            ledger.close()
    except Unavailable as away:
        complain(str(away))
