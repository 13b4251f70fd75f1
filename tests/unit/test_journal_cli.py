"""`gridhub journal` shows what is in the journal, beside a running hub, and harms neither journal nor terminal."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from hub.cli import journal as command
from hub.model.readings import Envelope
from hub.stores.journal import Journal, JournalConfig

T0 = 1_704_067_200_000  # 2024-01-01T00:00:00Z
app = typer.Typer()
command.register(app)


@app.callback()
def _main() -> None:
    """So that `journal` stays a group."""


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["journal", *map(str, arguments)])


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """Open, as in a running hub: 300 messages of three topics, one each second, and a tick each ten."""
    opened = Journal.open(tmp_path / "journal", JournalConfig(segment_mib=0.05, reserve_mib=0))
    for n in range(0, 300, 10):
        messages = [
            Envelope(f"sc/v1/b3/gw-{m % 3}/tele", json.dumps({"n": m}).encode(), T0 + m * 1_000)
            for m in range(n, n + 10)
        ]
        opened.append(messages, tick_ms=T0 + (n + 9) * 1_000)
    yield opened
    opened.close()


@pytest.fixture
def folder(journal: Journal, tmp_path: Path) -> Path:
    return tmp_path / "journal"


def test_stat_as_json(folder: Path, journal: Journal) -> None:
    told = json.loads(run("stat", "--folder", folder, "--json").stdout)
    assert told["identity"] == journal.identity
    assert (told["head"], told["tail"], told["records"]) == (330, 0, 330)
    assert told["first_at_ms"] == T0
    assert told["last_at_ms"] == T0 + 299_000
    assert told["records_per_s"] == pytest.approx(1.1, abs=0.3)
    assert told["bytes"] > 10_000
    assert (told["torn_groups"], told["problems"]) == (0, [])


def test_stat_as_a_table(folder: Path, journal: Journal) -> None:
    shown = run("stat", "--folder", folder).stdout
    assert journal.identity in shown
    assert "330" in shown
    assert "2024-01-01T00:04:59.000Z" in shown


def test_tail_shows_the_last_messages_in_order(folder: Path) -> None:
    lines = run("tail", "--folder", folder, "-n", "3").stdout.splitlines()
    assert [re.split(r" +", text, maxsplit=2)[-1] for text in lines] == [
        f'sc/v1/b3/gw-{n % 3}/tele {{"n": {n}}}' for n in (297, 298, 299)
    ]
    assert lines[-1].startswith("2024-01-01T00:04:59.000Z        328")
    assert len(run("tail", "--folder", folder).stdout.splitlines()) == 20


def test_tail_with_a_topic_filter_looks_as_far_back_as_needed(folder: Path) -> None:
    lines = run("tail", "--folder", folder, "-n", "50", "--topic", "sc/v1/+/gw-2/#").stdout.splitlines()
    assert len(lines) == 50
    assert all("/gw-2/" in text for text in lines)


def test_tail_from_a_position_or_a_time(folder: Path) -> None:
    by_position = run("tail", "--folder", folder, "--from", "325", "--ticks").stdout.splitlines()
    assert len(by_position) == 5
    assert by_position[-1].endswith("(tick)")
    by_time = run("tail", "--folder", folder, "--from", "2024-01-01T08:04:55+08:00").stdout.splitlines()
    assert len(by_time) == 5
    assert '{"n": 295}' in by_time[0]
    assert len(run("tail", "--folder", folder, "--from", "0", "-n", "4").stdout.splitlines()) == 4


def test_what_a_device_sent_cannot_play_with_the_terminal(folder: Path, journal: Journal) -> None:
    journal.append(
        [Envelope("a/\x1b[31m", "\x1b]0;owned\x07火警\u202e\n".encode(), T0), Envelope("b", b"\xff\x00", T0, True)]
    )
    lines = run("tail", "--folder", folder, "-n", "2").stdout.splitlines()
    assert lines[0].endswith(r"a/\x1b[31m \x1b]0;owned\x07火警\u202e\n")
    assert lines[1].endswith("R b base64 " + base64.b64encode(b"\xff\x00").decode())


def test_long_payloads_are_shortened_unless_asked_for(folder: Path, journal: Journal) -> None:
    journal.append([Envelope("a", b"x" * 5_000, T0)])
    assert "(5,000 bytes)" in run("tail", "--folder", folder, "-n", "1").stdout
    assert "x" * 5_000 in run("tail", "--folder", folder, "-n", "1", "--full").stdout


def test_follow_prints_what_comes_while_the_hub_writes(folder: Path, journal: Journal) -> None:
    script = f"import sys; from tests.unit.test_journal_cli import app; app(['journal', 'tail', '--folder', {str(folder)!r}, '-n', '1', '-f'])"
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    guard = threading.Timer(60, process.kill)
    guard.start()
    try:
        assert '"n": 299' in process.stdout.readline()
        for n in range(600):  # over a change of segments
            journal.append([Envelope("new", f"later {n}".encode() + b"." * 200, T0 + n)])
        for n in range(600):
            assert f"later {n}." in process.stdout.readline()
    finally:
        guard.cancel()
        process.terminate()
        process.wait(30)
        process.stdout.close()
    assert journal.stat().segments > 1


def test_export_writes_every_record_as_a_json_line(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    done = run("export", "--folder", folder, "--out", out)
    assert done.exit_code == 0, done.output
    rows = [json.loads(text) for text in out.read_text("utf-8").splitlines()]
    assert [row["position"] for row in rows] == list(range(330))
    assert rows[0] == {
        "position": 0,
        "kind": "message",
        "at_ms": T0,
        "topic": "sc/v1/b3/gw-0/tele",
        "payload": base64.b64encode(b'{"n": 0}').decode(),
        "retained": False,
    }
    assert rows[10]["kind"] == "tick"
    assert out.stat().st_mode & 0o077 == 0


def test_export_of_a_stretch(folder: Path, tmp_path: Path) -> None:
    arguments = ("--from", "2024-01-01T00:00:05", "--to", "2024-01-01T00:00:15", "--topic", "sc/v1/b3/gw-0/tele")
    assert run("export", "--folder", folder, "--out", tmp_path / "a", *arguments).exit_code == 0
    rows = [json.loads(text) for text in (tmp_path / "a").read_text().splitlines()]
    assert [row["at_ms"] for row in rows] == [T0 + 6_000, T0 + 9_000, T0 + 12_000]
    run("export", "--folder", folder, "--out", tmp_path / "b", "--from", "7", "--to", "9")
    assert [json.loads(text)["position"] for text in (tmp_path / "b").read_text().splitlines()] == [7, 8]


def test_export_of_a_damaged_journal_says_so_and_exports_the_rest(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "j", JournalConfig(segment_mib=0.05, reserve_mib=0))
    for n in range(40):
        journal.append([Envelope("t", bytes([n]) * 3_000, T0)])
    journal.close()
    victim = sorted((tmp_path / "j").glob("journal-*.db"))[1]
    victim.write_bytes(b"ruined" * 1_000)
    done = run("export", "--folder", tmp_path / "j", "--out", tmp_path / "out")
    assert done.exit_code == 3
    assert victim.name in done.output
    positions = [json.loads(text)["position"] for text in (tmp_path / "out").read_text().splitlines()]
    assert positions[0] == 0
    assert positions[-1] == 39
    assert len(positions) < 40
    assert victim.name in run("stat", "--folder", tmp_path / "j", "--json").stdout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("tail", "--topic", "a/#/b"), "topic filter"),
        (("tail", "--topic", "a+/b"), "topic filter"),
        (("tail", "--from", "yesterday"), "neither a position nor a time"),
        (("tail", "--from", "99999"), "the journal ends at 330"),
        (("tail", "-n", "-1"), "-n"),
        (("export", "--out", "x", "--from", "9", "--to", "3"), "lies before"),
        (("export", "--out", "/nowhere/at/all"), "cannot be written"),
        (("export",), "--out"),
    ],
)
def test_wrong_arguments_are_named(folder: Path, arguments: tuple[str, ...], complaint: str) -> None:
    done = run(*arguments, "--folder", folder)
    assert done.exit_code in (1, 2)
    assert complaint in re.sub(r"\x1b\[[0-9;]*m", "", done.output)


def test_an_existing_file_is_not_overwritten(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    assert run("export", "--folder", folder, "--out", tmp_path / "out").exit_code == 1
    assert (tmp_path / "out").read_text() == "mine"


def test_a_folder_without_a_journal_is_named(tmp_path: Path) -> None:
    assert "no journal here" in run("stat", "--folder", tmp_path).output
    assert "no such folder" in run("stat", "--folder", tmp_path / "none").output
