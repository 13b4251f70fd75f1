"""Everything that a history holds, in the order of time and in pieces that fit the memory: for trying rules on the past.

A history knows when a value was measured, not when it arrived, nor that it was unknown or repeated: the journal knows that.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import httpx
import numpy as np
from numpy.typing import NDArray

from hub.errors import Unavailable
from hub.model.quantities import CODE
from hub.model.readings import ReadingBatch
from hub.stores.latest import QUANTITY_BITS, blocks_after
from hub.stores.line_protocol import TELEMETRY, stored_tag

_HOUR_MS = 3_600_000
_MOST_ROWS = 1_000_000
_QUANTITY = (1 << QUANTITY_BITS) - 1
_ITEM = np.dtype([("quantity", "<u2"), ("ms", "<u4"), ("value", "<f8")])
_POINTS_AT_ONCE = 200_000
_WIDEST_MS, _NARROWEST_MS = 6 * _HOUR_MS, 1_000
Columns = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]
"""slot, code, value, time"""


class Slots(Protocol):
    """What must be known of the registry: slots by device, grid and building by slot."""

    @property
    def slot_of(self) -> dict[str, int]: ...
    @property
    def grid(self) -> NDArray[np.int32]: ...
    @property
    def building(self) -> NDArray[np.int32]: ...


def batch_of(columns: Columns, registry: Slots) -> ReadingBatch:
    """As readings that were received when they were measured; of the same device, quantity and time the last one stands."""
    slot, code, value, at_ms = columns
    order = np.lexsort((code, slot, at_ms))
    slot, code, value, at_ms = slot[order], code[order], value[order], at_ms[order]
    last = np.ones(len(slot), bool)
    last[:-1] = (slot[1:] != slot[:-1]) | (code[1:] != code[:-1]) | (at_ms[1:] != at_ms[:-1])
    slot, code, value, at_ms = slot[last], code[last], value[last], at_ms[last]
    return ReadingBatch(
        slot=slot.astype(np.int32),
        quantity=code.astype(np.int16),
        value=value,
        observed_at_ms=at_ms,
        received_at_ms=at_ms.copy(),
        quality=np.zeros(len(slot), np.uint16),
        position=np.zeros(len(slot), np.int64),
        grid=registry.grid[slot],
        building=registry.building[slot],
    )


class EmbeddedScan:
    """The file of `EmbeddedHistory`, while a hub may be writing it. Raises Unavailable when it cannot be read."""

    def __init__(self, path: Path, registry: Slots, *, most_rows: int = _MOST_ROWS) -> None:
        self._path, self._registry, self._most_rows = path, registry, most_rows

    def pieces(self, from_ms: int, to_ms: int) -> Iterator[ReadingBatch]:
        """All readings of [from_ms, to_ms), hour by hour; an hour that is too big comes in slices of time."""
        with self._open() as db:
            slots, codes = self._names(db)
            fresh = blocks_after(db, 0)
            fresh = fresh[(fresh["observed"] >= from_ms) & (fresh["observed"] < to_ms) & ~np.isnan(fresh["value"])]
            fresh_hours = fresh["observed"] // _HOUR_MS
            stored = db.execute(
                "SELECT hour, sum(length(data)) FROM chunk WHERE hour BETWEEN ? AND ? GROUP BY hour",
                (from_ms // _HOUR_MS, (to_ms - 1) // _HOUR_MS),
            ).fetchall()
            sizes = {int(hour): int(size) // _ITEM.itemsize for hour, size in stored}
            for hour in sorted(sizes.keys() | {int(h) for h in np.unique(fresh_hours)}):
                late = fresh[fresh_hours == hour]
                slices = (sizes.get(hour, 0) + len(late)) // self._most_rows + 1
                edges = np.linspace(hour * _HOUR_MS, (hour + 1) * _HOUR_MS, slices + 1).astype(np.int64)
                for begin, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
                    since, until = max(begin, from_ms), min(end, to_ms)
                    columns = self._slice(db, hour, late, since, until, slots, codes)
                    if len(columns[0]):
                        yield batch_of(columns, self._registry)

    def span(self) -> tuple[int, int] | None:
        """First and last time that are kept, by the hour; None when there is nothing."""
        with self._open() as db:
            first, last = db.execute("SELECT min(hour), max(hour) FROM chunk").fetchone()
            fresh = blocks_after(db, 0)["observed"]
        times = [*([] if first is None else [first * _HOUR_MS, (last + 1) * _HOUR_MS])]
        times += [int(fresh.min()), int(fresh.max()) + 1] if len(fresh) else []
        return (min(times), max(times)) if times else None

    def _names(self, db: sqlite3.Connection) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Slot by the file's number of the device, code by its number of the quantity; -1 where they are not known any more."""
        devices = db.execute("SELECT id, name FROM device").fetchall()
        quantities = db.execute("SELECT id, name FROM quantity").fetchall()
        slots = np.full(max((n for n, _ in devices), default=0) + 1, -1, np.int64)
        codes = np.full(max((n for n, _ in quantities), default=0) + 1, -1, np.int64)
        for number, name in devices:
            slots[number] = self._registry.slot_of.get(name, -1)
        for number, name in quantities:
            codes[number] = CODE.get(name, -1)
        return slots, codes

    def _slice(
        self,
        db: sqlite3.Connection,
        hour: int,
        fresh: NDArray[np.void],
        since: int,
        until: int,
        slots: NDArray[np.int64],
        codes: NDArray[np.int64],
    ) -> Columns:
        start = hour * _HOUR_MS
        parts: list[Columns] = []
        for device, data in db.execute("SELECT device, data FROM chunk WHERE hour = ?", (hour,)):
            if device >= len(slots) or slots[device] < 0:
                continue
            items = np.frombuffer(data, _ITEM)
            items = items[(items["ms"] >= since - start) & (items["ms"] < until - start)]
            if len(items):
                at_ms = items["ms"].astype(np.int64) + start
                whose = np.full(len(items), slots[device])
                parts.append((whose, codes[items["quantity"]], items["value"].astype(np.float64), at_ms))
        late = fresh[(fresh["observed"] >= since) & (fresh["observed"] < until)]
        if len(late):
            series = late["series"]
            whose = slots[np.minimum(series >> QUANTITY_BITS, len(slots) - 1)]
            parts.append((whose, codes[series & _QUANTITY], late["value"].copy(), late["observed"].copy()))
        if not parts:
            empty = np.empty(0, np.int64)
            return empty, empty, np.empty(0), empty
        slot, code, value, at_ms = (np.concatenate(column) for column in zip(*parts, strict=True))
        use = (slot >= 0) & (code >= 0)
        return slot[use], code[use], value[use], at_ms[use]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            db = sqlite3.connect(
                f"{self._path.resolve().as_uri()}?mode=ro", uri=True, timeout=5.0, isolation_level=None
            )
        except sqlite3.Error as bad:
            raise Unavailable(f"{self._path}: {bad}") from bad
        try:
            yield db
        except sqlite3.Error as bad:
            raise Unavailable(f"{self._path}: {bad}") from bad
        finally:
            db.close()


