"""`gridhub actions`: the table, what would be sent, what was, and a person's word."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from hub.__main__ import app
from hub.stores.audit_log import AuditLog
from hub.stores.commands import Commands
from hub.stores.ledger import Ledger
from tests.support.hub_process import make_config
from tests.support.ledgers import migrated_url


@pytest.fixture
def config(tmp_path: Path) -> Path:
    made = make_config(tmp_path, broker_port=1)
    (tmp_path / "data").mkdir()
    with migrated_url("sqlite", tmp_path / "data"):
        return made


def run(config: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["actions", *words, "--config", str(config)])


def test_the_table_and_the_very_messages_without_a_hub(config: Path) -> None:
    listed = run(config, "list")
    assert listed.exit_code == 0, listed.output
    assert 'open-gates: dry, sets gate_state "open" in the same compound' in listed.output
    assert "sound-sirens: LIVE" in listed.output
    assert json.loads(run(config, "list", "--json").output)[0]["id"] == "sound-sirens"
    shown = run(config, "show", "open-gates")
    assert shown.exit_code == 0
    assert "gate-c1-01: sc/v1/demo/gw-c1-yard/gate-c1-01/cmd" in shown.output
    assert run(config, "show", "no-such").exit_code == 1


def test_tests_and_bans_go_into_the_ledger_with_a_reason(config: Path) -> None:
    assert run(config, "log").output == "no commands\n"
    made = run(config, "test", "open-gates", "gate-c1-01", "--why", "monthly")
    assert made.exit_code == 0, made.output
    number = made.output.split()[0]
    assert f"{number} planned     test open-gates gate-c1-01" in run(config, "log").output
    stopped = run(config, "forbid", number, "--why", "not now")
    assert stopped.output.startswith(f"{number} refused")
    again = run(config, "approve", number, "--why", "now")
    assert again.exit_code == 1
    banned = run(config, "ban", "--device", "gate-c1-01", "--hours", "2", "--why", "being painted")
    assert banned.output.startswith("ban 1: every action on gate-c1-01 until ")
    assert run(config, "lift", "1").exit_code == 0
    assert run(config, "lift", "1").exit_code == 1
    ledger = Ledger.open(f"sqlite:///{config.parent}/data/ledger.db")
    (command,) = Commands(ledger).list(scope=None)
    assert (command.state, command.reason) == ("refused", "not now")
    assert AuditLog(ledger).verify().good
    ledger.close()
