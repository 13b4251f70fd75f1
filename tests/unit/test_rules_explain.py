"""Why a rule fired, or did not: from the journal's own records, on the engine that runs live."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hub.__main__ import app
from hub.clock import SteppedClock
from hub.errors import NotFound, Unavailable
from hub.ingest.router import Source
from hub.model.readings import Envelope
from hub.registry.loader import load
from hub.registry.snapshot import Registry
from hub.replay.answers import Answers, Change, InForce, rules_at
from hub.replay.explainer import Explainer, lookback_ms
from hub.replay.journal_source import shelf_of
from hub.replay.telling import told
from hub.rules.kinds.kind import Context
from hub.rules.ruleset import RuleSet, load_rules
from hub.rules.testing.explaining import Explanation, rule_text
from hub.rules.testing.subject import Subject
from hub.stores.journal import Journal, JournalConfig
from hub.stores.ledger import Ledger
from hub.stores.record_queries import Recorded, RecordQueries, SetAside
from hub.stores.rule_files import RuleTexts
from hub.stores.rule_versions import RuleVersions
from hub.stores.schema import quarantine
from tests.support.ledgers import migrated_url
from tests.support.served import hub_at

ROOT = Path(__file__).resolve().parents[2]
T0 = 1_704_067_200_000  # 2024-01-01T08:00 at the site
GATEWAY = "gw-c4-b1"
SMOKE, GAS = "smoke-c4b1-12", "gas-c4b1-03"
SOURCES = (Source(codec="native-v1", root="sc/v1"), Source(codec="zigbee2mqtt", root="zigbee2mqtt"))


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load(ROOT / "config" / "registry")


@pytest.fixture(scope="module")
def shipped() -> RuleSet:
    return load_rules(ROOT / "config" / "rules")


@pytest.fixture(scope="module")
def cabinet(registry: Registry) -> str:
    return next(d.id for d in registry.devices() if d.kind == "charging_cabinet")


class Tape:
    """Writes a journal as a running hub would: messages, and a tick each second."""

    def __init__(self, folder: Path, registry: Registry) -> None:
        self.folder, self.registry = folder, registry
        self.messages: list[tuple[int, Envelope]] = []
        self.seq = 0

    def says(self, at_s: float, device: str, *, ts: float | None = None, channel: str = "tele", **values: Any) -> None:
        self.seq += 1
        codec, _, address = self.registry.find(device).addresses[0].partition(":")  # type: ignore[union-attr]
        if codec == "zigbee2mqtt":
            plain = Envelope(address, json.dumps(values).encode(), T0 + int(at_s * 1_000))
            self.messages.append((plain.received_at_ms, plain))
            return
        body: dict[str, Any] = {"v": 1, "seq": self.seq, "m": values}
        body["ts"] = T0 + int((at_s if ts is None else ts) * 1_000)
        envelope = Envelope(f"sc/v1/{address}/{channel}", json.dumps(body).encode(), T0 + int(at_s * 1_000))
        self.messages.append((envelope.received_at_ms, envelope))

    def again(self, at_s: float) -> None:
        """The last message, once more."""
        last = self.messages[-1][1]
        self.messages.append((T0 + int(at_s * 1_000), last._replace(received_at_ms=T0 + int(at_s * 1_000))))

    def written(self, until_s: int, *, away: tuple[int, int] = (0, 0)) -> Path:
        journal = Journal.open(self.folder, JournalConfig(reserve_mib=0, segment_mib=1))
        waiting = sorted(self.messages)
        for second in range(until_s):
            end = T0 + (second + 1) * 1_000
            group = [envelope for at, envelope in waiting if end - 1_000 <= at < end]
            if away[0] <= second < away[1]:
                assert not group
                continue
            journal.append(group, tick_ms=end - 1)
        journal.close()
        return self.folder


Ask = Callable[..., Explanation]


@pytest.fixture
def ask(tmp_path: Path, registry: Registry, shipped: RuleSet) -> Ask:
    def asked(rule: str, device: str, at_s: float, *, rules: RuleSet | None = None, most: int = 10**9) -> Explanation:
        explainer = Explainer(
            records=shelf_of(tmp_path / "journal"), sources=SOURCES, zone="Asia/Shanghai", most_records=most
        )
        texts = {p.name: p.read_text("utf-8") for p in (ROOT / "config" / "rules").glob("*.yaml")}
        answers = Answers(
            explainer=explainer, registry=lambda: registry, in_force=lambda at_ms: InForce(rules or shipped, texts)
        )
        return answers.of_device(device, rule, T0 + int(at_s * 1_000))

    return asked


@pytest.fixture
def tape(tmp_path: Path, registry: Registry) -> Tape:
    return Tape(tmp_path / "journal", registry)


def english(found: Explanation) -> str:
    data = told(found, "Asia/Shanghai")
    parts = [data["verdict"], *data["because"], *data["kept_quiet"], *data["notes"]]
    return "\n".join(part["text"]["en"] for part in parts)


# Why it fired --------------------------------------------------------------------------------------------------------


def test_a_fire_is_explained_by_its_reading(tape: Tape, ask: Ask) -> None:
    tape.says(10, SMOKE, smoke=False)
    tape.says(30, SMOKE, smoke=True)
    tape.written(60)
    found = ask("smoke-alarm", SMOKE, 30)
    assert found.fired
    assert found.verdict.code == "fired"
    assert "It fired at 2024-01-01 08:00:30: smoke: equals true." in english(found)
    assert "smoke was true at 2024-01-01 08:00:30." in english(found)
    assert [(s.value, s.before, s.state, s.event) for s in found.steps if s.what == "reading"] == [
        (False, "normal", "normal", ""),
        (True, "normal", "active", "raised"),
    ]
    assert found.text.startswith("  - id: smoke-alarm") or found.text.startswith("- id: smoke-alarm")


def test_a_delay_is_explained_by_what_began_it_and_how_long_it_held(tape: Tape, ask: Ask, cabinet: str) -> None:
    for second in range(0, 700, 30):
        tape.says(second, cabinet, temperature_c=57.5)
    tape.written(700)
    found = ask("cabinet-overheat", cabinet, 305)
    assert found.fired
    assert "It stayed so for 300 s from 2024-01-01 08:00:00" in english(found)
    assert found.evidence["hold_s"] == 300
    assert found.rule.run.threshold == 55


def test_a_lost_device_is_explained_by_when_it_was_last_heard(tape: Tape, ask: Ask) -> None:
    tape.says(5, GATEWAY, online=True)
    tape.written(150)
    found = ask("gateway-offline", GATEWAY, 120)
    assert found.fired
    assert "It was last heard at 2024-01-01 08:00:05, and may be silent for 100 s." in english(found)


# Why it did not ------------------------------------------------------------------------------------------------------


def test_a_value_below_the_limit(tape: Tape, ask: Ask, cabinet: str) -> None:
    tape.says(30, cabinet, temperature_c=52.0)
    tape.written(60)
    found = ask("cabinet-fire-heat", cabinet, 50)
    assert (found.fired, found.verdict.code) == (False, "not-reached")
    assert "temperature_c was 52 °C at 2024-01-01 08:00:30; the rule wants temperature_c: above 70" in english(found)


def test_a_delay_that_is_not_over(tape: Tape, ask: Ask) -> None:
    tape.says(20, SMOKE, battery_pct=8)
    tape.written(120)
    found = ask("smoke-battery-level", SMOKE, 61)
    assert found.verdict.code == "hold-not-over"
    assert "held for 41 s of the 60 s that it must, since 2024-01-01 08:00:20" in english(found)


def test_a_delay_that_was_cut_short(tape: Tape, ask: Ask) -> None:
    tape.says(20, SMOKE, battery_pct=8)
    tape.says(50, SMOKE, battery_pct=60)
    tape.written(120)
    found = ask("smoke-battery-level", SMOKE, 100)
    assert found.verdict.code == "not-reached"
    assert "from 2024-01-01 08:00:20 to 2024-01-01 08:00:50: 30 s of the 60 s that it must" in english(found)


def test_a_second_reading_that_is_still_missing(tape: Tape, ask: Ask, cabinet: str) -> None:
    tape.says(20, cabinet, cell_temperature_c=61.0)
    tape.written(60)
    found = ask("cell-overheat", cabinet, 40)
    assert found.verdict.code == "samples"
    assert "1 of the 2 readings in a row had come." in english(found)


@pytest.mark.parametrize(
    ("said", "code", "words"),
    [
        ({"smoke": None}, "left-out-unknown", "neither raises nor clears"),
        ({"temperature_c": 5_000}, "left-out-implausible", "impossible"),
    ],
)
def test_a_reading_that_does_not_count(
    tape: Tape, ask: Ask, registry: Registry, said: dict[str, Any], code: str, words: str
) -> None:
    heat = next(d.id for d in registry.devices() if d.kind == "heat_detector")
    device, rule = (SMOKE, "smoke-alarm") if "smoke" in said else (heat, "heat-high")
    tape.says(20, device, **said)
    tape.written(60)
    found = ask(rule, device, 40)
    assert found.verdict.code == code
    assert words in english(found)


def test_a_value_that_came_too_late(tape: Tape, ask: Ask, cabinet: str) -> None:
    tape.says(4_000, cabinet, ts=20, temperature_c=80.0)
    tape.written(4_060)
    found = ask("cabinet-fire-heat", cabinet, 4_050)
    assert found.verdict.code == "left-out-late"
    assert "measured long before, at 2024-01-01 08:00:20" in english(found)


def test_a_repeated_message(tape: Tape, ask: Ask) -> None:
    tape.says(20, SMOKE, smoke=True)
    tape.says(25, SMOKE, smoke=False)
    tape.messages.append(tape.messages[0])
    tape.messages[-1] = (T0 + 30_000, tape.messages[0][1]._replace(received_at_ms=T0 + 30_000))
    tape.written(60)
    found = ask("smoke-alarm", SMOKE, 50)
    assert (found.fired, found.verdict.code) == (False, "left-out-duplicate")
    assert "1 repeated messages counted as signs of life only." in english(found)


def test_no_reading_at_all(tape: Tape, ask: Ask) -> None:
    tape.says(20, SMOKE, battery_pct=90)
    tape.written(60)
    found = ask("smoke-alarm", SMOKE, 50)
    assert found.verdict.code == "no-reading"
    assert "last heard at 2024-01-01 08:00:20, with something else" in english(found)


def test_a_device_that_the_rule_does_not_watch(tape: Tape, ask: Ask) -> None:
    tape.written(10)
    found = ask("smoke-alarm", GATEWAY, 5)
    assert (found.watches, found.verdict.code) == (False, "not-in-scope")
    assert "it is for kind smoke_alarm, and gw-c4-b1 is of kind gateway" in english(found)


def test_silence_that_is_not_long_enough_and_silence_that_means_nothing(tape: Tape, ask: Ask) -> None:
    tape.says(5, GATEWAY, online=True)
    tape.written(80)
    found = ask("gateway-offline", GATEWAY, 65)
    assert found.verdict.code == "not-silent-long-enough"
    assert "silent for 60 s of the 100 s that it may; last heard at 2024-01-01 08:00:05" in english(found)


def changed(tmp_path: Path, file: str, before: str, after: str) -> RuleSet:
    folder = tmp_path / "rules"
    shutil.copytree(ROOT / "config" / "rules", folder)
    text = (folder / file).read_text("utf-8")
    assert before in text
    (folder / file).write_text(text.replace(before, after, 1), "utf-8")
    return load_rules(folder)


def test_an_override_that_raises_the_limit(tape: Tape, ask: Ask, tmp_path: Path, cabinet: str) -> None:
    rules = changed(
        tmp_path,
        "cabinet.yaml",
        "    when: {above: 70, clear_below: 55}\n",
        "    when: {above: 70, clear_below: 55}\n"
        f"    overrides: [{{scope: {{device: {cabinet}}}, when: {{above: 85}}, why: stands in the sun}}]\n",
    )
    tape.says(20, cabinet, temperature_c=75.0)
    tape.written(60)
    found = ask("cabinet-fire-heat", cabinet, 50, rules=rules)
    assert found.verdict.code == "between"
    said = english(found)
    assert "below the limit, though not yet clear of it (temperature_c: above 85" in said
    assert "The rule itself says temperature_c: above 70" in said
    assert "stands in the sun" in said


def test_a_rule_that_is_switched_off_for_all_or_here(tape: Tape, ask: Ask, tmp_path: Path) -> None:
    tape.written(10)
    rules = changed(tmp_path, "smoke.yaml", "    latch: true\n", "    latch: true\n    enabled: false\n")
    assert ask("smoke-alarm", SMOKE, 5, rules=rules).verdict.code == "disabled"
    shutil.rmtree(tmp_path / "rules")
    here = f"    latch: true\n    overrides: [{{scope: {{device: {SMOKE}}}, enabled: false, why: under repair}}]\n"
    rules = changed(tmp_path, "smoke.yaml", "    latch: true\n", here)
    found = ask("smoke-alarm", SMOKE, 5, rules=rules)
    assert found.verdict.code == "disabled-by-override"
    assert "under repair" in english(found)


def test_a_condition_that_another_one_explains(tape: Tape, ask: Ask, registry: Registry, shipped: RuleSet) -> None:
    inhibited = [r for r in shipped.rules if any(i.rule == "gateway-offline" for i in r.inhibitors)]
    children = {d.kind: d for d in registry.devices() if d.parent == GATEWAY and d.supervision == "mains"}
    rule, child = next((r, d) for r in inhibited for d in children.values() if d.kind in r.spec.device_kinds)
    tape.says(5, GATEWAY, online=True)
    tape.says(6, child.id, online=True)
    tape.written(240)
    found = ask(rule.spec.id, child.id, 200)
    assert not found.fired
    assert found.verdict.code == "inhibited"
    assert f"while gateway-offline is active for {GATEWAY}" in english(found)
    parent = ask("gateway-offline", GATEWAY, 200)
    assert f"While it lasts, {rule.spec.id} keeps quiet" in english(parent)


def test_a_correlation_lists_only_what_its_terms_read(tape: Tape, ask: Ask) -> None:
    tape.says(10, SMOKE, battery_pct=80)
    tape.says(20, SMOKE, smoke=True)
    tape.says(30, SMOKE, battery_pct=79)
    tape.written(60)
    found = ask("fire-confirmed", SMOKE, 50)
    assert {step.quantity for step in found.steps if step.what == "reading"} == {"smoke"}


# What was recorded ---------------------------------------------------------------------------------------------------


class Kept:
    """What a ledger would know."""

    def __init__(self, *fired: Recorded, aside: SetAside | None = None) -> None:
        self.known, self.aside = fired, aside

    def fired(self, rule_id: str, devices: list[str], from_ms: int, to_ms: int) -> list[Recorded]:
        return [one for one in self.known if one.raised_ms <= to_ms and one.device_id in devices]

    def set_aside(self, addresses: tuple[str, ...], from_ms: int, to_ms: int) -> SetAside | None:
        return self.aside


def fired(at_s: float, device: str, ended_s: float | None = None, reason: str = "") -> Recorded:
    end = None if ended_s is None else T0 + int(ended_s * 1_000)
    closed = end if reason else None
    more = {"closed_by": "hub" if reason else "", "reason": reason, "chattering": False}
    return Recorded(
        alert_id="a", device_id=device, raised_ms=T0 + int(at_s * 1_000), ended_ms=end, closed_ms=closed, **more
    )  # type: ignore[arg-type]


@pytest.fixture
def ask_then(tmp_path: Path, registry: Registry) -> Ask:
    def asked(rule: str, device: str, at_s: float, kept: Kept, *ran: tuple[float, RuleSet]) -> Explanation:
        """`ran`: rules, and since when they were in force."""
        since = [(T0 + int(s * 1_000), rules) for s, rules in ran]

        def in_force(at_ms: int) -> InForce:
            rules = [rules for since_ms, rules in since if since_ms <= at_ms][-1]
            between = lambda after: [Change(at, r, "op-1", "trial") for at, r in since if after < at <= at_ms]  # noqa: E731
            return InForce(rules, {}, record=kept, changes=between)  # type: ignore[arg-type]

        explainer = Explainer(records=shelf_of(tmp_path / "journal"), sources=SOURCES, zone="Asia/Shanghai")
        answers = Answers(explainer=explainer, registry=lambda: registry, in_force=in_force)
        return answers.of_device(device, rule, T0 + int(at_s * 1_000))

    return asked


LONG_AGO = -86_400.0


def test_a_raise_is_dated_by_the_delay_that_was_in_force_then(
    tape: Tape, ask_then: Ask, shipped: RuleSet, tmp_path: Path
) -> None:
    sooner = changed(tmp_path, "smoke.yaml", "clear_above: 20, hold_s: 60}", "clear_above: 20, hold_s: 5}")
    tape.says(20, SMOKE, battery_pct=8)
    tape.written(200)
    found = ask_then("smoke-battery-level", SMOKE, 150, Kept(fired(80, SMOKE)), (LONG_AGO, shipped), (100, sooner))
    assert found.fired
    said = english(found)
    assert "It fired at 2024-01-01 08:01:20, by the rule as it was then." in said
    assert "It stayed so for 5 s" not in said
    assert "The rule was another before 2024-01-01 08:01:40: battery_pct:" in said
    assert "changed then by op-1 (trial)" in said
    assert [s.event for s in found.steps if s.event][-1] == "rule changed"


def test_a_rule_that_was_off_meanwhile_began_afresh_and_says_why_its_alert_was_closed(
    tape: Tape, ask_then: Ask, shipped: RuleSet, tmp_path: Path
) -> None:
    off = changed(tmp_path, "smoke.yaml", "    latch: true\n", "    latch: true\n    enabled: false\n")
    tape.says(20, SMOKE, smoke=True)
    tape.written(100)
    kept = Kept(fired(20, SMOKE, 40, "the rule was switched off"))
    found = ask_then("smoke-alarm", SMOKE, 80, kept, (LONG_AGO, shipped), (40, off), (50, shipped))
    assert not found.fired
    said = english(found)
    assert "That alert was closed at 2024-01-01 08:00:40 by hub: the rule was switched off." in said
    assert "The rule was another before 2024-01-01 08:00:50: it was switched off." in said


def test_a_device_that_the_hub_did_not_know_then_did_not_fire(tape: Tape, ask_then: Ask, shipped: RuleSet) -> None:
    tape.says(20, SMOKE, smoke=True)
    tape.written(60)
    strange = SetAside(count=1, first_ms=T0 + 20_000, last_ms=T0 + 20_000)
    found = ask_then("smoke-alarm", SMOKE, 50, Kept(aside=strange), (LONG_AGO, shipped))
    assert (found.fired, found.verdict.code) == (False, "unknown-then")
    said = english(found)
    assert "The hub did not know the device then: 1 of its messages, from 2024-01-01 08:00:20" in said
    assert "says otherwise: It fired at 2024-01-01 08:00:20" in said


def test_what_was_recorded_is_the_verdict_where_the_replay_says_something_else(
    tape: Tape, ask_then: Ask, shipped: RuleSet
) -> None:
    tape.says(20, SMOKE, smoke=True)
    tape.says(5, GATEWAY, online=True)
    tape.written(60)
    assert ask_then("smoke-alarm", SMOKE, 50, Kept(), (LONG_AGO, shipped)).verdict.code == "not-recorded"
    agrees = ask_then("smoke-alarm", SMOKE, 50, Kept(fired(20, SMOKE)), (LONG_AGO, shipped))
    assert (agrees.fired, [n.code for n in agrees.notes]) == (True, [])
    assert "The hub recorded it as active from 2024-01-01 08:00:20 on." in english(agrees)
    earlier = ask_then("smoke-alarm", SMOKE, 50, Kept(fired(2, SMOKE)), (LONG_AGO, shipped))
    assert "It fired at 2024-01-01 08:00:02, as the hub recorded it." in english(earlier)
    unseen = ask_then("gateway-offline", GATEWAY, 50, Kept(fired(30, GATEWAY)), (LONG_AGO, shipped))
    assert unseen.fired
    assert "which playing the records again does not show" in english(unseen)


def test_the_ledger_tells_what_fired_and_whose_messages_were_set_aside(tmp_path: Path) -> None:
    with hub_at(tmp_path, SteppedClock(T0)) as hub:
        hub.says(SMOKE, "smoke-alarm")
        record = RecordQueries(hub.ledger)
        (one,) = record.fired("smoke-alarm", [SMOKE, GAS], 0, T0 + 10**9)
        assert (one.device_id, one.ended_ms, one.reason) == (SMOKE, None, "")
        assert record.fired("smoke-alarm", [GAS], 0, T0 + 10**9) == []
        assert record.set_aside(["native-v1:x"], 0, T0) is None
        row = {"topic": "t", "reason": "unknown device", "codec": "native-v1", "address": "native-v1:x", "count": 3}
        with hub.ledger.begin() as connection:
            times = {"first_at_ms": T0, "last_at_ms": T0 + 5, "position": 1, "payload": b"", "detail": ""}
            connection.execute(quarantine.insert().values(**row, **times))
        assert record.set_aside(["native-v1:x"], T0 + 5, T0 + 9) == SetAside(count=3, first_ms=T0, last_ms=T0 + 5)
        assert record.set_aside(["native-v1:x"], T0 + 6, T0 + 9) is None


def test_the_history_gives_the_rules_of_then_and_each_change_until_then(shipped: RuleSet, tmp_path: Path) -> None:
    texts = {p.name: p.read_text("utf-8") for p in (ROOT / "config" / "rules").glob("*.yaml")}
    later = {
        **texts,
        "smoke.yaml": texts["smoke.yaml"].replace("clear_above: 20, hold_s: 60}", "clear_above: 20, hold_s: 5}"),
    }
    with migrated_url("sqlite", tmp_path) as url:
        ledger = Ledger.open(url, migrate=False)
        versions = RuleVersions(ledger)
        for at_s, who, files in ((10, "file", texts), (100, "li", later), (200, "li", texts)):
            version = RuleTexts.of({name: text.encode() for name, text in files.items()}).version
            entry = versions.record(at_ms=T0, who=who, why=f"w{at_s}", version=version, files=files, summary={})
            versions.applied(entry.id, T0 + at_s * 1_000)
        now = InForce(shipped, texts, "of now")

        def hold_s(rules: RuleSet) -> float:
            found = rules.find("smoke-battery-level")
            assert found is not None
            return found.run.hold_ms / 1_000

        then = rules_at(versions, T0 + 150_000, Context(), now)
        assert (then.sure, hold_s(then.rules)) == (True, 5)
        assert then.changes is not None
        assert [(c.at_ms - T0, c.who, c.why, hold_s(c.rules)) for c in then.changes(T0 + 50_000)] == [
            (100_000, "li", "w100", 5)
        ]
        assert then.changes(T0 + 100_000) == []
        before = rules_at(versions, T0, Context(), now)
        assert (before.sure, before.record) == (False, None)
        ledger.close()


# What is missing -----------------------------------------------------------------------------------------------------


def test_records_that_are_gone_are_said_to_be(tape: Tape, ask: Ask) -> None:
    tape.says(20, SMOKE, smoke=True)
    tape.written(60)
    found = ask("smoke-alarm", SMOKE, 7 * 86_400)
    assert not found.fired
    assert "not all there" in english(found)


def test_a_question_reads_no_more_than_it_may(tape: Tape, ask: Ask) -> None:
    for second in range(0, 600, 5):
        tape.says(second, SMOKE, smoke=False)
    tape.written(600)
    found = ask("smoke-alarm", SMOKE, 599, most=100)
    assert "not all there" in english(found)


def test_unknown_names_are_refused(tape: Tape, ask: Ask) -> None:
    tape.written(5)
    with pytest.raises(NotFound, match="no device 'smok'"):
        ask("smoke-alarm", "smok", 1)
    with pytest.raises(NotFound, match="no rule 'smoke'"):
        ask("smoke", SMOKE, 1)


def test_a_process_without_journal_says_who_to_ask(registry: Registry, shipped: RuleSet) -> None:
    answers = Answers(explainer=None, registry=lambda: registry, in_force=lambda at_ms: InForce(shipped, {}))
    with pytest.raises(Unavailable, match="role ingest"):
        answers.of_device(SMOKE, "smoke-alarm", T0)


def test_how_far_back_is_read_follows_the_rule(registry: Registry, shipped: RuleSet, cabinet: str) -> None:
    def back(rule: str, device: str) -> int:
        return lookback_ms(Subject(shipped, registry, rule, registry.slot_of[device])) // 1_000

    assert back("smoke-alarm", SMOKE) == 600
    assert back("lane-blocked", next(d.id for d in registry.devices() if d.kind == "fire_lane_camera")) == 1_200
    assert back("battery-device-offline", SMOKE) == 4 * 3_600


def test_hours_of_ticks_without_readings_are_not_played_one_by_one(
    tape: Tape, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hub.rules.engine import Engine

    looks = 0
    honest = Engine.tick

    def counted(self: Engine, now_ms: int, position: int) -> Any:
        nonlocal looks
        looks += 1
        return honest(self, now_ms, position)

    monkeypatch.setattr(Engine, "tick", counted)
    tape.says(5, SMOKE, battery_pct=90)
    for second in range(0, 9_000, 90):
        tape.says(second, GATEWAY, online=True)
    tape.written(9_000)
    found = ask("battery-device-offline", SMOKE, 8_000)
    assert found.fired
    assert looks < 1_000
    raised = next(step for step in found.steps if "raised" in step.event)
    assert raised.what == "time"
    assert 7_205 <= (raised.at_ms - T0) / 1_000 <= 7_206


def test_the_text_of_one_rule_is_found_in_its_file() -> None:
    text = "# head\nrules:\n  - id: a\n    x: 1\n\n  - id: b\n    y: 2\n"
    assert rule_text(text, "a") == "  - id: a\n    x: 1"
    assert rule_text(text, "b") == "  - id: b\n    y: 2"
    assert rule_text(text, "c") == ""


# The command ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def config(tmp_path: Path) -> Path:
    folder = tmp_path / "config"
    shutil.copytree(ROOT / "config", folder)
    text = (folder / "hub.yaml").read_text("utf-8")
    (folder / "hub.yaml").write_text(text.replace("data_dir: data", f"data_dir: {tmp_path / 'data'}"), "utf-8")
    (tmp_path / "data").mkdir()
    return folder


def run(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["explain", *map(str, arguments)], env={"COLUMNS": "150"})
    return result.exit_code, result.output


def test_the_command_tells_it_to_people(config: Path, tmp_path: Path, registry: Registry) -> None:
    tape = Tape(tmp_path / "data" / "journal", registry)
    tape.says(20, SMOKE, battery_pct=8)
    tape.written(120)
    question = ("--config", config, "--device", SMOKE, "--rule", "smoke-battery-level")
    code, said = run(*question, "--at", "2024-01-01T08:01:01")
    assert code == 0
    assert "held for 41 s of the 60 s that it must" in said
    assert "normal → pending" in said
    assert "id: smoke-battery-level" in said
    code, said = run(*question, "--at", "2024-01-01T08:01:30", "--json")
    data = json.loads(said)
    assert (data["fired"], data["verdict"]["code"]) == (True, "fired")
    assert data["verdict"]["text"]["zh"] != data["verdict"]["text"]["en"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "give the id of an alert"),
        (("abc", "--device", SMOKE), "give the id of an alert"),
        (("--device", SMOKE), "give the id of an alert"),
        (("--device", "smoke-c4b1-1", "--rule", "smoke-alarm"), f"did you mean {SMOKE}"),
        (("--device", SMOKE, "--rule", "smoke-alrm"), "did you mean smoke-alarm"),
        (("nothing",), "there is no ledger yet"),
    ],
)
def test_the_command_says_what_is_wrong_with_a_question(
    config: Path, tmp_path: Path, registry: Registry, arguments: tuple[str, ...], complaint: str
) -> None:
    Tape(tmp_path / "data" / "journal", registry).written(5)
    code, said = run("--config", config, *arguments)
    assert code == 1
    assert complaint in said
