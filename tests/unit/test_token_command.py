"""`gridhub token`: made, listed and revoked from a narrow terminal."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from hub.__main__ import app


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLUMNS", "80")
    return f"sqlite:///{tmp_path}/ledger.db"


def token(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["token", *arguments])


def test_the_list_shows_the_whole_id_that_revoking_needs(url: str) -> None:
    name = "A crew member with a rather long name"
    made = token("create", name, "--role", "grid_worker", "--grid", "440399001001001", "--days", "3", "--url", url)
    assert re.search(r"^gh_[\w-]{43}$", made.stdout, re.MULTILINE)
    token_id = token("list", "--url", url).stdout.splitlines()[1].split()[0]
    assert token("revoke", token_id, "--url", url).exit_code == 0
    assert re.search(r" revoked\b", token("list", "--url", url).stdout)


def test_a_secret_is_never_listed(url: str) -> None:
    made = token("create", "Tablet", "--role", "station", "--station", "st-1", "--url", url)
    assert made.stdout.strip().splitlines()[-1] not in token("list", "--url", url).stdout


def test_a_token_that_could_see_nothing_is_not_made(url: str) -> None:
    refused = token("create", "Nobody", "--role", "viewer", "--url", url)
    assert refused.exit_code == 1
    assert "give --grid, --station or --all" in refused.output


def test_a_role_that_does_not_exist_is_refused_with_those_that_do(url: str) -> None:
    refused = token("create", "Chief", "--role", "chief", "--all", "--url", url)
    assert refused.exit_code == 1
    assert "grid_worker" in refused.output
    assert "Traceback" not in refused.output


def test_revoking_a_token_that_is_not_there_says_where_to_look(url: str) -> None:
    token("create", "Somebody", "--role", "viewer", "--all", "--url", url)
    refused = token("revoke", "0123", "--url", url)
    assert refused.exit_code == 1
    assert "gridhub token list" in refused.output


def test_a_grid_that_is_not_in_the_registry_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).resolve().parents[2])
    refused = token("create", "Worker", "--role", "grid_worker", "--grid", "440399001001009")
    assert refused.exit_code == 1
    assert "did you mean" in refused.output


def test_looking_where_there_is_no_ledger_makes_none(url: str, tmp_path: Path) -> None:
    for arguments in (["list"], ["revoke", "0123"]):
        refused = token(*arguments, "--url", url)
        assert refused.exit_code == 1
        assert f"there is no ledger at {tmp_path}/ledger.db: start the hub first" in refused.output
    assert list(tmp_path.iterdir()) == []


def test_a_new_ledger_is_its_owners_only(url: str, tmp_path: Path) -> None:
    below = f"sqlite:///{tmp_path}/data/ledger.db"
    assert token("create", "Somebody", "--role", "viewer", "--all", "--url", below).exit_code == 0
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o077 for file in (tmp_path / "data").iterdir()} == {0}
