"""Line protocol: what the hub writes about readings, alerts and grids."""

from __future__ import annotations

import dataclasses
import math
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from hub.model.places import Place
from hub.model.quantities import QUANTITIES
from hub.model.readings import Quality, ReadingBatch
from hub.registry.snapshot import Registry
from hub.stores.history import AlertEvent, GridStatus, screened
from hub.stores.line_protocol import SeriesKeys, alert_line, grid_line, stored_tag, tag, telemetry_bodies
from tests.support.small_town import PLACES, device, registry

T = 1_795_318_383_614
NAN = math.nan


def lines(batch: ReadingBatch, town: Registry, *, most_lines: int = 5_000) -> list[str]:
    bodies = telemetry_bodies(screened(batch, town).batch, town, SeriesKeys(), most_lines=most_lines)
    return [line for body in bodies for line in body.split("\n")]


def row(
    slot: int, quantity: str, value: float, at_ms: int = T, quality: int = 0
) -> tuple[int, str, float, int, int, int, int]:
    return (slot, quantity, value, at_ms, at_ms + 5, quality, 0)


class Unescaped:
    """A line taken apart by the rules of the protocol, not by the code under test."""

    def __init__(self, line: str) -> None:
        head, fields, at = re.split(r"(?<!\\) ", line)
        measurement, *tags = re.split(r"(?<!\\),", head)
        self.measurement = measurement
        self.tags = {k: re.sub(r"\\([ ,=])", r"\1", v) for k, v in (re.split(r"(?<!\\)=", t) for t in tags)}
        self.fields = dict(f.split("=") for f in fields.split(","))
        self.at = int(at)


def test_neighbouring_rows_of_one_device_and_time_share_a_line() -> None:
    batch = ReadingBatch.of([row(0, "temperature_c", 21.5), row(0, "smoke", 0.0), row(1, "temperature_c", 5.0)])
    assert lines(batch, registry()) == [
        f"telemetry,building=b1,community=c1,compound=k1,device=smoke-1,grid=g1,kind=smoke_alarm temperature_c=21.5,smoke=0i {T}",
        f"telemetry,building=b2,community=c1,compound=k1,device=smoke-2,grid=g2,kind=smoke_alarm temperature_c=5.0 {T}",
    ]


def test_another_time_of_the_same_device_is_another_line() -> None:
    batch = ReadingBatch.of([row(0, "temperature_c", 1.0), row(0, "temperature_c", 2.0, T + 1)])
    assert [line.split(" ")[1:] for line in lines(batch, registry())] == [
        ["temperature_c=1.0", str(T)],
        ["temperature_c=2.0", str(T + 1)],
    ]


def test_a_device_outside_buildings_has_no_building_tag() -> None:
    (line,) = lines(ReadingBatch.of([row(3, "temperature_c", 1.0)]), registry())
    assert line.startswith("telemetry,community=c1,compound=k1,device=cabinet-1,grid=g1,kind=charging_cabinet ")


def test_a_field_never_changes_its_type() -> None:
    batch = ReadingBatch.of(
        [
            row(0, "temperature_c", 20.0),
            row(0, "energy_import_kwh", 1e21),
            row(0, "smoke", 1.0),
            row(0, "gate_state", QUANTITIES["gate_state"].states.index("open")),
        ]
    )
    (line,) = lines(batch, registry())
    assert line.split(" ")[1] == "temperature_c=20.0,energy_import_kwh=1e21,smoke=1i,gate_state=2i"


def test_unknown_values_are_not_written() -> None:
    batch = ReadingBatch.of([row(0, "temperature_c", NAN, quality=1), row(0, "smoke", 0.0), row(1, "smoke", NAN)])
    assert [line.split(" ")[1] for line in lines(batch, registry())] == ["smoke=0i"]


def test_tests_and_repetitions_are_not_written_and_are_counted() -> None:
    batch = ReadingBatch.of(
        [
            row(0, "smoke", 1.0, quality=Quality.TEST),
            row(0, "smoke", 0.0, quality=Quality.DUPLICATE),
            row(0, "smoke", 0.0, quality=Quality.DUPLICATE | Quality.TEST),
            row(0, "smoke", 0.0, quality=Quality.HISTORY | Quality.LATE),
        ]
    )
    found = screened(batch, registry())
    assert len(found.batch) == 1
    assert found.skipped == {"test": 2, "duplicate": 1}


def test_a_retired_device_is_not_written() -> None:
    town = registry()
    smaller = registry(*[town.device(slot) for slot in (1, 2)], previous=town)
    batch = ReadingBatch.of([row(0, "smoke", 1.0), row(1, "smoke", 1.0), row(-1, "smoke", 1.0), row(77, "smoke", 1.0)])
    found = screened(batch, smaller)
    assert found.skipped == {"retired": 3}
    assert found.batch.slot.tolist() == [1]


def test_a_device_that_moves_gets_its_new_tags_at_once() -> None:
    keys, town = SeriesKeys(), registry()
    batch = ReadingBatch.of([row(0, "smoke", 0.0)])
    (before,) = telemetry_bodies(batch, town, keys, most_lines=10)
    moved = registry(dataclasses.replace(town.device(0), place="b9", grid="g3"), previous=town)
    (after,) = telemetry_bodies(batch, moved, keys, most_lines=10)
    assert "building=b1,community=c1" in before
    assert "building=b9,community=c2" in after


