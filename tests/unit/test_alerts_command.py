"""`gridhub alerts`: what stands for long, and who raises false alarms, for people and for machines."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from hub.__main__ import app
from hub.alerts.desk import Desk
from hub.cli import alerts as command
from hub.dispatch.escalation import StandardPlanner, load_policy
from hub.model.alerts import Actor
from hub.registry.loader import load
from hub.stores.ledger import Ledger
from tests.support.alerts import event, rule
from tests.support.paths import CONFIG

NOW = 1_767_225_600_000  # 2026-01-01 08:00 in Shanghai
HOUR = 3_600_000
CREW = Actor(id="crew", name="Crew", role="station", stations=("*",))
SMOKE, OTHER = "smoke-c1b1-01", "smoke-c1b1-02"
FIRE, LOW = rule("smoke-alarm", "P1"), rule("smoke-battery-low", "P3")


class Site:
    """A configuration folder with the example place, and a ledger to fill."""

    def __init__(self, folder: Path) -> None:
        (folder / "config").mkdir()
        for name in ("registry", "rules"):
            shutil.copytree(CONFIG / name, folder / "config" / name)
        (folder / "config" / "hub.yaml").write_text("site: demo\n", "utf-8")
        self.ledger = Ledger.open(f"sqlite:///{folder}/data/ledger.db")
        registry = load(folder / "config" / "registry")
        planner = StandardPlanner(lambda: registry, load_policy(CONFIG / "escalation.yaml"), "Asia/Shanghai")
        self.desk = Desk(self.ledger, planner)

    def finds(self, kind: Any, device: str, at_ms: int, of: Any = FIRE, **more: Any) -> str:
        one = event(kind, of=of, device=device, at_ms=at_ms, **more)
        self.desk.record([one], consumer="rules", journal="j", position=1, now_ms=at_ms)
        return one.alert_id

    def false(self, device: str, at_ms: int) -> None:
        alert_id = self.finds("raised", device, at_ms)
        self.desk.act(alert_id, "false_alarm", CREW, at_ms + 1, reason="cooking")
        self.finds("cleared", device, at_ms + 2, start_ms=at_ms)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.setattr(command, "now_ms", lambda: NOW)
    made = Site(tmp_path)
    yield made
    made.ledger.close()


def look(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["alerts", *arguments])


def test_what_stands_for_more_than_a_day_is_shown_the_oldest_first(site: Site) -> None:
    site.finds("raised", SMOKE, NOW - 100 * HOUR, LOW)
    site.finds("raised", OTHER, NOW - 25 * HOUR, LOW)
    site.finds("raised", "smoke-c1b1-05", NOW - 23 * HOUR, LOW)
    shown = look("stale")
    assert shown.exit_code == 0
    lines = shown.stdout.splitlines()
    assert "2 alerts held for more than 24 h" in lines[0]
    assert [name for line in lines for name in (SMOKE, OTHER, "smoke-c1b1-05") if name in line] == [SMOKE, OTHER]
    assert "4 d" in shown.stdout
    assert "25 h" in shown.stdout
    machine = json.loads(look("stale", "--json", "--hours", "1").stdout)
    assert [(a["device"], a["held_s"]) for a in machine["stale"]] == [
        (SMOKE, 360_000),
        (OTHER, 90_000),
        ("smoke-c1b1-05", 82_800),
    ]


def test_nothing_stale_is_said_in_words(site: Site) -> None:
    assert look("stale").stdout.strip() == "no alert has been held for more than 24 h"
    assert json.loads(look("stale", "--json").stdout) == {"stale": [], "chattering": []}


def test_a_flapping_alert_is_shown_beside(site: Site) -> None:
    site.finds("raised", SMOKE, NOW - HOUR)
    site.finds("chatter", SMOKE, NOW - HOUR + 30_000, start_ms=NOW - HOUR)
    assert "1 alert flapping now" in look("stale").stdout
    assert [a["device"] for a in json.loads(look("stale", "--json").stdout)["chattering"]] == [SMOKE]
    assert "Sources that began to flap" in look("ranking").stdout


def test_detectors_are_ranked_by_their_false_alarms_with_the_level_of_fire_practice(site: Site) -> None:
    for n in range(3):
        site.false(SMOKE, NOW - (n + 2) * 24 * HOUR)
    site.finds("raised", OTHER, NOW - HOUR)
    shown = look("ranking").stdout
    first = next(line for line in shown.splitlines() if SMOKE in line)
    assert "3" in first
    assert "red" in first
    assert "all together" in shown
    assert "75%" in shown
    found = json.loads(look("ranking", "--json").stdout)
    assert (found["rows"][0]["key"], found["rows"][0]["false"], found["rows"][0]["level"]) == (SMOKE, 3, "red")
    assert found["rows"][1]["undecided"] == 1
    assert found["alarms"] == 4
    assert found["sources"][0] == {"rule_id": "smoke-alarm", "device_id": SMOKE, "times": 3}
    detectors = found["total"]["detectors"]
    assert found["total"]["rate"] == pytest.approx(3 / detectors * 365.25 / 365, rel=0.001)


@pytest.mark.parametrize(
    ("by", "key"), [("building", "440399001001-c1-b1"), ("rule", "smoke-alarm"), ("device", SMOKE)]
)
def test_buildings_and_rules_are_ranked_too(site: Site, by: str, key: str) -> None:
    site.false(SMOKE, NOW - 24 * HOUR)
    (row,) = json.loads(look("ranking", "--by", by, "--json").stdout)["rows"]
    assert row["key"] == key
    assert look("ranking", "--by", by).exit_code == 0


@pytest.mark.parametrize(
    ("since", "count"),
    [
        ("12h", 0),
        ("3d", 1),
        ("-3d", 1),
        ("1y", 2),
        ("2025-12-30", 1),
        ("2025-12-31T07:59", 1),
        ("2025-12-31T08:01+08:00", 0),
    ],
)
def test_since_takes_an_age_or_a_date_of_the_site(site: Site, since: str, count: int) -> None:
    site.false(SMOKE, NOW - 24 * HOUR)
    site.false(SMOKE, NOW - 60 * 24 * HOUR)
    rows = json.loads(look("ranking", "--since", since, "--json").stdout)["rows"]
    assert sum(row["false"] for row in rows) == count


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--since", "yesterday"), "use an age such as 30d"),
        (("--since", "2027-01-01"), "lies in the future"),
        (("--by", "street"), "use device, building, rule"),
    ],
)
def test_a_mistake_is_answered_with_what_to_write(site: Site, arguments: tuple[str, ...], said: str) -> None:
    answer = look("ranking", *arguments)
    assert answer.exit_code == 1
    assert said in answer.output


def test_without_a_ledger_it_says_so_and_makes_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "hub.yaml").write_text("site: demo\n", "utf-8")
    answer = look("stale")
    assert answer.exit_code == 1
    assert "start the hub first" in answer.output
    assert not (tmp_path / "data").exists()


def test_a_device_that_is_no_longer_registered_is_ranked_by_its_id(site: Site) -> None:
    site.false("gone-1", NOW - HOUR)
    (row,) = json.loads(look("ranking", "--json").stdout)["rows"]
    assert (row["key"], row["detectors"], row["rate"], row["level"]) == ("gone-1", 0, None, None)
    assert "gone-1" in look("ranking").stdout
