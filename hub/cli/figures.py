"""`gridhub figures`: how well alarms are answered and cases closed, and what the alarms ask of people. See docs/figures.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli.instants import instant, local
from hub.cli.migrate import ConfigFolder, complain, no_ledger_yet
from hub.clock import now_ms
from hub.errors import Unavailable

if TYPE_CHECKING:
    from hub.stores.figure_queries import FigureQueries, Span


def register(app: typer.Typer) -> None:
    app.command("figures")(figures)


def figures(
    since: Annotated[str, typer.Option("--since", help="From when: 2026-11-01, or -30d for thirty days ago.")] = "-30d",
    until: Annotated[str, typer.Option("--until", help="Up to when; the time of the site.")] = "now",
    as_json: Annotated[
        bool, typer.Option("--json", help="JSON instead: ratios from 0 to 1, null where there is nothing.")
    ] = False,
    config: ConfigFolder = Path("config"),
) -> None:
    """Show MTTA, MTTR, 1-3-5, closing rates and the load of people, of the whole site; without tests and drills."""
    from hub.settings import load_settings
    from hub.stores.figure_queries import FigureQueries, Span
    from hub.stores.ledger import Ledger

    settings = load_settings(config)
    if missing := no_ledger_yet(settings.ledger_url):
        complain(missing)
    at_ms = now_ms()
    since_ms = instant(since, "--since", zone=settings.timezone, now_ms=at_ms)
    until_ms = min(instant(until, "--until", zone=settings.timezone, now_ms=at_ms), at_ms)
    if since_ms >= until_ms:
        complain("--since must lie before --until")
    try:
        ledger = Ledger.open(settings.ledger_url, migrate=False)
        try:
            found = _found(FigureQueries(ledger), Span(since_ms, until_ms, at_ms))
        finally:
            ledger.close()
    except Unavailable as away:
        complain(str(away))
    if as_json:
        print(json.dumps({"since_ms": since_ms, "until_ms": until_ms, **found}, ensure_ascii=False))
        return
    print(f"{local(since_ms, settings.timezone)} … {local(until_ms, settings.timezone)}")
    _show(found)


def _found(queries: FigureQueries, span: Span) -> dict[str, Any]:
    from hub.alerts.figures import loads, mean_s, ratio, slots_in, split
    from hub.stores.figure_queries import TEN_MIN_MS
    from hub.stores.noise_queries import DAY_MS

    answered = {row.severity: row for row in queries.answered(span, scope=None)}
    shares = split({severity: row.alerts for severity, row in answered.items()})
    limits = zip((60, 180, 300), queries.attained(span, scope=None), strict=True)
    stale, chattering = queries.standing(span.now_ms, scope=None, over_ms=DAY_MS)
    told = loads(queries.told(span, scope=None), slots_in(span.since_ms, span.until_ms, TEN_MIN_MS))
    return {
        "alerts": {
            severity: {
                "alerts": row.alerts,
                "share": shares[severity],
                "mtta_s": mean_s(row.ack_ms, row.acked),
                "mttr_s": mean_s(row.close_ms, row.closed),
            }
            for severity, row in sorted(answered.items())
        },
        "limits": [
            {"limit_s": limit_s, "due": one.due, "kept": one.kept, "ratio": ratio(one.kept, one.due)}
            for limit_s, one in limits
        ],
        "cases": [
            {
                **row._asdict(),
                "closed_ratio": ratio(row.closed, row.filed),
                "on_time_ratio": ratio(row.on_time, row.due),
            }
            for row in queries.handled(span, scope=None)
        ],
        "load": [
            {
                "recipient": one.recipient,
                "alarms": one.alarms,
                "per_10_min": one.average,
                "busiest_10_min": one.busiest,
                "floods": one.floods,
                "in_flood": one.in_flood,
            }
            for one in told
        ],
        "stale": stale,
        "chattering": chattering,
    }


def _show(found: dict[str, Any]) -> None:
    if not found["alerts"]:
        print("no alerts")
    for severity, row in found["alerts"].items():
        took = f"MTTA {_seconds(row['mtta_s'])}, MTTR {_seconds(row['mttr_s'])}"
        print(f"{severity}  {row['alerts']:>7,} alerts ({_percent(row['share'])})  {took}")
    for what, one in zip(("acknowledged", "on scene", "a second person there"), found["limits"], strict=True):
        print(f"P1 {what} within {one['limit_s']} s: {_percent(one['ratio'])} ({one['kept']} of {one['due']})")
    for row in found["cases"]:
        rates = f"closed {_percent(row['closed_ratio'])}, on time {_percent(row['on_time_ratio'])} of {row['due']} due"
        print(f"cases from {row['source']}: {row['received']:,}, {row['false']} false; {rates}")
    for one in found["load"][:10]:
        flood = f", {one['floods']} floods, {_percent(one['in_flood'])} of the time" if one["floods"] else ""
        print(f"{one['recipient']}: {one['alarms']:,} alarms, at most {one['busiest_10_min']} in 10 min{flood}")
    print(f"now: {found['stale']} stale, {found['chattering']} flapping")


def _percent(part: float | None) -> str:
    return "-" if part is None else f"{part:.1%}"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f} s"
