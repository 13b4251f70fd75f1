"""The intake writes first and acknowledges afterwards; a disk that takes nothing delays the record of an alarm, not the alarm."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from hub.clock import SteppedClock
from hub.errors import JournalFull
from hub.ingest.intake import HUB_FAULT_TOPIC, HUB_ONLINE_TOPIC, Intake
from hub.ingest.session import Receipt
from hub.model.readings import Envelope
from hub.stores.journal import TICK, Journal, JournalConfig, Record

DAY = 86_400_000


class Disk(Journal):
    """A real journal whose disk can be told to be full, also after a few more groups."""

    room: float = float("inf")

    def append(self, envelopes: Sequence[Envelope], *, tick_ms: int | None = None) -> int:
        if self.room <= 0:
            raise JournalFull("no space left on device")
        self.room -= 1
        return super().append(envelopes, tick_ms=tick_ms)


class Bench:
    """An intake on a journal of its own, with what it acknowledged and when."""

    def __init__(self, folder: Path, **more: Any) -> None:
        self.clock = SteppedClock()
        opened = Disk.open(folder / "journal", JournalConfig(segment_mib=1, reserve_mib=0))
        assert isinstance(opened, Disk)
        self.journal = opened
        self.acked: list[int] = []
        self.durable_at_ack: list[int] = []
        self.lifeline: list[bool] = []
        self.intake = Intake(self.journal, self.clock, self._ack, retry_s=1.0, lifeline=self.lifeline.append, **more)

    def _ack(self, receipt: Receipt) -> None:
        self.acked.append(receipt.packet_id)
        self.durable_at_ack.append(self.journal.head)

    def receives(self, *payloads: str, lane: str = "main", qos: int = 1) -> None:
        for payload in payloads:
            number = int("".join(c for c in payload if c.isdigit()) or 0)
            receipt = Receipt(lane, 1, number, 1) if qos else None
            self.intake.take(Envelope(f"t/{payload}", payload.encode(), self.clock(), False, receipt), lane=lane)

    def flush(self, *, after_ms: int = 0) -> None:
        self.clock.advance(ms=after_ms)
        self.intake.flush(self.clock())

    def seen(self, position: int = 0) -> list[Record]:
        """What a pipeline reads from `position` on, a few at a time."""
        found: list[Record] = []
        while self.intake.head > position:
            some = self.intake.read(position, limit=3)
            if not some:
                break
            found += some
            position = some[-1].position + 1
        return found

    def kept(self) -> list[Record]:
        return self.journal.read(0, limit=10_000)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    one = Bench(tmp_path)
    yield one
    one.journal.close()


def payloads(records: Sequence[Record]) -> list[str]:
    return ["tick" if r.kind == TICK else r.payload.decode() for r in records]


# -- the normal day -----------------------------------------------------------------------------------------------------


def test_a_message_is_acknowledged_only_when_it_is_in_the_journal(bench: Bench) -> None:
    bench.receives("m1", "m2")
    assert bench.acked == []
    bench.flush()
    assert bench.acked == [1, 2]
    assert payloads(bench.kept()) == ["tick", "m1", "m2"]
    assert bench.durable_at_ack == [3, 3]


def test_qos_0_has_nothing_to_acknowledge(bench: Bench) -> None:
    bench.receives("m1", qos=0)
    bench.flush()
    assert bench.acked == []
    assert payloads(bench.kept()) == ["tick", "m1"]


def test_the_fire_lane_goes_first_and_is_never_pushed_out_of_a_group(tmp_path: Path) -> None:
    bench = Bench(tmp_path, most_per_group=3)
    bench.flush()
    bench.receives("m1", "m2", "m3", "m4", "m5")
    bench.receives("f6", "f7", lane="fire")
    bench.flush()
    assert payloads(bench.kept()) == ["tick", "f6", "f7", "m1"]
    bench.flush()
    assert payloads(bench.kept())[4:] == ["m2", "m3", "m4"]
    bench.journal.close()


def test_a_tick_passes_each_second_also_when_nothing_comes(bench: Bench) -> None:
    for _ in range(10):
        bench.flush(after_ms=250)
    ticks = bench.kept()
    assert [r.kind for r in ticks] == [TICK] * 3
    assert [b.at_ms - a.at_ms for a, b in pairwise(ticks)] == [1_000, 1_000]


def test_everything_that_many_sessions_hand_over_arrives_once_and_in_their_order(bench: Bench) -> None:
    bench.intake.start()
    try:
        threads = [
            threading.Thread(target=lambda k=k: bench.receives(*(f"{k}{n:03d}" for n in range(200))), daemon=True)
            for k in (1, 2, 3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        waiter = threading.Event()
        for _ in range(500):
            if len(bench.acked) == 600:
                break
            waiter.wait(0.01)
        assert bench.intake.alive
    finally:
        bench.intake.stop()
    assert not bench.intake.alive
    kept = [p for p in payloads(bench.kept()) if p != "tick"]
    assert len(kept) == len(set(kept)) == len(bench.acked) == 600
    for k in "123":
        own = [p for p in kept if p[0] == k]
        assert own == sorted(own)


def test_whether_the_broker_is_heard_is_told_to_the_rules_when_it_changes(tmp_path: Path) -> None:
    heard = [False]
    bench = Bench(tmp_path, listens=lambda: heard[0])
    bench.flush()
    bench.flush(after_ms=100)
    heard[0] = True
    bench.receives("m1")
    bench.flush(after_ms=100)
    said = [(r.topic, r.payload) for r in bench.kept() if r.kind != TICK]
    assert said == [(HUB_ONLINE_TOPIC, b"0"), (HUB_ONLINE_TOPIC, b"1"), ("t/m1", b"m1")]
    bench.journal.close()


# -- the disk is full ---------------------------------------------------------------------------------------------------


def fill(bench: Bench) -> None:
    bench.flush()
    bench.journal.room = 0


def test_a_full_disk_is_told_to_the_rules_and_nothing_is_acknowledged(bench: Bench) -> None:
    fill(bench)
    bench.receives("m1")
    bench.flush()
    assert bench.acked == []
    assert bench.intake.degraded_since_ms == bench.clock()
    assert "no space left" in bench.intake.degraded_why
    assert [(r.topic, r.payload) for r in bench.seen(1)] == [(HUB_FAULT_TOPIC, b"1"), ("t/m1", b"m1")]
    assert payloads(bench.kept()) == ["tick"]


def test_the_pipeline_reads_from_memory_in_order_while_the_disk_is_full(bench: Bench) -> None:
    fill(bench)
    for n in range(1, 8):
        bench.receives(f"m{n}")
        bench.flush(after_ms=400)
    records = bench.seen(0)
    assert [p for p in payloads(records) if p.startswith("m")] == [f"m{n}" for n in range(1, 8)]
    assert [r.position for r in records] == list(range(len(records)))
    assert bench.intake.head == len(records)
    assert payloads(records).count("tick") >= 3, "time goes on"


def test_a_waiting_pipeline_is_woken_by_what_is_only_in_memory(bench: Bench) -> None:
    fill(bench)
    woken: list[bool] = []
    waiting = threading.Thread(target=lambda: woken.append(bench.intake.wait(1, 5.0)))
    waiting.start()
    bench.receives("m1")
    bench.flush()
    waiting.join(2.0)
    assert woken == [True]
    assert not bench.intake.wait(bench.intake.head, 0.01)


def test_with_room_again_all_is_stored_in_order_under_its_positions_and_only_then_acknowledged(bench: Bench) -> None:
    fill(bench)
    for n in range(1, 6):
        bench.receives(f"m{n}")
        bench.flush(after_ms=700)
    before = bench.seen(0)
    assert bench.acked == []
    bench.journal.room = float("inf")
    bench.receives("m6")
    bench.flush(after_ms=1_000)
    assert bench.intake.degraded_since_ms is None
    assert bench.acked == [1, 2, 3, 4, 5, 6]
    assert bench.kept()[: len(before)] == before
    bench.flush()
    assert payloads(bench.kept())[len(before) :] == ["m6", "tick", "0"]
    assert bench.kept()[-1].topic == HUB_FAULT_TOPIC
    assert bench.intake.head == bench.journal.head


def test_the_disk_is_tried_once_in_a_while_and_not_with_every_message(bench: Bench) -> None:
    fill(bench)
    bench.receives("m1")
    bench.flush()
    tried: list[int] = []
    append = bench.journal.append

    def counting(envelopes: Sequence[Envelope], *, tick_ms: int | None = None) -> int:
        tried.append(bench.clock())
        return append(envelopes, tick_ms=tick_ms)

    bench.journal.append = counting  # type: ignore[method-assign]
    for n in range(50):
        bench.receives(f"m{n}")
        bench.flush(after_ms=100)
    assert len(tried) == 5


def test_a_disk_that_fills_again_half_way_loses_and_repeats_nothing(bench: Bench) -> None:
    fill(bench)
    for n in range(1, 10):
        bench.receives(f"m{n}")
        bench.flush(after_ms=1_001)
    read = bench.intake.read(0, limit=7)
    bench.journal.room = 3
    bench.flush(after_ms=1_000)
    assert bench.intake.degraded_since_ms is not None
    assert 0 < len(bench.acked) < 9
    assert bench.acked == list(range(1, len(bench.acked) + 1))
    while bench.intake.head > len(read):  # across the boundary between journal and memory
        read += bench.intake.read(len(read), limit=3)
    assert [r.position for r in read] == list(range(len(read)))
    bench.journal.room = float("inf")
    bench.flush(after_ms=1_000)
    assert bench.acked == list(range(1, 10))
    assert bench.kept()[: len(read)] == read


def test_at_half_of_the_brokers_window_a_lifeline_is_asked_for_and_given_back(tmp_path: Path) -> None:
    bench = Bench(tmp_path, window=10)
    fill(bench)
    for n in range(1, 5):
        bench.receives(f"m{n}")
        bench.flush(after_ms=10)
    assert bench.lifeline == []
    bench.receives("m5")
    bench.flush(after_ms=10)
    bench.receives("m6", "m7")
    bench.flush(after_ms=10)
    assert bench.lifeline == [True]
    bench.journal.room = float("inf")
    bench.flush(after_ms=1_000)
    assert bench.lifeline == [True, False]
    assert bench.acked == [1, 2, 3, 4, 5, 6, 7]
    bench.journal.close()


# -- bounds -------------------------------------------------------------------------------------------------------------


def test_qos_0_beyond_the_bound_is_dropped_and_counted_and_qos_1_is_not(tmp_path: Path) -> None:
    bench = Bench(tmp_path, most_in_memory=10)
    bench.receives(*(f"m{n}" for n in range(20)), qos=0)
    assert bench.intake.dropped == 9
    bench.receives("m21")
    bench.receives("f22", qos=0, lane="fire")
    bench.flush()
    assert payloads(bench.kept())[-1] == "m21"
    assert "f22" in payloads(bench.kept()), "a flood on the main lane takes no room from the fire lane"
    bench.journal.close()


def test_a_day_of_a_full_disk_does_not_fill_the_memory_and_alarms_flow_on(tmp_path: Path) -> None:
    bench = Bench(tmp_path, most_in_memory=100)
    fill(bench)
    bench.receives("m1", "m2")
    position, told = 0, []
    for n in range(3_000):
        bench.receives(f"q{n}", qos=0)
        bench.flush(after_ms=100)
        for record in bench.intake.read(position, limit=100):
            assert record.position == position
            position, told = position + 1, [*told, record] if record.topic.startswith("t/") else told
    assert [r.payload.decode() for r in told] == ["m1", "m2", *(f"q{n}" for n in range(3_000))]
    assert bench.intake.dropped == 0
    assert bench.intake.forgotten > 2_500
    assert bench.intake._remembered < 250
    bench.journal.room = float("inf")
    bench.flush(after_ms=1_000)
    assert bench.intake.degraded_since_ms is None
    assert bench.acked == [1, 2], "what the broker still holds was kept, stored and acknowledged"
    assert bench.intake.head == bench.journal.head
    bench.receives("m9")
    bench.flush()
    assert [r.payload for r in bench.intake.read(position, limit=100) if r.topic == "t/m9"] == [b"m9"]
    by_position = {r.position: r for r in told}
    for record in bench.journal.read(0, limit=5):
        assert by_position.get(record.position, record) == record, "no position means two records"
    bench.journal.close()


def test_when_the_pipeline_stands_still_too_qos_0_is_dropped_in_the_end(tmp_path: Path) -> None:
    """Disk and ledger are away at the same time: memory is the only place, and it has an end."""
    bench = Bench(tmp_path, most_in_memory=100)
    fill(bench)
    for n in range(1_000):
        bench.receives(f"q{n}", qos=0)
        bench.flush(after_ms=1)
    assert bench.intake.dropped > 700
    assert bench.intake._remembered <= 210
    bench.receives("m1")
    bench.flush()
    assert payloads(bench.seen(0))[-1] == "m1", "QoS 1 is bounded by its window and always taken"
    bench.journal.close()


# -- clocks that are set --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_after_the_clock_was_set_ticks_go_on_and_the_first_one_comes_before_the_messages(
    bench: Bench, jump: int
) -> None:
    bench.flush()
    bench.receives("m1")
    bench.clock.advance(ms=jump)
    bench.receives("m2")
    bench.flush()
    records = bench.kept()
    assert payloads(records) == ["tick", "tick", "m1", "m2"]
    assert {r.at_ms for r in records[1:]} == {bench.clock()}, "what came before is not taken for a day old or young"
    for _ in range(3):
        bench.flush(after_ms=1_000)
    assert payloads(bench.kept())[4:] == ["tick"] * 3


def test_a_clock_set_back_does_not_keep_a_full_journal_from_being_tried_again(bench: Bench) -> None:
    fill(bench)
    bench.receives("m1")
    bench.flush()
    bench.journal.room = float("inf")
    bench.flush(after_ms=-DAY)
    bench.flush(after_ms=1_000)
    assert bench.acked == [1]
