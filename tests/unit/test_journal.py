"""The journal gives back exactly what was appended, in order, whatever happens around it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.errors import ConfigError
from hub.model.readings import Envelope
from hub.stores.journal import MESSAGE, TICK, Journal, JournalConfig, Record, Trimmed

T0 = 1_704_067_200_000
SMALL = JournalConfig(segment_mib=0.03, tail_records=16, reserve_mib=0)


def envelope(n: int, size: int = 20, at_ms: int | None = None) -> Envelope:
    return Envelope(
        f"sc/v1/b3/gw/{n}", n.to_bytes(8, "big") * (size // 8), T0 + n if at_ms is None else at_ms, n % 3 == 0
    )


def fill(journal: Journal, groups: int, each: int = 20, start: int = 0) -> None:
    for group in range(groups):
        journal.append([envelope(start + group * each + n) for n in range(each)])


def read_all(journal: Journal, position: int | None = None, limit: int = 100) -> list[Record]:
    at = journal.tail if position is None else position
    records: list[Record] = []
    while got := journal.read(at, limit=limit):
        records += got
        at = got[-1].position + 1
    return records


def test_a_record_comes_back_as_it_went_in(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "new" / "journal")
    first = journal.append([Envelope("a/b", b"\x00\xff", T0, True, receipt=object())], tick_ms=T0 + 1_000)
    assert first == 0
    assert journal.read(0, limit=10) == [
        Record(0, MESSAGE, T0, "a/b", b"\x00\xff", True),
        Record(1, TICK, T0 + 1_000, "", b"", False),
    ]
    assert journal.head == 2
    stat = journal.stat()
    assert (stat.first_at_ms, stat.last_at_ms, stat.segments, stat.full) == (T0, T0 + 1_000, 1, "")


def test_an_empty_group_stores_nothing(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path)
    assert journal.append([]) == 0
    assert (journal.head, journal.read(0, limit=5)) == (0, [])


group = st.tuples(st.lists(st.integers(0, 6_000), max_size=12), st.booleans())
step = st.one_of(
    group.map(lambda g: ("append", g)),
    group.map(lambda g: ("append", g)),
    st.tuples(st.just("read"), st.tuples(st.floats(0, 1.1), st.integers(1, 40))),
    st.tuples(st.just("trim"), st.floats(0, 1)),
    st.tuples(st.just("reopen"), st.booleans()),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(step, max_size=40))
def test_any_position_and_limit_gives_the_appended_records_in_order(steps: list[tuple[str, object]]) -> None:
    config = JournalConfig(segment_mib=0.05, tail_records=16, retain_mib=0.1, cap_mib=1_000, reserve_mib=0)
    memory = (
        "/dev/shm" if os.path.isdir("/dev/shm") else None
    )  # hundreds of durable groups: what is tested is not the disk
    with tempfile.TemporaryDirectory(dir=memory) as name:
        folder = Path(name)
        journal = Journal.open(folder, config)
        identity, expected, keep_from = journal.identity, list[Record](), 0
        for what, argument in steps:
            if what == "append":
                sizes, tick = argument  # type: ignore[misc]
                envelopes = [Envelope(f"t/{size}", os.urandom(size), T0 + len(expected), False) for size in sizes]
                tick_ms = T0 + len(expected) if tick else None
                assert journal.append(envelopes, tick_ms=tick_ms) == len(expected)
                for e in envelopes:
                    expected.append(Record(len(expected), MESSAGE, e.received_at_ms, e.topic, e.payload, e.retained))
                if tick_ms is not None:
                    expected.append(Record(len(expected), TICK, tick_ms, "", b"", False))
            elif what == "read":
                share, limit = argument  # type: ignore[misc]
                position = int(share * len(expected))
                try:
                    assert journal.read(position, limit=limit) == expected[position : position + limit]
                except Trimmed as gone:
                    assert position < journal.tail == gone.first_kept  # noqa: PT017
            elif what == "trim":
                keep_from = max(keep_from, int(argument * len(expected)))  # type: ignore[operator]
                journal.trim(T0, keep_from)
                assert journal.tail <= keep_from
            elif what == "reopen":
                journal.close()
                journal = Journal.open(folder, config)
                assert (journal.identity, journal.head) == (identity, len(expected))
        assert read_all(journal, limit=7) == expected[journal.tail :]
        journal.close()


def test_a_group_larger_than_a_chunk_is_stored_whole(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path)
    payloads = [os.urandom(256 << 10) for _ in range(40)]
    journal.append([Envelope("camera", payload, T0) for payload in payloads])
    journal.close()
    assert [r.payload for r in read_all(Journal.open(tmp_path))] == payloads


def test_a_topic_that_is_not_utf8_is_kept_in_readable_form(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path)
    journal.append([Envelope("good", b"1", T0), Envelope("bad/\udcff", b"2", T0)])
    assert [r.topic for r in journal.read(0, limit=2)] == ["good", "bad/\\udcff"]


def test_segments_roll_by_size_and_by_age(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, SMALL)
    fill(journal, 20, each=50)
    assert journal.stat().segments > 2
    by_age = Journal.open(tmp_path / "age", JournalConfig(segment_hours=1))
    by_age.append([envelope(0, at_ms=T0)])
    by_age.append([envelope(1, at_ms=T0 + 3_599_999)])
    assert by_age.stat().segments == 1
    by_age.append([envelope(2, at_ms=T0 + 3_600_000)])
    assert by_age.stat().segments == 2
    assert len(read_all(by_age)) == 3


def test_the_identity_survives_restarts_and_changes_when_the_folder_is_emptied(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, SMALL)
    fill(journal, 1)
    identity = journal.identity
    journal.close()
    journal = Journal.open(tmp_path, SMALL)
    assert (journal.identity, journal.head) == (identity, 20)
    journal.close()
    for file in tmp_path.iterdir():
        file.unlink()
    journal = Journal.open(tmp_path, SMALL)
    assert journal.identity != identity
    assert journal.head == 0


def test_a_leftover_log_beside_an_emptied_folder_does_no_harm(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, SMALL)
    fill(journal, 3)
    copies = {f.name: f.read_bytes() for f in tmp_path.glob("*-wal")}
    assert any(copies.values())
    journal.close()
    for file in tmp_path.iterdir():
        file.unlink()
    for name, content in copies.items():
        (tmp_path / name).write_bytes(content)
    journal = Journal.open(tmp_path, SMALL)
    assert journal.head == 0
    fill(journal, 1, start=900)
    assert [r.topic for r in read_all(journal)] == [f"sc/v1/b3/gw/{n}" for n in range(900, 920)]


def test_a_second_process_is_told_who_has_the_journal(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path)
    script = (
        "import sys; from pathlib import Path; from hub.stores.journal import Journal; Journal.open(Path(sys.argv[1]))"
    )
    other = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert other.returncode != 0
    assert f"in use by process {os.getpid()}" in other.stderr
    journal.close()
    again = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert again.returncode == 0, again.stderr


def test_a_file_where_the_folder_should_be_is_the_operators_error(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("not a folder")
    with pytest.raises(ConfigError, match="journal"):
        Journal.open(tmp_path / "journal")


def test_retention_deletes_old_segments_but_nothing_unread(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, SMALL)
    fill(journal, 30, each=50)
    head, later = journal.head, T0 + 31 * 86_400_000
    assert journal.trim(later, keep_from=0) == 0
    assert journal.trim(T0 + 86_400_000, keep_from=head) == 0, "young segments stay"
    assert journal.trim(later, keep_from=700) > 0
    assert 0 < journal.tail <= 700
    assert [r.position for r in read_all(journal)] == list(range(journal.tail, head))
    journal.trim(later, keep_from=head)
    assert journal.stat().segments == 1, "the one that is being written always stays"
    assert journal.stat().cut_records == 0


def test_above_the_cap_unread_segments_go_and_are_counted(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, JournalConfig(segment_mib=0.02, retain_mib=0.05, cap_mib=0.1, reserve_mib=0))
    fill(journal, 60, each=50)
    journal.trim(T0, keep_from=10)
    stat = journal.stat()
    assert stat.bytes <= 0.1 * (1 << 20) + (64 << 10)
    assert stat.tail > 10
    assert stat.cut_records == stat.tail - 10


def test_readers_in_other_threads_see_every_record_once_and_in_order(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, SMALL)
    total, seen = 3_000, {"disk": list[int](), "live": list[int]()}

    def consume(name: str, limit: int) -> None:
        at = 0
        while at < total:
            journal.wait(at, 5)
            for record in journal.read(at, limit=limit):
                assert record.payload == record.position.to_bytes(8, "big") * 2
                seen[name].append(record.position)
                at = record.position + 1

    threads = [threading.Thread(target=consume, args=("disk", 3)), threading.Thread(target=consume, args=("live", 500))]
    for thread in threads:
        thread.start()
    fill(journal, total // 30, each=30)
    for thread in threads:
        thread.join(60)
    assert seen == {"disk": list(range(total)), "live": list(range(total))}
    journal.close()


def test_waiting_ends_with_the_record_or_with_the_time(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path)
    assert journal.wait(0, 0.01) is False
    threading.Timer(0.05, lambda: journal.append([envelope(0)])).start()
    assert journal.wait(0, 30) is True
    assert journal.wait(1, 0) is False


def test_after_a_leap_no_older_position_is_given_out(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, SMALL)
    fill(journal, 1)
    journal.leap(500)
    assert journal.head == 500
    with pytest.raises(Trimmed) as gone:
        journal.read(20, limit=5)
    assert gone.value.first_kept == 500
    assert journal.read(500, limit=5) == []
    assert journal.append([envelope(7)]) == 500
    journal.leap(100)
    journal.close()
    journal = Journal.open(tmp_path, SMALL)
    assert journal.head == 501
    assert [r.position for r in journal.read(15, limit=50)] == list(range(15, 20))
    assert journal.read(500, limit=5)[0].topic == "sc/v1/b3/gw/7"


def test_the_folder_gone_and_back_is_survived(tmp_path: Path) -> None:
    from hub.errors import JournalFull

    journal = Journal.open(tmp_path / "j", SMALL)
    fill(journal, 2)
    (tmp_path / "j").rename(tmp_path / "away")
    for _ in range(2):
        with pytest.raises(JournalFull):
            journal.append([envelope(40)])
    assert journal.stat().full
    assert journal.read(35, limit=9)[0].position == 35, "what is in memory can still be read"
    (tmp_path / "away").rename(tmp_path / "j")
    assert journal.append([envelope(40)]) == 40
    assert journal.stat().full == ""
    assert [r.position for r in read_all(journal)] == list(range(41))
    journal.close()


def test_a_folder_emptied_under_the_running_hub_goes_on_with_the_same_positions(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, SMALL)
    fill(journal, 2)
    identity = journal.identity
    for file in tmp_path.iterdir():
        file.unlink()
    assert journal.append([envelope(40)]) == 40
    journal.close()
    journal = Journal.open(tmp_path, SMALL)
    assert (journal.identity, journal.head, journal.tail) == (identity, 41, 40)
