"""What is whole is read; what is not is named and skipped, never silently, never twice, never for ever."""

from __future__ import annotations

import random
import shutil
import sqlite3
from pathlib import Path

import pytest

from hub.model.readings import Envelope
from hub.stores.journal import LEAP, Damaged, Journal, JournalConfig, Record, Trimmed
from hub.stores.journal_shelf import Shelf

T0 = 1_704_067_200_000
CONFIG = JournalConfig(segment_mib=0.1, tail_records=1, reserve_mib=0)
EACH = 25


def payload(position: int) -> bytes:
    return random.Random(position).randbytes(150)


def fill(journal: Journal, groups: int) -> None:
    for _ in range(groups):
        head = journal.head
        journal.append([Envelope(f"t/{n}", payload(n), T0 + n) for n in range(head, head + EACH)])


def read_on(journal: Journal | Shelf, position: int = 0) -> tuple[list[Record], list[Damaged]]:
    """Reads to the head as a consumer does: where a position cannot be given, on at `first_kept`."""
    records, troubles = list[Record](), list[Damaged]()
    while position < journal.head:
        try:
            got = journal.read(position, limit=40)
        except Damaged as bad:
            assert bad.first_kept > position  # noqa: PT017
            troubles.append(bad)
            position = bad.first_kept
            continue
        assert got
        assert got[0].position == position
        assert [r.position for r in got] == list(range(position, position + len(got)))
        assert all(r.payload == payload(r.position) for r in got)
        records += got
        position += len(got)
    return records, troubles


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("journal-*.db"))


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """A journal of several segments, closed in good order."""
    folder = tmp_path / "journal"
    journal = Journal.open(folder, CONFIG)
    fill(journal, 60)
    assert journal.stat().segments >= 3
    journal.close()
    return folder


@pytest.fixture
def crashed(tmp_path: Path) -> Path:
    """The files as a killed process leaves them: the youngest groups only in the write-ahead log."""
    journal = Journal.open(tmp_path / "live", CONFIG)
    fill(journal, 60)
    shutil.copytree(tmp_path / "live", tmp_path / "journal")
    journal.close()
    return tmp_path / "journal"


def test_a_flipped_byte_in_the_middle_costs_one_chunk_and_names_it(closed: Path) -> None:
    victim = segments(closed)[1]
    content = bytearray(victim.read_bytes())
    at = content.index(payload(int(victim.stem.split("-")[1]) + 3 * EACH))
    content[at] ^= 1
    victim.write_bytes(content)
    journal = Journal.open(closed, CONFIG)
    records, troubles = read_on(journal)
    assert len(records) == 60 * EACH - EACH
    assert len(troubles) == 1
    assert victim.name in str(troubles[0])
    assert "position" in str(troubles[0])
    assert "Remedy" in str(troubles[0])
    assert journal.stat().damaged == 1
    read_on(journal)
    assert journal.stat().damaged == 1, "each place is counted once"
    fill(journal, 1)
    assert journal.head == 61 * EACH


