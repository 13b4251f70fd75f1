"""Scenes say what rules must and must not do; every shipped rule has some, and they are played on the live engine."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent
from xml.etree import ElementTree

import jsonschema
import pytest
import yaml
from typer.testing import CliRunner

from hub.__main__ import app
from hub.documents import parse
from hub.ingest.screen import Limits, Screen
from hub.model.readings import ReadingBatch
from hub.rules.engine import Engine
from hub.rules.found import Found
from hub.rules.ruleset import RuleSet, load_rules
from hub.rules.testing import scenes, spans
from hub.rules.testing.player import Player
from hub.rules.testing.scene_file import SceneFile
from hub.rules.testing.scene_play import Outcome, coverage, played
from tests.support.engine_stories import a_rule, ruleset

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "config" / "rules"
SCENE_FILES = sorted((RULES / "scenes").glob("*.yaml"))


@pytest.fixture(scope="module")
def shipped() -> RuleSet:
    return load_rules(RULES)


def outcome_of(text: str, rules: RuleSet) -> Outcome:
    (scene,) = made(text, rules)
    return played(scene, lambda: Screen(Limits()))


def made(text: str, rules: RuleSet) -> list[scenes.Scene]:
    found, wrong = read(text, rules)
    assert wrong == []
    return found


def read(text: str, rules: RuleSet) -> tuple[list[scenes.Scene], list[str]]:
    document, complaints = parse(dedent(text), "smoke.yaml")
    assert document is not None
    found, wrong = scenes.of_document(document, rules, complaints)
    return found, [str(c) for c in wrong]


# The shipped ones ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", SCENE_FILES, ids=lambda f: f.stem)
def test_the_shipped_rules_do_in_every_scene_what_is_expected(file: Path, shipped: RuleSet) -> None:
    found, wrong = scenes.read(file, shipped)
    assert wrong == []
    failures = {s.name: o.failures for s in found if not (o := played(s, lambda: Screen(Limits()))).passed}
    assert failures == {}


def test_every_shipped_rule_has_scenes_in_which_it_fires_clears_and_is_silent(shipped: RuleSet) -> None:
    shown = coverage([scene for file in SCENE_FILES for scene in scenes.read(file, shipped)[0]])
    bare = {r.spec.id for r in shipped.rules if shown.get(r.spec.id, set()) < {"fires", "clears", "silent"}}
    assert bare == set()


def test_every_file_of_rules_has_its_file_of_scenes() -> None:
    assert {f.name for f in SCENE_FILES} >= {f.name for f in RULES.glob("*.yaml")}


@pytest.mark.parametrize("file", SCENE_FILES, ids=lambda f: f.stem)
def test_the_schema_for_editors_takes_the_shipped_scenes(file: Path) -> None:
    schema = SceneFile.model_json_schema(by_alias=True)
    jsonschema.validate(yaml.safe_load(file.read_text("utf-8")), schema)


def test_the_schema_for_editors_refuses_what_the_reader_refuses() -> None:
    schema = SceneFile.model_json_schema(by_alias=True)
    step = {"at": "10s", "device": "smoke-alarm-1", "smok": True}
    scene = {"name": "x", "readings": [step], "silent": ["smoke-alarm"]}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"scenes": [scene]}, schema)


# What fails ----------------------------------------------------------------------------------------------------------

FIRE = """
    scenes:
      - name: a fire
        readings:
          - {at: +10s, device: smoke-alarm-1, smoke: true}
          - {at: +40s, device: smoke-alarm-1, smoke: false}
        expect:
          - {rule: smoke-alarm, device: smoke-alarm-1, EXPECTED}
    """


@pytest.mark.parametrize(
    ("expected", "failure"),
    [
        ("raised: +10s, cleared: +40s", ""),
        ("raised: +9s, cleared: +40s, within: 1s", ""),
        ("raised: +9s, cleared: +40s, within: 500ms", "expected raised at +9s … +9s500ms, and nothing came"),
        ("raised: +11s, cleared: +40s", "raised at +11s … +12s, and nothing came"),
        ("raised: +10s", "cleared at +40s, which nothing expects"),
        ("raised: +10s, cleared: +40s, severity: P3", "expected raised P3 at +10s … +11s, got raised P1 at +10s"),
        ("raised: +10s, cleared: +50s", "expected cleared at +50s … +51s, and nothing came"),
    ],
)
def test_what_is_not_as_expected_is_said_in_words(expected: str, failure: str, shipped: RuleSet) -> None:
    outcome = outcome_of(FIRE.replace("EXPECTED", expected), shipped)
    assert outcome.passed == (not failure)
    assert failure in "\n".join(outcome.failures)


def test_an_alert_that_nothing_expects_fails_the_scene(shipped: RuleSet) -> None:
    outcome = outcome_of(
        """
        scenes:
          - name: only the warmth was thought of
            rules: [cabinet.yaml]
            readings:
              - {at: +0s, every: 10s, for: 2m, device: charging-cabinet-1, cell_temperature_c: 65}
            expect:
              - {rule: cell-warm, device: charging-cabinet-1, raised: +60s}
        """,
        shipped,
    )
    assert outcome.failures == ("cell-overheat of charging-cabinet-1: raised P1 at +10s, which nothing expects",)


def test_a_condition_that_tells_nobody_counts_only_in_scenes_that_speak_of_it(shipped: RuleSet) -> None:
    scene = """
        scenes:
          - name: a vehicle in the fire lane
            readings:
              - {at: +10s, device: fire-lane-camera-1, lane_occupied: true}
              - {at: +60s, device: fire-lane-camera-1, lane_occupied: false}
            rules: [gate.yaml]
            OUTCOME
        """
    assert outcome_of(scene.replace("OUTCOME", "silent: [lane-occupied]"), shipped).passed
    expected = "expect: [{rule: lane-now, device: fire-lane-camera-1, raised: +10s, cleared: +60s}]"
    assert outcome_of(scene.replace("OUTCOME", expected), shipped).passed
    assert len(outcome_of(scene.replace("OUTCOME", "silent: [lane-now]"), shipped).failures) == 2


def test_silence_of_a_rule_that_counts_others_proves_something_only_when_they_are_reported(shipped: RuleSet) -> None:
    scene = """
        scenes:
          - name: one detector
            readings:
              - {at: +10s, device: smoke-alarm-1, QUANTITY: true}
            rules: [fire-confirmed]
            silent: [fire-confirmed]
        """
    assert outcome_of(scene.replace("QUANTITY", "smoke"), shipped).passed
    (failure,) = outcome_of(scene.replace("QUANTITY", "tamper"), shipped).failures
    assert failure.startswith("fire-confirmed is silent because nobody reports what smoke-alarm or heat-alarm")


def test_weeks_in_which_nothing_happens_are_leapt_over(shipped: RuleSet) -> None:
    (scene,) = made(
        """
        scenes:
          - name: low for a month
            rules: [smoke-battery-overdue]
            readings:
              - {at: +10s, device: smoke-alarm-1, battery_low: true}
            lasts: 720h
            expect:
              - {rule: smoke-battery-overdue, device: smoke-alarm-1, raised: 552h10s}
        """,
        shipped,
    )
    asked: list[int] = []

    class Counted(Engine):
        def tick(self, now_ms: int, position: int) -> Found:
            asked.append(now_ms)
            return super().tick(now_ms, position)

    told: list[int] = []
    engine = Counted(scene.ruleset, scene.registry, start_ms=scene.start_ms)
    player = Player(engine, start_ms=scene.start_ms, tell=lambda events: told.extend(e.at_ms for e in events))
    player.take(ReadingBatch.of([(scene.registry.slot_of["smoke-alarm-1"], "battery_low", 1.0, scene.start_ms, scene.start_ms, 0, 0)]))  # fmt: skip
    player.advance(scene.start_ms + 720 * 3_600_000)
    assert told == [scene.start_ms + 552 * 3_600_000]
    assert len(asked) < 200


def test_silence_that_proves_nothing_fails_the_scene(shipped: RuleSet) -> None:
    outcome = outcome_of(
        """
        scenes:
          - name: idle
            readings:
              - {at: +0s, device: smoke-alarm-1, smoke: false}
            silent: [smoke-alarm, detector-tamper, gas-alarm, {rule: smoke-alarm, device: gas-detector-1}]
        """,
        shipped,
    )
    assert outcome.failures == (
        "detector-tamper is silent because nobody reports tamper: that proves nothing",
        "gas-alarm is silent because nobody reports gas_alarm: that proves nothing",
        "smoke-alarm is silent because it does not watch gas-detector-1: that proves nothing",
    )


def test_silence_of_a_rule_that_could_never_know_anything_fails_the_scene() -> None:
    text = """
        scenes:
          - name: a cabinet that gets warm slowly
            readings:
              - {at: 0s, every: EVERY, for: 5m, device: charging-cabinet-1, temperature_c: {ramp: [20, 22]}}
            silent: [heats-up]
        """
    when = "{rises: 3, over_s: 60}"
    rules = ruleset(
        a_rule("heats-up", "rate_of_change", "device_kind: charging_cabinet, quantity: temperature_c", when)
    )
    text = text.replace("readings:", "rules: [heats-up]\n            readings:")
    (failure,) = outcome_of(text.replace("EVERY", "30s"), rules).failures
    assert failure.startswith("heats-up is silent because it never knew anything (always UNKNOWN); it needs a reading")
    assert outcome_of(text.replace("EVERY", "5s"), rules).passed


def test_an_engine_that_depends_on_how_batches_are_cut_fails_the_scene(
    shipped: RuleSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Engine.evaluate

    def only_the_first(self: Engine, batch: object) -> object:
        return honest(self, batch.take(slice(0, 1)))  # type: ignore[attr-defined]

    monkeypatch.setattr(Engine, "evaluate", only_the_first)
    outcome = outcome_of(
        """
        scenes:
          - name: two fires in a second
            readings:
              - {at: +1s, device: [smoke-alarm-1, smoke-alarm-2], smoke: true}
            expect:
              - {rule: smoke-alarm, device: [smoke-alarm-1, smoke-alarm-2], raised: +1s}
        """,
        shipped,
    )
    assert any("seven readings at a time" in failure for failure in outcome.failures)


def test_an_engine_that_forgets_over_a_restart_fails_the_scene(
    shipped: RuleSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.rules.testing.scene_play.snapshot.restore", lambda engine, body: {})
    outcome = outcome_of(FIRE.replace("EXPECTED", "raised: +10s, cleared: +40s"), shipped)
    assert any("with restarts in between" in failure for failure in outcome.failures)


# What is refused -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "complaint"),
    [
        ("{at: 10, device: smoke-alarm-1, smoke: true}", "at: write a length of time with its unit"),
        ("{at: 10s, device: smoke-alarm-1, smok: true}", "smok: unknown key → did you mean 'smoke'?"),
        ("{at: 10s, device: smoke-alarm-1, smoke: 7}", "smoke cannot be 7; it takes true or false"),
        ("{at: 10s, device: lock-1, lock_state: jamed}", "it takes locked, unlocked"),
        ("{at: 10s, smoke: true}", "whose values? add device"),
        ("{at: 10s, device: smoke-alarm-1}", "say one thing"),
        ("{at: 10s, restart: true, away: 5m}", "say one thing"),
        ("{at: 10s, device: env-1, temperature_c: {ramp: [1, 2]}}", "a pattern needs every and for"),
        ("{at: 10s, device: env-1, temperature_c: {rmp: [1, 2]}, every: 1s, for: 9s}", "give one pattern"),
        ("{at: 10s, device: lock-1, lock_state: {ramp: [locked, jammed]}, every: 1s, for: 9s}", "ramp takes two"),
        ("{at: 10s, device: env-1, temperature_c: 1, every: 1s}", "every and for go together"),
        ("{at: 10s, device: env-1, temperature_c: 1, every: 1ms, for: 1h}", "more than 100,000 readings"),
        ("{at: -10s, device: env-1, temperature_c: 1}", "time runs forward only"),
        ("{at: 10s, device: smok-1, smoke: true}", "there is no device 'smok-1'"),
        ("{at: 10s, device: smoke-alarm-1, smoke: true, flags: [laet]}", "'laet' is not known here"),
    ],
)
def test_a_step_that_makes_no_sense_is_refused_with_its_place(step: str, complaint: str, shipped: RuleSet) -> None:
    text = f"scenes:\n  - name: x\n    readings:\n      - {step}\n    silent: [smoke-alarm]\n"
    found, wrong = read(text, shipped)
    assert found == []
    assert any(complaint in one for one in wrong), wrong
    assert all(one.startswith("smoke.yaml:") for one in wrong)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("expect: [{rule: smoke-alrm, device: smoke-alarm-1, raised: 1s}]", "did you mean 'smoke-alarm'?"),
        ("expect: [{rule: gas-alarm, device: gas-detector-1}]", "expect what?"),
        ("expect: [{rule: lock-jammed, device: lock-1, raised: 1s}]", "add gate.yaml to 'rules'"),
        ("expect: [{rule: smoke-alarm, device: smoke-alarm-1, raised: 5s, cleared: 1s}]", "comes after it"),
        ("silent: [smoke]", "there is no rule 'smoke'"),
        ("rules: [smoke.yml]\n    silent: [smoke-alarm]", "did you mean 'smoke.yaml'?"),
        ("start: noon\n    silent: [smoke-alarm]", "'noon' is no instant"),
        ("lasts: 5m", "a scene without outcome proves nothing"),
        ("devices: {a: {kind: smoke_alrm}}\n    silent: [smoke-alarm]", "'smoke_alrm' is not known here"),
    ],
)
def test_an_outcome_that_makes_no_sense_is_refused_with_its_place(body: str, complaint: str, shipped: RuleSet) -> None:
    found, wrong = read(f"scenes:\n  - name: x\n    {body}\n", shipped)
    assert found == []
    assert any(complaint in one for one in wrong), wrong


def test_two_scenes_of_one_name_are_refused(shipped: RuleSet) -> None:
    text = "scenes:\n" + "  - {name: x, silent: [smoke-alarm]}\n" * 2
    _, wrong = read(text, shipped)
    assert any("a scene with this name exists" in one for one in wrong)


# The place and the time ----------------------------------------------------------------------------------------------


def test_a_scene_can_bring_its_own_places_and_devices(shipped: RuleSet) -> None:
    (scene,) = made(
        """
        places:
          annexe: {level: building, parent: grid-2}
        devices:
          roof: {kind: smoke_alarm, place: annexe, supervision: nbiot, interval: 24h, model: SD-9, tags: [old]}
        scenes:
          - name: x
            readings: [{at: 1s, device: roof, smoke: true}]
            expect: [{rule: smoke-alarm, device: roof, raised: 1s}]
        """,
        shipped,
    )
    roof = scene.registry.find("roof")
    assert roof is not None
    assert (roof.place, roof.grid, roof.model, roof.expected_interval_s) == ("annexe", "grid-2", "SD-9", 86_400.0)
    assert set(scene.registry.slot_of) == {"roof", "hub", "canary"}
    assert played(scene, lambda: Screen(Limits())).passed


def test_a_scene_can_have_its_own_zone_and_calendar(shipped: RuleSet) -> None:
    text = """
        timezone: Europe/Berlin
        holidays: [2024-05-01]
        scenes:
          - name: x
            start: 2024-05-01T23:30:00
            readings: [{at: 1s, device: smoke-alarm-1, smoke: true}]
            expect: [{rule: smoke-alarm, device: smoke-alarm-1, raised: 1s}]
        """
    (scene,) = made(text, shipped)
    assert scene.start_ms == 1_714_599_000_000
    assert played(scene, lambda: Screen(Limits())).passed
    _, wrong = read(text.replace("Europe/Berlin", "Europe/Berlins"), shipped)
    assert any("'Europe/Berlins' is no time zone" in one for one in wrong)


def test_only_devices_that_a_scene_names_are_there_and_hang_behind_a_gateway_that_it_names(shipped: RuleSet) -> None:
    (scene,) = made(
        """
        scenes:
          - name: x
            rules: [supervision.yaml]
            readings: [{at: 1s, device: [gateway-1, smoke-alarm-1, smoke-alarm-4], online: true}]
            silent: [gateway-offline]
        """,
        shipped,
    )
    parents = {d.id: d.parent for d in scene.registry.devices()}
    assert parents == {"gateway-1": "", "smoke-alarm-1": "gateway-1", "smoke-alarm-4": "", "hub": "", "canary": ""}


def test_the_same_noise_comes_each_time(shipped: RuleSet) -> None:
    text = """
        scenes:
          - name: x
            readings: [{at: 1s, every: 1s, for: 9s, device: heat-detector-1, temperature_c: {noise: [20, 2]}}]
            silent: [heat-high]
        """
    first, again = made(text, shipped)[0], made(text, shipped)[0]
    assert first.said == again.said
    assert len({s.value for s in first.said}) == 10
    assert all(18 <= s.value <= 22 for s in first.said)


@pytest.mark.parametrize(
    ("text", "ms"), [("90s", 90_000), ("+1m30s", 90_000), ("-10m", -600_000), ("500ms", 500), ("1.5h", 5_400_000)]
)
def test_lengths_of_time_are_read(text: str, ms: int) -> None:
    assert spans.parsed(text) == ms
    assert spans.parsed(spans.spoken(ms)) == ms


# The command ---------------------------------------------------------------------------------------------------------


def run(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["rules", "test", *map(str, arguments)], env={"COLUMNS": "150"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        return 2, str(result.exception)
    return result.exit_code, result.output


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "scenes").mkdir()
    (tmp_path / "water.yaml").write_text((RULES / "water.yaml").read_text("utf-8"), "utf-8")
    (tmp_path / "scenes" / "water.yaml").write_text((RULES / "scenes" / "water.yaml").read_text("utf-8"), "utf-8")
    return tmp_path


def test_the_command_passes_when_all_is_as_expected(folder: Path) -> None:
    code, said = run(folder / "scenes", "--every-rule")
    assert (code, "0 failed" in said) == (0, True)


def test_the_command_fails_and_shows_both_timelines_when_a_limit_was_changed(folder: Path) -> None:
    rules = folder / "water.yaml"
    rules.write_text(rules.read_text("utf-8").replace("hold_s: 5", "hold_s: 20"), "utf-8")
    report = folder / "out" / "junit.xml"
    code, said = run(folder / "scenes", "--junit", report)
    assert code == 1
    assert "water-leak of water-leak-1: expected raised P3 at +15s … +16s, and nothing came" in said
    assert "raised P3 at +30s, which nothing expects" in said
    suite = ElementTree.parse(report).getroot().find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures")) == ("4", "1")
    assert suite.find("testcase/failure") is not None


def test_the_readings_around_a_failure_are_shown_and_not_the_first_ones(folder: Path) -> None:
    scene = """
