"""A claim: the row that makes a device of the registry out of somebody unknown. Rows are only ever added, never changed."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Final

from hub.errors import Complaint, ConfigError
from hub.files import locked, replaced
from hub.model.places import Place
from hub.registry.devicefile import COLUMNS
from hub.registry.loader import load
from hub.registry.snapshot import Registry

FILE: Final = "devices.csv"
_NEEDED: Final = ("kind", "addresses", "place")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One row of devices.csv as texts, columns as there; what is left empty is filled in by `completed` where that is safe.

    `source` and `line` say where the claim was written, for complaints.
    """

    id: str = ""
    kind: str = ""
    name_zh: str = ""
    name_en: str = ""
    place: str = ""
    grid: str = ""
    addresses: str = ""
    parent: str = ""
    model: str = ""
    interval_s: str = ""
    supervision: str = ""
    tags: str = ""
    lat: str = ""
    lon: str = ""
    source: str = "claim"
    line: int | None = None

    @property
    def cells(self) -> tuple[str, ...]:
        return tuple(str(getattr(self, name)) for name in COLUMNS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """What the claims come to: the rows, and the registry with them. Written, unless it was a dry run."""

    claims: tuple[Claim, ...]
    registry: Registry


def completed(claim: Claim, places: Mapping[str, Place]) -> Claim:
    """`claim` with an id from its address, one name for both languages, and the grid where its place leaves no choice."""
    address = claim.addresses.partition(";")[0]
    zh, en = claim.name_zh or claim.name_en, claim.name_en or claim.name_zh
    device_id = claim.id or id_from(address)
    return replace(
        claim,
        id=device_id,
        name_zh=zh or device_id,
        name_en=en or device_id,
        grid=claim.grid or _grid_of(claim.place, places),
    )


def id_from(address: str) -> str:
    """A usable device id that resembles `address`, e.g. "My kitchen" of zigbee2mqtt:zigbee2mqtt/My kitchen → my-kitchen."""
    said = address.partition(":")[2]
    parts = [part for part in said.split("/") if part not in ("", "-")]
    plain = unicodedata.normalize("NFKD", parts[-1] if parts else said).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._:-]+", "-", plain).strip("-._:").lower()[:128]


def _grid_of(place: str, places: Mapping[str, Place]) -> str:
    """The one grid that a device at `place` can belong to; "" where there are several, or none."""
    code = place
    for _ in range(len(places)):
        found = places.get(code)
        if found is None:
            return ""
        if found.level == "grid":
            return code
        if found.level == "compound":
            grids = [p.code for p in places.values() if p.level == "grid" and p.parent == code]
            return grids[0] if len(grids) == 1 else ""
        code = found.parent
    return ""


def read_claims(text: str, source: str) -> list[Claim]:
    """The claims of a CSV file: a header with some of the columns of devices.csv, in any order. Raises ConfigError.

    `address` and `name` may stand for `addresses` and both names.
    """
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    known = {*COLUMNS, "address", "name"}
    wrong: list[Complaint] = []
    claims: list[Claim] = []
    try:
        header = [cell.strip() for cell in next(reader, [])]
        for name in dict.fromkeys(header):
            if name not in known:
                wrong.append(_complaint(source, 1, name, "unknown column", f"use some of {','.join(COLUMNS)}"))
            elif header.count(name) > 1:
                wrong.append(_complaint(source, 1, name, "a column is given twice", "remove one"))
        if wrong or not header:
            raise ConfigError(wrong or [_complaint(source, 1, "", "the file is empty", "begin with a header")])
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                found = f"{len(cells)} cells instead of {len(header)}"
                wrong.append(_complaint(source, reader.line_num, cells[0], found, "count the commas"))
                continue
            row = dict(zip(header, (cell.strip() for cell in cells), strict=True))
            if address := row.pop("address", ""):
                row["addresses"] = row.get("addresses") or address
            if name := row.pop("name", ""):
                row["name_zh"], row["name_en"] = row.get("name_zh") or name, row.get("name_en") or name
            claims.append(Claim(**row, source=source, line=reader.line_num))
    except csv.Error as bad:
        wrong.append(_complaint(source, reader.line_num, "", f"not valid CSV: {bad}", "check the quotes at this line"))
    if wrong:
        raise ConfigError(wrong)
    return claims


def claim(folder: Path, claims: Sequence[Claim], *, dry_run: bool = False) -> Claimed:
    """Adds `claims` to devices.csv of the registry in `folder`: all of them, or none. The running hub sees it within seconds.

    The whole registry is checked with them before anything is written. The file is replaced in one step, with everything that
    stood there byte for byte, and one writer waits for another, so none of two claims at once is lost. Raises ConfigError with
    every complaint, and OSError when the folder cannot be written.
    """
    if not claims:
        raise ConfigError.one("claim", "nothing is claimed", remedy="name at least one device")
    path = folder / FILE
    with _turn(folder, dry_run):
        before = path.read_bytes()
        places = load(folder).places  # complains about the files as they are, before anything is said of the claims
        whole = [completed(one, places) for one in claims]
        if wrong := [complaint for one in whole for complaint in _objections(one)]:
            raise ConfigError(wrong)
        after, first = _with_rows(before, [one.cells for one in whole])
        try:
            registry = load(folder, instead={FILE: after})
        except ConfigError as refused:
            raise ConfigError([_where(c, str(path), first, whole) for c in refused.complaints]) from None
        if not dry_run:
            replaced(path, after)
    return Claimed(claims=tuple(whole), registry=registry)


@contextmanager
def _turn(folder: Path, dry_run: bool) -> Iterator[None]:
    if dry_run:
        yield
        return
    with locked(folder):
        yield


def _objections(one: Claim) -> Iterator[Complaint]:
    for field in fields(one):
        value = getattr(one, field.name)
        if field.name in COLUMNS and not value.isprintable():
            yield _complaint(one.source, one.line, field.name, "holds a control character", "remove it")
    for name in _NEEDED:
        if not getattr(one, name):
            yield _complaint(one.source, one.line, f"{one.id or '?'}.{name}", "is missing", _REMEDY[name])


_REMEDY: Final = {
    "kind": "say what kind of device it is",
    "addresses": "copy the address that the list of unknown devices shows",
    "place": "give the code of the place where it hangs",
}


def _with_rows(before: bytes, rows: Sequence[Sequence[str]]) -> tuple[bytes, int]:
    """`before` with `rows` behind it, lines ended as they are there; and the line number of the first of them."""
    end = "\r\n" if b"\r\n" in before else "\n"
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=end).writerows(rows)
    body = before if before.endswith(b"\n") or not before else before + end.encode()
    return body + text.getvalue().encode(), body.count(b"\n") + 1


def _where(complaint: Complaint, path: str, first: int, claims: Sequence[Claim]) -> Complaint:
    """A complaint about a row that is to be added, told of the place where it was claimed."""
    at = -1 if complaint.line is None or complaint.file != path else complaint.line - first
    if not 0 <= at < len(claims):
        return complaint
    return replace(complaint, file=claims[at].source, line=claims[at].line)


def _complaint(file: str, line: int | None, key: str, message: str, remedy: str) -> Complaint:
    return Complaint(file=file, line=line, key=key, message=message, remedy=remedy)
