"""devices.csv: one device a row, read in a stream so that a hundred thousand stay cheap."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator, Mapping
from typing import Final

from hub.errors import Complaint
from hub.model.places import Device, Name, Place
from hub.registry.builder import Builder
from hub.registry.findings import Findings
from hub.registry.kinds import CANARY, DEVICE_KINDS, HUB, SILENCE_LIMIT_MS

COLUMNS: Final = (
    "id", "kind", "name_zh", "name_en", "place", "grid", "addresses", "parent", "model",
    "interval_s", "supervision", "tags", "lat", "lon",
)  # fmt: skip
"""The header, in this order. `addresses` and `tags` hold several values separated by semicolons."""
MOST_INTERVAL_S: Final = 31 * 86_400.0

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_ADDRESS = re.compile(r"[a-z0-9][a-z0-9_.-]*:[^\s;][^;]*")
_SPREADSHEET_NUMBER = re.compile(r"\d(\.\d+)?E\+\d+", re.IGNORECASE)
_OWN = frozenset((HUB, CANARY))


def read_devices(
    text: str, file: str, places: Mapping[str, Place] | None, builder: Builder, findings: Findings
) -> None:
    """Reads the rows of devices.csv into `builder`. `places` None = not known: where the devices hang is not checked."""
    _Rows(file, places, builder, findings).read(text)


def addresses_in(text: str) -> Iterator[tuple[int, str, str]]:
    """Line, device id and address of each address that is written rightly, whatever else is wrong with the file."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    column = COLUMNS.index("addresses")
    try:
        for cells in reader:
            if len(cells) == len(COLUMNS) and reader.line_num > 1:
                for address in _several(cells[column].strip()):
                    if _ADDRESS.fullmatch(address):
                        yield reader.line_num, cells[0].strip(), address
    except csv.Error:
        return  # said by who reads the rows


