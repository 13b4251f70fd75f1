"""The report as text, JSON, CSV and HTML, in the reader's language. Tells no telephone number: recipients stand there by their id."""

from __future__ import annotations

import csv
import json
from html import escape
from io import StringIO
from typing import Any

from hub.audit.account import VERDICTS, WORDS, Accounted
from hub.audit.report import Report
from hub.clock import wall_clock
from hub.i18n import _ as mark
from hub.i18n import text as translation

FORMATS = ("text", "json", "csv", "html")
COLUMNS = {
    "alert": mark("Alert"),
    "severity": mark("Severity"),
    "device": mark("Device"),
    "rule": mark("Rule"),
    "place": mark("Place"),
    "grid": mark("Grid"),
    "station": mark("Station"),
    "journal_position": mark("Journal position"),
    "received_at": mark("Received"),
    "raised_at": mark("Raised"),
    "times_fired": mark("Times"),
    "notifications": mark("Notifications"),
    "reached_by": mark("First reached by"),
    "reached_after_s": mark("after (s)"),
    "read_at": mark("Read"),
    "acknowledged_at": mark("Acknowledged"),
    "acknowledged_by": mark("by"),
    "on_scene_at": mark("On scene"),
    "closed_at": mark("Closed"),
    "reason": mark("Reason"),
    "verdict": mark("Result"),
    "missing": mark("Missing"),
}


def rendered(report: Report, form: str, locale: str) -> str:
    """The report in one of FORMATS."""
    return {"text": as_text, "json": as_json, "csv": as_csv, "html": as_html}[form](report, locale)


def as_json(report: Report, locale: str = "en") -> str:
    """For machines: instants in milliseconds UTC and in the site's time."""
    head = report.log.head
    body = {
        "site": report.site,
        "from_ms": report.from_ms,
        "to_ms": report.to_ms,
        "made_at_ms": report.made_at_ms,
        "complete": report.complete,
        "journal_alarms": report.journal_alarms,
        "alarms": [_row(report, one, locale) for one in report.alarms],
        "findings": [{"kind": f.kind, "subject": f.subject, "detail": f.detail} for f in report.findings],
        "audit_log": {
            "good": report.log.good,
            "rows": report.log.rows,
            "unchained": report.log.unchained,
            "head": None if head is None else {"number": head.number, "hash": head.hash},
            "broken": None
            if report.log.broken is None
            else {"number": report.log.broken.number, "why": report.log.broken.why},
        },
        "test_fires": [
            {"at_ms": f.at_ms, "grid": f.grid, "device": f.device, "after_ms": f.after_ms, "missing": f.missing}
            for f in report.fires
        ],
        "grids_without_test_device": list(report.untested),
    }
    return json.dumps(body, ensure_ascii=False, indent=1)


def as_csv(report: Report, locale: str) -> str:
    """One line for each alarm, for spreadsheets: a byte order mark, and nothing that one would take for a formula."""
    say = translation(locale)
    out = StringIO()
    writer = csv.writer(out)
    writer.writerow([say(title) for title in COLUMNS.values()])
    for one in report.alarms:
        writer.writerow([_cell(value) for value in _row(report, one, locale).values()])
    return "\ufeff" + out.getvalue()


def as_text(report: Report, locale: str) -> str:
    say = translation(locale)
    lines = [_title(report, locale), _conclusion(report, locale), ""]
    for one in report.alarms:
        row = _row(report, one, locale)
        lines.append(
            f"{row['raised_at']}  {row['severity']}  {row['place']}  {row['device']}  {row['rule']}  [{row['alert']}]"
        )
        lines.append(f"    {say(VERDICTS[one.verdict])}: {_evidence(row, locale)}")
        lines += [f"    !! {say(WORDS[f.kind])}: {f.detail}" for f in one.findings]
    others = [f for f in report.findings if not any(f in one.findings for one in report.alarms)]
    lines += [f"!! {say(WORDS[f.kind])}: {f.subject} {f.detail}" for f in others]
    lines += ["", *_foot(report, locale)]
    return "\n".join(lines) + "\n"


def as_html(report: Report, locale: str) -> str:
    """One page by itself, to be kept or printed: no script, nothing from elsewhere."""
    say = translation(locale)
    rows = "".join(
        f'<tr class="{one.verdict}">'
        + "".join(f"<td>{escape(str(value))}</td>" for value in _row(report, one, locale).values())
        + "</tr>\n"
        for one in report.alarms
    )
    heads = "".join(f"<th>{escape(say(title))}</th>" for title in COLUMNS.values())
    missing = "".join(
        f"<li>{escape(say(WORDS[f.kind]))}: {escape(f.subject)} {escape(f.detail)}</li>\n" for f in report.findings
    )
    foot = "".join(f"<p>{escape(line)}</p>\n" for line in _foot(report, locale))
    return (
        f'<!doctype html>\n<html lang="{escape(locale)}"><head><meta charset="utf-8"><title>{escape(_title(report, locale))}</title>\n'
        f"<style>{_STYLE}</style></head><body>\n<h1>{escape(_title(report, locale))}</h1>\n"
        f'<p class="{"good" if report.complete else "bad"}">{escape(_conclusion(report, locale))}</p>\n'
        + (f"<ul>{missing}</ul>\n" if missing else "")
        + f"<table><thead><tr>{heads}</tr></thead><tbody>\n{rows}</tbody></table>\n{foot}</body></html>\n"
    )


