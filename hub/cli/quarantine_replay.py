"""`gridhub quarantine replay`: messages that could not be used are read again, after a claim or a mended mapping."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hub.cli import quarantine
from hub.cli.migrate import ConfigFolder, complain, no_ledger_yet
from hub.clock import wall_clock
from hub.errors import Unavailable

if TYPE_CHECKING:
    from hub.settings import Settings
    from hub.stores.journal_shelf import Shelf


def register(app: typer.Typer) -> None:
    """Adds the command to the group `quarantine`, which `app` has already."""
    quarantine.group.command("replay")(replay)


def replay(
    ids: Annotated[list[int] | None, typer.Option("--id", help="Only this entry; repeatable.")] = None,
    topic: Annotated[str, typer.Option("--topic", help="Only topics that this MQTT filter takes.")] = "#",
    latest: Annotated[bool, typer.Option("--latest", help="Only the latest message of each entry.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be understood now.")] = False,
    config: ConfigFolder = Path("config"),
) -> None:
    """Read messages of the quarantine again with the registry and mappings of now, and hand those over that are understood.

    They are stored at the time they came. What is older than a few minutes rings no bell: alarms among it are listed here.
    """
    from hub.cli.understanding import router_for
    from hub.ingest.topics import matches
    from hub.onboarding.replay import Spool, messages_of, read_again
    from hub.onboarding.service import is_understood
    from hub.onboarding.unknown import decoder
    from hub.registry.loader import load
    from hub.settings import load_settings
    from hub.stores.ledger import Ledger
    from hub.stores.quarantine_queries import QuarantineQueries

    settings = load_settings(config)
    registry = load(config / "registry")
    if missing := no_ledger_yet(settings.ledger_url):
        complain(missing)
    router = router_for(settings, registry)
    try:
        ledger = Ledger.open(settings.ledger_url, migrate=False)
    except Unavailable as away:
        complain(str(away))
    try:
        queries, decode = QuarantineQueries(ledger), decoder(router)
        entries = [e for e in queries.list(10_000) if (not ids or e.id in ids) and matches(topic, e.row.topic)]
        ready = [e for e in entries if is_understood(decode, e, registry)]
        rows = [entry.row for entry in ready]
        messages, gone = messages_of(rows, None if latest else _journal(settings))
        outcome = read_again(messages, router.decode, registry)
        if not dry_run and outcome.understood:
            Spool(settings.data / "replay").put(outcome.understood)
            queries.settle([entry.id for entry in ready])
    except Unavailable as away:
        complain(str(away))
    except OSError as full:
        complain(f"{settings.data / 'replay'}: {full.strerror or full}; nothing was handed over")
    finally:
        ledger.close()
    print(f"{len(entries):,} entries: {len(ready):,} are understood now, {len(entries) - len(ready):,} are still not")
    verb = "would be read again" if dry_run else "handed to the running hub"
    devices = len(outcome.devices)
    print(f"{len(outcome.understood):,} messages, {outcome.readings:,} readings of {devices:,} devices {verb}")
    if gone and not latest:
        print("older messages are no longer in the journal and are left out")
    for at_ms, device, quantity in outcome.alarms[-20:]:
        print(f"ALARM then: {wall_clock(at_ms, settings.timezone, '%Y-%m-%d %H:%M:%S')} {device} {quantity}")
    if outcome.alarms:
        print("alarms that are older than a few minutes are stored only: look whether somebody is needed there")


def _journal(settings: Settings) -> Shelf | None:
    from hub.stores.journal_shelf import Shelf

    if not settings.journal_folder.is_dir():
        return None
    shelf = Shelf(settings.journal_folder)
    try:
        shelf.refresh()
    except (OSError, Unavailable):
        return None
    return shelf
