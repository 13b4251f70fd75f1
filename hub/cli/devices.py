"""`gridhub devices`: unknown devices become devices of a place, one by one or many at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli.migrate import ConfigFolder, complain, no_ledger_yet
from hub.cli.payload_text import shown, visible
from hub.clock import wall_clock
from hub.errors import Unavailable

if TYPE_CHECKING:
    from hub.onboarding.claims import Claim, Claimed
    from hub.onboarding.unknown import UnknownDevice
    from hub.registry.snapshot import Registry
    from hub.settings import Settings

group = typer.Typer(help="Find unknown devices, and make them devices of a place.", no_args_is_help=True)
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be written, and what is wrong with it.")]
_MOST = 2_000


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="devices")


@group.command("unknown")
def unknown(
    count: Annotated[int, typer.Option("-n", min=1, max=_MOST, help="How many devices.")] = 50,
    messages: Annotated[bool, typer.Option("--messages", help="Show the latest message of each topic too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead.")] = False,
    config: ConfigFolder = Path("config"),
) -> None:
    """Show who speaks to the hub without being in the registry, the one heard latest first, with a guess of what it is."""
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    with _waiting(config) as (found, _, settings):
        chosen = found[:count]
    if as_json:
        print(json.dumps([_json(one) for one in chosen], ensure_ascii=False))
        return
    if not chosen:
        print("no unknown device has spoken")
        return
    titles = (Column("last", no_wrap=True), Column("count", justify="right", no_wrap=True))
    table = Table(*titles, *(Column(name, overflow="fold") for name in ("address", "guess", "says")), box=None)
    for one in chosen:
        says = shown(one.rows[0].payload)
        says = f"ALARM {', '.join(one.alarms)}  {says}" if one.alarms else says
        table.add_row(
            wall_clock(one.last_at_ms, settings.timezone, "%m-%d %H:%M:%S"),
            f"{one.count:,}",
            Text(visible(one.address)),
            Text(f"{one.guess.kind} ({one.guess.why})" if one.guess.kind else "?"),
            Text(visible(says[:160]), style="red" if one.alarms else ""),
        )
        for row in one.rows if messages else ():
            table.add_row("", f"{row.count:,}", Text(visible(row.topic)), "", Text(visible(shown(row.payload)[:400])))
    Console(highlight=False).print(table)
    print("claim one: gridhub devices claim ADDRESS --place CODE")


@group.command("claim")
def claim(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="As `gridhub devices unknown` shows it.")],
    place: Annotated[str, typer.Option("--place", help="Code of the place where it hangs.")],
    grid: Annotated[str, typer.Option("--grid", help="Code of its grid, where the place leaves a choice.")] = "",
    kind: Annotated[str, typer.Option("--kind", help="What it is; default: the guess.")] = "",
    name: Annotated[str, typer.Option("--name", help="Its name, for both languages.")] = "",
    name_en: Annotated[str, typer.Option("--name-en", help="Its English name, if that is another.")] = "",
    device_id: Annotated[str, typer.Option("--id", help="Its id; default: made from the address.")] = "",
    parent: Annotated[str, typer.Option("--parent", help="Id of the gateway that it speaks through.")] = "",
    supervision: Annotated[str, typer.Option("--supervision", help="mains, radio, nbiot or none.")] = "",
    interval_s: Annotated[str, typer.Option("--interval", help="Seconds between its messages.")] = "",
    dry_run: DryRun = False,
    config: ConfigFolder = Path("config"),
) -> None:
    """Make an unknown device a device of a place. The running hub knows it within seconds."""
    from hub.onboarding.claims import Claim

    with _waiting(config, must_exist=False) as (found, _, _settings):
        heard = next((one for one in found if one.address == address), None)
    wanted = Claim(
        id=device_id,
        kind=kind or (heard.guess.kind if heard else ""),
        name_zh=name,
        name_en=name_en or name,
        place=place,
        grid=grid,
        addresses=address,
        parent=parent or (heard.behind if heard else ""),
        model=heard.guess.model if heard else "",
        supervision=supervision,
        interval_s=interval_s,
        source="gridhub devices claim",
    )
    done = _claimed(config, [wanted], dry_run)
    if heard is None:
        typer.echo(f"note: nothing has come from {visible(address)} so far", err=True)
    _tell(done, dry_run)


@group.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="Header with some of the columns of devices.csv.")],
    dry_run: DryRun = False,
    config: ConfigFolder = Path("config"),
) -> None:
    """Add many devices from a CSV file: all of them, or none. Everything that is wrong is said at once, with its line."""
    from hub.onboarding.claims import read_claims

    try:
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as bad:
        complain(f"{file}: {bad.strerror}")
    except UnicodeDecodeError as bad:
        complain(f"{file}: not UTF-8 at byte {bad.start}: save it as “CSV UTF-8”")
    _tell(_claimed(config, read_claims(text, str(file)), dry_run), dry_run)


def _claimed(config: Path, claims: list[Claim], dry_run: bool) -> Claimed:
    from hub.onboarding.claims import claim

    try:
        return claim(config / "registry", claims, dry_run=dry_run)
    except OSError as refused:
        complain(f"{config / 'registry'} cannot be changed: {refused.strerror or refused}; nothing was claimed")


def _tell(done: Claimed, dry_run: bool) -> None:
    for one in done.claims if len(done.claims) <= 20 else ():
        print(",".join(one.cells) if dry_run else f"{one.id}: {one.kind} at {one.place}, grid {one.grid}")
    verb = "would be added; nothing was written" if dry_run else "added; the running hub knows them within seconds"
    print(f"{len(done.claims):,} device{'s' if len(done.claims) != 1 else ''} {verb}")


@contextmanager
def _waiting(config: Path, *, must_exist: bool = True) -> Iterator[tuple[list[UnknownDevice], Registry, Settings]]:
    """The unknown devices of the hub that `config` configures, its registry and settings."""
    from hub.cli.understanding import router_for
    from hub.onboarding.unknown import UNKNOWN_DEVICE, decoder, unknown_devices
    from hub.registry.loader import load
    from hub.settings import load_settings
    from hub.stores.ledger import Ledger
    from hub.stores.quarantine_queries import QuarantineQueries

    settings = load_settings(config)
    registry = load(config / "registry")
    if missing := no_ledger_yet(settings.ledger_url):
        if must_exist:
            complain(missing)
        yield [], registry, settings
        return
    try:
        ledger = Ledger.open(settings.ledger_url, migrate=False)
    except Unavailable as away:
        complain(str(away))
    try:
        rows = [kept.row for kept in QuarantineQueries(ledger).of_reason(UNKNOWN_DEVICE, _MOST)]
    except Unavailable as away:
        complain(str(away))
    finally:
        ledger.close()
    router = router_for(settings, registry)
    yield unknown_devices(rows, registry, decoder(router)), registry, settings


def _json(one: UnknownDevice) -> dict[str, Any]:
    return {
        "address": one.address,
        "count": one.count,
        "first_at_ms": one.first_at_ms,
        "last_at_ms": one.last_at_ms,
        "guess": one.guess.kind,
        "why": one.guess.why,
        "behind": one.behind,
        "alarms": list(one.alarms),
        "messages": [{"topic": row.topic, "count": row.count, "payload": shown(row.payload)} for row in one.rows],
    }