_STYLE = (
    "body{font:14px/1.5 system-ui,sans-serif;margin:24px}table{border-collapse:collapse}"
    "th,td{border:1px solid #bbb;padding:3px 6px;text-align:left;vertical-align:top}th{background:#eee}"
    ".good{color:#11733c;font-weight:700}.bad,.unaccounted td{color:#b00c1b;font-weight:700}"
)


def _title(report: Report, locale: str) -> str:
    say = translation(locale)
    span = f"{wall_clock(report.from_ms, report.zone)} – {wall_clock(report.to_ms, report.zone)}"
    return say(mark("GridHub {site}: account of all alarms, {span}")).format(site=report.site, span=span)


def _conclusion(report: Report, locale: str) -> str:
    say = translation(locale)
    alarms = len(report.alarms)
    if report.complete:
        return say(mark("Every alarm accounted for: {n} of {n}.")).format(n=alarms)
    wrong = sum(bool(one.findings) for one in report.alarms)
    if not report.findings:
        return say(mark("{n} alarms, but the audit log is not whole.")).format(n=alarms)
    return say(mark("NOT every alarm is accounted for: {wrong} of {n}, {f} findings.")).format(
        wrong=wrong, n=alarms, f=len(report.findings)
    )


def _foot(report: Report, locale: str) -> list[str]:
    say = translation(locale)
    log = report.log
    lines = []
    if report.journal_alarms is not None:
        lines.append(say(mark("Alarms read from the journal: {n}.")).format(n=report.journal_alarms))
    if log.broken is not None:
        lines.append(say(mark("Audit log: broken at row {n}: {why}.")).format(n=log.broken.number, why=log.broken.why))
    else:
        lines.append(
            say(mark("Audit log: whole, {n} rows, {u} of them from before the chain; head {head}.")).format(
                n=log.rows, u=log.unchained, head=log.head or "–"
            )
        )
    lost = [f"{fire.grid} ({fire.missing})" for fire in report.fires if fire.missing]
    lines.append(
        say(mark("Test fires: {n}, got through: {ok}.")).format(n=len(report.fires), ok=len(report.fires) - len(lost))
        + (f" {', '.join(lost)}" if lost else "")
    )
    if report.untested:
        lines.append(say(mark("Grids without a test device: {grids}.")).format(grids=", ".join(report.untested)))
    return lines


def _row(report: Report, one: Accounted, locale: str) -> dict[str, Any]:
    """The evidence for one alarm, in the order of COLUMNS."""
    say = translation(locale)
    alert, first = one.account.alert, one.first_reached
    after_ms = one.reached_after_ms
    read = [told.read_at_ms for told in one.account.told if told.read_at_ms is not None]

    def at(instant_ms: int | None) -> str:
        return "" if instant_ms is None else wall_clock(instant_ms, report.zone)

    return {
        "alert": alert.id,
        "severity": alert.severity,
        "device": alert.device_id,
        "rule": alert.rule_id,
        "place": alert.place_en if locale == "en" else alert.place_zh,
        "grid": alert.grid,
        "station": alert.station,
        "journal_position": alert.position,
        "received_at": at(alert.received_at_ms),
        "raised_at": at(min(one.account.fired_at_ms, default=alert.raised_at_ms)),
        "times_fired": len(one.account.fired_at_ms),
        "notifications": _states(one),
        "reached_by": f"{first.recipient} · {first.channel}" if first else "",
        "reached_after_s": "" if after_ms is None else round(after_ms / 1_000, 1),
        "read_at": at(min(read, default=None)),
        "acknowledged_at": at(alert.acked_at_ms),
        "acknowledged_by": alert.acked_by or "",
        "on_scene_at": at(alert.on_scene_at_ms),
        "closed_at": at(alert.closed_at_ms),
        "reason": alert.close_reason or "",
        "verdict": say(VERDICTS[one.verdict]),
        "missing": "; ".join(say(WORDS[f.kind]) for f in one.findings),
    }


def _states(one: Accounted) -> str:
    counts: dict[str, int] = {}
    for told in one.account.told:
        counts[told.state] = counts.get(told.state, 0) + 1
    return ", ".join(f"{state} {count}" for state, count in sorted(counts.items()))


def _evidence(row: dict[str, Any], locale: str) -> str:
    say = translation(locale)
    said = [
        say(mark("journal {position}")).format(position=row["journal_position"]),
        row["notifications"] or say(mark("no notification")),
    ]
    if row["reached_by"]:
        said.append(say(mark("reached {who} after {s} s")).format(who=row["reached_by"], s=row["reached_after_s"]))
    if row["acknowledged_at"]:
        said.append(
            say(mark("acknowledged {at} by {who}")).format(at=row["acknowledged_at"], who=row["acknowledged_by"])
        )
    if row["on_scene_at"]:
        said.append(say(mark("on scene {at}")).format(at=row["on_scene_at"]))
    if row["closed_at"]:
        said.append(
            say(mark("closed {at}")).format(at=row["closed_at"]) + (f" ({row['reason']})" if row["reason"] else "")
        )
    return " · ".join(said)


def _cell(value: Any) -> Any:
    text = str(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else value
