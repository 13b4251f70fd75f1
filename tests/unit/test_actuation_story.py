"""Alarms, people, devices, crashes and outages in any order: no command leaves twice, or without its grounds."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from hub.errors import Refusal
from hub.model.alerts import Alert, Seen
from hub.stores.audit_log import AuditLog
from hub.stores.ledger import Ledger
from tests.support.alerts import OFFICER
from tests.support.commands import CABINET, CONFIRMED, SMOKE, Yard
from tests.support.ledgers import migrated_url

DEEDS = (
    "fire", "cabinet fire", "smoke", "look", "look", "wait", "answer", "approve", "forbid", "over", "kill", "boot",
    "lose", "find", "ban", "lift", "second hub",
)  # fmt: skip


class Story:
    """Does deeds, and checks after each what must be so."""

    def __init__(self, ledger: Ledger) -> None:
        self.yard = Yard(ledger)
        self.over: set[str] = set()
        self.banned: list[int] = []

    def alerts(self) -> list[Alert]:
        return self.yard.queries.list(scope=None, live=True).rows

    def do(self, deed: str) -> None:
        yard = self.yard
        before = len(yard.published)
        yard.now_ms += 50
        match deed:
            case "fire":
                yard.burns(CONFIRMED, "smoke-1")
            case "cabinet fire":
                yard.burns(CABINET, "cabinet-1")
            case "smoke":
                yard.burns(SMOKE, "cabinet-1")
            case "look" | "second hub":
                if deed == "second hub":
                    yard.boot()
                yard.step(later_ms=100)
            case "wait":
                yard.step(later_ms=6_000)
            case "answer":
                for device, quantity, value in (("gate-1", "gate_state", "open"), ("cabinet-1", "relay_on", False)):
                    yard.answers(device, quantity, value)
            case "approve" | "forbid":
                for command in yard.all():
                    if command.state == "planned":
                        try:
                            getattr(yard.people, deed)(command.id, OFFICER, "because")
                        except Refusal:
                            assert deed == "approve", "what has not left can be stopped"
            case "over":
                for alert in self.alerts()[:1]:
                    seen = Seen(occurrence=alert.occurrences)
                    yard.alerts.act(alert.id, "false_alarm", OFFICER, yard.now_ms, reason="dust", seen=seen)
                    self.over.add(alert.id)
            case "kill":
                yard.dies_before_publishing = True
                try:
                    yard.step()
                except SystemExit:
                    pass
                yard.dies_before_publishing = False
                yard.boot()
            case "boot":
                yard.boot()
            case "lose" | "find":
                yard.connected = deed == "find"
            case "ban":
                self.banned.append(yard.people.ban("", "gate-1", yard.now_ms + 10**8, OFFICER, "no").id)
            case "lift":
                for number in self.banned:
                    yard.people.lift(number, OFFICER)
                self.banned.clear()
        self.check(yard.published[before:])

    def check(self, fresh: list[tuple[str, dict[str, object]]]) -> None:
        known = {command.id: command for command in self.yard.all()}
        for topic, body in fresh:
            assert self.yard.connected
            if "gate-1" in topic:
                assert not self.banned
            if "id" in body:
                command = known[str(body["id"])]
                assert command.alert_id not in self.over
                assert command.ground == "confirmed" or command.approved_by
        ids = Counter(str(body["id"]) for _, body in self.yard.published if "id" in body)
        assert max(ids.values(), default=1) == 1
        for command in known.values():
            if command.state == "confirmed":
                assert command.sent_at_ms is not None
            if command.state in ("refused", "expired", "rehearsed"):
                assert command.sent_at_ms is None
                assert command.id not in ids

    def ends(self) -> None:
        self.yard.connected = True
        for _ in range(3):
            self.yard.step(later_ms=1_000_000)
        assert {command.state for command in self.yard.all()} <= {"confirmed", "unconfirmed", "refused", "expired"}
        assert AuditLog(self.yard.ledger).verify().good


@settings(
    max_examples=12, deadline=None, phases=(Phase.explicit, Phase.generate), suppress_health_check=list(HealthCheck)
)
@given(st.lists(st.sampled_from(DEEDS), min_size=8, max_size=16))
def test_no_command_leaves_twice_or_without_its_grounds(deeds: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder, migrated_url("sqlite", Path(folder)) as url:
        ledger = Ledger.open(url, migrate=False)
        try:
            story = Story(ledger)
            for deed in deeds:
                story.do(deed)
            story.ends()
        finally:
            ledger.close()
