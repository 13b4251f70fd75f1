"""`gridhub rules shadow`: what rules in shadow mode would have said otherwise than the live ones."""

from __future__ import annotations

import json
import sys
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from hub.cli.instants import local
from hub.cli.migrate import ConfigFolder, complain

_SHOWN = 30
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")]


def register(group: typer.Typer) -> None:
    group.command("shadow")(shadow)


def shadow(config: ConfigFolder = Path("config"), as_json: AsJson = False) -> None:
    """Show what the rules in rules/shadow/ would have said otherwise than the live ones, since the hub took them up."""
    from hub.settings import load_settings
    from hub.shadowing import REPORT

    settings = load_settings(config)
    path = settings.data / REPORT
    try:
        told = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        complain(f"{path}: there is no report. Put rules into {config / 'rules' / 'shadow'} and start the hub")
    except (OSError, ValueError) as bad:
        complain(f"{path} cannot be read: {bad}")
    if as_json:
        json.dump(told, sys.stdout, ensure_ascii=False)
        sys.stdout.write("\n")
        return
    _show(told, settings.timezone, config)


def _show(told: dict[str, Any], zone: str, config: Path) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    report = told["report"]
    trouble = told["trouble"] or (report or {}).get("trouble", "")
    if trouble:
        console.print(Text(f"the shadow does not run: {trouble}", style="bold red"))
    if report is None:
        if not trouble:
            console.print(f"no rules are in shadow mode: put some into {config / 'rules' / 'shadow'}")
        return
    began, until = local(report["since_ms"], zone), local(report["at_ms"], zone)
    console.print(f"{report['readings']:,} readings, {began} … {until}; nobody was told of any of this")
    table = Table()
    for head in ("rule", "against", "same", "would have fired", "would not have", "earlier", "later"):
        table.add_column(head, justify="left" if head in ("rule", "against") else "right", overflow="fold")
    for rule in report["rules"]:
        live = rule["live_version"]
        against = "no live rule" if not live else "the same" if live == rule["version"] else f"version {live}"
        times = [_mean(rule[kind], rule[f"mean_{kind}_s"]) for kind in ("earlier", "later")]
        counts = [f"{rule[kind]:,}" for kind in ("same", "would_have_fired", "would_not_have")]
        table.add_row(f"{rule['severity']} {rule['id']}", against, *counts, *times)
    console.print(table)
    differences = report["differences"]
    if not differences:
        return
    table = Table(title="Differences, newest first", title_justify="left")
    for head in ("raised", "rule", "device", "what"):
        table.add_column(head, overflow="fold")
    for d in islice(differences, _SHOWN):
        words = f"{abs(d['later_ms']) / 1_000:g} s {d['kind']}" if d["later_ms"] else d["kind"]
        table.add_row(local(d["raised_ms"], zone), d["rule"], d["device"], words + (" (so far)" if d["open"] else ""))
    console.print(table)
    more = len(differences) - _SHOWN + report["not_listed"]
    if more > 0:
        console.print(f"… and {more:,} more; --json lists what is kept")


def _mean(number: int, mean_s: float) -> str:
    return f"{number:,} (by {mean_s:g} s)" if number else "0"
