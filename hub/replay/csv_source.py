"""Readings from a CSV file: time, device, quantity, value, and when it was received, if that differs. Column by column, in pieces."""

from __future__ import annotations

import csv
import gzip
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import repeat
from pathlib import Path
from typing import IO, Any, Protocol
from zoneinfo import ZoneInfo

import numpy as np

from hub.clock import cpu_s
from hub.errors import ConfigError
from hub.model.quantities import BY_CODE, CODE, coded
from hub.model.readings import Floats, Ints, Quality, ReadingBatch
from hub.registry.snapshot import Registry
from hub.replay.piece import Piece

_BYTES = 8 << 20
_REQUIRED = ("time", "device", "quantity", "value")
_COLUMNS = (*_REQUIRED, "received")
_UNKNOWN_WORDS = frozenset(("", "null", "none", "nan", "unknown", "unavailable"))
_WORDS = {"true": True, "false": False, "on": True, "off": False}
_MOST_STAMPS = 100_000


class Judge(Protocol):
    """`hub.ingest.screen.Screen`, as far as columns go."""

    def judge_time(self, slot: Any, observed: Ints, received: Ints, quality: Any) -> None: ...
    def judge_values(self, quantity: Any, value: Floats, quality: Any) -> list[int]: ...
    def judge_order(
        self, slot: Any, quantity: Any, value: Floats, observed: Ints, received: Ints, quality: Any
    ) -> None: ...


_EARLIEST, _LATEST = 1990, 2200
_EARLIEST_MS, _LATEST_MS = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp() * 1_000) for year in (_EARLIEST, _LATEST))
"""Readings of other years come of a unit or a column that is another than it looks, and would make one endless day."""


