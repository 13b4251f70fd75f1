"""Commands without a ledger: the table of states, what may be written down, the dialects, and the interlock."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, get_args

import pytest

from hub.actuation.diagram import drawings
from hub.actuation.formats import FORMATS, Saying, spoken
from hub.actuation.interlock import Situation, judge, triggers
from hub.actuation.machine import COMMAND, EVENTS, FINAL
from hub.actuation.planning import planned
from hub.actuation.table import load_actions, unknown_devices
from hub.drawings import redrawn
from hub.errors import ConfigError
from hub.model.alerts import Alert
from hub.model.commands import STATES, Ban, Command, Ground, Mode
from hub.rules.ruleset import load_rules
from tests.support.alerts import T0
from tests.support.commands import ONE, TWO, table, town
from tests.support.paths import CONFIG

ROOTS = {"native-v1": ["sc/v1"], "zigbee2mqtt": ["zigbee2mqtt"]}
SAYING = Saying(id="c1", quantity="relay_on", wanted=False, at_ms=T0, expires_at_ms=T0 + 60_000)


def test_every_state_answers_every_event_and_nothing_is_sent_twice() -> None:
    assert set(COMMAND) == set(STATES)
    for state, answers in COMMAND.items():
        assert set(answers) == set(EVENTS), state
        assert set(answers.values()) <= {*STATES, None}
    assert [state for state, answers in COMMAND.items() if "sent" in answers.values()] == ["planned", "sent"]
    assert COMMAND["sent"]["send"] is None
    assert all("planned" not in COMMAND[state].values() for state in STATES if state != "planned")
    for state in FINAL:
        assert set(COMMAND[state].values()) <= {state, None, "confirmed"}


def test_the_drawing_in_the_documents_is_of_the_table() -> None:
    text = (CONFIG.parent / "docs" / "actuation.md").read_text("utf-8")
    assert redrawn(text, drawings()) == text, "run: python -m hub.actuation.diagram docs/actuation.md"


def alert(rule: str, **more: Any) -> Alert:
    fields = dict.fromkeys(Alert.__dataclass_fields__, "") | {
        "id": "a1", "rule_id": rule, "device_id": "cabinet-1", "severity": "P1", "live": True, "test": False,
        "occurrences": 1, "drill": False, "quiet": "", "received_at_ms": T0, "raised_at_ms": T0,
        "place": "440399001001-c1", "grid": "440399001001002", "station": "north",
    }  # fmt: skip
    return Alert(**fields | more)  # type: ignore[arg-type]


def test_two_triggers_or_one_and_a_person_let_a_command_go_and_nothing_else_does() -> None:
    """Every combination of what may be so, against the sentence above."""
    actions = {live: table(live=live).find("cut-cabinet") for live in (True, False)}
    base = Command(
        id="c", action_id="cut-cabinet", device_id="cabinet-1", quantity="relay_on", wanted=False, mode="live",
        ground="confirmed", alert_id="a1", rule_id="", occurrence=1, grid="g", station="s", planned_at_ms=T0,
        expires_at_ms=T0 + 60_000,
    )  # fmt: skip
    ban = Ban(
        id=1, action_id="", device_id="cabinet-1", grid="g", station="s", since_ms=0, until_ms=T0 * 2, actor="x",
        actor_name="X", reason="no",
    )  # fmt: skip
    rules = ("cabinet-fire-confirmed", "cabinet-smoke", "other")
    states = ({}, {"live": False}, {"test": True}, {"drill": True}, {"quiet": "shelved"})
    sent = 0
    for rule, state in product(rules, states):
        of = alert(rule, **state)
        for ground, mode, approved in product(get_args(Ground), get_args(Mode), (None, "chen")):
            command = replace(base, ground=ground, mode=mode, approved_by=approved, rule_id=rule)
            for kind, evidence in product(("correlate", "threshold", ""), (TWO, ONE, {})):
                two = (rule, kind) == ("cabinet-fire-confirmed", "correlate") and evidence is TWO
                surely = two if ground == "confirmed" else approved is not None and rule != "other"
                for banned, late, configured, ready in product((True, False), repeat=4):
                    situation = Situation(
                        now_ms=T0 + 60_000 * late,
                        action=actions[configured],
                        alert=of,
                        rule_kind=kind,
                        evidence=evidence,
                        bans=[ban] if banned else [],
                        ready=ready,
                    )
                    may = surely and not state and mode == "live" and configured and ready and not (banned or late)
                    assert (judge(command, situation).verdict == "send") == may, (command, situation)
                    sent += may
    assert sent > 10


def test_a_detector_with_one_word_is_one_trigger() -> None:
    assert triggers({}) == 0
    assert triggers({"members": "nonsense"}) == 0
    assert triggers(ONE) == 1
    assert triggers({"members": ONE["members"] * 3}) == 1  # type: ignore[operator]
    assert triggers(TWO) == 2


def test_a_command_reaches_its_area_and_no_further() -> None:
    registry = town()
    found = planned(table(), alert("fire-confirmed"), registry, T0)
    assert [one.device_id for one in found] == ["gate-1", "gate-2"]
    assert planned(table(), alert("fire-confirmed", place="elsewhere", grid=""), registry, T0) == []
    assert planned(table(), alert("fire-confirmed", live=False), registry, T0) == []
    cabinet = planned(table(), alert("cabinet-fire-confirmed"), registry, T0)
    assert [one.device_id for one in cabinet] == ["gate-1", "gate-2", "cabinet-1"]
    again = planned(table(), alert("fire-confirmed", occurrences=2), registry, T0 + 5)
    assert {one.id for one in found}.isdisjoint(one.id for one in again)
    assert [one.id for one in planned(table(), alert("fire-confirmed"), registry, T0 + 5)] == [one.id for one in found]


# -- dialects ---------------------------------------------------------------------------------------------------------


def test_the_native_dialect_is_what_the_hub_itself_reads_as_wanted() -> None:
    from hub.ingest.codecs import CODECS, CodecContext

    said = spoken(ROOTS, ("native-v1:demo/gw/cab-1",), replace(SAYING, alert="a1"))
    assert said is not None
    assert said.echoed
    codec = CODECS["native-v1"].make("sc/v1", CodecContext())
    (heard,) = codec.decode(said.topic, said.payload, received_at_ms=T0, retained=False)  # type: ignore[misc]
    assert [(r.quantity, r.value) for r in heard.readings] == [("relay_wanted", False)]
    body = json.loads(said.payload)
    assert body == {
        "v": 1, "id": "c1", "ts": T0, "expires_ms": T0 + 60_000, "set": {"relay_on": False}, "alert": "a1",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("quantity", "wanted", "body"),
    [
        ("relay_on", False, {"state": "OFF"}),
        ("lock_state", "unlocked", {"state": "UNLOCK"}),
        ("gate_state", "open", {"state": "OPEN"}),
        ("siren", True, {"warning": {"mode": "fire", "level": "very_high", "strobe": True, "duration": 120}}),
    ],
)
def test_zigbee2mqtt(quantity: str, wanted: bool | str, body: dict[str, Any]) -> None:
    saying = replace(SAYING, quantity=quantity, wanted=wanted)
    said = spoken({"zigbee2mqtt": ["zigbee2mqtt/east"]}, ("zigbee2mqtt:zigbee2mqtt/east/Tor 2",), saying)
    assert said is not None
    assert (said.topic, json.loads(said.payload)) == ("zigbee2mqtt/east/Tor 2/set", body)
    assert spoken({"zigbee2mqtt": ["other"]}, ("zigbee2mqtt:zigbee2mqtt/east/Tor 2",), saying) is None


def test_the_first_dialect_that_has_a_word_for_it_is_taken_and_a_test_only_where_it_can_be_marked() -> None:
    both = ("senml:x", "zigbee2mqtt:zigbee2mqtt/a", "native-v1:demo/gw/a")
    assert spoken(ROOTS, both, SAYING).topic == "zigbee2mqtt/a/set"  # type: ignore[union-attr]
    marked = spoken(ROOTS, both, replace(SAYING, test=True))
    assert marked is not None
    assert json.loads(marked.payload)["test"] is True
    assert spoken(ROOTS, ("senml:x",), SAYING) is None
    siren = spoken(ROOTS, ("native-v1:demo/st/-", "native-v1:demo/st/siren"), SAYING)
    assert siren is not None
    assert siren.topic == "sc/v1/demo/st/siren/cmd", "the node only where there is nothing finer"


def test_every_dialect_says_every_setting_or_nothing() -> None:
    for name, say in FORMATS.items():
        for quantity, wanted in (
            ("relay_on", False),
            ("lock_state", "unlocked"),
            ("gate_state", "open"),
            ("siren", True),
        ):
            said = say("root", "root/x", replace(SAYING, quantity=quantity, wanted=wanted))
            assert said is not None, (name, quantity)
            assert isinstance(json.loads(said.payload), dict)


# -- what is written down ---------------------------------------------------------------------------------------------

GOOD = """
actions:
  - id: cut
    name: {zh: 切断, en: Cut}
    on: {suspected: [cabinet-smoke]}
    area: device
    set: {relay_on: false}
    devices: [cabinet-c1-02]
