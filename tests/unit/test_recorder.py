"""The recorder feeds the history on its own cursor: a store that is away delays a chart and loses no reading."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from hub.clock import SteppedClock
from hub.errors import Unavailable
from hub.ingest.codecs.context import CodecContext
from hub.ingest.reader import Reader
from hub.ingest.router import Router, Source
from hub.ingest.screen import Limits, Screen
from hub.model.readings import Envelope, ReadingBatch
from hub.recorder import Recorder, joined
from hub.stores.history import AlertEvent, GridStatus
from hub.stores.history_embedded import EmbeddedHistory
from hub.stores.journal import Journal, JournalConfig
from tests.support.registry import a_device, small_registry

TOWN = small_registry([a_device("env-1", "env"), a_device("env-2", "env")])


class Weak(EmbeddedHistory):
    """A real history that is away when it is told to be: before it writes, or after, when only the answer is lost."""

    away_before = away_after = 0
    batches: list[int]
    events: list[int]
    status = 0

    def write(self, batch: ReadingBatch, registry: Any) -> None:
        if self.away_before:
            self.away_before -= 1
            raise Unavailable("the history is away")
        super().write(batch, registry)
        self.batches.append(len(batch))
        if self.away_after:
            self.away_after -= 1
            raise Unavailable("the history went away before it could answer")

    def write_alerts(self, rows: Sequence[AlertEvent]) -> None:
        if self.away_before:
            self.away_before -= 1
            raise Unavailable("the history is away")
        self.events += [row.sequence for row in rows]

    def write_grid_status(self, rows: Sequence[GridStatus]) -> None:
        self.status += 1


class Room:
    """Journal, history and recorder on one disk; `restart` opens them again."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock, self.sent = folder, SteppedClock(), 0
        self.alerts = 0
        self.open()

    def open(self) -> None:
        self.journal = Journal.open(self.folder / "journal", JournalConfig(reserve_mib=0))
        self.history = Weak(self.folder / "history.db")
        self.history.batches, self.history.events = [], []
        self.live = self.a_reader()
        self.done = self.journal.head
        self.recorder = Recorder(
            self.journal,
            self.a_reader(),
            self.history,
            lambda: TOWN,
            cursor_file=self.folder / "history.cursor",
            clock=self.clock,
            alert_events=self._events,
            grid_status=lambda at_ms: [],
        )

    def a_reader(self) -> Reader:
        router = Router([Source(codec="native-v1", root="sc/v1")], CodecContext())
        return Reader(router.decode, lambda: TOWN, Screen(Limits()))

    def _events(self, after: int, limit: int) -> tuple[list[AlertEvent], int]:
        numbers = range(after + 1, min(self.alerts, after + limit) + 1)
        empty = dict.fromkeys(AlertEvent.__dataclass_fields__, "") | {"at_ms": 0}
        return [AlertEvent(**empty | {"sequence": n}) for n in numbers], (numbers[-1] if numbers else after)  # type: ignore[arg-type]

    def close(self) -> None:
        self.journal.close()
        self.history.close()

    def hears(self, count: int = 1, *, hand_over: bool = True) -> None:
        """`count` readings reach the journal; with `hand_over` the pipeline has finished them too."""
        for _ in range(count):
            self.clock.advance(s=1)
            body = {"v": 1, "seq": self.sent, "ts": self.clock(), "m": {"temperature_c": float(self.sent % 50)}}
            self.journal.append([Envelope("sc/v1/demo/gw-1/env-1/tele", json.dumps(body).encode(), self.clock())])
            self.sent += 1
        if hand_over:
            for segment in self.live.read(self.journal.read(self.done, limit=100_000)):
                self.recorder.hand_over(segment)
            self.done = self.journal.head

    def settles(self) -> None:
        for _ in range(1_000):
            if self.recorder.step() > 0:
                return
        raise AssertionError("the recorder does not come to rest")

    def times(self) -> list[int]:
        return [p.at_ms for p in self.history.series("env-1", "temperature_c", 0, self.clock() + 1, 100_000)]


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    one = Room(tmp_path)
    yield one
    one.close()


def test_what_the_pipeline_has_finished_is_written_and_the_cursor_follows(room: Room) -> None:
    room.hears(5)
    room.settles()
    assert len(room.times()) == 5
    assert room.recorder.position == room.journal.head


