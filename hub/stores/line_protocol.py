"""InfluxDB line protocol, formed column by column: text of devices and people never breaks a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from hub.model.quantities import BY_CODE
from hub.model.readings import ReadingBatch
from hub.stores.history import ALARM_CODES, CASE_CODES, FIGURES, AlertEvent, Directory, GridStatus, levels

TELEMETRY, ALERTS, GRIDS = "telemetry", "alert_event", "grid_status"

# A control character or a backslash has no safe spelling in a tag: their pictures (U+2400…) and a look-alike stand in.
_PICTURES = {code: chr(0x2400 + code) for code in range(0x20)} | {0x7F: "\u2421", ord("\\"): "\u29f5"}
_TAG = str.maketrans({**_PICTURES, ord(" "): "\\ ", ord(","): "\\,", ord("="): "\\="})
_STORED = str.maketrans(_PICTURES)
_FIELD = str.maketrans({**dict.fromkeys(range(32), " "), 0x7F: " ", ord("\\"): "\\\\", ord('"'): '\\"'})

_NAMES = tuple(f"{q.name}=" for q in BY_CODE)
_NEXT = np.array([f",{q.name}=" for q in BY_CODE], dtype=object)
_WHOLE = np.array([q.kind in ("switch", "state") for q in BY_CODE], dtype=np.bool_)
_CODES = tuple(f"{n}i" for n in range(64))
_JSON = msgspec.json.Encoder()


def tag(text: str) -> str:
    """`text` as the value of a tag inside a line. Never empty: an empty tag value is not allowed."""
    return _encodable(text).translate(_TAG) or "-"


def stored_tag(text: str) -> str:
    """The tag value that the database holds after it has read `tag(text)`; what queries compare with."""
    return _encodable(text).translate(_STORED) or "-"


def text_field(text: str) -> str:
    """`text` as a quoted string field on one line."""
    return f'"{_encodable(text).translate(_FIELD)}"'


def _encodable(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


class SeriesKeys:
    """Measurement and tags of each slot, ready to be written. Kept for one version of the registry."""

    def __init__(self) -> None:
        self._version: str | None = None
        self._keys: list[str] = []

    def of(self, registry: Directory, slots: Sequence[int]) -> list[str]:
        """By slot; those of `slots` are filled in."""
        if registry.version != self._version or len(self._keys) < len(registry):
            self._version, self._keys = registry.version, [""] * len(registry)
        keys = self._keys
        for slot in slots:
            if not keys[slot]:
                keys[slot] = _series_key(registry, slot)
        return keys


def _series_key(registry: Directory, slot: int) -> str:
    device = registry.device(slot)
    above = levels(registry, device.place)
    tags = {  # in the order of their names: the server need not sort them
        "building": above.get("building", ""),
        "community": above.get("community", ""),
        "compound": above.get("compound", ""),
        "device": device.id,
        "grid": device.grid,
        "kind": device.kind,
    }
    return TELEMETRY + "".join(f",{name}={tag(value)}" for name, value in tags.items() if value) + " "


def telemetry_bodies(batch: ReadingBatch, registry: Directory, keys: SeriesKeys, *, most_lines: int) -> Iterator[str]:
    """Texts of at most `most_lines` lines each: one line per run of rows with the same device and time.

    Rows without a finite value (unknown) are left out. Gauges and counters are always floats, switches and states always integers: a field that
    changes its type would be refused.
    """
    known = np.isfinite(batch.value)
    if not known.all():
        batch = batch.take(known)
    if not len(batch):
        return
    starts = _starts(batch)
    for n in range(0, len(starts), most_lines):
        end = int(starts[n + most_lines]) if n + most_lines < len(starts) else len(batch)
        begin = int(starts[n])
        yield _body(batch.take(slice(begin, end)), starts[n : n + most_lines] - begin, registry, keys)


def _starts(batch: ReadingBatch) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    new = np.ones(len(batch), dtype=np.bool_)
    np.logical_or(batch.slot[1:] != batch.slot[:-1], batch.observed_at_ms[1:] != batch.observed_at_ms[:-1], out=new[1:])
    return np.flatnonzero(new)


def _body(
    batch: ReadingBatch, starts: np.ndarray[tuple[int], np.dtype[np.int64]], registry: Directory, keys: SeriesKeys
) -> str:
    # Each row is two pieces, what stands before its value and the value; the whole text is one join. The encoder of
    # msgspec writes a column of floats four times faster than repr() and just as exactly.
    values = _JSON.encode(batch.value.tolist())[1:-1].decode().split(",")
    whole = np.flatnonzero(_WHOLE[batch.quantity])
    for row, code in zip(whole.tolist(), batch.value[whole].astype(np.int64).tolist(), strict=True):
        values[row] = _CODES[code] if 0 <= code < len(_CODES) else f"{code}i"
    before: list[str] = _NEXT[batch.quantity].tolist()
    slots: list[int] = batch.slot[starts].tolist()
    key_of = keys.of(registry, slots)
    end_of_line = ""
    for row, slot, quantity, at_ms in zip(
        starts.tolist(), slots, batch.quantity[starts].tolist(), batch.observed_at_ms[starts].tolist(), strict=True
    ):
        before[row] = f"{end_of_line}{key_of[slot]}{_NAMES[quantity]}"
        end_of_line = f" {at_ms}\n"
    pieces = [""] * (2 * len(values) + 1)
    pieces[0:-1:2] = before
    pieces[1:-1:2] = values
    pieces[-1] = end_of_line[:-1]
    return "".join(pieces)


def alert_line(event: AlertEvent) -> str:
    """One event, at nanoseconds: the audit row's number fills what milliseconds leave free, so no two events collide."""
    tags = {
        "community": event.community,
        "device": event.device,
        "grid": event.grid,
        "kind": event.kind,
        "rule": event.rule,
        "severity": event.severity,
    }
    fields = [
        f"alert_id={text_field(event.alert_id)}",
        f"action={text_field(event.action)}",
        f"state_i={CASE_CODES[event.case_state]}i",
        f"alarm_i={ALARM_CODES[event.alarm_state]}i",
        f"live_i={int(event.live)}i",
        f"msg={text_field(event.msg)}",
        f"place={text_field(event.place)}",
    ]
    if event.value is not None and np.isfinite(event.value):
        fields.append(f"value={float(event.value)!r}")
    at_ns = event.at_ms * 1_000_000 + event.sequence % 1_000_000
    return f"{ALERTS}{_tags(tags)} {','.join(fields)} {at_ns}"


def grid_line(row: GridStatus) -> str:
    """One grid at one time, in milliseconds."""
    fields = [f"{figure}={int(getattr(row, figure))}i" for figure in FIGURES]
    fields.append(f"name={text_field(row.name)}")
    return f"{GRIDS}{_tags({'community': row.community, 'grid': row.grid})} {','.join(fields)} {row.at_ms}"


def _tags(tags: dict[str, str]) -> str:
    return "".join(f",{name}={tag(value)}" for name, value in tags.items() if value)
