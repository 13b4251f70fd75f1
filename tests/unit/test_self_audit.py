"""The self-audit: every alarm accounted for, and what is missing is found; the heartbeat outside stops with the first finding."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text

from hub.alerts.desk import Desk
from hub.audit.account import accounted
from hub.audit.alarms import Said, alarms_in, watched_at_once
from hub.audit.deadman import Deadman, HeartbeatSettings
from hub.audit.self_audit import Audited, SelfAudit
from hub.audit.synthetic import TestDevice, TestFires, untested
from hub.clock import SteppedClock
from hub.errors import Unavailable
from hub.model.deliveries import Plan
from hub.rules.ruleset import load_rules
from hub.stores.account_queries import AccountQueries
from hub.stores.audit_log import AuditLog
from hub.stores.journal import Record
from hub.stores.ledger import Ledger
from hub.stores.outbox import Outbox
from tests.support.alerts import T0, WORKER, PlainPlanner, event
from tests.support.paths import CONFIG
from tests.support.receivers import receiver
from tests.support.served import example_registry

MINUTE_MS = 60_000


@dataclass
class Part:
    state: str = "ok"
    detail: str = ""
    required: bool = True


class Silent(PlainPlanner):
    """Forgets to tell anybody."""

    def raised(self, alert: Any, now_ms: int) -> Plan:
        return Plan()


@dataclass
class Room:
    """A desk, an outbox and the audit over one ledger in memory."""

    ledger: Ledger
    clock: SteppedClock
    said: list[Said]
    parts: dict[str, Part]
    seen: list[Audited | None]

    def __post_init__(self) -> None:
        self.planner = PlainPlanner()
        self.desk = Desk(self.ledger, self.planner)
        self.outbox = Outbox(self.ledger)
        self.accounts = AccountQueries(self.ledger)
        self.log = AuditLog(self.ledger)
        self.audit = SelfAudit(
            self.accounts,
            self.log,
            self.clock,
            alarms=self._alarms,
            parts=lambda: self.parts,
            consumer="rules",
            afterwards=self.seen.append,
        )

    def _alarms(self) -> list[Said]:
        said = list(self.said)
        self.said.clear()
        return said

    def fire(self, device: str = "smoke-1") -> str:
        raised = event(device=device, at_ms=self.clock())
        self.desk.record([raised], consumer="rules", journal="j", position=1, now_ms=self.clock())
        return raised.alert_id

    def told(self, channel_state: str = "accepted") -> None:
        for delivery in self.outbox.claim(self.clock(), "me", limit=50, lease_ms=1_000):
            self.outbox.begin_send(delivery.id, self.clock())
            if channel_state == "accepted":
                self.outbox.accepted(delivery.id, "r", self.clock())
            else:
                self.outbox.give_up(delivery.id, "refused", self.clock())

    def kinds(self) -> list[str]:
        self.desk.record([], consumer="rules", journal="j", position=2, now_ms=self.clock())
        self.audit.step()
        assert self.audit.last is not None
        return [finding.kind for finding in self.audit.last.findings]


@pytest.fixture
def room() -> Iterator[Room]:
    ledger = Ledger.open("sqlite://")
    yield Room(ledger, SteppedClock(T0), [], {}, [])
    ledger.close()


def by_sms(room: Room) -> None:
    """The planner tells by a channel that reaches people."""
    plain = PlainPlanner._to

    def told(*args: Any) -> Any:
        from dataclasses import replace

        return replace(plain(*args), channel="sms", target="13800000001")

    room.planner._to = told  # type: ignore[method-assign]


def test_a_quiet_hub_has_nothing_to_account_for(room: Room) -> None:
    assert room.kinds() == []
    assert room.audit.trouble == ""


def test_a_fire_that_was_told_and_answered_is_accounted_for(room: Room) -> None:
    by_sms(room)
    alert_id = room.fire()
    room.said.append(Said("smoke-1", "smoke", room.clock(), 1))
    room.told()
    room.clock.advance(s=45)
    assert room.kinds() == []
    room.desk.act(alert_id, "acknowledge", WORKER, room.clock())
    room.clock.advance(minutes=10)
    room.desk.run_timers(room.clock())
    room.told()
    assert room.kinds() == []
    (account,) = room.accounts.fired(T0, T0 + 1, severities=("P1",))
    assert accounted(account, room.clock()).verdict == "answered"


def test_an_alarm_of_the_journal_without_an_alert_is_found_and_stays_found(room: Room) -> None:
    room.said.append(Said("smoke-7", "smoke", T0, 17))
    assert room.kinds() == [], "it has ten seconds to get there"
    room.clock.advance(s=11)
    for _ in range(3):
        assert room.kinds() == ["no_alert"]
        room.clock.advance(s=30)
    assert "smoke-7" in room.audit.trouble
    room.fire("smoke-7")
    by_sms(room)
    room.told()
    assert "no_alert" in room.kinds(), "the later fire is another one"


def test_an_alert_that_nobody_was_to_be_told_of_is_found(room: Room) -> None:
    room.desk = Desk(room.ledger, Silent())
    room.fire()
    room.clock.advance(minutes=2)
    assert set(room.kinds()) == {"no_delivery", "not_climbing"}


def test_a_fire_that_reached_nobody_but_the_console_is_found(room: Room) -> None:
    room.fire()
    room.told()
    room.clock.advance(s=30)
    assert room.kinds() == []
    room.clock.advance(s=29)
    room.desk.run_timers(room.clock())
    room.clock.advance(s=2)
    room.desk.run_timers(room.clock())
    assert "nobody_reached" in room.kinds()


def test_a_timer_and_a_notification_that_nobody_deals_with_are_found(room: Room) -> None:
    by_sms(room)
    room.fire()
    room.clock.advance(s=75)
    assert set(room.kinds()) >= {"timer_overdue", "delivery_stuck"}


def test_rules_that_do_not_get_on_and_a_part_that_is_down_are_found(room: Room) -> None:
    assert room.kinds() == []
    room.clock.advance(minutes=2)
    room.audit.step()
    assert room.audit.last is not None
    assert [f.kind for f in room.audit.last.findings] == ["pipeline_stopped"]
    room.parts["courier"] = Part("down", "a thread is not running")
    room.parts["history"] = Part("down", required=False)
    assert room.kinds() == ["part_down"]
    assert REGISTRY.get_sample_value("gridhub_audit_findings", {"kind": "part_down"}) == 1


def test_a_changed_audit_log_is_found_within_the_hour(room: Room) -> None:
    by_sms(room)
    room.fire()
    room.told()
    assert room.kinds() == []
    with room.ledger.begin() as connection:
        connection.execute(text("DROP TRIGGER audit_no_UPDATE"))
        connection.execute(text("UPDATE audit SET at_ms = 1 WHERE id = (SELECT MAX(id) FROM audit)"))
    room.clock.advance(minutes=60)
    assert "chain_broken" in room.kinds()


def test_while_the_ledger_is_away_nothing_is_proven(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any) -> Any:
        raise Unavailable("away")

    monkeypatch.setattr(room.accounts, "live", away)
    with pytest.raises(Unavailable):
        room.audit.step()
    assert room.seen == [None]


# The journal, read apart ---------------------------------------------------------------------------------------------


def test_what_devices_say_is_read_apart_from_the_rules() -> None:
    from hub.ingest.codecs.context import CodecContext
    from hub.ingest.router import Router, Source

    registry = example_registry()
    context = CodecContext(zone="Asia/Shanghai", known=lambda a: a in registry.slot_of_address)
    dialects = Router([Source(codec="zigbee2mqtt", root="zigbee2mqtt")], context)
    watched = watched_at_once(load_rules(CONFIG / "rules"))
    assert "smoke_alarm" in watched["smoke"]
    topic = next(a for a in registry.device(registry.slot_of["smoke-c1b1-01"]).addresses).partition(":")[2]

    def record(n: int, *, smoke: bool = True, test: bool = False, retained: bool = False) -> Record:
        body = {"smoke": smoke, "test": test, "battery": 97}
        return Record(n, 0, T0, topic, json.dumps(body).encode(), retained)

    records = [
        Record(1, 1, T0, "", b"", False),
        record(2, smoke=False),
        record(4, retained=True),
        Record(5, 0, T0, "zigbee2mqtt/nonsense", b"\xff", False),
        record(6),
        record(7),
    ]
    assert alarms_in(records, dialects, registry, watched) == [Said("smoke-c1b1-01", "smoke", T0, 6)]
    assert alarms_in(records, dialects, registry, {}) == []


def test_an_alarm_is_found_among_everyday_messages_of_the_same_device() -> None:
    """Those are only glanced at."""
    from hub.ingest.codecs.context import CodecContext
    from hub.ingest.router import Router, Source

    registry = example_registry()
    device = next(d for d in registry.devices() if d.kind == "smoke_alarm" and d.addresses[0].startswith("native-v1:"))
    prefix = "sc/v1/" + device.addresses[0].partition(":")[2]
    context = CodecContext(zone="Asia/Shanghai", known=lambda a: a in registry.slot_of_address)
    dialects = Router([Source(codec="native-v1", root="sc/v1")], context)

    def tele(n: int, **values: object) -> Record:
        return Record(
            n, 0, T0 + n, f"{prefix}/tele", json.dumps({"v": 1, "seq": n, "ts": T0 + n, "m": values}).encode(), False
        )

    records = [
        tele(1, battery_pct=80.0),
        tele(2, battery_pct=80.0),
        tele(3, battery_pct=80.0, smoke=True),
        tele(4, battery_pct=80.0),
    ]
    event = json.dumps({"v": 1, "id": "e", "seq": 5, "ts": T0 + 5, "type": "alarm", "alarm": "smoke", "active": True})
    fire = Record(5, 0, T0 + 5, f"{prefix}/event", event.encode(), False)
    watched = watched_at_once(load_rules(CONFIG / "rules"))
    assert alarms_in(records, dialects, registry, watched) == [Said(device.id, "smoke", T0 + 3, 3)]
    assert alarms_in([*records[:2], fire], dialects, registry, watched) == [Said(device.id, "smoke", T0 + 5, 5)]


# The heartbeat outside -----------------------------------------------------------------------------------------------


def good(at_ms: int, **more: Any) -> Audited:
    return Audited(at_ms=at_ms, findings=(), checked={"open_alarms": 0}, head=None, **more)


def test_the_heartbeat_goes_out_only_while_all_is_accounted_for() -> None:
    from dataclasses import replace

    from hub.audit.account import Finding

    clock = SteppedClock(T0)
    with receiver() as there:
        deadman = Deadman(HeartbeatSettings(url_env="X", method="POST"), there.url, "demo", clock)
        deadman.after(good(T0))
        assert there.wait_for(1)[0].body
        deadman.after(good(T0))
        clock.advance(s=30)
        deadman.after(good(clock()))
        assert len(there.posts) == 1, "one a minute"
        clock.advance(s=40)
        deadman.after(None)
        deadman.after(replace(good(clock()), findings=(Finding(kind="no_alert"),)))
        deadman.after(good(clock() - 300_000))
        assert len(there.posts) == 1
        deadman.after(good(clock()))
        assert len(there.wait_for(2)) == 2
        deadman.close()


def test_the_address_of_the_watcher_is_told_nowhere(logs: list[dict[str, Any]]) -> None:
    secret = "http://127.0.0.1:9/ping/4b1a7f0e-secret-secret"
    deadman = Deadman(HeartbeatSettings(url_env="X"), secret, "demo", SteppedClock(T0))
    deadman.after(good(T0))
    deadman.close()
    assert "deadman.failed" in [said["event"] for said in logs]
    assert "secret-secret" not in f"{logs} {deadman.trouble} {deadman!r}"


def test_an_address_that_is_none_is_a_complaint() -> None:
    settings = HeartbeatSettings(url_env="WATCHER")
    assert settings.missing({})[0][1] == "the variable WATCHER is not set"
    assert "begins with https" in settings.missing({"WATCHER": "nonsense"})[0][1]
    assert settings.missing({"WATCHER": "https://watch.example/ping/1"}) == []
    assert HeartbeatSettings().missing({}) == []


# Synthetic fires -----------------------------------------------------------------------------------------------------


class Broker:
    """Takes events, and has the desk record them as the rules would."""

    def __init__(self, room: Room) -> None:
        self.room, self.broken, self.sent = room, False, []  # type: ignore[var-annotated]

    def publish(self, topic: str, body: bytes) -> bool:
        self.sent.append((topic, json.loads(body)))
        return not self.broken


def fires_of(room: Room, broker: Broker, tmp_path: Path, devices: list[TestDevice]) -> TestFires:
    return TestFires(
        lambda: devices,
        broker.publish,
        lambda active, now_ms: json.dumps({"active": active}).encode(),
        room.accounts,
        room.log,
        room.clock,
        memory=tmp_path / "fires.json",
        every_s=86_400,
    )


def test_each_grid_burns_once_a_day_and_the_way_is_written_down(room: Room, tmp_path: Path) -> None:
    by_sms(room)
    broker = Broker(room)
    devices = [TestDevice(id=f"canary-{n}", grid=f"grid-{n}", topic=f"t/{n}/event") for n in range(2)]
    fires = fires_of(room, broker, tmp_path, devices)
    fires.step()
    assert broker.sent == []
    room.clock.advance(minutes=11)
    fires.step()
    assert [(topic, body["active"]) for topic, body in broker.sent] == [("t/0/event", False), ("t/0/event", True)]
    from dataclasses import replace

    raised = replace(event(device="canary-0", at_ms=room.clock() + 5, canary=True), quantity="canary")
    room.desk.record([raised], consumer="rules", journal="j", position=3, now_ms=room.clock() + 5)
    room.clock.advance(ms=10)
    fires.step()
    assert broker.sent[-1] == ("t/0/event", {"active": True}), "it is on its way"
    room.told()
    fires.step()
    assert broker.sent[-1] == ("t/0/event", {"active": False})
    assert fires.failed == ()
    (found,) = room.accounts.test_fires(T0, room.clock() + 1)
    assert found[1] == "test_fire"
    assert json.loads(found[2])["grid"] == "grid-0"
    room.clock.advance(s=31)
    fires.step()
    assert broker.sent[-1] == ("t/1/event", {"active": True})
    room.clock.advance(s=21)
    fires.step()
    assert fires.failed == ("grid-1: no alert within the time",)
    room.clock.advance(minutes=60)
    sent = len(broker.sent)
    fires.step()
    assert len(broker.sent) == sent, "once a day"
    again = fires_of(room, broker, tmp_path, devices)
    room.clock.advance(minutes=11)
    again.step()
    assert len(broker.sent) == sent, "a restart is no reason"


def test_a_broker_that_takes_nothing_is_a_failure_at_once(room: Room, tmp_path: Path) -> None:
    broker = Broker(room)
    broker.broken = True
    fires = fires_of(room, broker, tmp_path, [TestDevice(id="canary", grid="g", topic="t")])
    room.clock.advance(minutes=11)
    fires.step()
    assert fires.failed == ("g: the broker did not take it",)


def test_grids_without_a_test_device_are_named() -> None:
    registry = example_registry()
    canary = [TestDevice(id="canary", grid="440399001001001", topic="t")]
    assert "440399001001001" not in untested(registry, canary)
    assert "440399001002001" in untested(registry, canary)
