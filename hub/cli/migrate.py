"""`gridhub migrate`: makes or updates the ledger's tables. The hub does it at start too; this is for doing it beforehand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NoReturn

import typer

from hub.errors import Unavailable

ConfigFolder = Annotated[Path, typer.Option("--config", help="Configuration folder (its hub.yaml names the ledger).")]
LedgerUrl = Annotated[str, typer.Option("--url", help="Database URL instead, e.g. postgresql://user@host/name.")]


def register(app: typer.Typer) -> None:
    app.command("migrate")(migrate)


def migrate(config: ConfigFolder = Path("config"), url: LedgerUrl = "") -> None:
    """Bring the ledger's tables up to date. Safe to repeat, and while hubs are running."""
    from hub.stores import migrating
    from hub.stores.ledger import Ledger

    try:
        ledger = Ledger.unprepared(ledger_url(config, url))
        try:
            before, after = migrating.upgrade(ledger)
        finally:
            ledger.close()
    except Unavailable as away:
        complain(str(away))
    if before == after:
        print(f"{ledger.name}: up to date at revision {after}")
    else:
        print(f"{ledger.name}: revision {before or 'none'} → {after}")


def ledger_url(config: Path, url: str) -> str:
    """`url` if given, else what the configuration says. Raises ConfigError when that is wrong."""
    from hub.settings import load_settings

    return url or load_settings(config).ledger_url


def no_ledger_yet(url: str) -> str:
    """Why there is nothing to look into at `url`, or "" when there is: opening an SQLite file that is not there would make it."""
    from hub.stores.ledger import Ledger

    ledger = Ledger.unprepared(url)
    try:
        file = ledger.file
    finally:
        ledger.close()
    if file is None or file.exists():
        return ""
    return f"there is no ledger at {file}: start the hub first, or name its configuration folder with --config"


def complain(message: str) -> NoReturn:
    """Ends the command with exit code 1 and `message` on standard error."""
    typer.echo(message, err=True)
    raise typer.Exit(1)