@pytest.mark.parametrize("when", ["away_before", "away_after"])
def test_readings_wait_for_a_store_that_is_away_and_are_kept_once(room: Room, when: str) -> None:
    room.hears(3)
    setattr(room.history, when, 2)
    for _ in range(2):
        with pytest.raises(Unavailable):
            room.recorder.step()
        assert room.recorder.trouble
        room.hears(2)
    room.settles()
    assert room.recorder.trouble == ""
    assert len(room.times()) == len(set(room.times())) == 7


def test_readings_read_from_the_journal_are_no_repetitions_when_they_are_tried_again(room: Room) -> None:
    """The reader remembers what it has seen: read a second time they would all be marked and left out."""
    room.hears(4, hand_over=False)
    room.history.away_before = 3
    for _ in range(3):
        with pytest.raises(Unavailable):
            room.recorder.step()
    room.settles()
    assert len(room.times()) == 4


def test_behind_the_live_end_it_reads_the_journal_by_itself(room: Room) -> None:
    room.hears(50, hand_over=False)
    room.done = room.journal.head
    room.hears(5)
    room.settles()
    assert len(room.times()) == 55
    assert room.recorder.position == room.journal.head


def test_more_segments_than_fit_are_read_from_the_journal_later(room: Room) -> None:
    for _ in range(700):
        room.hears(1)
    room.settles()
    assert len(room.times()) == 700
    assert room.recorder.position == room.journal.head


def test_after_a_restart_it_goes_on_where_the_store_had_everything(room: Room) -> None:
    room.hears(5)
    room.settles()
    room.recorder.save(room.clock())
    room.close()
    room.open()
    room.hears(2, hand_over=False)
    room.settles()
    assert sum(room.history.batches) == 2
    assert len(room.times()) == 7


def test_killed_before_it_saved_its_cursor_it_writes_again_and_nothing_is_doubled(room: Room) -> None:
    room.hears(5)
    room.recorder.save(room.clock())
    room.settles()
    room.recorder._file.unlink()
    room.close()
    room.open()
    room.settles()
    assert len(room.times()) == 5


@pytest.mark.parametrize("damage", [b"", b"GHS1xxxx{}", b"not a cursor", b"\xff" * 100])
def test_a_damaged_cursor_begins_again_at_the_journals_start(room: Room, damage: bytes) -> None:
    room.hears(5)
    room.settles()
    room.recorder.save(room.clock())
    room.close()
    room.recorder._file.write_bytes(damage)
    room.open()
    assert room.recorder.position == 0
    room.settles()
    assert len(room.times()) == 5


def test_a_cursor_of_another_journal_means_nothing_and_the_alerts_place_is_kept(room: Room) -> None:
    room.hears(5)
    room.alerts = 3
    room.settles()
    room.recorder.save(room.clock())
    room.close()
    for file in (room.folder / "journal").iterdir():
        file.unlink()
    room.open()
    assert room.recorder.position == 0
    room.settles()
    assert room.history.events == []


def test_the_saved_cursor_is_never_beyond_what_the_journal_holds(room: Room) -> None:
    room.hears(5)
    room.settles()
    room.recorder.position += 100  # segments from memory, while the disk was full
    room.recorder.save(room.clock())
    room.close()
    room.open()
    assert room.recorder.position == 5


def test_a_gap_in_the_journal_is_passed_over(room: Room) -> None:
    room.hears(3, hand_over=False)
    room.journal.leap(room.journal.head + 500)
    room.hears(3, hand_over=False)
    room.settles()
    room.settles()
    assert len(room.times()) == 6
    assert room.recorder.position == room.journal.head


def test_alert_events_are_written_once_in_order_and_wait_for_the_store(room: Room) -> None:
    room.alerts = 1_200
    room.history.away_before = 1
    with pytest.raises(Unavailable):
        room.recorder.step()
    room.settles()
    room.alerts = 1_201
    room.settles()
    assert room.history.events == list(range(1, 1_202))


def test_the_grids_figures_are_written_once_a_minute(room: Room) -> None:
    for _ in range(300):
        room.clock.advance(s=1)
        room.recorder.step()
    assert room.history.status == 5


def test_batches_are_joined_in_order() -> None:
    one = ReadingBatch.of([(0, "temperature_c", 1.0, 1, 1, 0, 1)])
    two = ReadingBatch.of([(1, "humidity_pct", 2.0, 2, 2, 4, 2), (0, "smoke", 1.0, 3, 3, 0, 3)])
    both = joined([one, two])
    assert len(both) == 3
    assert both.position.tolist() == [1, 2, 3]
    assert both.slot.tolist() == [0, 1, 0]
    assert joined([one]) is one