"""


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("relay_on: false", "relay_on: true"), "set.relay_on"),
        (("relay_on: false", "relay_on: false, siren: true"), "give one of"),
        (("suspected: [cabinet-smoke]", "confirmed: [cabinet-smoke]"), "needs one trigger only"),
        (("suspected: [cabinet-smoke]", "suspected: [cabinet-smok]"), "did you mean 'cabinet-smoke'"),
        (("suspected: [cabinet-smoke]", "suspected: []"), "name at least one rule"),
        (("[cabinet-c1-02]", "[cabinet-c1-02, cabinet-c1-02]"), "named twice"),
        (("area: device", "area: planet"), "area"),
        (("    area: device\n", "    area: device\n    life: true\n"), "unknown key"),
    ],
)
def test_what_is_wrong_with_the_table_is_said_with_its_place(
    tmp_path: Path, change: tuple[str, str], says: str
) -> None:
    kinds = {rule.spec.id: rule.spec.kind for rule in load_rules(CONFIG / "rules").rules}
    (tmp_path / "actions.yaml").write_text(GOOD, "utf-8")
    assert load_actions(tmp_path, kinds=kinds).find("cut") is not None
    (tmp_path / "actions.yaml").write_text(GOOD.replace(*change), "utf-8")
    with pytest.raises(ConfigError) as wrong:
        load_actions(tmp_path, kinds=kinds)
    assert says in str(wrong.value)
    assert "actions.yaml:" in str(wrong.value)


def test_without_the_file_nothing_moves(tmp_path: Path) -> None:
    assert load_actions(tmp_path).actions == ()
    assert load_actions(tmp_path).rules == ()


def test_the_shipped_table_is_off_but_for_the_sirens_and_names_what_there_is() -> None:
    from hub.registry.loader import load

    kinds = {rule.spec.id: rule.spec.kind for rule in load_rules(CONFIG / "rules").rules}
    shipped = load_actions(CONFIG, kinds=kinds)
    assert [one.id for one in shipped.actions if one.live] == ["sound-sirens"]
    known = load(CONFIG / "registry").slot_of
    assert unknown_devices(CONFIG, shipped, known) == []
    assert [one.message for one in unknown_devices(CONFIG, shipped, known.keys() - {"gate-c1-01"})] == [
        "there is no device 'gate-c1-01'"
    ]
