"""`gridhub rules list|show|diff|schema|history|rollback`: what an officer reads at the command line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from hub.__main__ import app
from hub.clock import now_ms
from hub.errors import ConfigError
from hub.registry.loader import load
from hub.rulebook import RuleBook
from hub.stores.ledger import Ledger
from hub.stores.rule_files import RuleFiles
from hub.stores.rule_versions import FILE, RuleVersions
from tests.support.ledgers import migrated_url
from tests.support.paths import CONFIG
from tests.support.rule_files import write_rules

SMOKE = "smoke-c1b1-01"
Gridhub = Callable[..., Result]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The example place with a handful of rules, and a school kitchen that is calmer about smoke."""
    shutil.copytree(CONFIG, tmp_path / "config", ignore=shutil.ignore_patterns("rules"))
    write_rules(tmp_path / "config" / "rules")
    edit(tmp_path / "config", "severity: P1\n", "severity: P1\n    overrides:\n" + _OVERRIDES, "smoke.yaml")
    return tmp_path / "config"


_OVERRIDES = (
    "      - {scope: {place: 440399001001-c1-b1}, when: {samples: 2}, why: school kitchen}\n"
    f"      - {{scope: {{device: {SMOKE}}}, when: {{samples: 3}}, severity: P2, why: above the stove}}\n"
)


def edit(config: Path, old: str, new: str, name: str = "cabinet.yaml") -> None:
    file = config / "rules" / name
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), "utf-8")


@pytest.fixture
def gridhub(config: Path) -> Gridhub:
    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["rules", *arguments, "--config", str(config)])

    return run


def test_list_says_each_rule_in_a_line_with_its_condition_and_devices(gridhub: Gridhub, config: Path) -> None:
    done = gridhub("list")
    assert done.exit_code == 0, done.output
    (line,) = [line for line in done.stdout.splitlines() if " cabinet-overheat " in line]
    assert line.startswith("P2 ")
    assert "threshold: temperature_c above 55, clear_below 50, hold_s 300" in line
    cabinets = sum(1 for d in load(config / "registry").devices() if d.kind == "charging_cabinet")
    assert f" {cabinets}  充电柜内高温 / Charging cabinet hot inside" in line
    assert f"{config}/rules/cabinet.yaml:" in line
    assert "2 overrides" in done.stdout


def test_list_searches_and_filters_by_severity(gridhub: Gridhub) -> None:
    found = gridhub("list", "烟雾").stdout
    assert "smoke-alarm" in found
    assert "cabinet-overheat" not in found
    urgent = gridhub("list", "--severity", "p1").stdout.splitlines()[:-1]
    assert urgent
    assert all(line.startswith("P1 ") for line in urgent)
    assert gridhub("list", "astrology").stdout.startswith("0 of ")


def block(output: str, rule: str) -> str:
    """What `show` says of one rule."""
    lines = output.splitlines()
    first = next(n for n, line in enumerate(lines) if f" {rule} " in line)
    last = next((n for n in range(first + 1, len(lines)) if not lines[n].startswith(" ")), len(lines))
    return "\n".join(lines[first:last])


def test_show_says_which_override_won_and_which_it_beat(gridhub: Gridhub, config: Path) -> None:
    done = gridhub("show", SMOKE)
    assert done.exit_code == 0, done.output
    said = block(done.stdout, "smoke-alarm")
    assert said.startswith("P2 smoke-alarm")
    assert "threshold: smoke equals true, samples 3, latched" in said
    assert f"decided by  device {SMOKE}: above the stove" in said
    assert "beaten      place 440399001001-c1-b1: school kitchen" in said
    line = next(
        n
        for n, text in enumerate((config / "rules" / "smoke.yaml").read_text("utf-8").splitlines(), 1)
        if "stove" in text
    )
    assert f"{config}/rules/smoke.yaml:{line}" in said


def test_show_says_when_the_rule_itself_decides_and_how_long_silence_may_last(gridhub: Gridhub) -> None:
    said = block(gridhub("show", "smoke-c2b1-01").stdout, "smoke-alarm")
    assert "decided by  the rule itself (kind smoke_alarm)" in said
    assert "beaten" not in said
    offline = block(gridhub("show", SMOKE).stdout, "battery-device-offline")
    assert "offline: silent for 7200 s (its supervision: radio)" in offline


def test_show_of_a_device_that_does_not_exist_names_the_nearest(gridhub: Gridhub) -> None:
    done = gridhub("show", "smoke-c1b1-1")
    assert done.exit_code == 1
    assert "did you mean smoke-c1b1-" in done.output


def test_diff_says_key_by_key_what_is_different(gridhub: Gridhub, config: Path, tmp_path: Path) -> None:
    shutil.copytree(config / "rules", tmp_path / "wanted")
    wanted = tmp_path / "wanted"
    text = (wanted / "cabinet.yaml").read_text("utf-8").replace("above: 55", "above: 60", 1)
    (wanted / "cabinet.yaml").write_text(text, "utf-8")
    (wanted / "gate.yaml").unlink()
    done = gridhub("diff", str(wanted), "--exit-code")
    assert done.exit_code == 1
    assert "when.above  55 → 60" in done.stdout
    assert "delays start afresh on" in done.stdout
    assert "\n- P" in done.stdout
    assert "Less protection: P2 forced-open is removed." in done.stdout
    backwards = gridhub("diff", str(wanted), str(config))
    assert backwards.exit_code == 0
    assert "when.above  60 → 55" in backwards.stdout
    same = gridhub("diff", str(config), "--exit-code")
    assert (same.exit_code, same.stdout.strip()) == (0, "No rule is different.")


