"""Writes registry values as the five files that the loader reads, laid out for people: one place, person or device a line."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from hub.model.places import Device, Name, Person, Place, Shift, Station
from hub.registry.devicefile import COLUMNS

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_PLACES = """\
# yaml-language-server: $schema=../schema/places.schema.json
# Places, from the street down to the building. Codes are text (in quotes): street 9 digits, community 12, grid 15, micro-grid 17;
# compounds, buildings, units and rooms continue the code of their parent with '-'.
# `units: 3` on a building also makes its units <code>-u1 … <code>-u3. `responsible` is an id of people.yaml.
places:
"""
_PEOPLE = """\
# yaml-language-server: $schema=../schema/people.schema.json
# People who can be told. `contacts`: channel → address within it; `verified`: channels that were proven to reach this person.
# role: street_officer | community_officer | property | grid_worker | station_head | crew | maintainer
# Leave: `leave: [{from: 2026-12-01, until: "2026-12-05 12:00"}]`; meanwhile `deputy` (a person id) is told instead.
people:
"""
_STATIONS = """\
# yaml-language-server: $schema=../schema/stations.schema.json
# Micro fire stations: the grids that each serves, who helps when it does not answer (in this order), and who is on duty.
# Shifts run over midnight when `to` is not later than `from`; `days: [mon, …]` limits them to the days on which they begin.
# Swaps: `swaps: [{on: 2026-12-01, from: "23:00", out: st-1-crew-7, in: st-1-crew-4}]`, for the shift that begins then.
# Without `backups` the nearest stations help. The address of a webhook contact is the name of an endpoint in hub.yaml.
stations:
"""


def write(
    folder: Path,
    places: Sequence[Place],
    people: Iterable[Person],
    stations: Iterable[Station],
    devices: Iterable[Device],
    outlines: Mapping[str, Sequence[tuple[float, float]]],
) -> None:
    """Writes the five files into `folder`, which is made if missing."""
    folder.mkdir(parents=True, exist_ok=True)
    _text(folder / "places.yaml", _PLACES + "".join(_place_lines(places)))
    _text(folder / "people.yaml", _PEOPLE + "".join(map(_person_line, people)))
    _text(folder / "stations.yaml", _STATIONS + "\n".join(map(_station_lines, stations)))
    _text(folder / "outlines.geojson", _geojson(places, outlines))
    with (folder / "devices.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(COLUMNS)
        rows.writerows(_device_row(device) for device in devices)


def _text(path: Path, text: str) -> None:
    path.write_text(text, "utf-8", newline="\n")


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # a JSON string is a YAML string


def _name(name: Name) -> str:
    return f"{{zh: {_quoted(name.zh)}, en: {_quoted(name.en)}}}"


def _list(items: Iterable[str], *, quoted: bool = False) -> str:
    return "[" + ", ".join(_quoted(item) if quoted else item for item in items) + "]"


def _contacts(contacts: Iterable[tuple[str, str]]) -> str:
    return "{" + ", ".join(f"{channel}: {_quoted(address)}" for channel, address in contacts) + "}"


def _place_lines(places: Sequence[Place]) -> Iterable[str]:
    units: dict[str, int] = {}
    implied: set[str] = set()
    for place in places:
        number = units.get(place.parent, 0) + 1
        if place.level == "unit" and place.code == f"{place.parent}-u{number}" and place.name.zh == f"{number}单元":
            units[place.parent] = number
            implied.add(place.code)
    for place in places:
        if place.code in implied:
            continue
        said = [f"code: {_quoted(place.code)}", f"level: {place.level}", f"name: {_name(place.name)}"]
        if place.parent:
            said.append(f"parent: {_quoted(place.parent)}")
        if place.dedicated:
            said.append("dedicated: true")
        if place.responsible:
            said.append(f"responsible: {place.responsible}")
        if place.lat is not None:
            said.append(f"lat: {place.lat}, lon: {place.lon}")
        if place.code in units:
            said.append(f"units: {units[place.code]}")
        yield f"  - {{{', '.join(said)}}}\n"


def _person_line(person: Person) -> str:
    said = [
        f"id: {person.id}",
        f"name: {_name(person.name)}",
        f"role: {person.role}",
        f"phone: {_quoted(person.phone)}",
        f"contacts: {_contacts(person.contacts)}",
        f"verified: {_list(person.verified)}",
    ]
    if person.locale != "zh-CN":
        said.append(f"locale: {person.locale}")
    return f"  - {{{', '.join(said)}}}\n"


def _station_lines(station: Station) -> str:
    lines = [
        f"  - id: {station.id}",
        f"    name: {_name(station.name)}",
        f"    grids: {_list(station.grids, quoted=True)}",
        f"    backups: {_list(station.backups)}",
        f"    head: {station.head}",
        f"    members: {_list(station.members)}",
        f"    contacts: {_contacts(station.contacts)}",
    ]
    if station.lat is not None:
        lines.append(f"    lat: {station.lat}\n    lon: {station.lon}")
    lines.append("    roster:")
    lines += [f"      - {{{_shift(shift)}}}" for shift in station.roster]
    return "\n".join(lines) + "\n"


def _shift(shift: Shift) -> str:
    times = f'from: "{_clock(shift.start_min)}", to: "{_clock(shift.end_min)}"'
    days = "" if len(shift.days) == 7 else f", days: {_list(_DAYS[day] for day in shift.days)}"
    return f"{times}, people: {_list(shift.people)}{days}"


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _geojson(places: Iterable[Place], outlines: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    names = {place.code: place.name for place in places}
    features = [
        json.dumps(
            {
                "type": "Feature",
                "properties": {"code": code, "name": names[code].zh, "name_en": names[code].en},
                "geometry": {"type": "Polygon", "coordinates": [[list(point) for point in ring]]},
            },
            ensure_ascii=False,
        )
        for code, ring in outlines.items()
    ]
    return '{"type": "FeatureCollection", "features": [\n' + ",\n".join(features) + "\n]}\n"


def _device_row(device: Device) -> list[str]:
    return [
        device.id,
        device.kind,
        device.name.zh,
        device.name.en,
        device.place,
        device.grid,
        ";".join(device.addresses),
        device.parent,
        device.model,
        f"{device.expected_interval_s:g}" if device.expected_interval_s else "",
        device.supervision,
        ";".join(device.tags),
        "" if device.lat is None else str(device.lat),
        "" if device.lon is None else str(device.lon),
    ]
