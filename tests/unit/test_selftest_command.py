"""`gridhub selftest` where there is nothing to test: it says so, and leaves everything as it was."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from hub.__main__ import app
from hub.cli import selftest as command
from hub.registry.loader import load
from hub.settings import load_settings
from hub.stores.ledger import Ledger

CONFIG = Path(__file__).parents[2] / "config"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "ALIVE_WITHIN_S", 0.3)
    shutil.copytree(CONFIG, tmp_path / "config")
    return tmp_path


def selftest(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["selftest", *arguments])


def only_object(result: Result) -> dict[str, object]:
    assert result.exit_code == 1
    (line,) = result.stdout.splitlines()
    found: dict[str, object] = json.loads(line)
    assert found["ok"] is False
    return found


def test_without_a_ledger_it_says_where_it_looked_and_makes_none(folder: Path) -> None:
    refused = selftest()
    assert refused.exit_code == 1
    assert "there is no ledger at" in refused.output
    assert "there is no ledger at" in str(only_object(selftest("--json"))["missing"])
    assert [entry.name for entry in folder.iterdir()] == ["config"]


def test_a_ledger_that_no_hub_works_on_gets_no_test_fire(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Ledger.open(load_settings(folder / "config").ledger_url).close()
    with socket.create_server(("127.0.0.1", 0)) as broker:
        broker.settimeout(0.2)
        monkeypatch.setenv("GRIDHUB_MQTT__PORT", str(broker.getsockname()[1]))
        missing = str(only_object(selftest("--json"))["missing"])
        assert missing.startswith("hub: no hub with the role rules is working on sqlite:///")
        assert "Nothing was published" in missing
        with pytest.raises(TimeoutError):
            broker.accept()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("sight: demo\n", "hub.yaml:1: sight"),
        ("channels: {fax: {}}\n", "fax"),
        ("ledger: {url: nonsense}\n", "ledger.url"),
    ],
)
def test_a_wrong_configuration_is_one_json_object_too(folder: Path, text: str, told: str) -> None:
    (folder / "config" / "hub.yaml").write_text(text, "utf-8")
    assert told in str(only_object(selftest("--json"))["missing"])


def test_a_ledger_that_is_no_database_is_one_json_object_too(folder: Path) -> None:
    (folder / "data").mkdir()
    (folder / "data" / "ledger.db").write_bytes(b"no database at all" * 100)
    assert str(only_object(selftest("--json"))["missing"]).startswith("ledger: ")


def test_a_webhook_without_endpoint_is_named_as_a_gap(folder: Path) -> None:
    settings = load_settings(folder / "config")
    registry = load(folder / "config" / "registry")
    (gap,) = command._gaps(settings, registry, registry.find("canary"))
    assert gap.startswith("webhook: not set up (gap)")
    assert "'crew-st-1'" in gap
    endpoints = {"webhook": {"endpoints": {"crew-st-1": {"url": "http://127.0.0.1:9/"}}}}
    told = settings.model_copy(update={"channels": endpoints})
    assert command._gaps(told, registry, registry.find("canary")) == []


def test_stages_stand_in_the_order_of_time() -> None:
    report = command.Report(started_ms=0)
    for stage, at_ms in (("notified", 30), ("published", 20), ("received", 10)):
        report.reached(stage, at_ms)
    assert [stage["stage"] for stage in report.in_order()] == ["received", "published", "notified"]
