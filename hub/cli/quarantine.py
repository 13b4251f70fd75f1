"""`gridhub quarantine`: look at the messages that the hub could not use. Nothing here changes them."""

from __future__ import annotations

import base64
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
    from hub.stores.quarantine_queries import Kept, QuarantineQueries

_MOST_ID = 2**63 - 1
group = typer.Typer(help="Look at the messages that the hub could not use.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="JSON instead: times as ms UTC, the payload as base64.")]


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="quarantine")


@group.command("list")
def list_(
    count: Annotated[int, typer.Option("-n", min=1, max=10_000, help="How many entries.")] = 50,
    as_json: Json = False,
    config: ConfigFolder = Path("config"),
) -> None:
    """Show the entries, one for each topic and reason, the latest first. Times are those of the site."""
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    with _quarantine(config) as (queries, zone):
        found = queries.list(count)
    if as_json:
        print(json.dumps([_json(kept) for kept in found], ensure_ascii=False))
        return
    if not found:
        print("the quarantine is empty")
        return
    table = Table(
        Column("id", no_wrap=True),
        Column("last", no_wrap=True),
        Column("count", justify="right", no_wrap=True),
        *(Column(name, overflow="fold") for name in ("reason", "topic")),
        box=None,
    )
    for kept in found:
        row = kept.row
        words = (Text(visible(text)) for text in (row.reason, row.topic))
        table.add_row(str(kept.id), wall_clock(row.last_at_ms, zone, "%m-%d %H:%M:%S"), f"{row.count:,}", *words)
    Console(highlight=False).print(table)
    print("one of them whole: gridhub quarantine show ID")


@group.command("show")
def show(
    number: Annotated[int, typer.Argument(metavar="ID", min=0, max=_MOST_ID, help="The id that `list` shows.")],
    as_json: Json = False,
    config: ConfigFolder = Path("config"),
) -> None:
    """Show one entry with what is wrong with it, and the latest message as it came."""
    from rich.console import Console
    from rich.text import Text

    with _quarantine(config) as (queries, zone):
        kept = queries.one(number)
    if kept is None:
        complain(f"there is no entry {number}: see `gridhub quarantine list`")
    if as_json:
        print(json.dumps(_json(kept), ensure_ascii=False))
        return
    row = kept.row
    lines = (
        ("topic", row.topic),
        ("reason", row.reason),
        ("detail", row.detail),
        ("dialect", row.codec),
        ("address", row.address),
        ("count", f"{row.count:,}"),
        ("first", wall_clock(row.first_at_ms, zone, "%Y-%m-%d %H:%M:%S")),
        ("last", wall_clock(row.last_at_ms, zone, "%Y-%m-%d %H:%M:%S")),
        ("journal position", str(row.position)),
        ("payload", shown(row.payload)),
    )
    console = Console(soft_wrap=True, highlight=False)
    for name, text in lines:
        if text:
            console.print(Text(f"{name:<18}", style="bold").append(visible(text), style="not bold"))


@contextmanager
def _quarantine(config: Path) -> Iterator[tuple[QuarantineQueries, str]]:
    """The quarantine of the hub that `config` configures, and the zone of its site."""
    from hub.settings import load_settings
    from hub.stores.ledger import Ledger
    from hub.stores.quarantine_queries import QuarantineQueries

    settings = load_settings(config)
    if missing := no_ledger_yet(settings.ledger_url):
        complain(missing)
    try:
        ledger = Ledger.open(settings.ledger_url, migrate=False)
        try:
            yield QuarantineQueries(ledger), settings.timezone
        finally:
            ledger.close()
    except Unavailable as away:
        complain(str(away))


def _json(kept: Kept) -> dict[str, Any]:
    row = kept.row
    return {
        "id": kept.id,
        "topic": row.topic,
        "reason": row.reason,
        "codec": row.codec,
        "detail": row.detail,
        "address": row.address,
        "count": row.count,
        "first_at_ms": row.first_at_ms,
        "last_at_ms": row.last_at_ms,
        "position": row.position,
        "payload": base64.b64encode(row.payload).decode(),
    }
