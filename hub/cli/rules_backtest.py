"""`gridhub rules backtest`: what rules would have said to recorded readings, and how two sets of them differ."""

from __future__ import annotations

import json
import os
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli.backtest_sources import Opened, opened
from hub.cli.instants import instant, local
from hub.cli.migrate import complain
from hub.clock import cpu_s, now_ms
from hub.errors import Unavailable

if TYPE_CHECKING:
    from rich.console import Console

    from hub.rules.ruleset import RuleSet
    from hub.rules.testing.backtest import Backtest

_FOR_EVER = 1 << 61
_SHOWN = 10
_SHOWN_DIFFERENCES = 20

Rules = Annotated[Path | None, typer.Option("--rules", help="Folder of the rules to try (default: those of --config).")]
Only = Annotated[
    list[str] | None,
    typer.Option("--rule", help="Only this rule, and those that it refers to; may be given again.", metavar="ID"),
]
Compare = Annotated[Path | None, typer.Option("--compare", help="Folder of a second set (B), to see what differs.")]
From = Annotated[
    str, typer.Option("--from", metavar="TIME", help="Begin: 2024-01-01, an instant, or -7d (default: all).")
]
To = Annotated[str, typer.Option("--to", metavar="TIME", help="End, not included (default: all there is).")]
JournalOf = Annotated[Path | None, typer.Option("--journal", help="A journal's folder (default: that of --config).")]
History = Annotated[bool, typer.Option("--history", help="The history of --config instead: embedded or InfluxDB.")]
CsvFile = Annotated[
    Path | None, typer.Option("--csv", help="A CSV file instead: time,device,quantity,value[,received].")
]
Config = Annotated[Path, typer.Option("--config", help="Configuration folder: registry, zone, and where records are.")]
Out = Annotated[Path | None, typer.Option("--out", help="Write a page with charts: report.html.", metavar="HTML")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")]
WarmUp = Annotated[
    str, typer.Option("--warm-up", help="Read so long before --from, so that delays and silence are known by then.")
]


def register(group: typer.Typer) -> None:
    group.command("backtest")(backtest)


def backtest(
    rules: Rules = None,
    only: Only = None,
    compare: Compare = None,
    begin: From = "",
    end: To = "",
    journal: JournalOf = None,
    history: History = False,
    csv: CsvFile = None,
    config: Config = Path("config"),
    out: Out = None,
    as_json: AsJson = False,
    warm_up: WarmUp = "1h",
) -> None:
    """Play recorded readings to rules: alerts by day, device and rule. Nothing is stored in the ledger, nobody is told."""
    from hub import telemetry
    from hub.registry.loader import load
    from hub.rules.calendar_file import load_context
    from hub.rules.ruleset import load_rules
    from hub.rules.testing.backtest import Backtest
    from hub.settings import load_settings

    telemetry.configure_logging(level="CRITICAL")
    if sum((journal is not None, history, csv is not None)) > 1:
        complain("give one of --journal, --history and --csv")
    if out is not None and out.suffix.lower() not in (".html", ".htm"):
        complain(f"--out {out}: the report is a page with charts inside it; name it .html")
    settings = load_settings(config)
    context = load_context(config, zone=settings.timezone)
    first = load_rules(rules or config / "rules", context=context)
    second = None if compare is None else load_rules(compare, context=context)
    if only:
        first, second = _chosen(first, only), None if second is None else _chosen(second, only)
    registry = load(config / "registry")
    now = now_ms()
    from_ms = instant(begin, "--from", zone=settings.timezone, now_ms=now) if begin else 0
    to_ms = instant(end, "--to", zone=settings.timezone, now_ms=now) if end else _FOR_EVER
    if to_ms <= from_ms:
        complain("--to lies before --from")
    read_from = max(0, from_ms - _length(warm_up)) if begin else 0
    with ExitStack() as closing:
        source = opened(settings, registry, journal, history, csv, (read_from, to_ms), closing)
        test = Backtest(
            registry,
            first,
            second,
            start_ms=source.start_ms // 1_000 * 1_000,
            zone=settings.timezone,
            judge_unheard=source.judge_unheard,
            count_from_ms=from_ms,
        )
        try:
            spent = _play(test, source, quiet=as_json)
        except Unavailable as away:
            complain(str(away))
    test.finish(to_ms if to_ms < now else None)
    about = _about(source, first, second, rules or config / "rules", compare, test, spent)
    if out is not None:
        _write(out, test, about, settings.timezone)
    if as_json:
        from hub.rules.testing.backtest_report import as_data

        json.dump(as_data(test, about), sys.stdout, ensure_ascii=False)
        sys.stdout.write("\n")
    else:
        _show(test, about, source, settings.timezone, out)


def _chosen(rules: RuleSet, only: list[str]) -> RuleSet:
    import difflib

    from hub.rules.testing.scenes import with_references

    known = [rule.spec.id for rule in rules.rules]
    for name in only:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            complain(f"--rule {name}: there is no such rule" + (f"; did you mean {near[0]}?" if near else ""))
    return with_references(rules, only)


def _length(text: str) -> int:
    from hub.rules.testing import spans

    try:
        return spans.parsed(text)
    except ValueError as bad:
        complain(f"--warm-up {text!r}: {bad}")


@dataclass(slots=True)
class _Spent:
    """Processor seconds of reading (parsing included) and of judging."""

    read_s: float = 0.0
    judge_s: float = 0.0


def _play(test: Backtest, source: Opened, *, quiet: bool) -> _Spent:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    spent = _Spent()
    console = Console(stderr=True)
    columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as progress:
        task = progress.add_task("", total=1.0)
        for piece in source.pieces:
            began = cpu_s()
            if piece.ticked:
                test.segment(piece.batch, piece.tick_ms, piece.last_ms)
            else:
                test.run(piece.batch)
            spent.judge_s += cpu_s() - began
            spent.read_s += piece.read_s
            speed = test.readings / max(1e-9, spent.judge_s + spent.read_s)
            progress.update(task, completed=piece.done, description=f"{test.readings:,} readings, {speed:,.0f}/s")
    return spent


def _about(
    source: Opened,
    first: RuleSet,
    second: RuleSet | None,
    rules: Path,
    compare: Path | None,
    test: Backtest,
    spent: _Spent,
) -> dict[str, Any]:
    about: dict[str, Any] = {
        "source": source.name,
        "rules": f"{rules} ({len(first.rules)} rules, version {first.version})",
    }
    if second is not None:
        about["compared_with"] = f"{compare} ({len(second.rules)} rules, version {second.version})"
    about["reading_s"] = round(spent.read_s, 3)
    about["judging_s"] = round(spent.judge_s, 3)
    about["judged_per_s"] = round(test.readings * len(test.sides) / spent.judge_s) if spent.judge_s else 0
    notes = list(source.notes())
    if test.disordered:
        notes.append(f"{test.disordered:,} readings came out of order and were judged as if they came then")
    if test.holes:
        notes.append(f"{test.holes:,} holes of more than two days: no silence was judged in them")
    if any(not side.kept_all for side in test.sides):
        notes.append("so many alerts that only the first ones have durations; the counts are of all")
    about["notes"] = notes
    return about


def _write(path: Path, test: Backtest, about: dict[str, Any], zone: str) -> None:
    from hub.rules.testing.backtest_report import as_page

    shown = {**about, "notes": "; ".join(about["notes"]) or "none"}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(as_page(test, shown, zone))
    except OSError as error:
        complain(f"{path} cannot be written: {error.strerror or error}")


def _show(test: Backtest, about: dict[str, Any], source: Opened, zone: str, out: Path | None) -> None:
    from rich.console import Console
    from rich.text import Text

    from hub.rules.testing.backtest_report import how_long

    console = Console(highlight=False)
    when = f"{local(test.count_from_ms, zone)} … {local(test.end_ms, zone)}"
    console.print(Text(f"{test.readings:,} readings, {when} ({how_long(test)}), from {source.name}"))
    console.print(
        Text(
            f"processor time: reading {about['reading_s']:.1f} s, judging {about['judging_s']:.1f} s: {about['judged_per_s']:,} readings/s",
            style="dim",
        )
    )
    for note in about["notes"]:
        console.print(Text(f"note: {note}", style="yellow"))
    if test.comparison is None:
        _show_rules(console, test)
    else:
        _show_difference(console, test, zone)
    _show_days(console, test)
    if out is not None:
        console.print(f"report: {out}")


def _show_rules(console: Console, test: Backtest) -> None:
    from rich.table import Table

    from hub.rules.testing.backtest_report import how_long, span

    (episodes,) = test.sides
    table = Table(title=f"{episodes.total:,} alerts in {how_long(test)}", title_justify="left")
    daily = ("per day",) if test.days >= 1 else ()  # what minutes would come to in a day says nothing
    for head in ("", "rule", "alerts", "devices", *daily, "median", "longest", "open", "flapping"):
        name = head in ("", "rule")
        table.add_column(head, justify="left" if name else "right", no_wrap=not name, overflow="fold")
    for f in episodes.figures(test.days):
        each_day = (f"{f.per_day:.1f}",) if daily else ()
        numbers = (f"{f.episodes:,}", f"{f.devices:,}", *each_day, span(f.median_s), span(f.longest_s))
        table.add_row(f.severity, f.rule, *numbers, f"{f.open:,}", f"{f.chatter:,}", style=_style(f.severity))
    console.print(table)
    noisiest = episodes.by_device.most_common(_SHOWN)
    if noisiest and noisiest[0][1] > 1:
        table = Table(title="Noisiest", title_justify="left")
        for head in ("rule", "device", "alerts"):
            table.add_column(head, justify="right" if head == "alerts" else "left", overflow="fold")
        for (rule, device), number in noisiest:
            table.add_row(rule, device, f"{number:,}")
        console.print(table)


def _show_difference(console: Console, test: Backtest, zone: str) -> None:
    from rich.table import Table

    from hub.rules.testing.backtest_report import in_words

    assert test.comparison is not None
    a, b = test.sides
    table = Table(title=f"{a.total:,} alerts in A, {b.total:,} in B", title_justify="left")
    for head in ("rule", "A", "B", "same", "only in A", "only in B", "earlier in B", "later in B"):
        table.add_column(head, justify="left" if head == "rule" else "right", overflow="fold")
    counts = [{f.rule: f.episodes for f in side.figures(test.days)} for side in test.sides]
    for rule in sorted(test.comparison.tallies):
        t = test.comparison.tallies[rule]
        style = "yellow" if t.differs else "dim"
        numbers = (*(c.get(rule, 0) for c in counts), t.same, t.only_a, t.only_b, t.earlier, t.later)
        table.add_row(rule, *(f"{n:,}" for n in numbers), style=style)
    console.print(table)
    kept = test.comparison.kept
    if not kept:
        console.print("[bold green]The two sets say the same.[/]")
        return
    table = Table(title="Differences", title_justify="left")
    for head in ("raised", "rule", "device", "what"):
        table.add_column(head, overflow="fold")
    for d in islice(sorted(kept, key=lambda d: d.raised_ms), _SHOWN_DIFFERENCES):
        table.add_row(local(d.raised_ms, zone), d.rule, d.device, in_words(d))
    console.print(table)
    more = len(kept) + test.comparison.dropped - _SHOWN_DIFFERENCES
    if more > 0:
        console.print(f"… and {more:,} more; --json and --out list them")


def _show_days(console: Console, test: Backtest) -> None:
    """A bar for each day."""
    days = sorted({day for side in test.sides for day in side.days})
    if len(days) < 2:
        return
    most = max(sum(side.days.get(day, {}).values()) for side in test.sides for day in days)
    for day in days[-31:]:
        for name, side in zip(("A", "B") if len(test.sides) == 2 else ("",), test.sides, strict=True):
            number = sum(side.days.get(day, {}).values())
            console.print(f"{day} {name:1} {'█' * round(40 * number / most) or ('▏' if number else '')} {number:,}")


def _style(severity: str) -> str:
    return {"P1": "bold red", "P2": "yellow"}.get(severity, "")
