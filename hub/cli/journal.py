"""`gridhub journal`: look into the journal, also while the hub is running. Nothing here changes it."""

from __future__ import annotations

import base64
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hub.cli.migrate import complain
from hub.cli.payload_text import shown, visible
from hub.errors import Unavailable

if TYPE_CHECKING:
    from hub.stores.journal import JournalStat, Record
    from hub.stores.journal_shelf import Shelf

_BATCH = 2_000
_SHORT = 160
group = typer.Typer(help="Look into the journal of received messages.", no_args_is_help=True)

Folder = Annotated[Path | None, typer.Option("--folder", help="The journal's folder, instead of what --config says.")]
Config = Annotated[Path, typer.Option("--config", help="Configuration folder (its hub.yaml names the journal).")]
Topic = Annotated[str, typer.Option("--topic", help="MQTT topic filter, e.g. 'sc/v1/+/gw-1/#'.")]
Place = "a position, or a time such as 2024-01-01T08:00+08:00 (without an offset: UTC)"
From = Annotated[str, typer.Option("--from", metavar="PLACE", help=f"Where to begin: {Place}.")]


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="journal")


@group.command("stat")
def stat(
    folder: Folder = None,
    config: Config = Path("config"),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
) -> None:
    """Show identity, positions, size, times, rate and losses."""
    shelf = _open(folder, config)
    found = shelf.stat()
    if as_json:
        told = {key: value for key, value in asdict(found).items() if key not in ("full", "cut_records")}
        print(json.dumps({"folder": str(shelf.folder), **told, "records": found.head - found.tail}))
        return
    _table(shelf.folder, found)


def _table(folder: Path, found: JournalStat) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"Journal in {folder}", show_header=False, title_justify="left")
    rows = (
        ("identity", found.identity or "unknown"),
        ("next position (head)", f"{found.head:,}"),
        ("first kept position (tail)", f"{found.tail:,}"),
        ("segments", f"{found.segments:,}"),
        ("size on disk", f"{found.bytes / (1 << 20):,.1f} MiB"),
        ("first record", _time(found.first_at_ms)),
        ("last record", _time(found.last_at_ms)),
        ("records per second, last minute", f"{found.records_per_s:,.1f}"),
        ("unfinished groups dropped", f"{found.torn_groups:,}"),
        ("problems", "\n".join(found.problems) or "none"),
    )
    for name, value in rows:
        table.add_row(name, Text(value))
    Console().print(table)


