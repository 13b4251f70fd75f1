"""A backtest as data for programs, and as one HTML page that needs nothing from elsewhere: its charts are SVG inside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from html import escape
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from hub.rules.testing.backtest import Backtest, Episodes
from hub.rules.testing.comparison import Difference

_COLOURS = {"P1": "#c62828", "P2": "#ef6c00", "P3": "#1565c0", "P4": "#78909c"}
_MOST_EPISODES = 1_000
_MOST_DIFFERENCES = 500
_MOST_LANES = 40
_NOISIEST = 20


def as_data(backtest: Backtest, about: Mapping[str, Any]) -> dict[str, Any]:
    """The result as JSON: `about` (source, rule sets, speed), then each side, then how they differ."""
    sides = [_side(backtest, episodes) for episodes in backtest.sides]
    data: dict[str, Any] = {
        **about,
        "from_ms": backtest.count_from_ms,
        "to_ms": backtest.end_ms,
        "days": round(backtest.days, 4),
        "readings": backtest.readings,
        "out_of_order": backtest.disordered,
        "holes": backtest.holes,
        "result": sides[0],
    }
    if backtest.comparison is not None:
        c = backtest.comparison
        data["compared"] = sides[1]
        data["difference"] = {
            "by_rule": {rule: asdict(tally) for rule, tally in sorted(c.tallies.items())},
            "list": [asdict(d) for d in islice(c.kept, _MOST_EPISODES)],
            "not_listed": c.dropped + max(0, len(c.kept) - _MOST_EPISODES),
        }
    return data


def _side(backtest: Backtest, episodes: Episodes) -> dict[str, Any]:
    return {
        "alerts": episodes.total,
        "tests": episodes.tests,
        "rules": [asdict(f) for f in episodes.figures(backtest.days)],
        "days": {day: dict(counts) for day, counts in sorted(episodes.days.items())},
        "noisiest": [
            {"rule": rule, "device": device, "alerts": number}
            for (rule, device), number in episodes.by_device.most_common(_NOISIEST)
        ],
        "episodes": [asdict(row) for row in islice(episodes, _MOST_EPISODES)],
        "not_listed": episodes.total - min(episodes.total, _MOST_EPISODES),
    }


def as_page(backtest: Backtest, about: Mapping[str, Any], zone: str) -> str:
    """A page to look at, print and send on."""
    begin, end = (_local(ms, zone) for ms in (backtest.count_from_ms, backtest.end_ms))
    names = ("A", "B") if len(backtest.sides) == 2 else ("",)
    body = [
        f"<h1>Backtest of rules</h1><p>{backtest.readings:,} readings of {begin} … {end} ({escape(zone)}), {how_long(backtest)}.</p>",
        "<dl>" + "".join(f"<dt>{escape(str(k))}</dt><dd>{escape(str(v))}</dd>" for k, v in about.items()) + "</dl>",
    ]
    for name, episodes in zip(names, backtest.sides, strict=True):
        body.append(f"<h2>{'Rule set ' + name if name else 'Alerts'}: {episodes.total:,}</h2>")
        body.append(_chart(episodes, backtest, zone))
        body.append(_lanes(episodes, backtest, zone))
        body.append(_rules_table(backtest, episodes))
        body.append(_noisiest_table(episodes))
    if backtest.comparison is not None:
        body.append(_difference_tables(backtest, zone))
    return _PAGE.replace("{body}", "\n".join(body))


def _chart(episodes: Episodes, backtest: Backtest, zone: str) -> str:
    """Alerts per day, stacked by severity."""
    days = _days(backtest, zone)
    if not episodes.total or not days:
        return "<p>No alert.</p>"
    width, height, left, bottom = 900, 220, 44, 34
    counts = [_by_severity(episodes, episodes.days.get(day, {})) for day in days]
    most = max(1, *(sum(c.values()) for c in counts))
    step = (width - left) / len(days)
    wide = min(step * 0.8, 48.0)
    bars = []
    for n, (day, by_severity) in enumerate(zip(days, counts, strict=True)):
        y = float(height - bottom)
        for severity, colour in _COLOURS.items():
            number = by_severity.get(severity, 0)
            if number:
                size = number / most * (height - bottom - 12)
                y -= size
                bars.append(
                    f'<rect x="{left + (n + 0.5) * step - wide / 2:.1f}" y="{y:.1f}" width="{wide:.2f}" height="{size:.1f}"'
                    f' fill="{colour}"><title>{day}: {number} {severity}</title></rect>'
                )
    every = max(1, len(days) // 10)
    labels = [
        f'<text x="{left + (n + 0.5) * step:.1f}" y="{height - bottom + 16}" text-anchor="middle">{day[5:]}</text>'
        for n, day in enumerate(days)
        if n % every == 0
    ]
    grid = "".join(
        f'<line x1="{left}" x2="{width}" y1="{y:.1f}" y2="{y:.1f}" class="g"/><text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.0f}</text>'
        for value, y in ((most * part, height - bottom - part * (height - bottom - 12)) for part in (0, 0.5, 1))
    )
    legend = " ".join(f'<span style="color:{colour}">■</span> {severity}' for severity, colour in _COLOURS.items())
    return (
        f'<h3>Alerts per day</h3><p>{legend}</p><svg viewBox="0 0 {width} {height}" role="img">'
        f"{grid}{''.join(bars)}{''.join(labels)}</svg>"
    )


def _lanes(episodes: Episodes, backtest: Backtest, zone: str) -> str:
    """When which rule had an alert open: one lane a rule, the most talkative first."""
    begin, end = backtest.count_from_ms, backtest.end_ms
    rules = [f.rule for f in episodes.figures(backtest.days)][:_MOST_LANES]
    if not rules or end <= begin:
        return ""
    width, left, lane = 900, 210, 18
    height = lane * len(rules) + 30
    of = {rule: n for n, rule in enumerate(rules)}
    drawn: set[tuple[int, int, int]] = set()  # episodes that look the same are drawn once
    marks = []
    for row in episodes:
        n = of.get(row.rule)
        if n is None:
            continue
        x = left + (row.raised_ms - begin) / (end - begin) * (width - left)
        size = max(1.0, ((row.cleared_ms or end) - row.raised_ms) / (end - begin) * (width - left))
        spot = (n, int(x), int(size))
        if spot in drawn:
            continue
        drawn.add(spot)
        marks.append(
            f'<rect x="{x:.1f}" y="{n * lane + 3}" width="{size:.1f}" height="{lane - 6}" fill="{_COLOURS[row.severity]}" opacity="0.75"/>'
        )
    names = "".join(
        f'<text x="{left - 8}" y="{n * lane + 13}" text-anchor="end">{escape(rule)}</text><line x1="{left}" x2="{width}" y1="{(n + 1) * lane}" y2="{(n + 1) * lane}" class="g"/>'
        for rule, n in of.items()
    )
    ticks = "".join(
        f'<text x="{left + part * (width - left):.0f}" y="{height - 8}" text-anchor="{anchor}">{_local(int(begin + part * (end - begin)), zone)[5:16]}</text>'
        for part, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end"))
    )
    return f'<h3>When</h3><svg viewBox="0 0 {width} {height}" role="img">{names}{"".join(marks)}{ticks}</svg>'


def _rules_table(backtest: Backtest, episodes: Episodes) -> str:
    rows = [
        (
            f.severity,
            f.rule,
            f"{f.episodes:,}",
            f"{f.devices:,}",
            per_day(backtest, f.per_day),
            span(f.median_s),
            span(f.longest_s),
            f"{f.open:,}",
            f"{f.chatter:,}",
        )
        for f in episodes.figures(backtest.days)
    ]
    heads = (
        "",
        "rule",
        f"alerts in {how_long(backtest)}",
        "devices",
        "per day",
        "median",
        "longest",
        "open at the end",
        "flapping",
    )
    return _table(heads, rows)


def _noisiest_table(episodes: Episodes) -> str:
    rows = [(rule, device, f"{number:,}") for (rule, device), number in episodes.by_device.most_common(_NOISIEST)]
    return "<h3>Noisiest</h3>" + _table(("rule", "device", "alerts"), rows)


def _difference_tables(backtest: Backtest, zone: str) -> str:
    assert backtest.comparison is not None
    tallies = [
        (rule, *(f"{n:,}" for n in (t.same, t.only_a, t.only_b, t.earlier, t.later)))
        for rule, t in sorted(backtest.comparison.tallies.items())
    ]
    heads = ("rule", "same", "only in A", "only in B", "earlier in B", "later in B")
    listed = [
        (
            d.rule,
            d.device,
            in_words(d),
            _local(d.raised_ms, zone),
            "" if d.cleared_ms is None else _local(d.cleared_ms, zone),
        )
        for d in islice(backtest.comparison.kept, _MOST_DIFFERENCES)
    ]
    return (
        "<h2>Difference</h2>" + _table(heads, tallies) + _table(("rule", "device", "what", "raised", "cleared"), listed)
    )


def in_words(d: Difference) -> str:
    if d.kind in ("earlier", "later"):
        return f"{span(abs(d.later_ms) / 1_000)} {d.kind} in B"
    return f"only in {d.kind[-1].upper()}"


def how_long(backtest: Backtest) -> str:
    """The length of what was counted: 13 min, 5.2 h, 30.0 days."""
    days = backtest.days
    return f"{days:.1f} days" if days >= 1 else span(round(days * 86_400)).replace(".0 ", " ")


def per_day(backtest: Backtest, number: float) -> str:
    """Alerts per day, of at least a day: what minutes would come to in a day says nothing."""
    return f"{number:.1f}" if backtest.days >= 1 else "–"


def span(seconds: float | None) -> str:
    """A length of time to read at a glance."""
    if seconds is None:
        return "–"
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 1 or not seconds else f"{seconds:.1f} s"


def _by_severity(episodes: Episodes, counts: Mapping[str, int]) -> Counter[str]:
    found: Counter[str] = Counter()
    for rule, number in counts.items():
        found[episodes.severity[rule]] += number
    return found


def _days(backtest: Backtest, zone: str) -> list[str]:
    first, last = (_when(ms, zone).date() for ms in (backtest.count_from_ms, backtest.end_ms))
    return [(first + timedelta(days=n)).isoformat() for n in range(min(3_660, (last - first).days + 1))]


def _when(at_ms: int, zone: str) -> datetime:
    return datetime.fromtimestamp(at_ms / 1_000, UTC).astimezone(ZoneInfo(zone))


def _local(at_ms: int, zone: str) -> str:
    return _when(at_ms, zone).strftime("%Y-%m-%d %H:%M:%S")


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    head = "".join(f"<th>{escape(h)}</th>" for h in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Backtest of rules</title>
<style>
:root { color-scheme: light dark; --line: #8884; --text: #1b1f24; --page: #fff }
@media (prefers-color-scheme: dark) { :root { --text: #e6e8ea; --page: #14171a } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 960px; margin: 2rem auto; padding: 0 1rem; color: var(--text); background: var(--page) }
svg { width: 100%; height: auto } svg text { font-size: 11px; fill: var(--text) } .g { stroke: var(--line) }
table { border-collapse: collapse; margin: 1rem 0; width: 100% } th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid var(--line) }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem } dd { margin: 0; overflow-wrap: anywhere }
</style></head><body>
{body}
</body></html>
"""
