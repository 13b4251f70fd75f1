"""`gridhub contacts`, `duty`, `roster` and `silence`, on a ledger of their own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hub.__main__ import app
from tests.support.paths import CONFIG

CREW = "st-1-crew-1"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(CONFIG, tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "config" / "hub.yaml"
    text = file.read_text("utf-8")
    file.write_text("\n".join(line for line in text.splitlines() if not line.startswith("data:")) + "\n", "utf-8")
    people = tmp_path / "config" / "registry" / "people.yaml"
    own = people.read_text("utf-8").replace(
        f"{{id: {CREW}, ", f"{{id: {CREW}, leave: [{{from: 2030-01-02, until: 2030-01-02}}], ", 1
    )
    people.write_text(own, "utf-8")
    return tmp_path / "config"


def gridhub(folder: Path, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, [*arguments, "--config", str(folder)])
    return result.exit_code, result.output


def test_a_roster_shows_leave(folder: Path) -> None:
    code, said = gridhub(folder, "roster", "show", "st-1", "--at", "2030-01-01T08:00", "--hours", "26")
    assert code == 0
    assert (
        said.splitlines()[0] == "2030-01-01 08:00 … 2030-01-01 15:00  st-1-head, st-1-crew-1, st-1-crew-2, st-1-crew-3"
    )
    assert said.splitlines()[-1] == "2030-01-02 07:00 … 2030-01-02 10:00  st-1-head, st-1-crew-2, st-1-crew-3"


def test_contacts_are_listed_and_what_cannot_be_tested_is_said(folder: Path) -> None:
    code, said = gridhub(folder, "contacts", "list", "--json")
    assert code == 0
    assert {row["verified"] for row in json.loads(said)} == {True}
    assert gridhub(folder, "contacts", "list", "--gaps") == (0, "")
    code, said = gridhub(folder, "contacts", "test", CREW)
    assert code == 1
    assert "no contact that this hub can use" in said
    assert gridhub(folder, "contacts", "answer", CREW, "123456")[0] == 1


def test_a_station_is_asked_and_its_answer_is_awaited(folder: Path) -> None:
    code, said = gridhub(folder, "duty", "check", "st-1", "--within", "60")
    assert code == 0
    assert "to be answered by" in said
    assert "waiting" in gridhub(folder, "duty", "list", "st-1")[1]
    assert gridhub(folder, "duty", "check", "nowhere")[0] == 1


def test_a_drill_is_begun_listed_and_ended(folder: Path) -> None:
    place = "440399001001001"
    wrong = gridhub(folder, "silence", "make", "--kind", "drill", "--place", place, "--hours", "1", "--reason", "x")
    assert wrong[0] == 1
    assert "nobody would hear the drill" in wrong[1]
    code, said = gridhub(
        folder,
        "silence",
        "make",
        "--kind",
        "drill",
        "--place",
        place,
        "--hours",
        "1",
        "--reason",
        "autumn",
        "--tell",
        CREW,
    )
    assert code == 0
    assert said.startswith(f"1: drill of {place}, ")
    assert "0 caught" in gridhub(folder, "silence", "list")[1]
    assert "ended" in gridhub(folder, "silence", "end", "1")[1]
    assert gridhub(folder, "silence", "list") == (0, "")
    assert json.loads(gridhub(folder, "silence", "list", "--over", "--json")[1])[0]["ended_by"] == "operator"


def test_check_warns_of_days_on_which_leave_leaves_too_few(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hub.cli.check import examine

    monkeypatch.setattr("hub.clock.now_ms", lambda: 1_893_427_200_000)  # 2030-01-01 00:00 in Shanghai
    people = folder / "registry" / "people.yaml"
    away = "leave: [{from: 2030-01-03, until: 2030-01-03}], "
    people.write_text(people.read_text("utf-8").replace("{id: st-1-crew-5, ", f"{{id: st-1-crew-5, {away}"), "utf-8")
    said = [str(warning) for warning in examine(folder).warnings if "because of leave" in str(warning)]
    assert len(said) == 1  # on the day before, four were on duty and three are left
    assert "only 2 on duty at 'st-1' 2030-01-03 15:00 – 2030-01-03 23:00" in said[0]