class _Rows:
    def __init__(self, file: str, places: Mapping[str, Place] | None, builder: Builder, findings: Findings) -> None:
        self._file, self._places, self._builder, self._findings = file, places, builder, findings
        self._grids = None if places is None else {c for c, place in places.items() if place.level == "grid"}
        self._fits: dict[tuple[str, str], str] = {}  # (place, grid) → what is wrong with it
        self._intervals: dict[tuple[str, str], float] = {}  # (interval_s, supervision) as they stand there, when right
        self._ids: dict[str, int] = {}
        self._addresses: dict[str, int] = {}
        self._parents: dict[str, tuple[str, int]] = {}

    def read(self, text: str) -> None:
        if not self._read_rows(text):
            return  # what is missing may stand in the part that could not be read
        self._check_parents()
        for own in (HUB, CANARY):
            if own not in self._ids:
                self._complain(None, own, f"no device '{own}'", f"add the one device of kind {own}")

    def _complain(self, line: int | None, key: str, message: str, remedy: str = "correct the value") -> None:
        self._findings.complaints.append(Complaint(file=self._file, line=line, key=key, message=message, remedy=remedy))

    def _read_rows(self, text: str) -> bool:
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        try:
            header = next(reader, [])
            if tuple(cell.strip() for cell in header) != COLUMNS:
                self._complain_about_header([cell.strip() for cell in header])
                return False
            for cells in reader:
                if not cells:
                    continue
                if len(cells) != len(COLUMNS):
                    self._complain(
                        reader.line_num,
                        cells[0],
                        f"{len(cells)} cells instead of {len(COLUMNS)}",
                        "count the commas; a comma inside a cell needs quotes around the cell",
                    )
                    self._ids.setdefault(cells[0].strip(), reader.line_num)
                    continue
                self._row(reader.line_num, [cell.strip() for cell in cells])
        except csv.Error as bad:
            self._complain(reader.line_num, "", f"not valid CSV: {bad}", "check the quotes at this line")
            return False
        return True

    def _complain_about_header(self, header: list[str]) -> None:
        for name in header:
            if name not in COLUMNS:
                self._complain(1, name, "unknown column", self._findings.near(name, COLUMNS, "remove it"))
        for name in COLUMNS:
            if name not in header:
                self._complain(1, name, "this column is missing", f"the header is {','.join(COLUMNS)}")
        if sorted(header) == sorted(COLUMNS):
            self._complain(1, "", "the columns are in another order", f"the header is {','.join(COLUMNS)}")
        elif len(set(header)) != len(header):
            self._complain(1, "", "a column is given twice", f"the header is {','.join(COLUMNS)}")

    def _row(self, line: int, cells: list[str]) -> None:
        before = len(self._findings.complaints)
        device_id, kind, zh, en, place, grid, addresses, parent, model, interval, supervision, tags, lat, lon = cells
        place = place or grid
        supervision = supervision or "radio"
        self._check_id(line, device_id)
        if kind not in DEVICE_KINDS:
            remedy = self._findings.near(kind, DEVICE_KINDS, f"use one of {', '.join(DEVICE_KINDS)}")
            self._complain(line, f"{device_id}.kind", f"unknown kind '{kind}'", remedy)
        if not (zh and en and zh.isprintable() and en.isprintable() and model.isprintable()):
            self._complain_about_texts(line, device_id, zh, en, model)
        if self._fits.get((place, grid)) != "":
            self._check_place(line, device_id, place, grid)
        known = _several(addresses)
        self._check_addresses(line, device_id, known)
        interval_s = self._intervals.get((interval, supervision))
        if interval_s is None:
            interval_s = self._interval(line, device_id, interval, supervision)
        labels = _several(tags) if tags else ()
        if kind in _OWN or device_id in _OWN or CANARY in labels:
            self._check_own(line, device_id, kind, labels)
        latitude = self._number(line, device_id, "lat", lat, -90.0, 90.0) if lat else None
        longitude = self._number(line, device_id, "lon", lon, -180.0, 180.0) if lon else None
        if (not lat) != (not lon):
            self._complain(line, f"{device_id}.lat", "lat and lon go together", "give both or none")
        if parent:
            self._parents[device_id] = (parent, line)
        if len(self._findings.complaints) > before:
            return
        self._builder.add(
            Device(
                slot=-1,
                id=device_id,
                kind=kind,
                name=Name(zh=zh, en=en),
                place=place,
                grid=grid,
                addresses=known,
                parent=parent,
                model=model,
                expected_interval_s=interval_s,
                supervision=supervision,
                tags=labels,
                lat=latitude,
                lon=longitude,
            )
        )

    def _complain_about_texts(self, line: int, device_id: str, zh: str, en: str, model: str) -> None:
        for column, text in (("name_zh", zh), ("name_en", en), ("model", model)):
            if not text.isprintable():
                self._complain(line, f"{device_id}.{column}", "holds a control character", "remove it")
            elif not text and column != "model":
                self._complain(line, f"{device_id}.{column}", "the name is missing", "name it in both languages")

    def _interval(self, line: int, device_id: str, cell: str, supervision: str) -> float:
        """The interval in seconds, remembered for the rows that say the same when nothing is wrong with it."""
        before = len(self._findings.complaints)
        interval_s = (self._number(line, device_id, "interval_s", cell, 0.0, MOST_INTERVAL_S) or 0.0) if cell else 0.0
        if supervision not in SILENCE_LIMIT_MS:
            remedy = f"use one of {', '.join(SILENCE_LIMIT_MS)}"
            self._complain(line, f"{device_id}.supervision", f"unknown class '{supervision}'", remedy)
        elif 0 < SILENCE_LIMIT_MS[supervision] < interval_s * 1_000:
            limit_s = SILENCE_LIMIT_MS[supervision] // 1_000
            self._complain(
                line,
                f"{device_id}.interval_s",
                f"every {cell} s is too rare for class {supervision}, which counts {limit_s} s of silence as a loss",
                "report more often, or choose another supervision class",
            )
        if len(self._findings.complaints) == before:
            self._intervals[cell, supervision] = interval_s
        return interval_s

    def _check_id(self, line: int, device_id: str) -> None:
        if not _ID.fullmatch(device_id):
            self._complain(
                line, f"{device_id}.id", f"'{device_id}' is not an id", "use letters, digits and . _ : - (at most 128)"
            )
        elif device_id in self._ids:
            self._complain(
                line,
                f"{device_id}.id",
                f"'{device_id}' is used twice",
                f"give it another id (the first is at line {self._ids[device_id]})",
            )
        else:
            self._ids[device_id] = line

    def _check_addresses(self, line: int, device_id: str, addresses: tuple[str, ...]) -> None:
        for address in addresses:
            if not _ADDRESS.fullmatch(address) or not address.isprintable():
                self._complain(
                    line,
                    f"{device_id}.addresses",
                    f"'{address}' is not an address",
                    "write <codec>:<identity>, e.g. native-v1:demo/gw-1/smoke-1; several with ';' between",
                )
            elif address in self._addresses:
                self._complain(
                    line,
                    f"{device_id}.addresses",
                    f"'{address}' is used twice",
                    f"an address means one device (the first is at line {self._addresses[address]})",
                )
            else:
                self._addresses[address] = line

    def _check_place(self, line: int, device_id: str, place: str, grid: str) -> None:
        if self._places is None or self._grids is None:
            return
        if self._findings.is_lost(grid, self._grids):
            if _SPREADSHEET_NUMBER.fullmatch(grid):
                remedy = "a spreadsheet made a number of the code: format the column as text and enter the codes again"
            else:
                remedy = self._findings.near(grid, self._grids, "correct the code, or add the grid to places.yaml")
            self._complain(line, f"{device_id}.grid", f"no grid '{grid}'" if grid else "the grid is missing", remedy)
        if place not in self._places:
            if place != grid and self._findings.is_lost(place, self._places):
                remedy = self._findings.near(place, self._places, "correct the code, or add it to places.yaml")
                self._complain(line, f"{device_id}.place", f"no place '{place}'", remedy)
        elif grid in self._grids:
            wrong = self._fits.get((place, grid))
            if wrong is None:
                wrong = self._fits[place, grid] = _misfit(self._places, place, grid)
            if wrong:
                self._complain(line, f"{device_id}.place", wrong, "correct the place or the grid")

    def _check_own(self, line: int, device_id: str, kind: str, tags: tuple[str, ...]) -> None:
        """The hub and its canary are known by their id; nothing else may pass for them."""
        for own, claims in ((HUB, kind == HUB), (CANARY, kind == CANARY or CANARY in tags)):
            if claims and device_id != own:
                self._complain(
                    line, f"{device_id}.kind", f"only the device '{own}' can be the {own}", "change the kind"
                )
            elif device_id == own and (kind != own or (own == CANARY and CANARY not in tags)):
                remedy = f"set kind {own}" + (" and tag canary" if own == CANARY else "")
                self._complain(line, f"{device_id}.kind", f"the device '{own}' is the {own} of this hub", remedy)

    def _number(self, line: int, device_id: str, column: str, cell: str, low: float, high: float) -> float | None:
        try:
            value = float(cell)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            self._complain(
                line, f"{device_id}.{column}", f"'{cell}' is not a number from {low:g} to {high:g}", "correct the value"
            )
            return None
        return value

    def _check_parents(self) -> None:
        for device_id, (parent, line) in self._parents.items():
            if parent not in self._ids:
                remedy = self._findings.near(parent, self._ids, "add the gateway, or correct the id")
                self._complain(line, f"{device_id}.parent", f"no device '{parent}'", remedy)
                continue
            seen, above = {device_id}, parent
            while above not in seen and above in self._parents:
                seen.add(above)
                above = self._parents[above][0]
            if above == device_id:
                self._complain(line, f"{device_id}.parent", "is behind itself", "name the gateway it speaks through")


def _misfit(places: Mapping[str, Place], place: str, grid: str) -> str:
    """Why a device of `grid` cannot hang at `place`; "" if it can: in the grid itself, or beside it in its compound."""
    home = places[grid].parent
    code = place
    for _ in range(len(places)):
        if code in (grid, home):
            return ""
        found = places.get(code)
        if found is None or found.level in ("compound", "grid"):
            break
        code = found.parent
    return f"'{place}' is outside '{home}', where grid '{grid}' lies"


def _several(cell: str) -> tuple[str, ...]:
    """The values of a cell that holds several, with semicolons between."""
    if ";" not in cell:
        return (cell,) if cell else ()
    return tuple(part for value in cell.split(";") if (part := value.strip()))