@dataclass(slots=True)
class Skipped:
    """Rows that could not be used, by reason; with the first example of each."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def add(self, reason: str, example: str, count: int = 1) -> None:
        self.counts[reason] += count
        self.examples.setdefault(reason, example or "an empty one")


class CsvSource:
    """One file, plain or gzipped. Instants are ISO 8601 (without offset: of the site's `zone`) or epoch numbers in s, ms, µs or ns.

    Rows should be in the order of their receipt; within some hundred thousand rows they are put in order here.
    Raises ConfigError when the file is no such table.
    """

    def __init__(self, path: Path, registry: Registry, judge: Judge, *, zone: str) -> None:
        self.path, self.registry, self.judge = path, registry, judge
        self.skipped = Skipped()
        self.read_s = 0.0
        self._zone = ZoneInfo(zone)
        self._stamps: dict[str, int] = {}
        self._words: dict[tuple[str, int], tuple[float, int]] = {}
        try:
            self._size = path.stat().st_size
            with _opened(path) as (content, _):
                self._columns, self._delimiter, self._width = self._head(content.readline(65_536).decode("utf-8"))
        except (OSError, EOFError, UnicodeDecodeError) as bad:
            raise ConfigError.one(str(path), f"cannot be read: {bad}", remedy="name a CSV file in UTF-8") from bad

    def pieces(self, from_ms: int, to_ms: int) -> Iterator[Piece]:
        """The readings received in [from_ms, to_ms), oldest first as far as the file is in order."""
        with _opened(self.path) as (content, raw):
            line = 1 + content.readline().count(b"\n")
            rest = b""
            while True:
                began = cpu_s()
                block = content.read(_BYTES)
                if not block and not rest:
                    return
                cut = block.rfind(b"\n") + 1 if block else 0
                whole, rest = (rest + block[:cut], block[cut:]) if block else (rest, b"")
                if not whole:
                    continue
                batch = self._batch(self._table(whole, line), from_ms, to_ms)
                line += whole.count(b"\n")
                spent = cpu_s() - began
                self.read_s += spent
                if len(batch):
                    done = min(1.0, raw.tell() / self._size) if self._size else 1.0
                    yield Piece(batch=batch, done=done, last_ms=int(batch.received_at_ms[-1]), read_s=spent)

    def _head(self, line: str) -> tuple[dict[str, int], str, int]:
        line = line.lstrip("\ufeff").strip()
        delimiter = max(",;\t", key=line.count)
        names = [name.strip().strip('"').lower() for name in line.split(delimiter)]
        missing = [name for name in _REQUIRED if name not in names]
        if missing:
            raise ConfigError.one(
                str(self.path),
                f"the first line lacks {', '.join(missing)}",
                line=1,
                remedy=f"head the columns {', '.join(_REQUIRED)} and, if you have it, received",
            )
        return {name: names.index(name) for name in _COLUMNS if name in names}, delimiter, len(names)

    def _table(self, block: bytes, line: int) -> dict[str, Sequence[str]]:
        """The columns of some whole lines."""
        if b"\r" in block:
            block = block.replace(b"\r\n", b"\n")
        if not block.endswith(b"\n"):
            block += b"\n"
        if b'"' not in block and self._is_even(block):  # one split for all, and no list for each line
            flat = block.decode("utf-8", "replace").replace("\n", self._delimiter).split(self._delimiter)
            return {name: flat[n : -1 : self._width] for name, n in self._columns.items()}
        rows = list(csv.reader(io.StringIO(block.decode("utf-8", "replace")), delimiter=self._delimiter))
        least = max(self._columns.values()) + 1
        for n, row in enumerate(rows):
            if row and len(row) < least:
                self.skipped.add("too few columns", f"line {line + n}")
        rows = [row for row in rows if len(row) >= least]
        return {name: [row[n] for row in rows] for name, n in self._columns.items()}

    def _is_even(self, block: bytes) -> bool:
        """Whether every line has as many columns as the first line of the file."""
        data = np.frombuffer(block, np.uint8)
        ends = np.flatnonzero(data == 10)
        commas = np.flatnonzero(data == ord(self._delimiter))
        if len(commas) != len(ends) * (self._width - 1):
            return False
        return bool((np.searchsorted(commas, ends) == np.arange(1, len(ends) + 1) * (self._width - 1)).all())

    def _batch(self, table: dict[str, Sequence[str]], from_ms: int, to_ms: int) -> ReadingBatch:
        if not table["time"]:
            return ReadingBatch.empty()
        slot = self._numbers(table["device"], self.registry.slot_of, "unknown device")
        code = self._numbers(table["quantity"], CODE, "unknown quantity")
        observed = self._times(table["time"], "time that cannot be read")
        received = observed
        if "received" in table:
            received = self._times(table["received"], "receive time that cannot be read")
        value, quality = self._values(table["value"], code)
        use = (slot >= 0) & (code >= 0) & (observed >= 0) & (received >= from_ms) & (received < to_ms) & (quality >= 0)
        if not use.all():
            slot, code, observed, received = slot[use], code[use], observed[use], received[use]
            value, quality = value[use], quality[use]
        order = np.argsort(received, kind="stable") if (np.diff(received) < 0).any() else slice(None)
        batch = ReadingBatch(
            slot=slot[order].astype(np.int32),
            quantity=code[order].astype(np.int16),
            value=value[order],
            observed_at_ms=observed[order].copy(),
            received_at_ms=received[order].copy(),
            quality=quality[order].astype(np.uint16),
            position=np.zeros(len(slot), np.int64),
            grid=self.registry.grid[slot[order]],
            building=self.registry.building[slot[order]],
        )
        if len(batch):
            self.judge.judge_time(batch.slot, batch.observed_at_ms, batch.received_at_ms, batch.quality)
            self.judge.judge_values(batch.quantity, batch.value, batch.quality)
            self.judge.judge_order(
                batch.slot, batch.quantity, batch.value, batch.observed_at_ms, batch.received_at_ms, batch.quality
            )
        return batch

    def _numbers(self, names: Sequence[str], known: dict[str, int], lost: str) -> Ints:
        numbers = np.fromiter(map(known.get, names, repeat(-1)), np.int64, len(names))
        missing = np.flatnonzero(numbers < 0)
        if len(missing):
            for n in missing.tolist():
                number = known.get(names[n].strip(), -1)
                if number >= 0:
                    numbers[n] = number
                else:
                    self.skipped.add(lost, names[n].strip()[:80])
        return numbers

    def _times(self, texts: Sequence[str], lost: str) -> Ints:
        """Milliseconds; -1 where a text is no instant, or one in which nobody can have measured anything."""
        found = self._read_times(texts, lost)
        absurd = np.flatnonzero((found >= 0) & ((found < _EARLIEST_MS) | (found >= _LATEST_MS)))
        if len(absurd):
            reason = f"{lost.partition(' that ')[0]} before {_EARLIEST} or after {_LATEST}"
            self.skipped.add(reason, texts[int(absurd[0])].strip()[:80], len(absurd))
            found[absurd] = -1
        return found

    def _read_times(self, texts: Sequence[str], lost: str) -> Ints:
        """Milliseconds; -1 where a text is no instant. Stamps repeat, so each is read once."""
        stamps = self._stamps
        if len(stamps) > _MOST_STAMPS:
            stamps.clear()
        try:
            return np.fromiter(map(stamps.__getitem__, texts), np.int64, len(texts))
        except KeyError:
            pass
        digits = texts[0].isdigit() and all(map(str.isdigit, texts))
        if digits:
            return _scaled(np.array(list(map(int, texts)), np.int64))
        for text in set(texts) - stamps.keys():
            stamps[text] = self._instant(text)
            if stamps[text] < 0:
                self.skipped.add(lost, text[:80])
        return np.fromiter(map(stamps.__getitem__, texts), np.int64, len(texts))

    def _instant(self, text: str) -> int:
        try:
            instant = datetime.fromisoformat(text.strip())
        except ValueError:
            try:
                return int(_scaled(np.array([float(text)]))[0])
            except (ValueError, OverflowError):
                return -1
        if instant.tzinfo is None:
            instant = instant.replace(tzinfo=self._zone)
        return int(instant.timestamp() * 1_000)

    def _values(self, texts: Sequence[str], code: Ints) -> tuple[Floats, Ints]:
        """Numbers as they travel in a batch, and flags; -1 among the flags: no value of that quantity."""
        quality = np.zeros(len(texts), np.int64)
        try:
            value = np.fromiter(map(float, texts), np.float64, len(texts))
        except ValueError:
            value = np.full(len(texts), np.nan)
            codes, words = code.tolist(), self._words
            for n, text in enumerate(texts):
                try:
                    value[n] = float(text)
                except ValueError:
                    key = (text, codes[n])
                    if key not in words:
                        words[key] = self._word(text.strip(), codes[n])
                    value[n], quality[n] = words[key]
                    if quality[n] < 0 <= codes[n]:
                        self.skipped.add(f"no value of {BY_CODE[codes[n]].name}", text.strip()[:80])
            if len(words) > _MOST_STAMPS:
                words.clear()
        quality[np.isnan(value) & (quality == 0)] = int(Quality.UNKNOWN)
        quality[np.isinf(value)] = -1
        return value, quality

    @staticmethod
    def _word(word: str, code: int) -> tuple[float, int]:
        if word.lower() in _UNKNOWN_WORDS:
            return float("nan"), int(Quality.UNKNOWN)
        if code < 0:
            return float("nan"), -1
        quantity = BY_CODE[code]
        number = coded(quantity, _WORDS.get(word.lower(), word) if quantity.kind == "switch" else word)
        return (float("nan"), -1) if number is None else (number, 0)


def _scaled(numbers: Any) -> Ints:
    """Epoch numbers of any usual unit as milliseconds, judged by their size."""
    size = np.abs(numbers)
    scaled = np.where(
        size < 1e11,
        numbers * 1_000,
        np.where(size < 1e14, numbers, np.where(size < 1e17, numbers // 1_000, numbers // 1_000_000)),
    )
    result: Ints = scaled.astype(np.int64)
    return result


class _opened:
    """The content of a file, and the raw file below it, which knows how far it was read."""

    def __init__(self, path: Path) -> None:
        self._raw = path.open("rb")
        packed = self._raw.peek(2)[:2] == b"\x1f\x8b"
        self._content: Any = gzip.GzipFile(fileobj=self._raw) if packed else self._raw

    def __enter__(self) -> tuple[Any, IO[bytes]]:
        return self._content, self._raw

    def __exit__(self, *_: object) -> None:
        self._content.close()
        self._raw.close()
