"""The reader turns journal records into columns; what it cannot use it sets aside with topic, reason and bytes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.ingest.codecs.context import CodecContext
from hub.ingest.reader import Reader, Segment
from hub.ingest.router import Router, Source
from hub.ingest.screen import Limits, Screen
from hub.model.quantities import BY_CODE, CODE
from hub.model.readings import Decoded, Quality, QuarantineRow, Reading
from hub.registry.snapshot import Registry
from hub.stores.journal import MESSAGE, TICK, Record
from tests.support.registry import a_device, small_registry

NOW = 1_704_067_200_000
DAY = 86_400_000
SOURCES = [
    Source(codec="native-v1", root="sc/v1"),
    Source(codec="zigbee2mqtt", root="zigbee2mqtt"),
    Source(codec="generic-json", root="sensors"),
]
TOWN = small_registry(
    [
        a_device("gw-1", "gateway", addresses=("native-v1:demo/gw-1/-",), supervision="mains", interval_s=30),
        a_device(
            "smoke-1",
            parent="gw-1",
            interval_s=600,
            addresses=("native-v1:demo/gw-1/smoke-1", "generic-json:sensors/s1"),
        ),
        a_device("env-1", "env", parent="gw-1", addresses=("native-v1:demo/gw-1/env-1", "generic-json:sensors/e1")),
        a_device("lock-1", "lock", parent="gw-1"),
        a_device("z-1", addresses=("zigbee2mqtt:zigbee2mqtt/Kitchen",)),
    ]
)


@dataclass
class Tape:
    """Journal records, one after the other."""

    at_ms: int = NOW
    records: list[Record] = field(default_factory=list)

    def says(self, topic: str, body: Any, *, after_ms: int = 1_000, retained: bool = False) -> Tape:
        self.at_ms += after_ms
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.records.append(Record(len(self.records), MESSAGE, self.at_ms, topic, payload, retained))
        return self

    def native(self, device: str, channel: str, body: Any, **more: Any) -> Tape:
        return self.says(f"sc/v1/demo/gw-1/{device}/{channel}", body, **more)

    def tick(self) -> Tape:
        self.at_ms += 1
        self.records.append(Record(len(self.records), TICK, self.at_ms, "", b"", False))
        return self


def a_reader(registry: Registry = TOWN) -> Reader:
    context = CodecContext(zone="Asia/Shanghai", known=lambda address: address in registry.slot_of_address)
    router = Router(SOURCES, context)
    return Reader(router.decode, lambda: registry, Screen(Limits()), plain=router.plain)


def a_reader_without_short_cut() -> Reader:
    context = CodecContext(zone="Asia/Shanghai", known=lambda address: address in TOWN.slot_of_address)
    return Reader(Router(SOURCES, context).decode, lambda: TOWN, Screen(Limits()))


Row = tuple[str, str, Any, int, int, Quality, int]


def rows(segments: Iterable[Segment], registry: Registry = TOWN) -> list[Row]:
    """(device, quantity, value, observed, received, quality, position) of every reading; NaN as None."""
    found = []
    for s in segments:
        b = s.batch
        for n in range(len(b)):
            value = float(b.value[n])
            found.append(
                (
                    registry.ids[int(b.slot[n])], BY_CODE[int(b.quantity[n])].name, None if np.isnan(value) else value,
                    int(b.observed_at_ms[n]), int(b.received_at_ms[n]), Quality(int(b.quality[n])), int(b.position[n]),
                )
            )  # fmt: skip
    return found


def aside(segments: Iterable[Segment]) -> list[QuarantineRow]:
    return [row for s in segments for row in s.quarantine]


def read(tape: Tape) -> list[Segment]:
    return a_reader().read(tape.records)


def told(tape: Tape) -> list[tuple[str, str, Any, Quality]]:
    return [(device, quantity, value, quality) for device, quantity, value, _, _, quality, _ in rows(read(tape))]


# -- segments -----------------------------------------------------------------------------------------------------------


def test_ticks_cut_segments_and_every_record_belongs_to_exactly_one() -> None:
    tape = Tape().tick().native("env-1", "tele", {"m": {"temperature_c": 20.5}}).tick().tick()
    tape.native("env-1", "tele", {"m": {"temperature_c": 21.5}})
    found = read(tape)
    assert [(s.first, s.next, s.tick_ms is not None, len(s.batch)) for s in found] == [
        (0, 1, True, 0),
        (1, 3, True, 1),
        (3, 4, True, 0),
        (4, 5, False, 1),
    ]
    assert [s.last_ms for s in found] == [tape.records[n].at_ms for n in (0, 2, 3, 4)]


def test_nothing_read_is_nothing_said() -> None:
    assert a_reader().read([]) == []


def test_positions_of_a_journal_that_does_not_begin_at_zero_are_kept() -> None:
    tape = Tape().native("env-1", "tele", {"m": {"temperature_c": 20.5}}).tick()
    moved = [r._replace(position=r.position + 7_000) for r in tape.records]
    (segment,) = a_reader().read(moved)
    assert (segment.first, segment.next, segment.batch.position.tolist()) == (7_000, 7_002, [7_000])


def test_grid_and_building_come_with_each_reading() -> None:
    (segment,) = read(Tape().native("env-1", "tele", {"m": {"temperature_c": 20.5}}))
    slot = TOWN.slot_of["env-1"]
    assert (int(segment.batch.grid[0]), int(segment.batch.building[0])) == (TOWN.grid[slot], TOWN.building[slot])


# -- repetitions, retained, history, test ---------------------------------------------------------------------------------


def test_a_repetition_by_id_is_marked_and_not_dropped() -> None:
    alarm = {"v": 1, "id": "a1", "type": "alarm", "alarm": "smoke", "active": True}
    tape = Tape().native("smoke-1", "event", alarm).native("smoke-1", "event", alarm)
    assert told(tape) == [
        ("smoke-1", "smoke", 1.0, Quality.CLOCK),
        ("smoke-1", "smoke", 1.0, Quality.CLOCK | Quality.DUPLICATE),
    ]


def test_a_repetition_by_time_and_bytes_is_marked() -> None:
    body = {"v": 1, "ts": NOW, "m": {"temperature_c": 20.5}}
    tape = Tape().native("env-1", "tele", body).native("env-1", "tele", body)
    assert [quality for *_, quality in told(tape)] == [Quality.GOOD, Quality.DUPLICATE]


def test_the_same_words_without_a_time_are_a_second_message() -> None:
    tape = Tape().says("zigbee2mqtt/Kitchen", {"smoke": True}).says("zigbee2mqtt/Kitchen", {"smoke": True})
    assert [quality for *_, quality in told(tape)] == [Quality.CLOCK] * 2


@pytest.mark.parametrize(
    ("channel", "ts", "flags"),
    [
        ("state", NOW, Quality.RETAINED),
        ("state", NOW - DAY, Quality.RETAINED | Quality.HISTORY),
        ("state", None, Quality.RETAINED | Quality.CLOCK),
        ("tele", None, Quality.RETAINED | Quality.HISTORY | Quality.CLOCK),
    ],
)
def test_a_retained_message_is_state_at_connect_or_a_ghost(channel: str, ts: int | None, flags: Quality) -> None:
    body = {"v": 1, "m": {"smoke": True}} | ({} if ts is None else {"ts": ts})
    assert told(Tape().native("smoke-1", channel, body, retained=True)) == [("smoke-1", "smoke", 1.0, flags)]


def test_a_retained_copy_is_no_repetition_of_what_was_heard_live() -> None:
    body = {"v": 1, "ts": NOW, "m": {"smoke": True}}
    tape = Tape().native("smoke-1", "state", body, retained=True).native("smoke-1", "state", body)
    assert [quality for *_, quality in told(tape)] == [Quality.RETAINED, Quality.GOOD]


def test_what_a_device_fills_in_later_is_history_with_its_own_times() -> None:
    old = NOW - 30 * DAY
    tape = Tape().native("env-1", "batch", {"v": 1, "hist": True, "r": [{"ts": old, "m": {"temperature_c": 90}}]})
    ((device, quantity, value, observed, received, quality, _),) = rows(read(tape))
    assert (device, quantity, value, observed) == ("env-1", "temperature_c", 90.0, old)
    assert received == tape.at_ms
    assert quality == Quality.HISTORY


def test_a_buffer_that_is_emptied_is_late_and_keeps_its_times() -> None:
    tape = Tape()
    for n in range(3):
        tape.native("env-1", "tele", {"ts": NOW - DAY + n * 600_000, "m": {"temperature_c": 20.5 + n}}, after_ms=10)
    assert [(observed, quality) for _, _, _, observed, _, quality, _ in rows(read(tape))] == [
        (NOW - DAY + n * 600_000, Quality.LATE) for n in range(3)
    ]


def test_a_test_button_is_marked() -> None:
    event = {"v": 1, "id": "t", "type": "alarm", "alarm": "smoke", "active": True, "test": True}
    assert told(Tape().native("smoke-1", "event", event)) == [("smoke-1", "smoke", 1.0, Quality.CLOCK | Quality.TEST)]


def test_a_will_says_offline_even_when_retained_and_without_a_time() -> None:
    tape = Tape().native("-", "online", {"v": 1, "online": False, "reason": "lwt", "ts": NOW - DAY}, retained=True)
    assert told(tape) == [("gw-1", "online", 0.0, Quality.RETAINED)]


# -- values that cannot be ------------------------------------------------------------------------------------------------


def test_an_implausible_value_is_unknown_to_the_rules_and_shown_in_the_quarantine() -> None:
    tape = Tape().native("env-1", "tele", {"ts": NOW, "m": {"temperature_c": 99_999.0, "humidity_pct": 40.0}})
    found = read(tape)
    assert [(q, v, f) for _, q, v, _, _, f, _ in rows(found)] == [
        ("temperature_c", None, Quality.IMPLAUSIBLE),
        ("humidity_pct", 40.0, Quality.GOOD),
    ]
    (row,) = aside(found)
    assert (row.topic, row.reason, row.codec) == ("native-v1:demo/gw-1/env-1", "implausible temperature_c", "screen")
    assert row.detail == "99999 °C is outside -60 … 1300"
    assert (row.position, row.count, row.first_at_ms, row.last_at_ms) == (0, 1, tape.at_ms, tape.at_ms)


def test_an_unclear_word_is_unknown_never_false() -> None:
    tape = Tape().native("lock-1", "state", {"ts": NOW, "m": {"lock_state": "banana"}})
    assert [(q, v, f & Quality.UNKNOWN) for _, q, v, f in told(tape)] == [("lock_state", None, Quality.UNKNOWN)]


@pytest.mark.parametrize("value", [10**400, 2**63, -(2**80), 10**30])
def test_an_integer_of_any_size_does_no_harm(value: int) -> None:
    tape = Tape().native("env-1", "tele", b'{"ts":%d,"m":{"temperature_c":%d,"humidity_pct":40.0}}' % (NOW, value))
    found = {q: v for _, q, v, _ in told(tape)}
    assert found["temperature_c"] is None
    assert found["humidity_pct"] == 40.0


def test_a_sequence_number_or_time_of_any_size_does_no_harm() -> None:
    for field_, number in (("seq", 10**30), ("ts", 10**30), ("ts", -(10**30)), ("seq", -1), ("ts", 2**63)):
        tape = Tape().native("env-1", "tele", b'{"%s":%d,"m":{"temperature_c":20.5}}' % (field_.encode(), number))
        assert [(q, v) for _, q, v, _ in told(tape)] == [("temperature_c", 20.5)], (field_, number)


class OddCodec:
    """A codec that breaks its promises about values: the reader must not fall for it."""

    def __init__(self, *readings: Reading) -> None:
        self.readings = readings

    def __call__(self, topic: str, payload: bytes, *, received_at_ms: int, retained: bool) -> tuple[Decoded, ...]:
        return (Decoded(codec="odd", address="native-v1:demo/gw-1/env-1", device="env-1", readings=self.readings),)


@pytest.mark.parametrize("value", ["hot", 10**400, -(2**62), None, float("inf"), ["a"], True])
def test_a_value_of_a_wrong_type_becomes_unknown_and_spoils_no_neighbour(value: Any) -> None:
    reader = Reader(
        OddCodec(Reading("temperature_c", value), Reading("humidity_pct", 40), Reading("lock_state", "jammed")),
        lambda: TOWN,
        Screen(Limits()),
    )
    found = reader.read(Tape().says("x", b"").records)
    by_name = {q: (v, f) for _, q, v, _, _, f, _ in rows(found)}
    if value is True:
        assert by_name["temperature_c"][0] in (None, 1.0)
    else:
        assert by_name["temperature_c"][0] is None
        assert by_name["temperature_c"][1] & (Quality.UNKNOWN | Quality.IMPLAUSIBLE)
    assert by_name["humidity_pct"] == (40.0, Quality.GOOD)
    assert by_name["lock_state"] == (4.0, Quality.GOOD)


def test_a_quantity_that_the_hub_has_no_name_for_is_counted_and_left_out() -> None:
    reader = a_reader()
    tape = Tape().native("env-1", "tele", {"ts": NOW, "m": {"flux": 3.5, "temperature_c": 20.5}})
    assert [(q, v) for _, q, v, *_ in rows(reader.read(tape.records))] == [("temperature_c", 20.5)]
    assert reader.unmapped == 1


# -- the quarantine -------------------------------------------------------------------------------------------------------


def test_a_rejected_message_keeps_topic_reason_bytes_and_place() -> None:
    tape = Tape().tick().native("env-1", "tele", b"\xff{")
    (row,) = aside(read(tape))
    assert row == QuarantineRow(
        topic="sc/v1/demo/gw-1/env-1/tele",
        reason="malformed JSON",
        codec="native-v1",
        detail=row.detail,
        address="native-v1:demo/gw-1/env-1",
        count=1,
        first_at_ms=tape.at_ms,
        last_at_ms=tape.at_ms,
        position=1,
        payload=b"\xff{",
    )
    assert row.detail


def test_an_unknown_device_is_set_aside_and_not_ignored() -> None:
    body = {"v": 1, "id": "x", "type": "alarm", "alarm": "smoke", "active": True}
    found = read(Tape().native("stranger", "event", body))
    assert rows(found) == []
    (row,) = aside(found)
    assert (row.reason, row.address, json.loads(row.payload)) == (
        "unknown device",
        "native-v1:demo/gw-1/stranger",
        body,
    )


def test_the_same_trouble_on_one_topic_is_one_row_with_a_count_and_the_latest_bytes() -> None:
    tape = Tape()
    for n in range(5):
        tape.native("env-1", "tele", b"{%d" % n)
    tape.native("env-1", "tele", b"")  # a cleared topic is no trouble
    (row,) = aside(read(tape))
    assert (row.count, row.payload, row.position) == (5, b"{4", 4)
    assert (row.first_at_ms, row.last_at_ms) == (NOW + 1_000, NOW + 5_000)


def test_a_flood_of_topics_is_bounded_and_still_counted() -> None:
    tape = Tape()
    for n in range(1_500):
        tape.says(f"sc/v1/demo/gw-1/x{n}/what", b"{}", after_ms=0)
    found = aside(read(tape))
    assert len(found) <= 1_001
    assert sum(row.count for row in found) == 1_500
    assert next(row for row in found if row.topic == "(many topics)").count == 500


def test_each_segment_tells_its_own_rejections_once() -> None:
    tape = Tape().native("env-1", "tele", b"{").tick().native("env-1", "tele", b"{").native("env-1", "tele", b"{")
    assert [[row.count for row in s.quarantine] for s in read(tape)] == [[1], [2]]


def test_texts_in_the_quarantine_can_be_stored_by_every_database() -> None:
    tape = (
        Tape()
        .says("sc/v1/" + "x" * 5_000, b"{}")
        .says("sc/v1/a\0b/c/d/tele", b"{}")
        .says("sc/v1/\ud800/c/d/tele", b"{}")
    )
    for row in aside(read(tape)):
        for text in (row.topic, row.reason, row.detail, row.address):
            assert "\0" not in text
            assert len(text) <= 1_000
            text.encode("utf-8")


def test_a_mebibyte_is_refused_and_its_beginning_kept() -> None:
    (row,) = aside(read(Tape().native("env-1", "tele", b"x" * (1 << 20))))
    assert row.reason == "payload too large"
    assert row.payload == b"x" * 65_536


@pytest.mark.parametrize("name", ["smok", "smoke\0", "", "火"])
def test_an_alarm_that_no_rule_can_judge_is_shown_to_people(name: str) -> None:
    event = {"v": 1, "id": "x", "type": "alarm", "alarm": name, "active": True}
    tape = Tape().native("smoke-1", "event", event).native("smoke-1", "event", {**event, "id": "y", "active": False})
    (row,) = aside(read(tape))
    assert (row.reason, row.count) == ("unknown alarm", 1)
    assert repr(name).replace("\0", "\ufffd") in row.detail


@pytest.mark.parametrize("broken", [RuntimeError("boom"), RecursionError(), KeyError("x"), AssertionError()])
def test_a_message_that_a_codec_stumbles_over_stops_nothing_behind_it(broken: Exception) -> None:
    whole = Router(SOURCES, CodecContext())

    def decode(topic: str, payload: bytes, *, received_at_ms: int, retained: bool) -> Any:
        if payload == b"poison":
            raise broken
        return whole.decode(topic, payload, received_at_ms=received_at_ms, retained=retained)

    reader = Reader(decode, lambda: TOWN, Screen(Limits()))
    tape = Tape().native("env-1", "tele", b"poison").native("env-1", "tele", {"ts": NOW, "m": {"temperature_c": 20.5}})
    found = reader.read(tape.records)
    assert [(q, v) for _, q, v, *_ in rows(found)] == [("temperature_c", 20.5)]
    (row,) = aside(found)
    assert (row.reason, row.payload, row.position) == ("fault of the hub", b"poison", 0)
    assert type(broken).__name__ in row.detail


# -- the hub about itself -----------------------------------------------------------------------------------------------


def test_the_hub_reports_its_own_fault() -> None:
    tape = Tape().says("$hub/fault", b"1").says("$hub/fault", b"0").says("$hub/nonsense", b"1")
    assert told(tape) == [("hub", "fault", 1.0, Quality.GOOD), ("hub", "fault", 0.0, Quality.GOOD)]


def test_the_hub_tells_what_it_knows_of_a_device() -> None:
    tape = Tape().says("$hub/smoke-1/unattended_s", b"180.0").says("$hub/hub/canary_missed", b"2")
    tape.says("$hub/stranger/unattended_s", b"180.0").says("$hub/smoke-1/nonsense", b"1")
    assert told(tape) == [("smoke-1", "unattended_s", 180.0, Quality.GOOD), ("hub", "canary_missed", 2.0, Quality.GOOD)]


def test_no_device_may_claim_what_only_the_hub_knows() -> None:
    """Two witnesses move things: a detector that reports smoke must not also be the person on scene who confirms it."""
    tape = Tape().says("sc/v1/demo/gw-1/smoke-1/tele", {"v": 1, "m": {"fire_confirmed": True, "battery_pct": 80}})
    tape.says("$hub/smoke-1/fire_confirmed", b"1.0")
    found = told(tape)
    assert ("smoke-1", "battery_pct", 80.0, Quality.CLOCK) in found
    claimed, known = [row for row in found if row[1] == "fire_confirmed"]
    assert claimed[3] & Quality.IMPLAUSIBLE
    assert claimed[2] is None
    assert known == ("smoke-1", "fire_confirmed", 1.0, Quality.GOOD)
    reasons = [row.reason for segment in read(tape) for row in segment.quarantine]
    assert reasons == ["fire_confirmed is for the hub to say"]


# -- batch invariance ---------------------------------------------------------------------------------------------------

NAMES = ("env-1", "smoke-1", "lock-1", "stranger")
BODIES = st.one_of(
    st.builds(
        lambda ts, seq, m: {
            "v": 1,
            **({} if ts is None else {"ts": NOW + ts}),
            **({} if seq is None else {"seq": seq}),
            "m": m,
        },
        st.none() | st.sampled_from([0, 1, -DAY, DAY, -DAY + 5, 400_000]),
        st.none() | st.integers(0, 2),
        st.dictionaries(
            st.sampled_from(["temperature_c", "smoke", "lock_state", "battery_pct", "flux"]),
            st.sampled_from([20.5, 99_999, True, "jammed", "banana", None, 10**30, 85]),
            max_size=3,
        ),
    ),
    st.builds(
        lambda id_, active: {"v": 1, "id": id_, "type": "alarm", "alarm": "smoke", "active": active},
        st.sampled_from(["a", "b"]),
        st.booleans(),
    ),
    st.sampled_from([b"", b"{", b"\xff\xfe", b"[]", b'{"online":false}', b'{"online":true}']),
)
STEPS = st.lists(
    st.one_of(
        st.just(None),
        st.tuples(st.sampled_from(NAMES), st.sampled_from(["tele", "state", "event", "online", "what"]), BODIES,
                  st.sampled_from([0, 1, 1_000, DAY, -DAY]), st.booleans()),
    ),
    max_size=30,
)  # fmt: skip


def tape_of(steps: Sequence[tuple[str, str, Any, int, bool] | None]) -> Tape:
    tape = Tape()
    for step in steps:
        if step is None:
            tape.tick()
        else:
            device, channel, body, after_ms, retained = step
            tape.native(device, channel, body, after_ms=after_ms, retained=retained)
    return tape


@settings(max_examples=150, deadline=None)
@given(STEPS, st.lists(st.integers(1, 7), min_size=1, max_size=30))
def test_wherever_the_records_are_cut_the_rows_are_the_same(
    steps: list[tuple[str, str, Any, int, bool] | None], cuts: list[int]
) -> None:
    records = tape_of(steps).records
    whole, pieces = a_reader().read(records), []
    reader, at, n = a_reader(), 0, 0
    while at < len(records):
        pieces += reader.read(records[at : at + cuts[n % len(cuts)]])
        at, n = at + cuts[n % len(cuts)], n + 1
    assert rows(pieces) == rows(whole)
    assert [(s.next, s.tick_ms) for s in pieces if s.tick_ms is not None] == [
        (s.next, s.tick_ms) for s in whole if s.tick_ms is not None
    ]
    assert counted(pieces) == counted(whole)
    assert [s.first for s in pieces[1:]] == [s.next for s in pieces[:-1]]


NUMBERS = st.builds(
    lambda ts, seq, m: {
        **({} if ts is None else {"ts": NOW + ts}), **({} if seq is None else {"seq": seq}), "m": m,
    },
    st.none() | st.sampled_from([0, 1, 1_000, -DAY, DAY, 10**14, -NOW]),
    st.none() | st.integers(0, 1),
    st.dictionaries(
        st.sampled_from(["temperature_c", "humidity_pct", "power_w", "smoke"]),
        st.sampled_from([20.5, 21, -300.0, 1e300]),
        max_size=3,
    ),
)  # fmt: skip
MIXED = st.lists(
    st.tuples(
        st.sampled_from(NAMES),
        st.sampled_from(["tele", "tele", "state", "event"]),
        NUMBERS | BODIES,
        st.sampled_from([0, 1_000]),
        st.booleans(),
    ),
    max_size=30,
)


@settings(max_examples=150, deadline=None)
@given(MIXED)
def test_everyday_messages_take_a_short_cut_that_nobody_sees(steps: list[tuple[str, str, Any, int, bool]]) -> None:
    records = tape_of(steps).records
    short, long = a_reader().read(records), a_reader_without_short_cut().read(records)
    assert rows(short) == rows(long)
    assert {replace(row, detail="") for row in aside(short)} == {replace(row, detail="") for row in aside(long)}


def test_all_values_of_a_late_message_are_late() -> None:
    """One message says nothing about a clock: it takes a second one with the same lag to tell a wrong clock from a delay."""
    late = {"ts": NOW - DAY, "m": {"temperature_c": 20.5, "humidity_pct": 40.0}}
    assert [row[3:6:2] for row in rows(read(Tape().native("env-1", "tele", late)))] == [(NOW - DAY, Quality.LATE)] * 2


def counted(segments: Iterable[Segment]) -> Counter[tuple[str, str]]:
    counts: Counter[tuple[str, str]] = Counter()
    for row in aside(segments):
        counts[row.topic, row.reason] += row.count
    return counts


def test_the_codes_of_the_batch_are_those_of_the_table() -> None:
    (segment,) = read(Tape().native("env-1", "tele", {"ts": NOW, "m": {"temperature_c": 20.5}}))
    assert segment.batch.quantity.tolist() == [CODE["temperature_c"]]
    assert segment.batch.slot.dtype == np.int32
    assert segment.batch.quality.dtype == np.uint16
