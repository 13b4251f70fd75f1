"""Rule files change all or nothing: over a conflict, a full disk, a crash between two renames, and several writers."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from hub.stores import rule_files
from hub.stores.rule_files import RuleFiles, RulesConflict, RulesUnwritable, RuleTexts, objection

OLD = {"a.yaml": "a: 1\n", "b.yaml": "b: 1\n", "c.yaml": "c: 1\n"}
CHANGES = {"a.yaml": "a: 2\n", "b.yaml": None, "d.yaml": "d: 2\n"}
NEW = {"a.yaml": "a: 2\n", "c.yaml": "c: 1\n", "d.yaml": "d: 2\n"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in OLD.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def on_disk(folder: Path) -> dict[str, str]:
    """Everything in the folder, hidden files too."""
    return {path.name: path.read_text() for path in sorted(folder.iterdir())}


def test_several_files_change_at_once_and_nothing_is_left_beside_them(folder: Path) -> None:
    files = RuleFiles(folder)
    before = files.read()
    after = files.write(CHANGES, expected=before.version)
    assert on_disk(folder) == after.texts() == NEW
    assert after.version == files.read().version == before.after(CHANGES).version != before.version


def test_the_version_names_the_content_and_the_names_whatever_the_order() -> None:
    one = RuleTexts.of({"a.yaml": b"1", "b.yaml": b"2"})
    assert one.version == RuleTexts.of({"b.yaml": b"2", "a.yaml": b"1"}).version
    others = ({"a.yaml": b"2", "b.yaml": b"1"}, {"a.yaml": b"12"}, {"a.yaml": b"1", "c.yaml": b"2"}, {})
    assert len({one.version, *(RuleTexts.of(other).version for other in others)}) == 5


def test_the_changes_back_to_an_older_set_are_found(folder: Path) -> None:
    files = RuleFiles(folder)
    after = files.write(CHANGES, expected=files.read().version)
    back = after.changes_to(OLD)
    assert back == {"a.yaml": "a: 1\n", "b.yaml": "b: 1\n", "d.yaml": None}
    assert files.write(back, expected=after.version).texts() == OLD
    assert RuleTexts.of({}).changes_to({}) == {}


def test_a_change_of_what_is_no_longer_there_is_refused(folder: Path) -> None:
    files = RuleFiles(folder)
    seen = files.read()
    (folder / "c.yaml").write_text("c: by hand\n")
    with pytest.raises(RulesConflict) as conflict:
        files.write(CHANGES, expected=seen.version)
    assert conflict.value.version == files.read().version
    assert on_disk(folder) == {**OLD, "c.yaml": "c: by hand\n"}


@pytest.mark.parametrize("call", ["replace", "fsync", "unlink", "open"])
@pytest.mark.parametrize("nth", range(1, 9))
def test_whatever_fails_leaves_the_old_files_or_all_new_ones(
    folder: Path, monkeypatch: pytest.MonkeyPatch, call: str, nth: int
) -> None:
    """Each system call in turn says that the disk is full, once."""
    files = RuleFiles(folder)
    expected = files.read().version
    calls = 0

    def failing(real: Any) -> Any:
        def one(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            writes = call != "open" or "x" in str(args[1:2])
            calls += writes
            if writes and calls == nth:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*args, **kwargs)

        return one

    if call == "unlink":
        monkeypatch.setattr(Path, "unlink", failing(Path.unlink))
    elif call == "open":
        monkeypatch.setattr(Path, "open", failing(Path.open))
    else:
        monkeypatch.setattr(os, call, failing(getattr(os, call)))
    try:
        files.write(CHANGES, expected=expected)
        wanted = NEW
    except RulesUnwritable:
        wanted = OLD
    monkeypatch.undo()
    assert files.read().texts() == wanted
    RuleFiles(folder).write({}, expected=files.read().version)  # sweeps what is left beside
    assert on_disk(folder) == wanted


CRASHING = """
import os, sys
from pathlib import Path
from hub.stores.rule_files import RuleFiles
left = int(sys.argv[2])
def dying(real):
    def one(*args, **kwargs):
        global left
        left -= 1
        if left < 0:
            os._exit(9)
        return real(*args, **kwargs)
    return one