def test_diff_with_rules_that_do_not_load_says_what_is_wrong(gridhub: Gridhub, tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "x.yaml").write_text("rules: [{id: x}]\n")
    assert isinstance(gridhub("diff", str(tmp_path / "bad")).exception, ConfigError)


def test_schema_is_printed_or_written_for_every_file(tmp_path: Path) -> None:
    run = CliRunner().invoke
    printed = json.loads(run(app, ["rules", "schema"]).stdout)
    written = run(app, ["rules", "schema", "--out", str(tmp_path)])
    assert written.exit_code == 0
    assert {Path(line).name for line in written.stdout.splitlines()} == {p.name for p in (CONFIG / "schema").iterdir()}
    assert json.loads((tmp_path / "rules.schema.json").read_text("utf-8")) == printed


@pytest.fixture
def url(tmp_path: Path) -> str:
    with migrated_url("sqlite", tmp_path) as found:
        return found


@pytest.fixture
def changed(config: Path, url: str) -> None:
    """A hub has read the rules, and Li has changed one."""
    ledger = Ledger.open(url, migrate=False)
    registry = load(config / "registry")
    book = RuleBook(RuleFiles(config / "rules"), RuleVersions(ledger), now_ms, lambda: registry)
    texts = book.current()
    first = book.versions.record(
        at_ms=1_767_225_600_000, who=FILE, why="read", version=texts.version, files=texts.texts(), summary={}
    )
    book.versions.applied(first.id, 1_767_225_600_000)
    wanted = {"cabinet.yaml": texts.text("cabinet.yaml").replace("above: 55", "above: 60", 1)}
    book.change(book.propose(wanted), who="li", why="[too] many", wait_s=0)
    ledger.close()


def test_a_broken_file_is_told_above_the_rules_that_the_ledger_says_are_in_force(
    gridhub: Gridhub, config: Path, url: str, changed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRIDHUB_LEDGER__URL", url)
    edit(config, "kind: threshold", "kind: treshold")
    for arguments in (("list", "overheat"), ("show", "cabinet-c1-02")):
        done = gridhub(*arguments)
        assert done.exit_code == 0, done.output
        first, second, *rest = done.stdout.splitlines()
        assert "unknown rule kind 'treshold' → did you mean 'threshold'?" in first
        assert "In force since 2026-01-01 08:00:00, entry 1 of the history" in second
        assert any("cabinet-overheat" in line for line in rest)


def test_without_a_record_a_broken_file_is_all_that_is_told(gridhub: Gridhub, config: Path) -> None:
    edit(config, "kind: threshold", "kind: treshold")
    assert isinstance(gridhub("list").exception, ConfigError)


def test_history_says_who_when_and_why_and_what_a_change_was(gridhub: Gridhub, url: str, changed: None) -> None:
    newest, first = gridhub("history", "--url", url).stdout.splitlines()
    assert newest.split()[0] == "2"
    assert "li: [too] many  (has not run)  [cabinet-overheat]" in newest
    assert "2026-01-01 08:00:00  file: read  (ran)" in first
    assert len(gridhub("history", "-n", "1", "--url", url).stdout.splitlines()) == 1
    one = gridhub("history", "2", "--url", url).stdout
    assert "when.above  55 → 60" in one
    assert "+    when: {above: 60" in one
    missing = gridhub("history", "9", "--url", url)
    assert missing.exit_code == 1
    assert "no entry 9" in missing.output


def test_rollback_needs_a_reason_can_be_tried_and_brings_the_files_back(
    gridhub: Gridhub, config: Path, url: str, changed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.cli.rules_manage._WAIT_S", 0)
    file = config / "rules" / "cabinet.yaml"
    assert "say why" in gridhub("rollback", "--url", url).output
    tried = gridhub("rollback", "--dry-run", "--url", url)
    assert "when.above  60 → 55" in tried.stdout
    assert "above: 60" in file.read_text("utf-8")
    done = gridhub("rollback", "--why", "worse", "--url", url)
    assert done.exit_code == 0, done.output
    assert "Back to the rules of entry 1, recorded as 3; no running hub has taken them over yet." in done.stdout
    assert "above: 55" in file.read_text("utf-8")
    assert ", back to 1: worse" in gridhub("history", "--url", url).stdout
    assert "nothing before" in gridhub("rollback", "--why", "x", "--url", url).output
    assert gridhub("rollback", "2", "--why", "x", "--url", url).exit_code == 0
    assert "above: 60" in file.read_text("utf-8")
    assert "already" in gridhub("rollback", "2", "--why", "x", "--url", url).stdout


def test_without_a_ledger_the_history_says_where_it_would_be(gridhub: Gridhub, tmp_path: Path) -> None:
    done = gridhub("history", "--url", f"sqlite:///{tmp_path}/none.db")
    assert done.exit_code == 1
    assert "there is no ledger" in done.output
    assert not (tmp_path / "none.db").exists()