@pytest.mark.parametrize("how", ["cut", "emptied", "overwritten", "deleted", "zeros"])
def test_a_ruined_middle_segment_leaves_the_others_readable(closed: Path, how: str) -> None:
    first, victim, *others = segments(closed)
    begin, end = (int(p.stem.split("-")[1]) for p in (victim, others[0]))
    content = victim.read_bytes()
    match how:
        case "cut":
            victim.write_bytes(content[: len(content) // 2])
        case "emptied":
            victim.write_bytes(b"")
        case "overwritten":
            victim.write_bytes(random.Random(1).randbytes(len(content)))
        case "deleted":
            victim.unlink()
        case "zeros":
            third = len(content) // 3
            victim.write_bytes(content[:third] + bytes(third) + content[2 * third :])
    journal = Journal.open(closed, CONFIG)
    records, troubles = read_on(journal)
    assert troubles
    assert (first if how == "deleted" else victim).name in str(troubles[0])
    positions = {r.position for r in records}
    assert positions >= set(range(begin)) | set(range(end, 60 * EACH))
    if how in ("cut", "zeros"):
        assert begin in positions, "its readable beginning is read"
    fill(journal, 1)
    assert journal.head == 61 * EACH
    journal.close()


def test_everything_ruined_still_opens_and_starts_anew(closed: Path) -> None:
    for file in segments(closed):
        file.write_bytes(b"nonsense" * 1_000)
    journal = Journal.open(closed, CONFIG)
    fill(journal, 2)
    records, troubles = read_on(journal)
    assert len(records) == 2 * EACH
    assert troubles
    journal.close()
    journal = Journal.open(closed, CONFIG)
    assert len(read_on(journal)[0]) == 2 * EACH


@pytest.mark.parametrize("seed", range(12))
def test_a_log_cut_anywhere_recovers_to_a_whole_group(crashed: Path, seed: int) -> None:
    wal = Path(f"{segments(crashed)[-1]}-wal")
    size = wal.stat().st_size
    assert size > 10_000
    keep = random.Random(seed).randrange(size)
    with wal.open("r+b") as file:
        file.truncate(keep)
    journal = Journal.open(crashed, CONFIG)
    records, _ = read_on(journal)
    assert len(records) % EACH == 0
    assert [r.position for r in records] == list(range(len(records)))
    stat = journal.stat()
    first_of_last = int(segments(crashed)[-1].stem.split("-")[1])
    assert journal.head >= (len(records) if stat.torn_groups < 2 else LEAP), (keep, first_of_last)
    fill(journal, 1)
    journal.close()
    assert Journal.open(crashed, CONFIG).stat().torn_groups == stat.torn_groups, "what was dropped stays on record"


def test_an_unfinished_group_is_dropped_and_said(crashed: Path) -> None:
    wal = Path(f"{segments(crashed)[-1]}-wal")
    with wal.open("r+b") as file:
        file.truncate(wal.stat().st_size - 100)
    journal = Journal.open(crashed, CONFIG)
    assert journal.stat().torn_groups == 1
    assert journal.head == 59 * EACH
    fill(journal, 1)
    assert len(read_on(journal)[0]) == 60 * EACH


@pytest.mark.parametrize("seed", range(6))
def test_a_flipped_byte_in_the_log_gives_no_position_twice(crashed: Path, seed: int) -> None:
    wal = Path(f"{segments(crashed)[-1]}-wal")
    content = bytearray(wal.read_bytes())
    content[random.Random(seed).randrange(len(content) // 3)] ^= 0x55
    wal.write_bytes(content)
    journal = Journal.open(crashed, CONFIG)
    assert journal.head > LEAP, "acknowledged groups are gone: nobody may get their positions again"
    fill(journal, 2)
    records, troubles = read_on(journal)
    assert records[-1].position == journal.head - 1
    assert troubles[-1].first_kept > LEAP
    assert journal.stat().torn_groups >= 1
    journal.close()


@pytest.mark.parametrize("seed", range(10))
def test_the_last_segment_cut_anywhere_opens_and_gives_no_position_twice(closed: Path, seed: int) -> None:
    victim = segments(closed)[-1]
    begin = int(victim.stem.split("-")[1])
    with victim.open("r+b") as file:
        file.truncate(random.Random(seed).randrange(victim.stat().st_size))
    journal = Journal.open(closed, CONFIG)
    assert journal.head > LEAP
    assert journal.stat().problems
    fill(journal, 3)
    records, _ = read_on(journal)
    positions = [r.position for r in records]
    assert positions[:begin] == list(range(begin))
    assert positions[-3 * EACH :] == list(range(journal.head - 3 * EACH, journal.head))
    head = journal.head
    journal.close()
    journal = Journal.open(closed, CONFIG)
    assert journal.head == head


def test_damage_met_while_writing_moves_on_to_a_new_segment(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, JournalConfig(reserve_mib=0, tail_records=1))
    fill(journal, 30)
    victim = segments(tmp_path)[0]
    other = sqlite3.connect(victim, isolation_level=None)  # the pages go bad where the writer must look
    other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    other.execute("PRAGMA writable_schema = ON")
    other.execute("DELETE FROM sqlite_master WHERE name = 'chunks'")
    other.execute("PRAGMA schema_version = 99")
    other.close()
    fill(journal, 2)
    assert journal.head == 32 * EACH
    assert len(segments(tmp_path)) == 2
    records, _ = read_on(journal, 30 * EACH)
    assert len(records) == 2 * EACH
    journal.close()


def test_a_segment_of_another_journal_is_left_out(closed: Path, tmp_path: Path) -> None:
    other = Journal.open(tmp_path / "other", CONFIG)
    other.leap(90)
    other.append([Envelope("stranger", b"", T0)])
    other.close()
    strangers = [p for p in segments(tmp_path / "other") if p.name.endswith("90.db")]
    shutil.copy(strangers[0], closed)
    journal = Journal.open(closed, CONFIG)
    assert len(read_on(journal)[0]) == 60 * EACH
    assert (closed / strangers[0].name).exists(), "it is not ours to delete"


def test_a_position_before_the_tail_is_told_where_to_go_on(closed: Path) -> None:
    journal = Journal.open(closed, CONFIG)
    journal.trim(T0 + 40 * 86_400_000, keep_from=journal.head)
    with pytest.raises(Trimmed) as gone:
        journal.read(0, limit=5)
    assert gone.value.first_kept == journal.tail > 0
    assert not isinstance(gone.value, Damaged)
