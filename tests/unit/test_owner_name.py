"""A hub keeps its name among others over restarts, and never shares it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hub.stores.owner_name import FILE, OwnerName


def name_of_a_life(folder: Path) -> str:
    one = OwnerName(folder)
    one.release()
    one.release()
    return one.name


def test_the_name_stays_over_restarts(tmp_path: Path) -> None:
    assert name_of_a_life(tmp_path) == name_of_a_life(tmp_path) == name_of_a_life(tmp_path)


def test_each_folder_has_a_name_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert name_of_a_life(tmp_path / "a") != name_of_a_life(tmp_path / "b")


def test_a_second_process_on_the_folder_gets_another_name_while_the_first_lives(tmp_path: Path) -> None:
    first = OwnerName(tmp_path)
    assert len({first.name, name_of_a_life(tmp_path), name_of_a_life(tmp_path)}) == 3
    first.release()
    assert name_of_a_life(tmp_path) == first.name


def test_the_name_of_a_killed_process_is_free_at_once(tmp_path: Path) -> None:
    program = f"""
import sys, time
from pathlib import Path
from hub.stores.owner_name import OwnerName
held = OwnerName(Path({str(tmp_path)!r}))
print(held.name, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        name = process.stdout.readline().strip()
        assert name_of_a_life(tmp_path) != name
        process.kill()
    assert name_of_a_life(tmp_path) == name


def test_a_copy_of_the_folder_gets_another_name(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    name = name_of_a_life(tmp_path / "data")
    shutil.copytree(tmp_path / "data", tmp_path / "copy")
    assert name_of_a_life(tmp_path / "copy") != name
    assert name_of_a_life(tmp_path / "data") == name


@pytest.mark.parametrize("written", [b"", b"\xff\xfe\x00", b"x" * 500, b"0123456789abcdef", b"0123456789abcdef 1\n"])
def test_a_file_that_says_something_else_gets_a_new_name_that_stays(tmp_path: Path, written: bytes) -> None:
    (tmp_path / FILE).write_bytes(written)
    name = name_of_a_life(tmp_path)
    assert "0123456789abcdef" not in name
    assert name_of_a_life(tmp_path) == name


def test_without_a_folder_to_keep_it_the_name_is_for_one_life(tmp_path: Path) -> None:
    assert name_of_a_life(tmp_path / "missing") != name_of_a_life(tmp_path / "missing")
