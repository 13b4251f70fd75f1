"""`gridhub alerts`: alerts that stand for long, and who raises false alarms. Nothing here changes them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, get_args
from zoneinfo import ZoneInfo

import typer

from hub.cli.migrate import ConfigFolder, complain, no_ledger_yet
from hub.clock import now_ms, wall_clock
from hub.errors import Unavailable

if TYPE_CHECKING:
    from hub.alerts.ranking import Ranked, Ranking
    from hub.model.alerts import Alert
    from hub.registry.snapshot import Registry
    from hub.stores.noise_queries import NoiseQueries, Times

_UNITS_MS = {"h": 3_600_000, "d": 86_400_000, "w": 7 * 86_400_000, "m": 30 * 86_400_000, "y": 365 * 86_400_000}
_COLOURS = {"green": "green", "amber": "yellow", "red": "bold red"}
_SEVERITY = {"P1": "bold red", "P2": "dark_orange", "P3": "yellow", "P4": "blue"}
group = typer.Typer(help="Look at alerts that stand for long, and at who raises false alarms.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="JSON instead: times as ms UTC.")]


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="alerts")


@group.command("stale")
def stale(
    hours: Annotated[float, typer.Option("--hours", min=0, help="Held for more than so many hours.")] = 24,
    as_json: Json = False,
    config: ConfigFolder = Path("config"),
) -> None:
    """Show the alerts whose condition has held for long, the oldest first. ISA-18.2 asks for none, or a plan for each."""
    now = now_ms()
    with _noise(config) as room:
        found = room.queries.stale(now, scope=None, over_ms=int(hours * 3_600_000))
        flapping = room.queries.chattering(scope=None)
    if as_json:
        print(json.dumps({"stale": [_json(a, now) for a in found], "chattering": [_json(a, now) for a in flapping]}))
        return
    _show_alerts(f"held for more than {hours:g} h", found, now, room)
    if flapping:
        _show_alerts("flapping now", flapping, now, room)


@group.command("ranking")
def rank(
    by: Annotated[str, typer.Option("--by", help="device, building or rule.")] = "device",
    since: Annotated[
        str, typer.Option("--since", help="A date, a date and time, or how long ago: 36h, 30d, 2w, 6m, 1y.")
    ] = "1y",
    count: Annotated[int, typer.Option("-n", min=1, max=10_000, help="How many rows.")] = 20,
    as_json: Json = False,
    config: ConfigFolder = Path("config"),
) -> None:
    """Rank devices, buildings or rules by their false alarms, and name the sources that alarm most often.

    The rate is false fire alarms for each detector and year; up to 1/50 is to be expected (green), above 1/20 is red.
    """
    from hub.alerts.ranking import By, ranking

    if by not in get_args(By):
        complain(f"--by {by!r} is not known: use {', '.join(get_args(By))}")
    now = now_ms()
    with _noise(config) as room:
        since_ms = _since(since, now, room.zone)
        verdicts = room.queries.verdicts(since_ms, scope=None)
        tests = room.queries.tests(since_ms)
        found = ranking(verdicts, tests, room.registry, by=by, since_ms=since_ms, now_ms=now)  # type: ignore[arg-type]
        sources, alarms = room.queries.sources(since_ms, scope=None)
        flapped = room.queries.flapped(since_ms, scope=None)[:count]
    if as_json:
        said = {
            "by": by,
            "since_ms": since_ms,
            "until_ms": now,
            "total": asdict(found.total),
            "rows": [asdict(row) for row in found.rows[:count]],
            "alarms": alarms,
            "sources": [source._asdict() for source in sources],
            "flapped": [source._asdict() for source in flapped],
        }
        print(json.dumps(said, ensure_ascii=False))
        return
    _show_ranking(found, by, count, room)
    _show_sources(f"alarmed most often (of {alarms:,} alarms)", sources, alarms, room)
    _show_sources("began to flap", flapped, 0, room)


class _Room(NamedTuple):
    queries: NoiseQueries
    registry: Registry
    zone: str

    def called(self, device_id: str) -> str:
        device = self.registry.find(device_id)
        return f"{device_id} ({device.name.en})" if device else device_id

    def place(self, code: str) -> str:
        path = self.registry.path(code) if code else ()
        return ", ".join(p.name.en for p in path[-2:]) or code or "(in no building)"


@contextmanager
def _noise(config: Path) -> Iterator[_Room]:
    """The ledger and the registry of the hub that `config` configures."""
    from hub.registry.loader import load
    from hub.settings import load_settings
    from hub.stores.ledger import Ledger
    from hub.stores.noise_queries import NoiseQueries

    settings = load_settings(config)
    if missing := no_ledger_yet(settings.ledger_url):
        complain(missing)
    registry = load(config / "registry")
    try:
        ledger = Ledger.open(settings.ledger_url, migrate=False)
        try:
            yield _Room(NoiseQueries(ledger), registry, settings.timezone)
        finally:
            ledger.close()
    except Unavailable as away:
        complain(str(away))


def _since(text: str, now: int, zone: str) -> int:
    """The instant that `text` means: an age, or a date (and time) on the wall of the site."""
    if found := re.fullmatch(r"-?(\d{1,6})\s*([hdwmy])", text.strip()):
        return max(now - int(found[1]) * _UNITS_MS[found[2]], 0)
    try:
        given = datetime.fromisoformat(text.strip())
    except ValueError:
        complain(f"--since {text!r} is no time: use an age such as 30d, or a date such as 2026-01-31")
    if given.tzinfo is None:
        given = given.replace(tzinfo=ZoneInfo(zone))
    at_ms = int(given.astimezone(UTC).timestamp() * 1_000)
    if at_ms >= now:
        complain(f"--since {text!r} lies in the future")
    return max(at_ms, 0)


def _json(alert: Alert, now: int) -> dict[str, Any]:
    return {
        "id": alert.id,
        "severity": alert.severity,
        "rule": alert.rule_id,
        "device": alert.device_id,
        "grid": alert.grid,
        "place": alert.place_en,
        "raised_at_ms": alert.raised_at_ms,
        "held_s": max(now - alert.received_at_ms, 0) // 1_000,
        "case_state": alert.case_state,
        "occurrences": alert.occurrences,
        "chattering": alert.chattering,
    }


def _show_alerts(title: str, alerts: list[Alert], now: int, room: _Room) -> None:
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    if not alerts:
        print(f"no alert is {title}" if title.startswith("flapping") else f"no alert has been {title}")
        return
    table = Table(
        Column("", no_wrap=True),
        Column("since", no_wrap=True),
        Column("held", justify="right", no_wrap=True),
        *(Column(name, overflow="fold") for name in ("what", "device", "place", "case")),
        title=f"{len(alerts)} alert{'s' if len(alerts) != 1 else ''} {title}",
        title_justify="left",
        box=None,
    )
    for alert in alerts:
        table.add_row(
            Text(alert.severity, style=_SEVERITY.get(alert.severity, "")),
            wall_clock(alert.received_at_ms, room.zone, "%m-%d %H:%M"),
            _age(now - alert.received_at_ms),
            *map(Text, (alert.title_en, alert.device_id, alert.place_en, alert.case_state.replace("_", " "))),
        )
    Console(highlight=False).print(table)


def _show_ranking(found: Ranking, by: str, count: int, room: _Room) -> None:
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    numbers = (
        Column(n, justify="right", no_wrap=True)
        for n in ("false", "real", "undecided", "test", "detectors", "rate/year")
    )
    since = wall_clock(found.since_ms, room.zone, "%Y-%m-%d %H:%M")
    table = Table(Column(by, overflow="fold"), *numbers, title=f"Alarms since {since}", title_justify="left", box=None)
    names: dict[str, Callable[[str], str]] = {"device": room.called, "building": room.place, "rule": str}
    for row in found.rows[:count]:
        table.add_row(Text(names[by](row.key)), *_numbers(row))
    table.add_section()
    table.add_row(Text("all together", style="bold"), *_numbers(found.total))
    console = Console(highlight=False)
    console.print(table)
    if len(found.rows) > count:
        console.print(f"… and {len(found.rows) - count} more: give -n {len(found.rows)}")


def _numbers(row: Ranked) -> list[Any]:
    from rich.text import Text

    counts = [f"{n:,}" if n else "·" for n in (row.false, row.real, row.undecided, row.test, row.detectors)]
    rate = "–" if row.rate is None else f"{row.rate:.3f} {row.level}"
    return [*counts, Text(rate, style=_COLOURS.get(row.level or "", ""))]


def _show_sources(title: str, sources: list[Times], of_all: int, room: _Room) -> None:
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    if not sources:
        return
    table = Table(
        Column("times", justify="right", no_wrap=True),
        *((Column("share", justify="right", no_wrap=True),) if of_all else ()),
        *(Column(name, overflow="fold") for name in ("rule", "device")),
        title=f"\nSources that {title}",
        title_justify="left",
        box=None,
    )
    for source in sources:
        share = [f"{source.times / of_all:.0%}"] if of_all else []
        table.add_row(f"{source.times:,}", *share, Text(source.rule_id), Text(room.called(source.device_id)))
    Console(highlight=False).print(table)


def _age(ms: int) -> str:
    hours = max(ms, 0) // 3_600_000
    return f"{hours} h" if hours < 72 else f"{hours // 24} d"
