"""A really full disk (a tiny tmpfs, a file size limit, a disk that turned read-only): nothing is half stored, and it heals by itself.

Each scene runs in a process of its own; the tmpfs lives in a mount namespace that ends with that process.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PRELUDE = """
import os, sys
from pathlib import Path
from hub.errors import JournalFull
from hub.model.readings import Envelope
from hub.stores.journal import Journal, JournalConfig

folder, T0, EACH = Path(sys.argv[1]), 1_704_067_200_000, 50
config = JournalConfig(segment_mib=0.5, reserve_mib=0.25, tail_records=10)

def append(journal):
    head = journal.head
    journal.append([Envelope(f"t/{n}", n.to_bytes(8, "big") * 25, T0 + n) for n in range(head, head + EACH)], tick_ms=T0 + head)

def fill(journal, most=5_000):
    for n in range(most):
        try:
            append(journal)
        except JournalFull as full:
            return full
    raise SystemExit("the disk never got full")

def check(journal, tail=0):
    at = journal.tail
    assert at == tail or tail is None, at
    while at < journal.head:
        records = journal.read(at, limit=997)
        for r in records:
            assert r.position == at and (r.kind == 1 or r.payload[:8] == at.to_bytes(8, "big")), r
            at += 1
    assert journal.stat().damaged == 0
    return at

def killed(work):
    "Lets a process do work(journal) and die without closing; the shared index goes too, as after a reboot. Identity and head."
    here, there = os.pipe()
    if os.fork() == 0:
        journal = Journal.open(folder, config)
        work(journal)
        os.write(there, f"{journal.identity} {journal.head}".encode())
        os._exit(9)
    os.wait()
    for index in folder.glob("*-shm"):
        index.unlink()
    assert any(log.stat().st_size for log in folder.glob("*-wal")), "nothing is folded"
    identity, head = os.read(here, 100).decode().split()
    return identity, int(head)

def free():
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize
"""


def namespace() -> list[str]:
    """The command before a command that may mount: as root a mount namespace, else one with a user namespace too."""
    for command in (["unshare", "--mount"], ["unshare", "--user", "--map-root-user", "--mount"]):
        if shutil.which("unshare") and not subprocess.run([*command, "true"], capture_output=True).returncode:
            return command
    missing = "a mount namespace is not possible here (unshare of util-linux, as root or with user namespaces)"
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)


def play(scene: str, folder: Path, *, tmpfs: str | None = "size=4m") -> None:
    command = [sys.executable, "-c", PRELUDE + scene, str(folder)]
    if tmpfs is not None:
        mount = 'mount -t tmpfs -o "$1" tmpfs "$2" && shift 2 && exec "$@"'
        command = [*namespace(), "sh", "-c", mount, "sh", tmpfs, str(folder), *command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert done.stdout.endswith("done\n"), done.stdout


def test_a_full_disk_refuses_whole_groups_and_takes_them_again_when_there_is_room(tmp_path: Path) -> None:
    play(
        """
other = folder / "something else"
other.write_bytes(bytes(1 << 20))
journal = Journal.open(folder, config)
full = fill(journal)
assert "full" in str(full) and journal.stat().full, full
head = journal.head
for _ in range(3):
    try:
        append(journal)
    except JournalFull:
        pass
    else:
        raise SystemExit("it was stored on a full disk")
assert journal.head == head == check(journal)
assert free() >= 200 << 10, "the reserve was given up for those who clean up"
other.unlink()
append(journal)
assert journal.stat().full == "" and journal.head == head + EACH + 1
full = fill(journal)
end = check(journal)
journal.close()
journal = Journal.open(folder, config)
assert journal.head == end == check(journal)
print("done")
""",
        tmp_path,
    )


def test_on_a_full_disk_segments_that_everybody_has_read_make_room(tmp_path: Path) -> None:
    play(
        """
journal = Journal.open(folder, config)
for _ in range(600):
    assert journal.trim(T0, keep_from=journal.head - 100) == 0, "neither old nor too many"
    append(journal)
