"""`gridhub token`: access tokens for people and machines."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from hub.cli.migrate import ConfigFolder, LedgerUrl, complain, ledger_url, no_ledger_yet
from hub.clock import now_ms
from hub.errors import Refusal, Unavailable
from hub.model.alerts import Role

if TYPE_CHECKING:
    from hub.stores.tokens import Tokens

_DAY_MS = 86_400_000
group = typer.Typer(help="Access tokens for people and machines.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="token")


@group.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Who or what will use it.")],
    role: Annotated[str, typer.Option("--role", help="viewer, grid_worker, station, officer, admin or machine.")],
    grid: Annotated[list[str] | None, typer.Option("--grid", help="Code of a grid it may see; repeatable.")] = None,
    station: Annotated[
        list[str] | None, typer.Option("--station", help="Id of a station whose alerts it may see; repeatable.")
    ] = None,
    everywhere: Annotated[bool, typer.Option("--all", help="It may see every grid and station.")] = False,
    person: Annotated[str, typer.Option("--person", help="Id of the person that it stands for.")] = "",
    days: Annotated[float, typer.Option("--days", min=0, help="Valid for so many days; 0 = until revoked.")] = 0,
    config: ConfigFolder = Path("config"),
    url: LedgerUrl = "",
) -> None:
    """Make a token. Its secret goes to standard output, once; nobody can read it again."""
    grids, stations = list(grid or ()), list(station or ())
    if everywhere:
        grids, stations = ["*"], ["*"]
    if not grids and not stations:
        complain("the token could see nothing: give --grid, --station or --all")
    if not url:
        _must_exist(config, [] if everywhere else grids, [] if everywhere else stations, person)
    now = now_ms()
    with _tokens(config, url) as tokens:
        secret = tokens.create(
            name,
            cast(Role, role),
            grids,
            stations,
            person=person,
            expires_at_ms=now + int(days * _DAY_MS) if days else None,
            now_ms=now,
        )
    typer.echo("Keep it safe, it is not shown again:", err=True)
    print(secret)


@group.command("list")
def list_(config: ConfigFolder = Path("config"), url: LedgerUrl = "") -> None:
    """Show every token, without its secret."""
    from rich.console import Console
    from rich.table import Column, Table

    now = now_ms()
    rest = (Column(title, overflow="fold") for title in ("name", "role", "sees", "person", "made", "state"))
    table = Table(Column("id", no_wrap=True), *rest, box=None)
    with _tokens(config, url, must_exist=True) as tokens:
        for token in tokens.list():
            sees = "all" if "*" in (*token.grids, *token.stations) else " ".join((*token.grids, *token.stations))
            if token.revoked_at_ms is not None:
                state = f"revoked {_day(token.revoked_at_ms)}"
            elif token.expires_at_ms is not None:
                state = f"{'good until' if token.is_good(now) else 'expired'} {_day(token.expires_at_ms)}"
            else:
                state = "good"
            table.add_row(token.id, token.name, token.role, sees, token.person, _day(token.created_at_ms), state)
    Console().print(table)


@group.command("revoke")
def revoke(
    token_id: Annotated[str, typer.Argument(help="The id that `gridhub token list` shows.")],
    config: ConfigFolder = Path("config"),
    url: LedgerUrl = "",
) -> None:
    """End a token at once."""
    with _tokens(config, url, must_exist=True) as tokens:
        if not tokens.revoke(token_id, now_ms()):
            complain(f"there is no token {token_id!r}: see `gridhub token list`")
    print(f"token {token_id} is revoked")


@contextmanager
def _tokens(config: Path, url: str, *, must_exist: bool = False) -> Iterator[Tokens]:
    from hub.stores.ledger import Ledger
    from hub.stores.tokens import Tokens

    url = ledger_url(config, url)
    if must_exist and (missing := no_ledger_yet(url)):
        complain(missing)
    try:
        ledger = Ledger.open(url, migrate=not must_exist)
        try:
            yield Tokens(ledger)
        finally:
            ledger.close()
    except Refusal as refused:
        complain(f"{refused.message}: {refused.remedy}")
    except Unavailable as away:
        complain(str(away))


def _must_exist(config: Path, grids: list[str], stations: list[str], person: str) -> None:
    """A token for a grid that does not exist would show nothing, and nobody would know why."""
    from hub.registry.loader import load

    registry = load(config / "registry")
    for what, given, known in (
        ("grid", grids, registry.grids),
        ("station", stations, registry.stations),
        ("person", [person] if person else [], registry.people),
    ):
        for code in given:
            _known_or_complain(what, code, known)


def _known_or_complain(what: str, code: str, known: Collection[str]) -> None:
    if code not in known:
        near = difflib.get_close_matches(code, list(known), n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known)[:10])}"
        complain(f"there is no {what} {code!r} in the registry; {hint}")


def _day(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1_000, UTC).date().isoformat()