class InfluxScan:
    """The telemetry of an InfluxDB bucket, by InfluxQL. Slices of time are as wide as their number of points allows."""

    def __init__(self, registry: Slots, *, url: str, bucket: str, token: str, timeout_s: float = 60.0) -> None:
        self._registry, self._url, self._bucket = registry, url.rstrip("/"), bucket
        self._slots = {stored_tag(device): slot for device, slot in registry.slot_of.items()}
        self._http = httpx.Client(
            base_url=self._url,
            headers={"Authorization": f"Token {token}"} if token else {},
            timeout=timeout_s,
            trust_env=False,
        )

    def pieces(self, from_ms: int, to_ms: int) -> Iterator[ReadingBatch]:
        """All readings of [from_ms, to_ms), in order."""
        fields = [str(row[0]) for row in self._rows(f'SHOW FIELD KEYS FROM "{TELEMETRY}"') if str(row[0]) in CODE]
        span = self.span()
        if not fields or span is None:
            return
        at, end, width = max(from_ms, span[0]), min(to_ms, span[1]), 600_000
        while at < end:
            until = min(at + width, end)
            columns = self._slice(fields, at, until, width)
            if columns is None:  # too many points
                width //= 2
                continue
            if len(columns[0]):
                yield batch_of(columns, self._registry)
            if len(columns[0]) < _POINTS_AT_ONCE // 4:
                width = min(2 * width, _WIDEST_MS)
            at = until

    def span(self) -> tuple[int, int] | None:
        """First and last time of any telemetry; None when there is none."""
        found = []
        for order in ("ASC", "DESC"):
            rows = self._rows(f'SELECT * FROM "{TELEMETRY}" ORDER BY time {order} LIMIT 1')
            if not rows:
                return None
            found.append(int(rows[0][0]))
        return found[0], found[1] + 1

    def close(self) -> None:
        self._http.close()

    def _slice(self, fields: list[str], since: int, until: int, width: int) -> Columns | None:
        names = ", ".join(f'"{field}"' for field in fields)
        query = (
            f'SELECT {names} FROM "{TELEMETRY}" WHERE time >= {since}ms AND time < {until}ms '
            f'GROUP BY "device" ORDER BY time ASC'
        )
        codes = [CODE[field] for field in fields]
        slot: list[int] = []
        code: list[int] = []
        value: list[float] = []
        at_ms: list[int] = []
        for series in self._series(query):
            whose = self._slots.get(series.get("tags", {}).get("device", ""), -1)
            if whose < 0:
                continue
            for row in series["values"]:
                for number, given in zip(codes, row[1:], strict=True):
                    if given is not None:
                        slot.append(whose)
                        code.append(number)
                        value.append(float(given))
                        at_ms.append(row[0])
            if len(slot) > _POINTS_AT_ONCE and width > _NARROWEST_MS:
                return None
        return (
            np.array(slot, np.int64),
            np.array(code, np.int64),
            np.array(value, np.float64),
            np.array(at_ms, np.int64),
        )

    def _rows(self, query: str) -> list[list[Any]]:
        return [row for series in self._series(query) for row in series["values"]]

    def _series(self, query: str) -> Iterator[dict[str, Any]]:
        """The series of the answer, as the server sends them: one chunk a line."""
        parameters: dict[str, str] = {
            "db": self._bucket, "epoch": "ms", "q": query, "chunked": "true", "chunk_size": "10000",
        }  # fmt: skip
        try:
            with self._http.stream("GET", "/query", params=parameters) as answer:
                if answer.status_code != 200:
                    text = answer.read().decode("utf-8", "replace")[:200]
                    raise Unavailable(f"InfluxDB at {self._url} answered {answer.status_code} {text}")
                for line in answer.iter_lines():
                    if not line.strip():
                        continue
                    for result in json.loads(line)["results"]:
                        if "error" in result:
                            raise Unavailable(f"InfluxDB at {self._url}: {result['error']}")
                        yield from result.get("series", ())
        except (httpx.HTTPError, ValueError, KeyError) as away:
            raise Unavailable(f"InfluxDB at {self._url} does not answer: {type(away).__name__}") from away
