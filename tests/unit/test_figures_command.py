"""`gridhub figures`: the figures of the whole site, in words and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner, Result

from hub.__main__ import app
from hub.stores.ledger import Ledger
from tests.contracts.test_desk import Room, fire
from tests.support.alerts import T0, WORKER
from tests.support.hub_process import make_config
from tests.support.ledgers import migrated_url


def run(config: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["figures", *words, "--config", str(config)])


def test_the_figures_of_a_span(tmp_path: Path) -> None:
    config = make_config(tmp_path, broker_port=1)
    assert run(config).exit_code == 1, "there is no ledger yet"
    (tmp_path / "data").mkdir()
    with migrated_url("sqlite", tmp_path / "data") as url:
        ledger = Ledger.open(url)
        room = Room(ledger)
        room.record(fire(device="a"), fire(device="b"))
        (first, second) = room.queries.list(scope=None, live=True).rows
        room.desk.act(first.id, "acknowledge", WORKER, T0 + 40_000)
        room.desk.act(second.id, "false_alarm", WORKER, T0 + 80_000, reason="dust")
        ledger.close()
    found = json.loads(run(config, "--since", "2025-12-31", "--until", "2026-01-02", "--json").output)
    assert found["alerts"]["P1"] == {"alerts": 2, "share": 1.0, "mtta_s": 60.0, "mttr_s": 80.0}
    assert found["limits"][0] == {"limit_s": 60, "due": 2, "kept": 1, "ratio": 0.5}
    assert (found["cases"][0]["source"], found["cases"][0]["false"]) == ("alert", 1)
    told = run(config, "--since", "2025-12-31", "--until", "2026-01-02").output
    assert "MTTA 60 s, MTTR 80 s" in told
    assert "P1 acknowledged within 60 s: 50.0% (1 of 2)" in told
    assert "no alerts" in run(config, "--since", "2025-12-01", "--until", "2025-12-02").output
    assert run(config, "--since", "2026-01-02", "--until", "2026-01-01").exit_code == 1