@group.command("tail")
def tail(
    count: Annotated[int | None, typer.Option("-n", min=0, help="How many records (20; with --from: all).")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")] = False,
    topic: Topic = "#",
    start: From = "",
    full: Annotated[bool, typer.Option("--full", help="Do not shorten payloads.")] = False,
    ticks: Annotated[bool, typer.Option("--ticks", help="Show the hub's time marks too.")] = False,
    folder: Folder = None,
    config: Config = Path("config"),
) -> None:
    """Print the latest records: time, position, topic, payload (text, or base64 and so on). R marks retained messages."""
    shelf = _open(folder, config)
    wanted = _filter(topic, ticks=ticks and topic == "#")
    if start:
        begin, since_ms = _place(shelf, start, "--from")
        chosen = _from(shelf, begin, shelf.head, lambda r: wanted(r) and r.at_ms >= since_ms)
        shown = _first(chosen, count)
    else:
        shown = iter(_last(shelf, 20 if count is None else count, wanted))
    try:
        for record in shown:
            print(line(record, full=full))
        while follow:
            seen = shelf.head
            sys.stdout.flush()
            time.sleep(0.2)
            _refresh(shelf)
            for record in _from(shelf, seen, shelf.head, wanted):
                print(line(record, full=full))
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:  # the reader of our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@group.command("export")
def export(
    out: Annotated[Path, typer.Option("--out", help="File to write; it must not exist yet.")],
    start: From = "",
    end: Annotated[str, typer.Option("--to", metavar="PLACE", help=f"Where to end (not included): {Place}.")] = "",
    topic: Topic = "#",
    folder: Folder = None,
    config: Config = Path("config"),
) -> None:
    """Write records as JSON lines: position, kind, at_ms, topic, payload (base64), retained. Ticks too, unless --topic is given.

    Messages can hold personal data: the file is readable by its owner only. Exit code 3 when some records could not be read.
    """
    shelf = _open(folder, config)
    begin, since_ms = _place(shelf, start, "--from") if start else (shelf.tail, 0)
    stop, until_ms = _place(shelf, end, "--to") if end else (shelf.head, 1 << 62)
    if until_ms < 1 << 62:
        stop = shelf.head  # a group can reach over the time: each record says for itself
    elif stop < begin:
        complain(f"--to {end} lies before --from {start}")
    wanted = _filter(topic, ticks=topic == "#")
    if out.exists():
        complain(f"{out} exists already: choose another name, or delete it")
    part = out.with_name(out.name + ".part")
    missing: list[str] = []
    written = 0
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            for record in _progress(shelf, begin, stop, missing):
                if record.at_ms >= since_ms and record.at_ms < until_ms and wanted(record):
                    file.write(_json(record))
                    written += 1
        part.rename(out)
    except OSError as error:
        part.unlink(missing_ok=True)
        complain(f"{out} cannot be written: {error.strerror or error}")
    except KeyboardInterrupt:
        part.unlink(missing_ok=True)
        complain("stopped; nothing was written")
    print(f"{written:,} records → {out}")
    if missing:
        typer.echo(f"{len(missing)} part(s) of the journal could not be read; see above", err=True)
        raise typer.Exit(3)


def _json(record: Record) -> str:
    return (
        json.dumps(
            {
                "position": record.position,
                "kind": "tick" if record.kind else "message",
                "at_ms": record.at_ms,
                "topic": record.topic,
                "payload": base64.b64encode(record.payload).decode(),
                "retained": record.retained,
            },
            ensure_ascii=False,
        )
        + "\n"
    )


def _progress(shelf: Shelf, begin: int, stop: int, missing: list[str]) -> Iterator[Record]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("export", total=max(0, stop - begin))
        for record in _from(shelf, begin, stop, lambda _: True, missing):
            yield record
            if record.position % 1_000 == 0:
                progress.update(task, completed=record.position - begin)
        progress.update(task, completed=stop - begin)


# -- reading --------------------------------------------------------------------------------------------------------------


def _open(folder: Path | None, config: Path) -> Shelf:
    from hub import telemetry
    from hub.stores.journal_shelf import Shelf

    telemetry.configure_logging(level="CRITICAL")  # what is wrong is said here, in words
    if folder is None:
        from hub.settings import load_settings

        folder = load_settings(config).journal_folder
    if not folder.is_dir():
        complain(f"{folder}: there is no such folder. Name the journal's with --folder, or its hub.yaml with --config")
    shelf = Shelf(folder)
    _refresh(shelf)
    if not shelf.segments:
        complain(f"{folder}: there is no journal here (no journal-*.db)")
    return shelf


def _refresh(shelf: Shelf) -> None:
    try:
        shelf.refresh()
    except (Unavailable, OSError) as error:
        complain(f"{shelf.folder} cannot be read: {error}")


def _from(
    shelf: Shelf, at: int, stop: int, wanted: Callable[[Record], bool], missing: list[str] | None = None
) -> Iterator[Record]:
    """Wanted records of positions [at, stop); says on standard error what cannot be read, and goes on behind it."""
    from hub.stores.journal import Damaged, Trimmed

    while at < stop:
        try:
            records = shelf.read(at, min(_BATCH, stop - at))
        except Trimmed as gone:
            typer.echo(str(gone), err=True)
            if isinstance(gone, Damaged) and missing is not None:
                missing.append(str(gone))
            at = gone.first_kept
            continue
        except Unavailable as away:
            complain(str(away))
        if not records:
            return
        yield from filter(wanted, records)
        at = records[-1].position + 1


def _last(shelf: Shelf, count: int, wanted: Callable[[Record], bool]) -> list[Record]:
    """The last `count` wanted records, oldest first."""
    found: list[Record] = []
    for segment in reversed(shelf.segments):
        end = min(segment.end, shelf.head)
        while end > segment.first and len(found) < count:
            begin = max(segment.first, end - _BATCH)
            found = list(_from(shelf, begin, end, wanted)) + found
            end = begin
        if len(found) >= count:
            break
    return found[-count:] if count else []


def _first(records: Iterator[Record], count: int | None) -> Iterator[Record]:
    for n, record in enumerate(records):
        if count is not None and n >= count:
            return
        yield record


def _place(shelf: Shelf, text: str, option: str) -> tuple[int, int]:
    """The position that `text` names, and its time (0 when it is a position)."""
    if text.isascii() and text.isdecimal():
        position = int(text)
        if position > shelf.head:
            complain(f"{option} {text}: the journal ends at {shelf.head}")
        return max(position, shelf.tail), 0 if option == "--from" else 1 << 62
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        complain(f"{option} {text!r} is neither a position nor a time; use e.g. 4711 or 2024-01-01T08:00+08:00")
    at_ms = int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1_000)
    return shelf.position_at(at_ms), at_ms


def _filter(topic: str, *, ticks: bool) -> Callable[[Record], bool]:
    """Whether a record's topic matches the MQTT filter `topic`; ticks only if asked for."""
    levels = topic.split("/")
    whole_levels = all(level in ("+", "#") or not set("+#") & set(level) for level in levels)
    if not topic or not whole_levels or "#" in levels[:-1]:
        complain(f"--topic {topic!r} is not a topic filter: '+' stands for one whole level, '#' for all at the end")

    def matches(record: Record) -> bool:
        if record.kind:
            return ticks
        return _matches(levels, record.topic)

    return matches


def _matches(levels: list[str], topic: str) -> bool:
    parts = topic.split("/")
    for n, level in enumerate(levels):
        if level == "#":
            return True
        if n >= len(parts) or level not in ("+", parts[n]):
            return False
    return len(parts) == len(levels)


# -- showing --------------------------------------------------------------------------------------------------------------


def line(record: Record, *, full: bool) -> str:
    """One line for a terminal."""
    mark = "R" if record.retained else " "
    if record.kind:
        return f"{_time(record.at_ms)} {record.position:>10} {mark} (tick)"
    return f"{_time(record.at_ms)} {record.position:>10} {mark} {visible(record.topic)} {shown(record.payload, None if full else _SHORT)}"


def _time(at_ms: int | None) -> str:
    if at_ms is None:
        return "none"
    try:
        return datetime.fromtimestamp(at_ms / 1_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return f"{at_ms} ms"