scenes:
  - name: late
    rules: [smoke-alarm]
    readings:
      - {at: 0s, every: 10s, for: 20m, device: smoke-alarm-1, smoke: false}
      - {at: 20m5s, device: smoke-alarm-1, smoke: true}
    expect:
      - {rule: smoke-alarm, device: smoke-alarm-1, raised: 20m}
"""
    (folder / "scenes" / "late.yaml").write_text(scene, "utf-8")
    code, said = run(folder / "scenes" / "late.yaml", "--rules", RULES)
    assert code == 1
    assert "smoke-alarm-1: smoke true" in said
    assert "+19m50s" in said
    assert "+10s " not in said
    assert "… and 110 more readings" in said


def test_the_command_speaks_json(folder: Path) -> None:
    code, said = run(folder / "scenes" / "water.yaml", "--json")
    found = json.loads(said)
    assert (code, found["passed"], found["failed"]) == (0, 4, 0)
    assert {line["verdict"] for scene in found["scenes"] for line in scene["timeline"]} == {"as expected"}


def test_the_command_names_rules_without_scenes(folder: Path) -> None:
    scene = folder / "scenes" / "water.yaml"
    scene.write_text(scene.read_text("utf-8").partition("  - name: a hydrant")[0], "utf-8")
    code, said = run(folder / "scenes", "--every-rule")
    assert code == 1
    assert "hydrant-pressure-low: no scene in which it fires or clears or is silent" in said


def test_the_command_says_all_that_is_wrong_with_the_files(folder: Path) -> None:
    (folder / "scenes" / "a.yaml").write_text("scenes:\n  - {name: x, silent: [smoke]}\n", "utf-8")
    (folder / "scenes" / "b.yaml").write_text("scenes: []\n", "utf-8")
    code, said = run(folder / "scenes", folder / "nowhere")
    assert code == 2
    assert "a.yaml:2" in said
    assert "b.yaml:1" in said
    assert "no such file or folder" in said
