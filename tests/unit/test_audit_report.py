"""The report that accounts for every alarm, and the command that makes and checks it."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text
from typer.testing import CliRunner

from hub.__main__ import app
from hub.audit.alarms import Said
from hub.audit.render import rendered
from hub.audit.report import Report, collect
from hub.clock import SteppedClock
from hub.stores.account_queries import AccountQueries
from hub.stores.audit_log import AuditLog
from tests.support.paths import CONFIG
from tests.support.served import GRID, SMOKE, STATION, Hub, hub_at

T0 = 1_767_225_600_000
DAY_MS = 86_400_000


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with hub_at(tmp_path, SteppedClock(T0)) as found:
        yield found


def carried(hub: Hub, *, after_ms: int = 800) -> None:
    due = hub.outbox.claim(hub.clock(), "me", limit=100, lease_ms=1_000)
    for delivery in due:
        hub.outbox.begin_send(delivery.id, hub.clock())
        hub.outbox.accepted(delivery.id, "r", hub.clock() + after_ms)


def report(hub: Hub, *said: Said) -> Report:
    return collect(
        AccountQueries(hub.ledger),
        AuditLog(hub.ledger),
        site="demo",
        zone="Asia/Shanghai",
        from_ms=T0,
        to_ms=T0 + DAY_MS,
        now_ms=hub.clock(),
        said=said,
        untested=["440399001001002"],
    )


def answered(hub: Hub) -> str:
    """A fire that was told after 0.8 s and acknowledged by a link after 41 s."""
    from hub.model.alerts import Actor

    alert_id = hub.says()
    carried(hub)
    hub.clock.advance(s=41)  # type: ignore[attr-defined]
    crew = Actor(id=STATION, name="=crew", role="station", stations=(STATION,))
    assert hub.parts.answering is not None
    hub.parts.answering.act(alert_id, "acknowledge", crew, hub.clock())
    return alert_id


def test_every_alarm_is_accounted_for_with_its_evidence(hub: Hub) -> None:
    alert_id = answered(hub)
    found = report(hub, Said(SMOKE, "smoke", T0, 0))
    assert found.complete
    said = rendered(found, "text", "en")
    assert "Every alarm accounted for: 1 of 1." in said
    assert alert_id in said
    assert "after 0.8 s" in said
    assert f"acknowledged 2026-01-01 08:00:41 by {STATION}" in said
    assert "Audit log: whole" in said
    assert "Grids without a test device: 440399001001002" in said
    assert "全部报警均已闭环：1 / 1" in rendered(found, "text", "zh-CN")


def test_what_is_not_accounted_for_is_said_first_and_with_its_cause(hub: Hub) -> None:
    answered(hub)
    hub.says(device="smoke-c1b1-02")
    hub.clock.advance(minutes=5)  # type: ignore[attr-defined]
    found = report(hub, Said("smoke-c1b1-03", "smoke", T0, 99))
    assert not found.complete
    said = rendered(found, "text", "en")
    assert "NOT every alarm is accounted for: 1 of 2" in said
    assert "!! no notification got through" in said
    assert "!! an alarm is in the journal and no alert followed: smoke-c1b1-03 smoke, journal position 99" in said


def test_the_forms_say_the_same(hub: Hub) -> None:
    alert_id = answered(hub)
    found = report(hub)
    body = json.loads(rendered(found, "json", "en"))
    assert body["complete"]
    assert body["alarms"][0]["alert"] == alert_id
    rows = list(csv.DictReader(StringIO(rendered(found, "csv", "en").removeprefix("\ufeff"))))
    assert rows[0]["Alert"] == alert_id
    assert rows[0]["Read"] == "2026-01-01 08:00:41"
    page = rendered(found, "html", "zh-CN")
    HTMLParser().feed(page)
    assert alert_id in page
    assert "<script" not in page
    assert "http" not in page, "it needs nothing from elsewhere"


def test_no_cell_is_a_formula(hub: Hub) -> None:
    from hub.audit.render import _cell

    assert _cell("=1+1") == "'=1+1"
    assert _cell(3) == 3


def test_tests_and_lesser_alerts_do_not_count(hub: Hub) -> None:
    hub.says(device="canary", rule="hub-selftest", canary=True)
    assert report(hub).alarms == ()


# The command ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(hub: Hub, tmp_path: Path) -> Path:
    config = tmp_path / "config"
    shutil.copytree(CONFIG, config)
    settings = config / "hub.yaml"
    lines = [line for line in settings.read_text("utf-8").splitlines() if not line.startswith("data_dir")]
    settings.write_text("\n".join([*lines, f"data_dir: {tmp_path}", ""]), "utf-8")
    return config


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["audit", *arguments])
    return result.exit_code, result.output


def test_the_command_prints_and_writes_the_report(hub: Hub, folder: Path, tmp_path: Path) -> None:
    answered(hub)
    span = ("--from", "2026-01-01", "--to", "2026-01-02", "--config", str(folder))
    code, said = run("report", *span)
    assert code == 0, said
    assert "Every alarm accounted for: 1 of 1." in said
    code, said = run("report", *span, "--format", "html", "--lang", "zh-CN", "--out", str(tmp_path / "r.html"))
    assert code == 0, said
    assert "全部报警均已闭环" in (tmp_path / "r.html").read_text("utf-8")
    assert run("report", *span, "--format", "pdf")[0] == 1
    assert run("report", "--from", "2026-01-02", "--to", "2026-01-01", "--config", str(folder))[0] == 1


def test_the_command_fails_when_an_alarm_is_not_accounted_for(hub: Hub, folder: Path) -> None:
    hub.says()
    code, said = run("report", "--from", "2026-01-01", "--to", "2026-01-02", "--config", str(folder))
    assert code == 1
    assert "NOT every alarm" in said


def test_verify_names_the_head_to_keep_and_the_first_row_that_was_changed(hub: Hub, folder: Path) -> None:
    answered(hub)
    code, said = run("verify", "--config", str(folder))
    assert code == 0, said
    head = next(line.split()[1] for line in said.splitlines() if line.startswith("head:"))
    assert run("verify", "--head", head, "--config", str(folder))[0] == 0
    assert run("verify", "--head", "nonsense", "--config", str(folder))[0] == 1
    with hub.ledger.begin() as connection:
        connection.execute(text("DROP TRIGGER audit_no_UPDATE"))
        connection.execute(text("UPDATE audit SET actor = 'x' WHERE id = 2"))
    code, said = run("verify", "--config", str(folder))
    assert code == 1
    assert "BROKEN at row 2" in said


def test_a_ledger_that_is_not_there_is_said(tmp_path: Path, folder: Path, hub: Hub) -> None:
    (tmp_path / "ledger.db").unlink()
    assert "there is no ledger" in run("verify", "--config", str(folder))[1]


# Over the API --------------------------------------------------------------------------------------------------------


def test_officers_of_the_whole_site_get_the_report_over_the_api(hub: Hub) -> None:
    alert_id = answered(hub)
    hub.clock.advance(minutes=1)  # type: ignore[attr-defined]

    def client(**scope: tuple[str, ...]) -> TestClient:
        return TestClient(hub.app, headers={"Authorization": f"Bearer {hub.token('officer', **scope)}"})

    found = client(grids=("*",)).get("/api/v1/audit/report").json()
    assert found["complete"]
    assert found["alarms"][0]["alert"] == alert_id
    assert client(grids=("*",)).get("/api/v1/audit/report?format=csv").headers["content-type"].startswith("text/csv")
    assert client(grids=("*",)).get("/api/v1/audit").json() == {"looked": False, "good": None, "findings": []}
    assert client(grids=(GRID,)).get("/api/v1/audit/report").status_code == 403


def test_an_alert_that_the_crew_has_opened_is_read_and_the_times_are_told(hub: Hub) -> None:
    alert_id = hub.says()
    carried(hub)
    hub.clock.advance(s=41)  # type: ignore[attr-defined]
    crew = TestClient(hub.app, headers={"Authorization": f"Bearer {hub.token('station', stations=(STATION,))}"})
    viewer = TestClient(hub.app, headers={"Authorization": f"Bearer {hub.token('viewer', grids=('*',))}"})
    before = viewer.get(f"/api/v1/alerts/{alert_id}").json()["deliveries"]
    assert {row["state"] for row in before} == {"accepted"}
    rows = [row for row in crew.get(f"/api/v1/alerts/{alert_id}").json()["deliveries"] if row["recipient"] == STATION]
    assert {(row["state"], row["accepted_after_ms"], row["read_after_ms"]) for row in rows} == {("read", 800, 41_000)}
