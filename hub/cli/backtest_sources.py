"""Where recorded readings come from for `gridhub rules backtest`: a journal, a history, or a CSV file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hub.cli.instants import local
from hub.cli.migrate import complain
from hub.clock import cpu_s
from hub.errors import Unavailable

if TYPE_CHECKING:
    from hub.registry.snapshot import Registry
    from hub.replay.piece import Piece
    from hub.settings import Settings


@dataclass(slots=True)
class Opened:
    """Where readings come from: how to get them, in words, and what must be said about them at the end."""

    name: str
    pieces: Iterator[Piece]
    start_ms: int
    judge_unheard: bool
    notes: Callable[[], list[str]] = list


def opened(
    settings: Settings,
    registry: Registry,
    journal: Path | None,
    history: bool,
    csv: Path | None,
    times: tuple[int, int],
    closing: ExitStack,
) -> Opened:
    if csv is not None:
        return _csv(settings, registry, csv, times)
    if history:
        return _history(settings, registry, times, closing)
    return _journal(settings, registry, journal or settings.journal_folder, times, closing)


def _csv(settings: Settings, registry: Registry, path: Path, times: tuple[int, int]) -> Opened:
    from hub.ingest.screen import Limits, Screen
    from hub.replay.csv_source import CsvSource

    source = CsvSource(path, registry, Screen(Limits()), zone=settings.timezone)
    pieces = source.pieces(*times)
    head = next(pieces, None)
    if head is None:
        lost = "; ".join(
            f"{n:,} × {reason}, e.g. {source.skipped.examples[reason]}" for reason, n in source.skipped.counts.items()
        )
        complain(f"{path}: no reading to try rules on in that time" + (f" ({lost})" if lost else ""))

    def notes() -> list[str]:
        return [
            f"{count:,} rows left out: {reason}, e.g. {source.skipped.examples[reason]}"
            for reason, count in source.skipped.counts.most_common()
        ]

    return Opened(f"CSV file {path}", _with_head(head, pieces), int(head.batch.received_at_ms[0]), False, notes)


def _journal(
    settings: Settings, registry: Registry, folder: Path, times: tuple[int, int], closing: ExitStack
) -> Opened:
    from hub.ingest.codecs import CodecContext
    from hub.ingest.reader import Reader
    from hub.ingest.router import Router
    from hub.ingest.sources import sources_of
    from hub.replay.journal_source import JournalSource, shelf_of

    shelf = shelf_of(folder)
    closing.callback(shelf.close)
    context = CodecContext(
        zone=settings.timezone, known=lambda address: address in registry.slot_of_address, own_text=registry.own_text
    )
    router = Router(sources_of(settings.sources, settings.folder), context)
    reader = Reader(router.decode, lambda: registry, screen_of(settings), plain=router.plain)
    source = JournalSource(shelf, reader)
    pieces = source.pieces(*times)
    head = next(pieces, None)
    if head is None:
        stat = shelf.stat()
        kept = f" (it holds {_span(stat.first_at_ms, stat.last_at_ms, settings.timezone)})"
        complain(f"{folder}: the journal has no record of that time{kept}")
    start_ms = int(head.batch.received_at_ms[0]) if len(head.batch) else head.last_ms
    return Opened(f"journal {folder}", _with_head(head, pieces), start_ms, True, lambda: source.gaps)


def _history(settings: Settings, registry: Registry, times: tuple[int, int], closing: ExitStack) -> Opened:
    from hub.settings import secret_from
    from hub.stores.history_scan import EmbeddedScan, InfluxScan

    h = settings.history
    scan: EmbeddedScan | InfluxScan
    if h.kind == "embedded":
        path = settings.data / "history.db"
        if not path.exists():
            complain(f"{path}: there is no history yet")
        scan, name = EmbeddedScan(path, registry), f"history {path}"
    else:
        token = secret_from("GRIDHUB_HISTORY_TOKEN", h.token_file)
        scan = InfluxScan(registry, url=h.url, bucket=h.bucket, token=token)
        closing.callback(scan.close)
        name = f"history {h.url}, bucket {h.bucket}"
    try:
        span = scan.span()
    except Unavailable as away:
        complain(str(away))
    if span is None or span[0] >= times[1] or span[1] <= times[0]:
        kept = "it is empty" if span is None else f"it holds {_span(*span, settings.timezone)}"
        complain(f"{name}: no reading of that time ({kept})")
    begin, end = max(span[0], times[0]), min(span[1], times[1])

    def pieces() -> Iterator[Piece]:
        from hub.replay.piece import Piece

        batches = scan.pieces(begin, end)
        while True:
            began = cpu_s()
            batch = next(batches, None)
            if batch is None:
                return
            last_ms = int(batch.received_at_ms[-1])
            done = (last_ms - begin) / max(1, end - begin)
            yield Piece(batch=batch, done=done, last_ms=last_ms, read_s=cpu_s() - began)

    note = "a history knows no receive times, unknown values, repetitions or tests: the journal is exact"
    return Opened(name, pieces(), begin, True, lambda: [note])


def screen_of(settings: Settings) -> Any:
    """The screen that `settings` ask for, with an empty memory."""
    from hub.ingest.screen import Limits, Screen

    return Screen(
        Limits(
            past_ms=int(settings.screen.past_days * 86_400_000),
            future_ms=int(settings.screen.future_s * 1_000),
            late_ms=int(settings.screen.late_s * 1_000),
        )
    )


def _with_head(head: Piece, rest: Iterator[Piece]) -> Iterator[Piece]:
    yield head
    yield from rest


def _span(first_ms: int | None, last_ms: int | None, zone: str) -> str:
    if first_ms is None or last_ms is None:
        return "nothing"
    return f"{local(first_ms, zone)} … {local(last_ms, zone)}"