def test_a_batch_is_cut_into_requests_of_limited_size() -> None:
    batch = ReadingBatch.of([row(0, q, float(n), T + n) for n in range(23) for q in ("temperature_c", "humidity_pct")])
    bodies = list(telemetry_bodies(batch, registry(), SeriesKeys(), most_lines=10))
    assert [len(body.split("\n")) for body in bodies] == [10, 10, 3]
    assert "\n".join(bodies).split("\n") == lines(batch, registry())


def test_an_empty_batch_is_no_request() -> None:
    assert lines(ReadingBatch.empty(), registry()) == []


ANY_TEXT = st.text(min_size=1, max_size=30)


@settings(max_examples=200, deadline=None)
@given(ident=ANY_TEXT, kind=ANY_TEXT, building=ANY_TEXT)
def test_no_name_of_a_device_or_place_breaks_a_line(ident: str, kind: str, building: str) -> None:
    place = Place(code=building, level="building", name=PLACES[0].name, parent="k1")
    town = Registry.of([device(ident, kind, building)], places=(*(p for p in PLACES if p.code != building), place))
    batch = ReadingBatch.of([row(0, "temperature_c", 21.5), row(0, "smoke", 1.0)])
    (line,) = lines(batch, town)
    line.encode("utf-8")
    parsed = Unescaped(line)
    assert parsed.tags["device"] == stored_tag(ident)
    assert parsed.tags["kind"] == stored_tag(kind)
    assert parsed.fields == {"temperature_c": "21.5", "smoke": "1i"}
    assert parsed.at == T


@given(st.lists(st.text(max_size=6), min_size=2, max_size=2, unique=True))
def test_what_the_database_stores_is_never_empty_and_has_no_control_characters(texts: list[str]) -> None:
    for text in texts:
        kept = stored_tag(text)
        assert kept
        assert not any(ord(c) < 0x20 or c in "\x7f\\" for c in kept)
        assert re.sub(r"\\([ ,=])", r"\1", tag(text)) == kept


VALUES = st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.sampled_from(["temperature_c", "smoke"]), VALUES, st.integers(0, 3)),
        max_size=40,
    )
)
def test_every_reading_is_in_exactly_one_line_with_its_exact_value(rows: list[tuple[int, str, float, int]]) -> None:
    town = registry()
    given_rows = [(s, q, float(v > 0) if q == "smoke" else v, T + t) for s, q, v, t in rows]
    batch = ReadingBatch.of([row(s, q, v, at) for s, q, v, at in given_rows])
    found = []
    for line in lines(batch, town):
        head, fields, at = line.split(" ")
        slot = town.slot_of[head.split("device=")[1].split(",")[0]]
        found += [(slot, f.split("=")[0], float(f.split("=")[1].rstrip("i")), int(at)) for f in fields.split(",")]
    assert found == given_rows


EVENT = AlertEvent(
    sequence=7,
    at_ms=T,
    alert_id="a1",
    rule="smoke-alarm",
    action="raised",
    community="c1",
    grid="g1",
    device="smoke-1",
    kind="smoke_alarm",
    severity="P1",
    case_state="reported",
    alarm_state="active_unacked",
    live=True,
    value=1.0,
    msg="烟雾报警 / Smoke alarm",
    place="1号楼 / Building 1",
)


def test_an_alert_event_is_one_line() -> None:
    assert alert_line(EVENT) == (
        "alert_event,community=c1,device=smoke-1,grid=g1,kind=smoke_alarm,rule=smoke-alarm,severity=P1 "
        'alert_id="a1",action="raised",state_i=0i,alarm_i=1i,live_i=1i,msg="烟雾报警 / Smoke alarm",'
        f'place="1号楼 / Building 1",value=1.0 {T}000007'
    )


def test_two_events_of_one_millisecond_stay_two_points() -> None:
    assert alert_line(EVENT) != alert_line(dataclasses.replace(EVENT, sequence=8))


def test_text_of_people_does_not_end_a_field() -> None:
    line = alert_line(dataclasses.replace(EVENT, msg='say "hi"\\\nand go', place="x\\"))
    assert "\n" not in line
    assert r'msg="say \"hi\"\\ and go",place="x\\",' in line


def test_an_unknown_value_is_left_out_of_an_alert_event() -> None:
    assert "value=" not in alert_line(dataclasses.replace(EVENT, value=None))
    assert "value=" not in alert_line(dataclasses.replace(EVENT, value=NAN))


def test_the_state_of_a_grid_is_one_line() -> None:
    status = GridStatus(at_ms=T, community="c1", grid="g1", name="第一网格", devices=4, silent=1, open_p1=2)
    assert grid_line(status) == (
        "grid_status,community=c1,grid=g1 devices=4i,silent=1i,open_p1=2i,open_p2=0i,open_p3=0i,open_p4=0i,"
        f'name="第一网格" {T}'
    )
