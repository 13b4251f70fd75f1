"""Work orders of the 12345 line as they come from elsewhere: rows of a CSV file, or of a request, as reports. Pure.

Who called, and from which number, is not taken over; numbers of mobile phones inside the text are masked.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple, cast
from zoneinfo import ZoneInfo

from hub.alerts.case_desk import Report
from hub.model.rules import SEVERITIES, Severity

COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "number": ("number", "工单编号", "工单号", "编号"),
    "title": ("title", "标题", "诉求标题", "主题"),
    "text": ("text", "内容", "诉求内容", "问题描述"),
    "category": ("category", "类别", "诉求类别", "问题分类"),
    "grid": ("grid", "网格", "网格编码", "所属网格"),
    "place": ("place", "地点", "地址", "诉求地址"),
    "at": ("at", "受理时间", "来电时间", "创建时间"),
    "due": ("due", "办理时限", "办结时限", "截止时间"),
    "severity": ("severity", "级别", "紧急程度"),
}
NEEDED: Final = ("number", "title", "grid")
MOST_ROWS: Final = 20_000
_LONGEST: Final = {"number": 64, "title": 200, "text": 4_000, "category": 60, "place": 300}
_URGENCY: Final[dict[str, Severity]] = {"特急": "P2", "紧急": "P2", "加急": "P2", "一般": "P3", "普通": "P3"}
_MOBILE = re.compile(r"(?<!\d)(1[3-9]\d)\d{4}(\d{4})(?!\d)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A grid that a row names, and the station that serves it."""

    grid: str
    station: str
    name_zh: str
    name_en: str


class Row(NamedTuple):
    """One row: where it stands, and either the report or what is wrong with it (English, for operators)."""

    line: int
    number: str
    report: Report | None
    wrong: tuple[str, ...] = ()


class Table(NamedTuple):
    """A file as read: its rows, columns that are not used, and columns that are missing (then there are no rows)."""

    rows: list[Row]
    unused: list[str]
    missing: list[str]


def decoded(data: bytes) -> str | None:
    """The text of a CSV file in UTF-8 or GB 18030 (as spreadsheets write it); None when it is neither."""
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return None


def read_csv(text: str, find: Callable[[str], Spot | None], zone: str, now_ms: int) -> Table:
    """Every row of a CSV file with a line of headings. A number that stands twice is wrong the second time."""
    lines = csv.reader(io.StringIO(text), strict=True)
    headings = [heading.strip() for heading in next(lines, [])]
    known = {name: n for name, said in COLUMNS.items() for n, heading in enumerate(headings) if heading in said}
    unused = [heading for n, heading in enumerate(headings) if n not in known.values()]
    missing = [name for name in NEEDED if name not in known]
    if missing:
        return Table([], unused, missing)
    return Table(list(_rows(lines, known, find, zone, now_ms)), unused, [])


def _rows(
    lines: Iterator[list[str]], known: Mapping[str, int], find: Callable[[str], Spot | None], zone: str, now_ms: int
) -> Iterator[Row]:
    seen: dict[str, int] = {}
    line, count = 1, 0
    while True:
        try:
            cells = next(lines)
        except StopIteration:
            return
        except csv.Error as bad:
            yield Row(line + 1, "", None, (f"not readable as CSV from here on: {bad}",))
            return
        line = int(getattr(lines, "line_num", line + 1))
        if not any(cell.strip() for cell in cells):
            continue
        count += 1
        if count > MOST_ROWS:
            yield Row(line, "", None, (f"more than {MOST_ROWS} rows: split the file",))
            return
        said = {name: cells[n].strip() if n < len(cells) else "" for name, n in known.items()}
        row = order_of(line, said, find, zone, now_ms)
        first = seen.setdefault(row.number, line)
        if row.number and first != line:
            row = Row(line, row.number, None, (f"number {row.number} stands in line {first} too",))
        yield row


def order_of(line: int, said: Mapping[str, str], find: Callable[[str], Spot | None], zone: str, now_ms: int) -> Row:
    """One work order from what its fields say."""
    wrong: list[str] = [f"{name} is empty" for name in NEEDED if not said.get(name)]
    wrong += [
        f"{name} is longer than {most} characters" for name, most in _LONGEST.items() if len(said.get(name, "")) > most
    ]
    spot = find(said["grid"]) if said.get("grid") else None
    if said.get("grid") and spot is None:
        wrong.append(f"grid {said['grid']!r} is neither the code nor the name of one grid")
    severity = _severity(said.get("severity", ""))
    if severity is None:
        wrong.append(f"severity {said['severity']!r} is not known: use P2, P3, P4, 紧急 or 一般")
    at_ms = _instant(said.get("at", ""), zone) if said.get("at") else now_ms
    due_ms = _instant(said["due"], zone) if said.get("due") else None
    if at_ms is None:
        wrong.append(f"time {said['at']!r} is not understood: write 2026-01-31 08:30")
    elif at_ms > now_ms + 86_400_000:
        wrong.append(f"time {said['at']!r} lies in the future")
    if said.get("due") and due_ms is None:
        wrong.append(f"time limit {said['due']!r} is not understood: write 2026-01-31 08:30")
    if wrong or spot is None or severity is None or at_ms is None:
        return Row(line, said.get("number", ""), None, tuple(wrong))
    place = said.get("place", "")
    report = Report(
        source="hotline",
        number=said["number"],
        title=masked(said["title"]),
        text=masked(said.get("text", "")),
        category=said.get("category", ""),
        severity=severity,
        place=spot.grid,
        place_zh=masked(place) or spot.name_zh,
        place_en=masked(place) or spot.name_en,
        where=masked(place),
        grid=spot.grid,
        station=spot.station,
        reporter="12345",
        at_ms=max(at_ms, 0),
        due_at_ms=due_ms,
    )
    return Row(line, said["number"], report)


def masked(text: str) -> str:
    """`text` with the middle of each mobile number taken out."""
    return _MOBILE.sub(r"\1****\2", text)


def _severity(said: str) -> Severity | None:
    if not said:
        return "P3"
    if said.upper() in SEVERITIES and said.upper() != "P1":
        return cast(Severity, said.upper())
    return _URGENCY.get(said)


def _instant(said: str, zone: str) -> int | None:
    plain = re.sub(r"[年月/.](?=\d)", "-", said.strip()).replace("日", " ").replace("T", " ")
    for form in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d"):
        try:
            given = datetime.strptime(plain.strip(), form).replace(tzinfo=ZoneInfo(zone))
        except ValueError:
            continue
        return int(given.astimezone(UTC).timestamp() * 1_000)
    try:
        given = datetime.fromisoformat(said.strip())
    except ValueError:
        return None
    given = given if given.tzinfo is not None else given.replace(tzinfo=ZoneInfo(zone))
    return int(given.timestamp() * 1_000)