os.replace, os.fsync, Path.unlink = dying(os.replace), dying(os.fsync), dying(Path.unlink)
files = RuleFiles(Path(sys.argv[1]))
files.write({"a.yaml": "a: 2\\n", "b.yaml": None, "d.yaml": "d: 2\\n"}, expected=files.read().version)
"""


def test_a_crash_between_any_two_steps_ends_with_the_old_files_or_all_new_ones(folder: Path, tmp_path: Path) -> None:
    seen = set()
    for left in range(30):
        place = tmp_path / f"crash-{left}"
        place.mkdir()
        for name, text in OLD.items():
            (place / name).write_text(text)
        done = subprocess.run([sys.executable, "-c", CRASHING, str(place), str(left)], check=False)
        found = RuleFiles(place).read().texts()
        assert found in (OLD, NEW), f"a crash after {left} steps left a mixture"
        seen.add(str(found))
        if done.returncode == 0:
            break
        assert done.returncode == 9
        RuleFiles(place).write({}, expected=RuleFiles(place).read().version)
        assert on_disk(place) == found
    else:
        pytest.fail("it never got through")
    assert len(seen) == 2


def test_readers_never_see_half_of_a_change(folder: Path) -> None:
    files = RuleFiles(folder)
    mixed: list[dict[str, str]] = []
    done = threading.Event()

    def reads() -> None:
        other = RuleFiles(folder)
        while not done.is_set():
            found = other.read().texts()
            time.sleep(0.0005)  # else no writer ever gets the lock
            if found not in (OLD, NEW):
                mixed.append(found)

    readers = [threading.Thread(target=reads) for _ in range(3)]
    for reader in readers:
        reader.start()
    for n in range(20):
        now = files.read()
        files.write(now.changes_to(OLD if n % 2 else NEW), expected=now.version)
    done.set()
    for reader in readers:
        reader.join(10)
    assert mixed == []


def test_of_two_writers_from_the_same_version_one_wins_and_one_is_told(folder: Path) -> None:
    seen = RuleFiles(folder).read().version
    outcomes: list[str] = []
    together = threading.Barrier(4)

    def writes(n: int) -> None:
        together.wait()
        try:
            RuleFiles(folder).write({"a.yaml": f"a: {n}\n"}, expected=seen)
            outcomes.append("written")
        except RulesConflict:
            outcomes.append("conflict")

    writers = [threading.Thread(target=writes, args=(n,)) for n in (5, 6, 7, 8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(10)
    assert sorted(outcomes) == ["conflict"] * 3 + ["written"]


def test_a_new_file_can_be_read_by_whoever_reads_the_others(folder: Path) -> None:
    for name in OLD:
        (folder / name).chmod(0o640)
    files = RuleFiles(folder)
    before = os.umask(0o077)
    try:
        files.write(CHANGES, expected=files.read().version)
    finally:
        os.umask(before)
    assert {stat.S_IMODE((folder / name).stat().st_mode) for name in NEW} == {0o640}


def test_a_link_is_not_replaced_by_a_file(folder: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (folder / "c.yaml").rename(kept / "c.yaml")
    (folder / "c.yaml").symlink_to(kept / "c.yaml")
    files = RuleFiles(folder)
    with pytest.raises(RulesUnwritable, match=r"c\.yaml is a link"):
        files.write({"a.yaml": "a: 2\n", "c.yaml": "c: 2\n"}, expected=files.read().version)
    assert files.read().texts() == OLD


@pytest.mark.parametrize(
    "name",
    [
        "../x.yaml",
        "/etc/x.yaml",
        "x/y.yaml",
        "..yaml",
        ".hidden.yaml",
        "x.yml",
        "x",
        "",
        "X.YAML",
        "规则.yaml",
        "x.yaml\n",
        "x.yaml\0",
        "a" * 70 + ".yaml",
        "con .yaml",
    ],
)
def test_a_name_that_is_none_or_leads_elsewhere_is_refused(name: str) -> None:
    assert objection(RuleTexts.of({}), {name: "rules: []\n"}) is not None


def test_what_is_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = RuleTexts.of({"a.yaml": b"a"})
    assert objection(texts, {"a.yaml": "b", "b.yaml": "c"}) is None
    assert "there is no such file" in str(objection(texts, {"b.yaml": None}))
    assert "larger than 256 KiB" in str(objection(texts, {"a.yaml": "火" * 100_000}))
    assert "UTF-8" in str(objection(texts, {"a.yaml": "\ud800"}))
    assert "more than 200 files" in str(objection(texts, {f"n{n}.yaml": "" for n in range(200)}))
    monkeypatch.setattr(rule_files, "MOST_BYTES", 4096)
    assert "in all files" in str(objection(texts, {"b.yaml": "x" * 5000}))


def test_a_file_that_is_there_may_be_changed_whatever_it_is_called() -> None:
    assert objection(RuleTexts.of({"规则.yaml": b""}), {"规则.yaml": "rules: []\n"}) is None
