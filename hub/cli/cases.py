"""`gridhub cases`: look at cases, and take work orders of the 12345 line from a CSV file."""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, get_args

import typer

from hub.cli.migrate import ConfigFolder, complain, no_ledger_yet
from hub.clock import now_ms, wall_clock
from hub.errors import NotFound, Unavailable
from hub.model.cases import Source, numbered_id

if TYPE_CHECKING:
    from hub.alerts.work_orders import Table
    from hub.model.cases import Case
    from hub.registry.snapshot import Registry
    from hub.stores.ledger import Ledger

_SHOWN_WRONG = 50
group = typer.Typer(help="Look at cases, and take work orders of the 12345 line.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="JSON instead: times as ms UTC.")]


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="cases")


@group.command("import")
def take(
    file: Annotated[Path, typer.Argument(help="CSV with a line of headings, in UTF-8 or GB 18030.", dir_okay=False)],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would come in.")] = False,
    as_json: Json = False,
    config: ConfigFolder = Path("config"),
) -> None:
    """Take work orders of the 12345 line as cases. The same number comes in once, however often the file is given.

    Exit 1 when a row is wrong (the others come in), or the file cannot be used.
    """
    from hub.alerts.spots import grid_named
    from hub.alerts.work_orders import NEEDED, decoded, read_csv

    try:
        text = decoded(file.read_bytes())
    except OSError as bad:
        complain(f"{file} cannot be read: {bad.strerror}")
    if text is None:
        complain(f"{file} is neither UTF-8 nor GB 18030: save it as CSV again")
    with _room(config) as room:
        now = now_ms()
        table = read_csv(text, lambda said: grid_named(room.registry, said), room.zone, now)
        if table.missing:
            found = f"; found: {', '.join(table.unused)}" if table.unused else ""
            complain(f"{file} has no column for {', '.join(table.missing)} (needed: {', '.join(NEEDED)}){found}")
        done = _taken(room, table, now, dry_run=dry_run)
    if as_json:
        print(json.dumps({**done._asdict(), "dry_run": dry_run, "unused": table.unused}, ensure_ascii=False))
    else:
        _say(file, table, done, dry_run=dry_run)
    if done.wrong:
        raise typer.Exit(1)


@group.command("list")
def show(
    source: Annotated[str, typer.Option("--source", help="Only: alert, report or hotline.")] = "",
    closed: Annotated[bool, typer.Option("--closed", help="Closed ones instead of open ones.")] = False,
    count: Annotated[int, typer.Option("-n", min=1, max=500, help="How many rows.")] = 50,
    as_json: Json = False,
    config: ConfigFolder = Path("config"),
) -> None:
    """Show the open cases, the newest first."""
    from hub.stores.case_queries import CaseQueries

    if source and source not in get_args(Source):
        complain(f"--source {source!r} is not known: use {', '.join(get_args(Source))}")
    with _room(config) as room:
        queries = CaseQueries(room.ledger)
        rows = queries.list(scope=None, open_only=not closed, source=[source] if source else None, limit=count).rows
        if as_json:
            print(json.dumps([_json(case) for case in rows], ensure_ascii=False))
            return
        _show(rows, room.zone, now_ms())


class _Room(NamedTuple):
    ledger: Ledger
    registry: Registry
    zone: str
    folder: Path


class _Done(NamedTuple):
    new: int
    known: int
    wrong: list[dict[str, Any]]


@contextmanager
def _room(config: Path) -> Iterator[_Room]:
    """The ledger and the registry of the hub that `config` configures."""
    from hub.registry.loader import load
    from hub.settings import load_settings
    from hub.stores.ledger import Ledger

    settings = load_settings(config)
    if missing := no_ledger_yet(settings.ledger_url):
        complain(missing)
    registry = load(config / "registry")
    try:
        ledger = Ledger.open(settings.ledger_url, migrate=False)
        try:
            yield _Room(ledger, registry, settings.timezone, config)
        finally:
            ledger.close()
    except Unavailable as away:
        complain(str(away))


def _taken(room: _Room, table: Table, now: int, *, dry_run: bool) -> _Done:
    from hub.alerts.case_desk import CaseDesk
    from hub.alerts.desk import Desk
    from hub.dispatch.escalation import StandardPlanner, load_policy
    from hub.model.alerts import Actor
    from hub.stores.case_queries import CaseQueries

    queries = CaseQueries(room.ledger)
    policy = load_policy(room.folder / "escalation.yaml")
    desk = CaseDesk(Desk(room.ledger, StandardPlanner(lambda: room.registry, policy, room.zone)))
    actor = Actor(id=f"cli:{_user()}", name=_user(), role="machine", grids=("*",), via="cli")
    new, wrong = (
        0,
        [{"line": row.line, "number": row.number, "wrong": list(row.wrong)} for row in table.rows if row.wrong],
    )
    known = 0
    for row in table.rows:
        if row.report is None:
            continue
        if dry_run:
            is_new = queries.one(numbered_id("hotline", row.number)) is None
        else:
            try:
                is_new = desk.report(row.report, actor, now)[1]
            except NotFound as refused:
                wrong.append({"line": row.line, "number": row.number, "wrong": [refused.message]})
                continue
        new, known = (new + 1, known) if is_new else (new, known + 1)
    return _Done(new, known, wrong)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "operator"


def _say(file: Path, table: Table, done: _Done, *, dry_run: bool) -> None:
    for row in done.wrong[:_SHOWN_WRONG]:
        typer.echo(f"{file}:{row['line']}: {row['number'] or '(no number)'}: {'; '.join(row['wrong'])}", err=True)
    if len(done.wrong) > _SHOWN_WRONG:
        typer.echo(f"… and {len(done.wrong) - _SHOWN_WRONG} more rows that are wrong", err=True)
    if table.unused:
        print(f"not taken over: {', '.join(table.unused)}")
    would = "would come in" if dry_run else "came in"
    print(f"{done.new} new {would}, {done.known} known already, {len(done.wrong)} wrong")


def _json(case: Case) -> dict[str, Any]:
    names = ("id", "source", "number", "severity", "step", "handling", "assignee", "grid", "opened_at_ms", "due_at_ms")
    return {name: getattr(case, name) for name in names} | {"title": case.title_zh, "place": case.place_text}


def _show(rows: list[Case], zone: str, now: int) -> None:
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    if not rows:
        print("no case")
        return
    table = Table(
        *(Column(name, no_wrap=True) for name in ("", "since", "step")),
        *(Column(name, overflow="fold") for name in ("what", "where", "number", "with")),
        title=f"{len(rows)} case{'s' if len(rows) != 1 else ''}",
        title_justify="left",
        box=None,
    )
    for case in rows:
        late = case.due_at_ms is not None and (case.closed_at_ms or now) > case.due_at_ms
        step = case.step.replace("_", " ") + (" (late)" if late else "")
        since = wall_clock(case.opened_at_ms, zone, "%m-%d %H:%M")
        cells = (case.severity, since, step, case.title_zh, case.place_text, case.number or "", case.assignee)
        table.add_row(*map(Text, cells))
    Console(highlight=False).print(table)
