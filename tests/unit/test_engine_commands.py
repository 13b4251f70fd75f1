"""Commands to devices, and answers that stay out, on the live engine."""

from __future__ import annotations

from typing import Any

from hub.documents import parse
from hub.model.quantities import QUANTITIES, coded
from hub.model.readings import ReadingBatch
from hub.registry.snapshot import Registry
from hub.rules.engine import Engine
from hub.rules.ruleset import rules_of
from tests.support.registry import a_device, places, stations

START = 1_704_067_200_000
_WORDS = "{zh: 字, en: word}"


def a_rule(rule_id: str, kind: str, on: str, when: str, extra: str = "") -> str:
    return f"""
  - {{id: {rule_id}, kind: {kind}, name: {_WORDS}, on: {on}, when: {when}, severity: P2, cause: {_WORDS}, consequence: {_WORDS},
     action: {_WORDS}, respond_within_s: 60, responder: station, source: test, certainty: C{extra}}}"""


class Scene:
    """An engine with these rules, told one reading or tick at a time."""

    def __init__(self, *rules: str) -> None:
        document, complaints = parse("rules:" + "".join(rules), "test.yaml")
        assert document is not None
        self.registry = Registry.of(
            [
                a_device("cabinet-1", "charging_cabinet"),
                a_device("smoke-1"),
                a_device("lock-1", "lock"),
                a_device("lock-2", "lock"),
            ],
            places=places(),
            stations=stations(),
        )
        self.engine = Engine(rules_of([document], complaints), self.registry, start_ms=START)
        self.position = 0

    def at(self, seconds: float, *said: tuple[str, str, Any]) -> list[tuple[str, str, str]]:
        """(kind, rule, device) of what is found when devices say (device, quantity, word) at this second; without: a tick."""
        now = START + int(seconds * 1_000)
        self.position += 1
        if said:
            rows = []
            for device, quantity, word in said:
                value = float("nan") if word is None else coded(QUANTITIES[quantity], word)
                assert value is not None
                rows.append((self.registry.slot_of[device], quantity, value, now, now, 0, self.position))
            found = self.engine.evaluate(ReadingBatch.of(rows))
        else:
            found = self.engine.tick(now, self.position)
        self.engine.commit(found)
        return [(e.kind, e.rule.id, e.device) for e in found.events]


def test_a_command_to_a_device_is_no_sign_of_its_life() -> None:
    scene = Scene(a_rule("lost", "offline", "{device_kind: charging_cabinet}", "{silent_s: 6}"))
    assert scene.at(4, ("cabinet-1", "relay_wanted", False)) == []
    assert scene.at(7) == [("raised", "lost", "cabinet-1")]
    assert scene.at(8, ("cabinet-1", "relay_wanted", True)) == []
    assert scene.at(9, ("cabinet-1", "relay_on", True)) == [("cleared", "lost", "cabinet-1")]
