"""A decoded message as a page for people; as JSON it is `ingest.decoded_json`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from hub.cli.payload_text import visible
from hub.clock import wall_clock

_TOLD = ("codec", "device", "address", "readings", "events", "history", "rejected", "warnings", "note")


def print_page(row: Mapping[str, Any], zone: str, console: Console | None = None) -> None:
    """Prints `row` (what `as_json` gives, with the codec). Times are wall clock in `zone` ("" = UTC)."""
    parts: list[Any] = [_facts(row, zone)]
    for name in ("readings", "history"):
        if row[name]:
            parts.append(_readings(name, row[name], zone))
    parts += [Text(f"warning  {visible(str(text))}", style="yellow") for text in row["warnings"]]
    (console or Console(highlight=False)).print(Group(*parts))


def _facts(row: Mapping[str, Any], zone: str) -> Table:
    table = Table(show_header=False, box=None)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in _lines(row, zone):
        table.add_row(name, Text(visible(text), style="red" if name == "rejected" else ""))
    return table


def _lines(row: Mapping[str, Any], zone: str) -> Iterator[tuple[str, str]]:
    yield "dialect", f"{row['codec']}" + (f" ({row['note']})" if row.get("note") else "")
    if row.get("rejected"):
        said = row["rejected"]
        yield "rejected", ": ".join(said[key] for key in ("field", "reason", "detail") if said.get(key))
    yield "device", row["device"] or "–"
    if row.get("address"):
        yield "address", row["address"]
    for event in row["events"]:
        yield "event", " ".join(f"{key}={_word(value)}" for key, value in event.items())
    for key, value in row.items():
        if key not in _TOLD and value not in (None, "", [], {}):
            yield key.removesuffix("_ms"), _time(value, zone) if key.endswith("_at_ms") else _word(value)


def _readings(title: str, rows: list[dict[str, Any]], zone: str) -> Table:
    table = Table(title=title, title_justify="left")
    for name in ("device", "quantity", "value", "unit", "at", "marked"):
        table.add_column(name, justify="right" if name == "value" else "left", overflow="fold")
    for reading in rows:
        at_ms = reading["observed_at_ms"]
        cells = (
            reading["device"],
            reading["quantity"],
            _word(reading["value"]),
            reading.get("unit", ""),
            "on receipt" if at_ms is None else _time(at_ms, zone),
            " ".join(reading.get("quality", ())),
        )
        table.add_row(*(Text(visible(str(cell))) for cell in cells))
    return table


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _time(at_ms: int, zone: str) -> str:
    try:
        return f"{wall_clock(at_ms, zone or 'UTC')} {zone or 'UTC'}"
    except (ValueError, OverflowError, OSError):
        return f"{at_ms} ms"
