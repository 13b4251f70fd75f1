"""Reading the registry's files: what is right comes back whole, what is wrong is said with file, line, key and remedy."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from hub.errors import Complaint, ConfigError
from hub.registry.devicefile import COLUMNS
from hub.registry.loader import FILES, load
from hub.registry.stationfile import thin_hours
from tests.support.registry_files import DEVICES, OUTLINES, PEOPLE, PLACES, STATIONS, write_small
from tests.support.registry_files import FILES as TEXTS


def complaints_of(folder: Path) -> tuple[Complaint, ...]:
    with pytest.raises(ConfigError) as caught:
        load(folder)
    return caught.value.complaints


def row(**cells: str) -> str:
    """A right row of devices.csv, with `cells` changed."""
    right = {
        "id": "x-1", "kind": "smoke_alarm", "name_zh": "烟感", "name_en": "Smoke", "place": "440399001001-c1-b1",
        "grid": "440399001001001", "addresses": "native-v1:demo/gw-1/x-1", "parent": "gw-1", "interval_s": "600",
    }  # fmt: skip
    line = io.StringIO()
    csv.DictWriter(line, COLUMNS, restval="", lineterminator="\n").writerow({**right, **cells})
    return line.getvalue()


def test_the_small_folder_loads_whole(tmp_path: Path) -> None:
    registry = load(write_small(tmp_path))
    assert registry.warnings == ()
    assert list(registry.slot_of) == ["hub", "canary", "gw-1", "smoke-1", "cabinet-1", "smoke-s1"]
    smoke = registry.find("smoke-1")
    assert smoke is not None
    assert smoke.addresses == ("native-v1:demo/gw-1/smoke-1", "zigbee2mqtt:zigbee2mqtt/烟感 一")
    assert smoke.tags == ("stairs", "old")
    assert (smoke.place, smoke.parent, smoke.lat) == ("440399001001-c1-b1-u2", "gw-1", 22.5)
    assert registry.places["440399001001-c1-b1-u2"].name.zh == "2单元"
    assert registry.slot_of_address["zigbee2mqtt:zigbee2mqtt/烟感 一"] == smoke.slot
    school = registry.find("smoke-s1")
    assert school is not None
    assert school.name.en == "Smoke, classroom"
    assert registry.silence_limit_ms[school.slot] == 25 * 3_600_000
    assert registry.places[school.grid].dedicated
    hub = registry.find("hub")
    assert hub is not None
    assert hub.place == hub.grid == "440399001001001"
    assert registry.canary.tolist() == [False, True, False, False, False, False]
    north = registry.station_for("440399001001002")
    assert north is not None
    assert (north.id, north.backups, north.roster[1].start_min, north.roster[1].end_min) == (
        "north",
        ("south",),
        1200,
        480,
    )
    assert registry.outlines["440399001001002"]["type"] == "MultiPolygon"


def test_a_byte_order_mark_of_a_spreadsheet_is_no_complaint(tmp_path: Path) -> None:
    load(write_small(tmp_path, devices="\ufeff" + DEVICES))


def test_the_version_changes_with_the_content_only(tmp_path: Path) -> None:
    first = load(write_small(tmp_path)).version
    assert load(write_small(tmp_path)).version == first
    assert load(write_small(tmp_path, people=PEOPLE.replace("Bob", "Bert"))).version != first


def test_slots_are_kept_from_the_previous_registry(tmp_path: Path) -> None:
    first = load(write_small(tmp_path))
    header, *rows = DEVICES.splitlines(keepends=True)
    turned = header + "".join(reversed([r for r in rows if not r.startswith("cabinet-1")])) + row()
    second = load(write_small(tmp_path, devices=turned), previous=first)
    assert all(second.slot_of[i] == slot for i, slot in first.slot_of.items() if i != "cabinet-1")
    assert second.slot_of["x-1"] == len(first)
    assert second.retired == {"cabinet-1": first.slot_of["cabinet-1"]}
    assert second.grids == first.grids


# Each case: file, a line of it (by a part that it holds), what is put in the place of that part, and what must be said.
# Key, message and remedy are parts of what is said; the line must be the changed one.
CASES: list[tuple[str, str, str, str, str, str]] = [
    # places
    ("places.yaml", "responsible: worker}", "responsibel: worker}", "places.3.responsibel", "unknown key", "did you mean 'responsible'?"),
    ("places.yaml", 'code: "440399001001001"', "code: 440399001001001", "places.3.code", "must stand in quotes", ""),
    ("places.yaml", "level: compound", "level: campus", "places.2.level", "'campus' is not known here", "'compound'"),
    ("places.yaml", "{zh: 一网格, en: Grid 1}", "{zh: 一网格}", "places.3.name.en", "missing", "add 'en'"),
    ("places.yaml", 'code: "440399001001002"', 'code: "440399001001001"', "places.4.code", "used twice", "the first is at line 5"),
    ("places.yaml", 'code: "440399001001901-b1"', 'code: "440399001001-c1-b1-u1"', "places.7.code", "used twice", "line 8"),
    ("places.yaml", 'parent: "440399001001901"}', 'parent: "440399001001991"}', "places.7.parent", "no place '440399001001991'", "did you mean"),
    ("places.yaml", 'en: Building 1}, parent: "440399001001-c1"', 'en: Building 1}, parent: "440399001"', "places.6.parent", "a building cannot stand under a street", "compound or grid"),
    ("places.yaml", ', parent: "440399001", responsible', ", responsible", "places.1", "community '440399001001' has no parent", "add 'parent'"),
    ("places.yaml", 'en: Street}', 'en: Street}, parent: "440399001001"', "places.0.parent", "a street has no parent", "remove"),
    ("places.yaml", 'code: "440399001001002"', 'code: "440399001002002"', "places.4.code", "does not fit its place", "use '440399001001' and 3 more digits"),
    ("places.yaml", 'code: "440399001001901-b1"', 'code: "440399001001-b1"', "places.7.code", "does not fit its place", "use '440399001001901-'"),
    ("places.yaml", 'code: "440399001"', 'code: "44039900x"', "places.0.code", "does not fit its place", "use 9 digits"),
    ("places.yaml", "lat: 22.5, lon: 113.9", "lat: 122.5, lon: 113.9", "places.6.lat", "less than or equal to 90", ""),
    ("places.yaml", "lat: 22.5, lon: 113.9", "lat: 22.5", "places.6", "lat and lon go together", ""),
    ("places.yaml", "units: 2", "units: 2, dedicated: true", "places.6", "only a grid can be dedicated", ""),
    ("places.yaml", "dedicated: true", "units: 2", "places.5", "only a building has units", ""),
    ("places.yaml", "responsible: worker}", "responsible: werker}", "places.3.responsible", "nobody is called 'werker'", "did you mean 'worker'?"),
    # people
    ("people.yaml", "role: grid_worker", "role: gridworker", "people.1.role", "'gridworker' is not known here", "'grid_worker'"),
    ("people.yaml", 'phone: "13800000001"', "phone: 13800000001", "people.0.phone", "must stand in quotes", ""),
    ("people.yaml", 'phone: "13800000001"', 'phone: "call me"', "people.0.phone", "pattern", ""),
    ("people.yaml", "verified: [console]", "verified: [sms]", "people.0", "channel 'sms' is verified but not among the contacts", ""),
    ("people.yaml", "id: bob", "id: ann", "people.3.id", "'ann' is used twice", "the first is at line 4"),
    ("people.yaml", "id: worker", "id: wor ker", "people.1.id", "pattern", ""),
    ("people.yaml", "role: grid_worker", "role: grid_worker, locale: fr", "people.1.locale", "'fr' is not known here", "'zh-CN' or 'en'"),
    # stations
    ("stations.yaml", '"440399001001002"]', '"440399001001003"]', "stations.0.grids.1", "no grid '440399001001003'", "did you mean"),
    ("stations.yaml", '["440399001001901"]', '["440399001001901", "440399001001001"]', "stations.1.grids.1", "served by 'north' already", "one station"),
    ("stations.yaml", "backups: [south]", "backups: [north]", "stations.0.backups.0", "a station cannot back itself", "another"),
    ("stations.yaml", "backups: [south]", "backups: [sooth]", "stations.0.backups.0", "no station 'sooth'", "did you mean 'south'?"),
    ("stations.yaml", "backups: [south]", "backups: [south, south]", "stations.0.backups.1", "stands twice", "keep the first"),
    ("stations.yaml", "head: ann", "head: anne", "stations.0.head", "nobody is called 'anne'", "did you mean 'ann'?"),
    ("stations.yaml", "members: [ann, bob, cat]", "members: [ann, bob, dog]", "stations.0.members.2", "nobody is called 'dog'", "people.yaml"),
    ("stations.yaml", '"20:00", people: [ann, bob, cat]', '"20:00", people: [ann, bob, dog]', "stations.0.roster.0.people.2", "nobody is called 'dog'", ""),
    ("stations.yaml", '"20:00", people: [ann, bob, cat]', '"20:00", people: [ann, bob, cat, bob]', "stations.0.roster.0.people.3", "'bob' stands twice", ""),
    ("stations.yaml", 'from: "08:00"', 'from: "8 am"', "stations.0.roster.0.from", "expected a time of day", ""),
    ("stations.yaml", 'to: "24:00"', 'to: "24:01"', "stations.1.roster.0.to", "expected a time of day", ""),
    ("stations.yaml", 'from: "08:00"', 'days: [mon, tues], from: "08:00"', "stations.0.roster.0.days.1", "'tues' is not known here", "'tue'"),
    ("stations.yaml", "id: south", "id: north", "stations.1.id", "'north' is used twice", "the first is at line 2"),
    ("stations.yaml", "head: ann", "heads: ann", "stations.0.heads", "unknown key", "did you mean 'head'?"),
    # outlines
    ("outlines.geojson", '"440399001001002"', '"440399001001003"', "features.1", "no grid '440399001001003'", "did you mean"),
    ("outlines.geojson", '"440399001001002"', '"440399001001001"', "features.1", "has an outline already", "MultiPolygon"),
    ("outlines.geojson", "[113.93, 22.51], [113.92, 22.50]", "[113.93, 22.51], [113.92, 22.51]", "features.1", "a ring is not closed", "first position"),
    ("outlines.geojson", "[113.93, 22.51]", "[22.51, 113.93]", "features.1", "out of range", "longitude first"),
    ("outlines.geojson", "[113.93, 22.51]", "[1139.3, 22.51]", "features.1", "out of range", "WGS 84"),
    ("outlines.geojson", "[113.93, 22.51]", '["113.93", 22.51]', "features.1", "is not a position", "[lon, lat]"),
    ("outlines.geojson", "[113.93, 22.50], [113.93, 22.51], ", "[113.93, 22.51], ", "features.1", "at least four positions", ""),
    ("outlines.geojson", '"MultiPolygon"', '"Point"', "features.1", "neither Polygon nor MultiPolygon", "area"),
    ("outlines.geojson", '"coordinates": [[[[113.92, 22.50], [113.93, 22.50], [113.93, 22.51], [113.92, 22.50]]]]', '"coordinates": []', "features.1", "no coordinates", ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "part", "instead", "key", "message", "remedy"), CASES, ids=[f"{c[0]}:{c[4]}" for c in CASES]
)
def test_a_mistake_is_said_with_file_line_key_and_remedy(
    tmp_path: Path, name: str, part: str, instead: str, key: str, message: str, remedy: str
) -> None:
    text = TEXTS[name]
    assert part in text, "the case no longer fits the file"
    changed = text.replace(part, instead, 1)
    said = complaints_of(write_small(tmp_path, **{name.partition(".")[0]: changed}))
    found = [c for c in said if c.file == str(tmp_path / name) and c.key == key and message in c.message]
    assert found, "\n".join(map(str, said))
    assert remedy in found[0].remedy
    assert found[0].remedy
    wrong_line = next(
        n for n, (a, b) in enumerate(zip(text.split("\n"), changed.split("\n"), strict=True), 1) if a != b
    )
    if "outline already" in message:
        wrong_line = 2  # JSON keeps no lines: what is found is the first mention of the code
    assert found[0].line == wrong_line


DEVICE_CASES: list[tuple[dict[str, str], str, str, str]] = [
    ({"id": "smoke-1"}, "smoke-1.id", "'smoke-1' is used twice", "the first is at line 5"),
    ({"id": "a b"}, "a b.id", "'a b' is not an id", "letters"),
    ({"id": ""}, ".id", "'' is not an id", "letters"),
    ({"kind": "smoke_alarms"}, "x-1.kind", "unknown kind 'smoke_alarms'", "did you mean 'smoke_alarm'?"),
    ({"kind": "hub"}, "x-1.kind", "only the device 'hub' can be the hub", "change the kind"),
    ({"tags": "canary"}, "x-1.kind", "only the device 'canary' can be the canary", "change the kind"),
    ({"name_en": ""}, "x-1.name_en", "the name is missing", "both languages"),
    ({"name_zh": "烟\x07感"}, "x-1.name_zh", "control character", "remove it"),
    ({"grid": "440399001001009"}, "x-1.grid", "no grid '440399001001009'", "did you mean"),
    ({"grid": ""}, "x-1.grid", "the grid is missing", "places.yaml"),
    ({"grid": "4.40399E+14"}, "x-1.grid", "no grid '4.40399E+14'", "spreadsheet"),
    ({"place": "440399001001-c1-b9"}, "x-1.place", "no place '440399001001-c1-b9'", "did you mean"),
    ({"place": "440399001001901-b1"}, "x-1.place", "is outside '440399001001-c1'", "correct the place or the grid"),
    ({"place": "440399001"}, "x-1.place", "is outside '440399001001-c1'", "correct the place or the grid"),
    ({"place": "440399001001002"}, "x-1.place", "is outside '440399001001-c1'", "correct the place or the grid"),
    ({"grid": "440399001001901"}, "x-1.place", "is outside '440399001001'", "correct the place or the grid"),
    ({"addresses": "demo/gw-1/x-1"}, "x-1.addresses", "is not an address", "<codec>:<identity>"),
    ({"addresses": "native-v1:demo/gw-1/smoke-1"}, "x-1.addresses", "is used twice", "the first is at line 5"),
    ({"addresses": "native-v1:demo/a/b;native-v1:demo/a/b"}, "x-1.addresses", "is used twice", "means one device"),
    ({"parent": "gw-l"}, "x-1.parent", "no device 'gw-l'", "did you mean 'gw-1'?"),
    ({"parent": "x-1"}, "x-1.parent", "is behind itself", "gateway"),
    ({"interval_s": "often"}, "x-1.interval_s", "'often' is not a number", "correct"),
    ({"interval_s": "-1"}, "x-1.interval_s", "'-1' is not a number from 0", "correct"),
    ({"interval_s": "nan"}, "x-1.interval_s", "'nan' is not a number from 0", "correct"),
    (
        {"interval_s": "600", "supervision": "mains"},
        "x-1.interval_s",
        "too rare for class mains",
        "another supervision class",
    ),
    ({"supervision": "wifi"}, "x-1.supervision", "unknown class 'wifi'", "mains, radio, nbiot, none"),
    ({"lat": "95", "lon": "1"}, "x-1.lat", "'95' is not a number from -90 to 90", "correct"),
    ({"lat": "1", "lon": "inf"}, "x-1.lon", "'inf' is not a number from -180 to 180", "correct"),
    ({"lat": "22.5"}, "x-1.lat", "lat and lon go together", "both or none"),
]


@pytest.mark.parametrize(
    ("cells", "key", "message", "remedy"), DEVICE_CASES, ids=[f"{c[1]}:{c[2]}" for c in DEVICE_CASES]
)
def test_a_wrong_cell_is_said_with_its_row(
    tmp_path: Path, cells: dict[str, str], key: str, message: str, remedy: str
) -> None:
    said = complaints_of(write_small(tmp_path, devices=DEVICES + row(**cells)))
    found = [c for c in said if c.key == key and message in c.message]
    assert found, "\n".join(map(str, said))
    assert found[0].line == DEVICES.count("\n") + 1
    assert remedy in found[0].remedy


def test_gateways_behind_each_other_in_a_ring_are_found(tmp_path: Path) -> None:
    ring = "".join(row(id=a, addresses="", parent=b) for a, b in (("r1", "r2"), ("r2", "r3"), ("r3", "r1")))
    assert {c.key for c in complaints_of(write_small(tmp_path, devices=DEVICES + ring))} == {
        "r1.parent",
        "r2.parent",
        "r3.parent",
    }


@pytest.mark.parametrize("own", ["hub", "canary"])
def test_the_hub_and_its_canary_must_be_there_and_be_what_they_are(tmp_path: Path, own: str) -> None:
    without = "".join(line for line in DEVICES.splitlines(keepends=True) if not line.startswith(f"{own},"))
    (missing,) = complaints_of(write_small(tmp_path, devices=without))
    assert (missing.key, missing.message) == (own, f"no device '{own}'")
    other = DEVICES.replace(f"\n{own},{own},", f"\n{own},gateway,")
    assert f"the device '{own}' is the {own} of this hub" in [
        c.message for c in complaints_of(write_small(tmp_path, devices=other))
    ]


def test_a_wrong_header_is_said_once_and_the_rows_are_left_alone(tmp_path: Path) -> None:
    said = complaints_of(write_small(tmp_path, devices=DEVICES.replace("name_zh,name_en", "name,name_en", 1)))
    assert [(c.line, c.key, c.message) for c in said] == [
        (1, "name", "unknown column"),
        (1, "name_zh", "this column is missing"),
    ]
    swapped = complaints_of(write_small(tmp_path, devices=DEVICES.replace("id,kind", "kind,id", 1)))
    assert [c.message for c in swapped] == ["the columns are in another order"]
    twice = complaints_of(write_small(tmp_path, devices=DEVICES.replace("lat,lon", "lat,lon,lat", 1)))
    assert [c.message for c in twice] == ["a column is given twice"]
    empty = complaints_of(write_small(tmp_path, devices=""))
    assert [c.key for c in empty if c.message == "this column is missing"] == list(COLUMNS)


def test_a_row_with_cells_too_few_or_too_many_is_said(tmp_path: Path) -> None:
    said = complaints_of(write_small(tmp_path, devices=DEVICES + "x-1,smoke_alarm\n" + row().rstrip() + ",,\n"))
    assert [(c.line, c.message) for c in said] == [(8, "2 cells instead of 14"), (9, "16 cells instead of 14")]


def test_an_open_quote_in_the_devices_is_said(tmp_path: Path) -> None:
    (said,) = complaints_of(write_small(tmp_path, devices=DEVICES + '"x-1,smoke_alarm\n'))
    assert "not valid CSV" in said.message


@pytest.mark.parametrize("name", ["places.yaml", "people.yaml", "stations.yaml"])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("places: [a, b\nc: d", "not valid YAML"),
        ("- just\n- a list", "expected the key"),
        ("", "expected the key"),
        ("{top}: 3", "expected a list"),
        ("{top}: [3]", "expected keys and values"),
        ("{top}: [~]", "expected keys and values"),
        ("[" * 100_000, "nested deeper than 32 levels"),
        ("{top}: !!python/object:os.system x", "the tag"),
    ],
)
def test_malformed_yaml_is_one_complaint_and_not_a_flood(tmp_path: Path, name: str, text: str, message: str) -> None:
    stem = name.partition(".")[0]
    said = complaints_of(write_small(tmp_path, **{stem: text.replace("{top}", stem)}))
    own = [c for c in said if c.file.endswith(name)]
    assert message in own[0].message
    assert len(own) == 1
    if "[3]" not in text and "[~]" not in text:
        assert own == list(said), "what points into an unreadable file is not blamed"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"type": "FeatureCollection", "features": [}', "not valid JSON"),
        ("[]", "not a GeoJSON FeatureCollection"),
        ('{"type": "FeatureCollection", "features": [1]}', "names no grid"),
        ("[" * 100_000, "nested too deep"),
        ('{"type": "FeatureCollection", "features": NaN}', "NaN"),
    ],
)
def test_malformed_outlines_are_said(tmp_path: Path, text: str, message: str) -> None:
    (said,) = complaints_of(write_small(tmp_path, outlines=text))
    assert message in said.message


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_missing_or_not_utf8_is_said_alone(tmp_path: Path, name: str) -> None:
    write_small(tmp_path)
    (tmp_path / name).write_bytes("编号\n小区".encode("gbk"))
    (said,) = complaints_of(tmp_path)
    assert (said.file, said.remedy) == (str(tmp_path / name), "save it as UTF-8")
    assert "not UTF-8 at byte 0" in said.message
    (tmp_path / name).unlink()
    (said,) = complaints_of(tmp_path)
    assert (said.file, said.message) == (str(tmp_path / name), "file not found")


def test_all_files_are_complained_about_at_once(tmp_path: Path) -> None:
    write_small(
        tmp_path,
        places=PLACES.replace("dedicated: true", "dedicate: true"),
        people=PEOPLE.replace("id: cat", "id: c a t"),
        stations=STATIONS.replace("backups: [north]", "backups: [south]"),
        devices=DEVICES.replace(",mains,,,", ",main,,,"),
        outlines=OUTLINES.replace('"Polygon"', '"Line"', 1),
    )
    said = complaints_of(tmp_path)
    assert {Path(c.file).name for c in said} == set(FILES)


def test_what_hangs_on_a_broken_entry_is_not_blamed(tmp_path: Path) -> None:
    broken = PLACES.replace('code: "440399001001-c1-b1", level: building', 'code: "440399001001-c1-b1", level: bulding')
    (said,) = complaints_of(write_small(tmp_path, places=broken))
    assert said.key == "places.6.level"
    (said,) = complaints_of(
        write_small(tmp_path, people=PEOPLE.replace("en: Ann}, role: crew", "en: Ann}, role: cook"))
    )
    assert said.key == "people.2.role"


def test_a_grid_without_station_is_said(tmp_path: Path) -> None:
    (said,) = complaints_of(write_small(tmp_path, stations=STATIONS.replace(', "440399001001002"', "")))
    assert said.message == "no station serves grid '440399001001002'"


def test_gaps_are_warned_about_and_do_not_stop_loading(tmp_path: Path) -> None:
    stations = STATIONS.replace('"20:00", people: [ann, bob, cat]', '"20:00", people: [ann, bob]')
    stations = stations.replace("    backups: [north]\n", "").replace('    contacts: {console: ""}\n', "")
    places = PLACES.replace(", responsible: chief}", "}", 1)
    first_outline = OUTLINES.index('{"type": "Feature", ')
    outlines = OUTLINES[:first_outline] + OUTLINES[OUTLINES.index('{"type": "Feature", ', first_outline + 1) :]
    registry = load(write_small(tmp_path, stations=stations, places=places, outlines=outlines))
    assert sorted((Path(w.file).name, w.message) for w in registry.warnings) == [
        ("outlines.geojson", "1 grid(s) without outline: 440399001001001"),
        ("places.yaml", "street '440399001' has nobody responsible"),
        ("stations.yaml", "only 2 are on duty at 'north' every day 08:00–20:00"),
        ("stations.yaml", "station 'south' has no backup"),
        ("stations.yaml", "station 'south' has no channel of its own"),
    ]
    thin = next(w for w in registry.warnings if "on duty" in w.message)
    assert stations.splitlines()[(thin.line or 0) - 1].strip() == "roster:"


def test_thin_hours_count_people_and_not_shifts(tmp_path: Path) -> None:
    def hours(roster: str) -> list[tuple[int, str]]:
        text = STATIONS.replace('      - {from: "00:00", to: "24:00", people: [ann, bob, cat]}\n', roster)
        south = load(write_small(tmp_path, stations=text)).stations["south"]
        return list(thin_hours(south.roster))

    night = '      - {from: "22:00", to: "06:00", people: [%s]%s}\n'
    day = '      - {from: "06:00", to: "22:00", people: [ann, bob, cat]}\n'
    assert hours(day + night % ("ann, bob, cat", "")) == []
    assert hours(day + night % ("ann", "") + night % ("bob, cat", "")) == []
    assert hours(day + night % ("ann", "") + night % ("ann, cat", "")) == [
        (2, "every day 00:00–06:00"),
        (2, "every day 22:00–24:00"),
    ]
    # A night that begins on Friday is staffed until Saturday morning.
    assert hours(day + night % ("ann, bob, cat", ", days: [mon, tue, wed, thu, fri]")) == [
        (0, "mon, sun 00:00–06:00"),
        (0, "sat, sun 22:00–24:00"),
    ]
    assert hours("      - {from: 20:00, to: 08:30, people: [ann, bob, cat]}\n") == [(0, "every day 08:30–20:00")]


def test_thousands_of_wrong_rows_are_said_in_seconds(tmp_path: Path) -> None:
    rows = "".join(row(id=f"x-{n}", addresses="", grid=f"44039900199{n:04d}", parent="nobody") for n in range(5_000))
    assert len(complaints_of(write_small(tmp_path, devices=DEVICES + rows))) == 10_000
