"""Rules in shadow mode see what the live ones see, tell nobody, and never disturb them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from prometheus_client import REGISTRY
from typer.testing import CliRunner

from hub.__main__ import app
from hub.api import create_app
from hub.clock import SteppedClock
from hub.documents import parse
from hub.model.readings import ReadingBatch
from hub.rules.engine import Engine
from hub.rules.kinds.kind import Context
from hub.rules.ruleset import RuleSet, laid_over
from hub.rules.testing import shadow as module
from hub.rules.testing.shadow import Shadow, ShadowReport
from hub.rules.testing.stage import built
from hub.shadowing import Shadowing
from tests.support.served import hub_at
from tests.unit.test_engine import a_rule, ruleset

START = 1_704_067_200_000
DOOR = "door-1"
TOWN = built([DOOR, "door-2", "smoke-alarm-1"], {})
LIVE = ruleset(
    a_rule("door-open", "door", "door_open", "{equals: true, hold_s: 60}"),
    a_rule("smoke", "smoke_alarm", "smoke", "{equals: true}", severity="P1"),
)
SOONER = a_rule("door-open", "door", "door_open", "{equals: true, hold_s: 10}")
FORCED = a_rule("forced", "door", "forced_open", "{equals: true}")


def over(live: RuleSet, *rules: str) -> RuleSet:
    document, complaints = parse("rules:" + "".join(rules), "shadow.yaml")
    assert document is not None
    return laid_over(live, [document], complaints)


class Town:
    """The live engine and a shadow beside it, called as the pipeline calls them."""

    def __init__(self, *rules: str, begin_s: int = 0) -> None:
        self.live = Engine(LIVE, TOWN, start_ms=START)
        self.told: list[tuple[str, str, int]] = []
        self.shadow: Shadow | None = None
        self.rules, self.begin_s, self.second = rules, begin_s, 0

    def goes_on(self, until_s: int, **said: tuple[int, bool]) -> Town:
        """Seconds up to `until_s`; `said`: device (with _) → (second, door open)."""
        for second in range(self.second + 1, until_s + 1):
            self.second, now = second, START + second * 1_000
            if second > self.begin_s and self.shadow is None:
                ids = {r.partition("id: ")[2].partition(",")[0] for r in self.rules}
                active = self.live.active(now, 0)
                self.shadow = Shadow(LIVE, over(LIVE, *self.rules), ids, TOWN, start_ms=now - 1_000, active=active)
            rows = [
                (TOWN.slot_of[device.replace("_", "-")], "door_open", float(open_), now - 500, now - 500, 0, 0)
                for device, (at_s, open_) in said.items()
                if at_s == second
            ]
            batch = ReadingBatch.of(rows)
            found = self.live.evaluate(batch)
            self._record(found.events)
            self.live.commit(found)
            if self.shadow is not None:
                self.shadow.take(batch, found.events)
            ticked = self.live.tick(now, 0)
            self._record(ticked.events)
            self.live.commit(ticked)
            if self.shadow is not None:
                self.shadow.tick(now, 0, ticked.events)
        return self

    def _record(self, events: Any) -> None:
        self.told += [(e.kind, e.rule.id, (e.at_ms - START) // 1_000) for e in events]

    def report(self) -> ShadowReport:
        assert self.shadow is not None
        return self.shadow.report()


def test_a_rule_that_fires_sooner_in_the_shadow_is_told_to_be_earlier() -> None:
    town = Town(SOONER).goes_on(100, door_1=(1, True))
    (rule,) = town.report().rules
    assert (rule.earlier, rule.mean_earlier_s, rule.same, rule.would_have_fired) == (1, 50.0, 0, 0)
    assert rule.live_version != rule.version
    assert town.told == [("raised", "door-open", 61)]


def test_what_only_the_shadow_sees_would_have_fired() -> None:
    town = Town(SOONER).goes_on(100, door_1=(1, True)).goes_on(160, door_1=(140, False))
    town.goes_on(200, door_2=(165, True)).goes_on(220, door_2=(210, False))
    open_ones = [d for d in town.report().differences if d["open"]]
    assert [(d["device"], d["kind"]) for d in open_ones] == [("door-2", "would have fired")]
    report = town.goes_on(1_000).report()
    assert report.rules[0].would_have_fired == 1
    assert [d["device"] for d in report.differences if d["kind"] == "would have fired" and not d["open"]] == ["door-2"]


def test_what_only_the_live_rule_sees_would_not_have_fired() -> None:
    later = a_rule("door-open", "door", "door_open", "{equals: true, hold_s: 300}")
    town = Town(later).goes_on(100, door_1=(1, True)).goes_on(1_000, door_1=(120, False))
    assert town.report().rules[0].would_not_have == 1
    assert ("cleared", "door-open", 119) in [(k, r, s) for k, r, s in town.told if k == "cleared"]


def test_a_new_rule_is_compared_with_nothing() -> None:
    town = Town(FORCED)
    town.goes_on(1)
    assert town.shadow is not None
    row = (TOWN.slot_of[DOOR], "forced_open", 1.0, START + 1_500, START + 1_500, 0, 0)
    town.shadow.take(ReadingBatch.of([row]), [])
    (rule,) = town.report().rules
    assert rule.live_version == ""
    assert [d["kind"] for d in town.report().differences] == ["would have fired"]


def test_what_was_active_when_the_shadow_began_is_no_difference() -> None:
    town = Town(SOONER, begin_s=90).goes_on(200, door_1=(1, True)).goes_on(230, door_1=(201, True))
    report = town.goes_on(900).report()
    assert (report.rules[0].would_have_fired, report.rules[0].would_not_have) == (0, 0)
    assert report.differences == ()


def test_only_the_rules_of_the_shadow_are_played() -> None:
    town = Town(SOONER).goes_on(5)
    assert town.shadow is not None
    assert town.shadow._engine is not None
    assert [table.spec.id for table in town.shadow._engine.tables] == ["door-open"]


def test_a_fault_gives_the_shadow_up_loudly_and_the_live_rules_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    town = Town(SOONER).goes_on(5)
    assert town.shadow is not None
    engine = town.shadow._engine

    def broken(batch: ReadingBatch) -> Any:
        raise ZeroDivisionError("in the shadow")

    monkeypatch.setattr(engine, "evaluate", broken)
    town.goes_on(100, door_1=(6, True))
    assert town.told == [("raised", "door-open", 66)]
    assert "ZeroDivisionError" in town.report().trouble
    assert REGISTRY.get_sample_value("gridhub_shadow_down") == 1


def test_a_shadow_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter(range(0, 1_000_000, 4))
    monkeypatch.setattr(module, "monotonic_s", lambda: float(next(times)))
    town = Town(SOONER).goes_on(20)
    assert "took more than 15 s of a minute" in town.report().trouble


def test_a_shadow_that_cannot_begin_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "Engine", None)
    shadow = Shadow(LIVE, over(LIVE, SOONER), ["door-open"], TOWN, start_ms=START)
    shadow.take(ReadingBatch.empty(), [])
    shadow.tick(START + 1_000, 0, [])
    assert "could not begin" in shadow.report().trouble


# Beside a hub --------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rules" / "shadow").mkdir(parents=True)
    return tmp_path / "rules"


def write(folder: Path, *rules: str) -> None:
    (folder / "shadow" / "trial.yaml").write_text("rules:" + "".join(rules) + "\n", "utf-8")


def test_files_of_the_shadow_are_taken_up_and_followed(folder: Path, tmp_path: Path) -> None:
    live = Engine(LIVE, TOWN, start_ms=START)
    keeper = Shadowing(folder, Context)
    keeper.follow(live, START, 0)
    assert keeper.report() is None
    write(folder, SOONER)
    keeper.watch()
    keeper.follow(live, START, 0)
    first = keeper.report()
    assert first is not None
    assert [rule["id"] for rule in first["rules"]] == ["door-open"]
    write(folder, SOONER, FORCED)
    keeper.watch()
    keeper.follow(live, START + 5_000, 0)
    second = keeper.report()
    assert second is not None
    assert [rule["id"] for rule in second["rules"]] == ["door-open", "forced"]
    keeper.follow(live, START + 9_000, 0)
    assert keeper.report()["since_ms"] == START + 5_000  # type: ignore[index]


def test_a_wrong_file_of_the_shadow_is_said_and_harms_nothing(folder: Path) -> None:
    live = Engine(LIVE, TOWN, start_ms=START)
    write(folder, SOONER.replace("hold_s", "hold"))
    keeper = Shadowing(folder, Context)
    keeper.follow(live, START, 0)
    assert keeper.report() is None
    assert "trial.yaml" in keeper.health()
    assert "hold" in keeper.health()
    keeper.take(ReadingBatch.empty(), [])
    keeper.tick(START, 0, [])


def test_the_shadow_begins_anew_when_the_live_rules_change(folder: Path) -> None:
    write(folder, SOONER)
    keeper = Shadowing(folder, Context)
    keeper.follow(Engine(LIVE, TOWN, start_ms=START), START, 0)
    keeper.follow(Engine(over(LIVE, FORCED), TOWN, start_ms=START), START + 60_000, 0)
    assert keeper.report()["since_ms"] == START + 60_000  # type: ignore[index]


ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    found = tmp_path / "config"
    shutil.copytree(ROOT / "config", found)
    text = (found / "hub.yaml").read_text("utf-8")
    (found / "hub.yaml").write_text(text.replace("data_dir: data", f"data_dir: {tmp_path / 'data'}"), "utf-8")
    (tmp_path / "data").mkdir()
    return found


def run(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["rules", "shadow", *map(str, arguments)], env={"COLUMNS": "150"})
    return result.exit_code, result.output


def test_the_command_shows_the_report_that_the_hub_wrote(config: Path, tmp_path: Path, folder: Path) -> None:
    code, said = run("--config", config)
    assert (code, "there is no report" in said) == (1, True)
    live, keeper = Engine(LIVE, TOWN, start_ms=START), Shadowing(folder, Context)
    write(folder, FORCED)
    keeper.watch()
    keeper.follow(live, START, 0)
    keeper.take(ReadingBatch.of([(TOWN.slot_of[DOOR], "forced_open", 1.0, START, START, 0, 0)]), [])
    keeper.save(tmp_path / "data")
    code, said = run("--config", config)
    assert code == 0
    assert "no live rule" in said
    assert "would have fired (so far)" in said
    code, said = run("--config", config, "--json")
    assert json.loads(said)["report"]["rules"][0]["id"] == "forced"


# Over the API --------------------------------------------------------------------------------------------------------


@pytest.fixture
def reader(tmp_path: Path, folder: Path) -> Iterator[TestClient]:
    write(folder, SOONER)
    keeper = Shadowing(folder, Context)
    (tmp_path / "hub").mkdir()
    with hub_at(tmp_path / "hub", SteppedClock(START)) as hub:
        application = create_app(replace(hub.parts, shadow=keeper.report))
        client = TestClient(application, headers={"Authorization": f"Bearer {hub.token('officer', grids=('*',))}"})
        client.keeper = keeper  # type: ignore[attr-defined]
        yield client


def test_the_api_tells_what_the_shadow_has_seen(reader: TestClient) -> None:
    assert reader.get("/api/v1/rules/shadow").status_code == 404
    reader.keeper.follow(Engine(LIVE, TOWN, start_ms=START), START, 0)  # type: ignore[attr-defined]
    found = reader.get("/api/v1/rules/shadow")
    assert found.status_code == 200, found.text
    assert [rule["id"] for rule in found.json()["rules"]] == ["door-open"]


def test_the_api_shows_differences_of_the_readers_own_grids_only(tmp_path: Path) -> None:
    differences = [
        {"rule": "door-open", "device": device, "kind": "would have fired", "raised_ms": START, "cleared_ms": None}
        | {"later_ms": 0, "severity": "P3", "open": True}
        for device in ("smoke-c1b1-01", "gone-1", "smoke-c4b1-12")
    ]
    report = {"since_ms": START, "at_ms": START, "readings": 3, "rules": [], "not_listed": 4, "trouble": ""}
    (tmp_path / "hub").mkdir()
    with hub_at(tmp_path / "hub", SteppedClock(START)) as hub:
        registry = hub.parts.registry()
        own, other = (registry.find(device).grid for device in ("smoke-c1b1-01", "smoke-c4b1-12"))  # type: ignore[union-attr]
        assert own != other
        application = create_app(replace(hub.parts, shadow=lambda: {**report, "differences": differences}))
        seen = {}
        for grids in ((own,), ("*",)):
            client = TestClient(application, headers={"Authorization": f"Bearer {hub.token('officer', grids=grids)}"})
            found = client.get("/api/v1/rules/shadow").json()
            seen[grids] = ([one["device"] for one in found["differences"]], found["not_listed"])
    assert seen == {(own,): (["smoke-c1b1-01"], 6), ("*",): (["smoke-c1b1-01", "gone-1", "smoke-c4b1-12"], 4)}