assert 0 < journal.tail <= journal.head - 100
assert journal.stat().cut_records == 0 and journal.stat().full == ""
check(journal, tail=None)
journal.trim(T0, keep_from=journal.tail)
fill(journal)
assert journal.tail <= check(journal, tail=None) - 1_000, "what is not read stays, even on a full disk"
print("done")
""",
        tmp_path,
    )


def test_trimming_works_on_a_full_disk_and_lets_it_write_again(tmp_path: Path) -> None:
    play(
        """
journal = Journal.open(folder, config)
fill(journal)
(folder / "ledger").write_bytes(bytes(100 << 10))  # a cursor is still taken down, thanks to the reserve
assert journal.trim(T0 + 40 * 86_400_000, keep_from=journal.head) >= 1
append(journal)
check(journal, tail=None)
print("done")
""",
        tmp_path,
    )


def test_the_hub_starts_on_a_full_disk_and_knows_its_place(tmp_path: Path) -> None:
    play(
        """
identity, head = killed(fill)
rest = folder / "rest"
with rest.open("wb", buffering=0) as file:
    try:
        while True:
            file.write(bytes(4096))
    except OSError:
        pass
assert free() == 0
again = Journal.open(folder, config)
assert (again.identity, again.head) == (identity, head), (again.head, head)
assert check(again) == head
try:
    append(again)
except JournalFull:
    pass
else:
    raise SystemExit("it was stored on a full disk")
rest.unlink()
(folder / "journal.reserve").unlink(missing_ok=True)
assert again.trim(T0 + 40 * 86_400_000, keep_from=again.head) >= 0
append(again)
assert again.identity == identity and again.head == head + EACH + 1
check(again, tail=None)
print("done")
""",
        tmp_path,
    )


def test_a_new_journal_on_a_full_disk_begins_when_there_is_room(tmp_path: Path) -> None:
    play(
        """
rest = folder / "rest"
rest.write_bytes(bytes(free()))
journal = Journal.open(folder / "journal", config)
assert journal.stat().full
try:
    append(journal)
except JournalFull:
    pass
else:
    raise SystemExit("it was stored on a full disk")
assert journal.read(0, limit=5) == [] and journal.head == 0
rest.unlink()
append(journal)
assert check(journal) == EACH + 1
print("done")
""",
        tmp_path,
    )


def test_a_disk_that_turned_read_only_can_be_read_and_later_written(tmp_path: Path) -> None:
    play(
        """
import subprocess
def remount(how):
    subprocess.run(["mount", "-o", f"remount,{how}", str(folder)], check=True)
identity, head = killed(lambda journal: [append(journal) for _ in range(20)])
remount("ro")
journal = Journal.open(folder, config)
assert (journal.identity, journal.head) == (identity, head) and journal.stat().full
assert check(journal) == head
try:
    append(journal)
except JournalFull as full:
    assert "ead-only" in str(full) or "readonly" in str(full), full
else:
    raise SystemExit("it was stored on a read-only disk")
remount("rw")
append(journal)
assert check(journal) == head + EACH + 1 and journal.stat().full == ""
print("done")
""",
        tmp_path,
    )


def test_a_file_size_limit_is_an_io_error_that_heals(tmp_path: Path) -> None:
    play(
        """
import resource
journal = Journal.open(folder, JournalConfig(segment_mib=64, reserve_mib=0, tail_records=10))
append(journal)
resource.setrlimit(resource.RLIMIT_FSIZE, (300 << 10, resource.RLIM_INFINITY))
full = fill(journal)
head = journal.head
assert check(journal) == head
try:
    append(journal)
except JournalFull:
    pass
else:
    raise SystemExit("it was stored beyond the limit")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
append(journal)
assert check(journal) == journal.head == head + EACH + 1
journal.close()
assert check(Journal.open(folder)) == head + EACH + 1
print("done")
""",
        tmp_path,
        tmpfs=None,
    )
