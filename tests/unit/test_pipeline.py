"""From the journal to the desk: what is retried, replayed, cut or set aside gives the same alerts, and none is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from hub.alerts.desk import Desk
from hub.alerts.recording import Recorded
from hub.errors import JournalFull, Unavailable
from hub.ingest.codecs.context import CodecContext
from hub.ingest.intake import Intake
from hub.ingest.reader import Reader, Segment
from hub.ingest.router import Router, Source
from hub.ingest.screen import Limits, Screen
from hub.ingest.session import Receipt
from hub.model.readings import Envelope, Quality
from hub.model.rules import ConditionEvent
from hub.pipeline import CONSUMER, Pipeline
from hub.rules import snapshot
from hub.rules.engine import Engine
from hub.rules.ruleset import load_rules
from hub.stores.alert_queries import AlertQueries
from hub.stores.journal import Journal, JournalConfig
from hub.stores.ledger import Ledger
from tests.support.alerts import PlainPlanner
from tests.support.ledgers import migrated_url
from tests.support.paths import CONFIG
from tests.support.registry import a_device, small_registry

START = 1_704_067_200_000
SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
RULES = load_rules(CONFIG / "rules")
TOWN = small_registry(
    [
        a_device("gw-1", "gateway", addresses=("native-v1:demo/gw-1/-",), supervision="mains", interval_s=30),
        a_device("smoke-1", parent="gw-1", interval_s=600),
        a_device("smoke-2", parent="gw-1", interval_s=600),
        a_device("gate-1", "gate", supervision="mains", interval_s=30),
    ]
)


class Weak(Desk):
    """A real desk whose ledger goes away now and then: before the transaction, or after it, when only the answer is lost."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.away_before = self.away_after = 0
        self.calls: list[tuple[int, int]] = []

    def record(self, events: Sequence[ConditionEvent], **more: Any) -> Recorded:
        if self.away_before:
            self.away_before -= 1
            raise Unavailable("the ledger is away")
        recorded = super().record(events, **more)
        self.calls.append((len(events), more["position"]))
        if self.away_after:
            self.away_after -= 1
            raise Unavailable("the ledger went away before it could answer")
        return recorded


class Hub:
    """Journal, rules, ledger and pipeline, as they stand after a start; `restart` makes new ones on the same disk."""

    def __init__(self, folder: Path, url: str, *, now_ms: int = START, batch: int = 8_192) -> None:
        self.folder, self.url, self.now_ms, self.batch = folder, url, now_ms, batch
        self.ledger = Ledger.open(url, migrate=False)
        self.desk = Weak(self.ledger, PlainPlanner())
        self.queries = AlertQueries(self.ledger)
        self.journal = Journal.open(folder, JournalConfig(reserve_mib=0))
        self.acked: list[int] = []
        self.listens = True
        self.intake = Intake(
            self.journal,
            lambda: self.now_ms,
            lambda r: self.acked.append(r.packet_id),
            retry_s=1.0,
            listens=lambda: self.listens,
        )
        self.engine = Engine(RULES, TOWN, start_ms=now_ms)
        self.screen = Screen(Limits())
        self.segments: list[Segment] = []
        cursor = self.desk.position_of(CONSUMER)
        self.pipeline = self._pipeline(0, cursor[0] if cursor else 0)

    def _pipeline(self, position: int, recorded_to: int) -> Pipeline:
        context = CodecContext(known=lambda address: address in TOWN.slot_of_address)
        sources = [Source(codec="native-v1", root="sc/v1"), Source(codec="zigbee2mqtt", root="zigbee2mqtt")]
        return Pipeline(
            self.intake, Reader(Router(sources, context).decode, lambda: TOWN, self.screen), self.engine, self.desk,
            journal=self.journal.identity, position=position, recorded_to=recorded_to, clock=lambda: self.now_ms,
            durable_head=lambda: self.journal.head, on_segment=self.segments.append, batch_records=self.batch,
        )  # fmt: skip

    def restart(self, state: bytes | None = None, **changes: Any) -> Hub:
        """A start on what is on the disk, from the rules' snapshot `state` or from nothing."""
        self.close()
        fresh = Hub(self.folder, self.url, **{"now_ms": self.now_ms, "batch": self.batch} | changes)
        cursor = fresh.desk.position_of(CONSUMER)
        recorded_to = cursor[0] if cursor else 0
        if state is not None:
            about = snapshot.restore(fresh.engine, state)
            fresh.screen.restore(about["screen"], TOWN.slot_of)
            fresh.pipeline = fresh._pipeline(about["position"], max(recorded_to, about["position"]))
        return fresh

    def state(self) -> bytes:
        return snapshot.dump(
            self.engine, {"position": self.pipeline.done, "screen": self.screen.dump(self.pipeline.done, TOWN.ids)}
        )

    def close(self) -> None:
        self.journal.close()
        self.ledger.close()

    # -- words for tests

    def hears(self, device: str, channel: str, body: Any, *, retained: bool = False) -> Hub:
        payload = body if isinstance(body, bytes) else json.dumps({"v": 1} | body).encode()
        topic = f"sc/v1/demo/gw-1/{device}/{channel}"
        self.intake.take(Envelope(topic, payload, self.now_ms, retained, Receipt("main", 1, 1, 1)))
        return self

    def burns(self, device: str = "smoke-1", number: int = 0, *, active: bool = True, **more: Any) -> Hub:
        body = {"id": f"{device}-{number}", "type": "alarm", "alarm": "smoke", "active": active}
        return self.hears(device, "event", body | more)

    def passes(self, *, ms: int = SECOND, each_ms: int = SECOND) -> Hub:
        """Time passes in steps, and all that there is is worked off."""
        until = self.now_ms + ms
        while self.now_ms < until:
            self.now_ms = min(until, self.now_ms + each_ms)
            self.intake.flush(self.now_ms)
            self.works()
        return self

    def works(self) -> Hub:
        while self.pipeline.step(wait_s=0):
            pass
        return self

    def alerts(self, **filters: Any) -> list[tuple[str, str, str]]:
        rows = self.queries.list(scope=None, **filters).rows
        return sorted((a.device_id, a.rule_id, a.alarm_state) for a in rows)

    def told(self) -> int:
        return sum(len(self.queries.deliveries(a.id)) for a in self.queries.list(scope=None).rows)

    def quarantine(self) -> dict[tuple[str, str], int]:
        return {(r.topic, r.reason): r.count for r in self.queries.quarantine(100)}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with migrated_url("sqlite", tmp_path) as url:
        one = Hub(tmp_path / "journal", url)
        yield one
        one.close()


SMOKE_1 = ("smoke-1", "smoke-alarm", "active_unacked")


# -- the way through ------------------------------------------------------------------------------------------------------


def test_an_alarm_becomes_an_alert_and_its_message_is_acknowledged(hub: Hub) -> None:
    hub.burns().passes()
    assert hub.alerts() == [SMOKE_1]
    assert hub.acked == [1]
    assert hub.pipeline.done == hub.journal.head


def test_the_cursor_moves_once_a_second_also_when_nothing_happens(hub: Hub) -> None:
    hub.passes(ms=5 * SECOND)
    position, journal = hub.desk.position_of(CONSUMER) or (0, "")
    assert hub.journal.head - 2 <= position <= hub.journal.head
    assert journal == hub.journal.identity


def test_a_held_condition_is_found_by_the_ticks_alone(hub: Hub) -> None:
    """The gate says once that it is open, then nothing; after a minute that is an alert."""
    hub.hears("gate-1", "state", {"m": {"door_open": True}}).passes(ms=59 * SECOND)
    assert hub.alerts() == []
    hub.passes(ms=2 * SECOND)
    assert hub.alerts() == [("gate-1", "gate-held-open", "active_unacked")]


# -- the ledger is away ---------------------------------------------------------------------------------------------------


def test_a_retry_does_not_take_the_readings_for_repetitions(hub: Hub) -> None:
    hub.passes()
    hub.desk.away_before = 3
    hub.burns(number=1, ts=START)
    hub.now_ms += SECOND
    hub.intake.flush(hub.now_ms)
    for _ in range(3):
        with pytest.raises(Unavailable):
            hub.pipeline.step(wait_s=0)
        assert hub.alerts() == []
    hub.works()
    assert hub.alerts() == [SMOKE_1]
    flags = [int(q) for s in hub.segments for q in s.batch.quality]
    assert not any(q & Quality.DUPLICATE for q in flags)


@pytest.mark.parametrize("when", ["away_before", "away_after"])
@pytest.mark.parametrize("times", [1, 4])
def test_a_segment_that_is_tried_again_is_counted_once(hub: Hub, when: str, times: int) -> None:
    """Also when the ledger had already written it and only its answer was lost."""
    hub.passes()
    setattr(hub.desk, when, times)
    hub.hears("smoke-1", "tele", b"{").hears("smoke-1", "tele", b"{").burns("smoke-2").hears(
        "stranger", "tele", {"m": {}}
    )
    hub.now_ms += SECOND
    hub.intake.flush(hub.now_ms)
    failed = 0
    while hub.pipeline.done < hub.journal.head:
        try:
            hub.pipeline.step(wait_s=0)
        except Unavailable:
            failed += 1
    assert failed == times
    assert hub.quarantine() == {
        ("sc/v1/demo/gw-1/smoke-1/tele", "malformed JSON"): 2,
        ("sc/v1/demo/gw-1/stranger/tele", "unknown device"): 1,
    }
    assert hub.alerts() == [("smoke-2", "smoke-alarm", "active_unacked")]
    assert hub.told() == 2


def test_while_the_ledger_is_away_nothing_more_is_read_and_then_all_comes_in_order(hub: Hub) -> None:
    hub.passes()
    hub.desk.away_before = 1_000
    for n in range(20):
        hub.burns("smoke-1", n, active=n % 2 == 0)
        hub.now_ms += SECOND
        hub.intake.flush(hub.now_ms)
        with pytest.raises(Unavailable):
            hub.pipeline.step(wait_s=0)
    assert len(hub.pipeline._pending) <= 3
    hub.desk.away_before = 0
    hub.works()
    (alert,) = [alert for alert in hub.queries.list(scope=None).rows if alert.rule_id == "smoke-alarm"]
    assert [row.action for row in hub.queries.audit(alert.id)][:3] == ["raised", "returned", "raised_again"]
    assert alert.occurrences == 2, "the third turn within a minute is chatter: one episode stays open"


# -- starting again -------------------------------------------------------------------------------------------------------


def test_a_start_without_a_snapshot_records_nothing_twice_and_goes_on_live(hub: Hub) -> None:
    hub.burns().hears("smoke-1", "tele", b"{").passes(ms=3 * SECOND)
    recorded, told, aside = hub.desk.position_of(CONSUMER), hub.told(), hub.quarantine()
    fresh = hub.restart()
    try:
        fresh.works()
        assert recorded is not None
        assert min(at for _, at in fresh.desk.calls) >= recorded[0], "the cursor never goes back"
        assert (fresh.told(), fresh.quarantine()) == (told, aside)
        assert fresh.pipeline.done == fresh.journal.head
        fresh.burns("smoke-2").burns("smoke-1", 0).passes()
        assert fresh.alerts() == [SMOKE_1, ("smoke-2", "smoke-alarm", "active_unacked")]
        fresh.burns("smoke-1", 7, active=False).passes()
        assert fresh.alerts()[0] == ("smoke-1", "smoke-alarm", "latched"), "the replayed state knows the episode"
    finally:
        fresh.close()


def test_records_behind_the_cursor_are_worked_off_by_the_next_start(hub: Hub) -> None:
    """Killed between the journal and the desk."""
    hub.passes()
    hub.burns("smoke-1")
    hub.intake.flush(hub.now_ms + SECOND)
    assert hub.alerts() == []
    fresh = hub.restart()
    try:
        fresh.works()
        assert fresh.alerts() == [SMOKE_1]
    finally:
        fresh.close()


def test_a_kill_after_the_desk_and_before_the_rules_remember_tells_nobody_twice(hub: Hub) -> None:
    hub.passes()
    state = hub.state()
    hub.burns("smoke-1").burns("smoke-2")
    hub.desk.away_after = 1
    hub.now_ms += SECOND
    hub.intake.flush(hub.now_ms)
    with pytest.raises(Unavailable):
        hub.pipeline.step(wait_s=0)
    told = hub.told()
    assert told == 4
    fresh = hub.restart(state)
    try:
        fresh.works().burns("smoke-1", 0).burns("smoke-2", 0).passes()
        assert fresh.told() == told
        assert len(fresh.alerts()) == 2
    finally:
        fresh.close()


def test_a_repetition_is_known_over_a_restart(hub: Hub) -> None:
    """The broker sends again what was not acknowledged when the hub died; an ended fire must not begin anew."""
    hub.burns("smoke-1", 1).burns("smoke-1", 2, active=False).passes()
    state = hub.state()
    fresh = hub.restart(state)
    try:
        fresh.burns("smoke-1", 1).burns("smoke-1", 2, active=False).passes()
        (alert,) = fresh.queries.list(scope=None).rows
        assert alert.occurrences == 1
        assert alert.alarm_state == "latched"
    finally:
        fresh.close()


def test_a_clean_stop_while_the_ledger_is_away_keeps_the_fire_for_the_next_start(hub: Hub) -> None:
    """It was read and marked as seen, but not recorded: the snapshot must not make it look like a repetition."""
    hub.passes()
    hub.burns("smoke-1")
    hub.desk.away_before = 1
    hub.intake.flush(hub.now_ms)
    with pytest.raises(Unavailable):
        hub.pipeline.step(wait_s=0)
    fresh = hub.restart(hub.state())
    try:
        fresh.works()
        assert fresh.alerts() == [SMOKE_1]
    finally:
        fresh.close()


def test_what_burns_for_the_rules_and_is_unknown_to_the_ledger_becomes_an_alert(tmp_path: Path) -> None:
    """A ledger from an older backup: the detector goes on saying smoke, which is no news to the rules."""
    (tmp_path / "other").mkdir()
    with migrated_url("sqlite", tmp_path) as url, migrated_url("sqlite", tmp_path / "other") as older:
        hub = Hub(tmp_path / "journal", url)
        hub.burns("smoke-1").passes()
        state = hub.state()
        hub.url = older
        fresh = hub.restart(state)
        try:
            fresh.works().burns("smoke-1", 5).passes()
            assert fresh.alerts() == []
            assert fresh.pipeline.reconcile() == 1
            assert fresh.alerts() == [SMOKE_1]
            assert fresh.pipeline.reconcile() == 0
        finally:
            fresh.close()


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_a_replay_up_to_any_record_gives_the_same_alerts(tmp_path: Path, batch: int) -> None:
    """The story is cut by a kill in the middle of each scene; what people are told is the same as without any."""

    def scene(hub: Hub, n: int) -> None:
        hub.burns("smoke-1", n, active=n % 3 != 2).burns("smoke-2", n, active=n % 2 == 0).hears("x", "tele", b"{")
        hub.now_ms += SECOND
        hub.intake.flush(hub.now_ms)

    def told(hub: Hub) -> Any:
        rows = hub.queries.list(scope=None).rows
        return [
            (a.id, a.alarm_state, a.occurrences, [r.action for r in hub.queries.audit(a.id)])
            for a in sorted(rows, key=lambda a: a.device_id)
        ], hub.quarantine()

    results = []
    for restarts in (False, True):
        folder = tmp_path / str(restarts)
        folder.mkdir()
        with migrated_url("sqlite", folder) as url:
            hub = Hub(folder / "journal", url, batch=batch if restarts else 8_192)
            for n in range(6):
                scene(hub, n)
                if restarts:
                    for _ in range(n % 3):
                        hub.pipeline.step(wait_s=0)
                    hub = hub.restart()
                else:
                    hub.works()
            hub.works()
            results.append(told(hub))
            hub.close()
    assert results[0] == results[1]


def test_a_piece_of_the_journal_that_is_gone_is_said_and_passed_over(hub: Hub) -> None:
    hub.passes()
    hub.journal.leap(hub.journal.head + 1_000)
    hub.burns().passes(ms=2 * SECOND)
    assert hub.alerts() == [SMOKE_1]
    assert hub.pipeline.done == hub.journal.head


# -- the journal cannot be written ----------------------------------------------------------------------------------------


def test_an_alarm_passes_while_the_journal_cannot_be_written_and_is_not_doubled_when_it_can(hub: Hub) -> None:
    hub.passes()
    append, full = hub.journal.append, [True]

    def sometimes(envelopes: Sequence[Envelope], *, tick_ms: int | None = None) -> int:
        if full[0]:
            raise JournalFull("no space left on device")
        return append(envelopes, tick_ms=tick_ms)

    hub.journal.append = sometimes  # type: ignore[method-assign]
    hub.burns().passes(ms=3 * SECOND)
    assert hub.alerts() == [("hub", "hub-journal-full", "active_unacked"), SMOKE_1]
    assert hub.acked == []
    assert hub.desk.position_of(CONSUMER) == (hub.journal.head, hub.journal.identity), (
        "never beyond what is on the disk"
    )
    full[0] = False
    hub.passes(ms=3 * SECOND)
    assert hub.acked == [1]
    states = {device: state for device, _, state in hub.alerts()}
    assert states["smoke-1"] == "active_unacked"
    assert not states["hub"].startswith("active")
    assert len(hub.alerts()) == 2
    assert hub.pipeline.done == hub.journal.head


# -- clocks -------------------------------------------------------------------------------------------------------------


def life(hub: Hub) -> Hub:
    """Everything that is supervised gives a sign of life."""
    for device in ("-", "smoke-1", "smoke-2"):
        hub.hears(device, "tele", {"m": {"rssi_dbm": -60.0}})
    hub.hears("gate-1", "tele", {"m": {"rssi_dbm": -60.0}})
    return hub


@pytest.mark.parametrize("jump", [DAY, -DAY, 400 * DAY, -HOUR], ids=str)
def test_setting_the_hubs_clock_fires_nothing_and_hides_nothing(hub: Hub, jump: int) -> None:
    life(hub).passes(ms=10 * SECOND)
    hub.hears("gate-1", "state", {"m": {"door_open": True}}).passes(ms=10 * SECOND)
    hub.now_ms += jump
    hub.passes(ms=30 * SECOND)
    assert hub.alerts() == [], "nobody fell silent, and the gate is open for forty seconds"
    life(hub)
    hub.burns().passes(ms=15 * SECOND)
    assert hub.alerts() == [SMOKE_1]
    hub.passes(ms=10 * SECOND)
    assert ("gate-1", "gate-held-open", "active_unacked") in hub.alerts(), "the minute is over"
    hub.passes(ms=90 * SECOND)
    silent = [device for device, rule, _ in hub.alerts() if "offline" in rule]
    assert "gw-1" in silent, "silence is found as soon as ever"


def test_a_hub_that_was_down_for_a_day_does_not_hold_its_own_silence_against_the_devices(hub: Hub) -> None:
    life(hub).passes(ms=10 * SECOND)
    state = hub.state()
    fresh = hub.restart(state, now_ms=hub.now_ms + DAY)
    try:
        fresh.passes(ms=80 * SECOND, each_ms=SECOND)
        assert fresh.alerts() == []
        fresh.passes(ms=20 * SECOND)
        assert [d for d, rule, _ in fresh.alerts() if rule == "gateway-offline"] == ["gw-1"]
    finally:
        fresh.close()


def test_a_broker_that_is_away_is_one_alert_and_not_one_for_every_device(hub: Hub) -> None:
    life(hub).passes(ms=10 * SECOND)
    hub.listens = False
    hub.passes(ms=HOUR, each_ms=SECOND)
    assert hub.alerts() == [("hub", "hub-deaf", "active_unacked")]
    hub.listens = True
    hub.passes(ms=80 * SECOND)
    assert [a for a in hub.alerts(live=True) if "offline" in a[1]] == [], "who comes back has its time to say so"
    hub.passes(ms=20 * SECOND)
    assert "gw-1" in {d for d, rule, _ in hub.alerts(live=True) if "offline" in rule}, "who does not is missed"
    assert [a for a in hub.alerts(live=True) if a[0] == "hub" and a[2].startswith("active")] == []


def test_a_held_condition_goes_on_while_the_broker_is_away(hub: Hub) -> None:
    hub.hears("gate-1", "state", {"m": {"door_open": True}}).passes(ms=10 * SECOND)
    hub.listens = False
    hub.passes(ms=55 * SECOND)
    assert hub.alerts() == [("gate-1", "gate-held-open", "active_unacked")], "the last known value stands"


def test_a_hub_that_was_killed_while_it_was_deaf_knows_it_afterwards(hub: Hub) -> None:
    life(hub).passes(ms=10 * SECOND)
    hub.listens = False
    hub.passes(ms=95 * SECOND)
    fresh = hub.restart(hub.state())
    try:
        fresh.listens = False
        fresh.passes(ms=100 * SECOND)
        assert {d for d, *_ in fresh.alerts()} == {"hub"}
        fresh.listens = True
        life(fresh).passes(ms=30 * SECOND)
        assert [a for a in fresh.alerts(live=True) if a[2].startswith("active")] == []
    finally:
        fresh.close()


@pytest.mark.parametrize("jump", [DAY, -DAY, 10 * 365 * DAY, -(START - 5)], ids=str)
def test_a_devices_clock_neither_hides_nor_repeats_its_alarm(hub: Hub, jump: int) -> None:
    hub.burns(number=1, ts=hub.now_ms + jump).passes()
    assert hub.alerts() == [SMOKE_1]
    hub.burns(number=2, ts=hub.now_ms + jump).passes()
    assert len(hub.alerts()) == 1
    (alert,) = hub.queries.list(scope=None).rows
    assert START <= alert.raised_at_ms <= hub.now_ms


# -- what must not alarm, and what must ------------------------------------------------------------------------------------


def test_what_a_device_fills_in_later_never_alarms(hub: Hub) -> None:
    hub.hears("smoke-1", "batch", {"hist": True, "r": [{"ts": START - DAY, "m": {"smoke": True}}]})
    hub.hears("smoke-1", "tele", {"hist": True, "ts": START - 5, "m": {"smoke": True}})
    hub.burns("smoke-2", hist=True, ts=START - DAY)
    hub.passes(ms=2 * SECOND)
    assert hub.alerts() == []
    flags = [int(q) for s in hub.segments for q in s.batch.quality]
    assert sum(bool(q & Quality.HISTORY) for q in flags) == 3, "all of it is for the history"


def test_a_ghost_that_the_broker_kept_never_alarms_and_a_fresh_state_does(hub: Hub) -> None:
    hub.hears("smoke-1", "state", {"ts": START - DAY, "m": {"smoke": True}}, retained=True)
    hub.hears("smoke-2", "tele", {"m": {"smoke": True}}, retained=True)
    hub.passes()
    assert [a for a in hub.alerts() if a[1] == "smoke-alarm"] == []
    hub.hears("smoke-1", "state", {"ts": hub.now_ms - SECOND, "m": {"smoke": True}}, retained=True).passes()
    assert hub.alerts() == [SMOKE_1]


def test_a_late_alarm_is_told_and_a_late_all_clear_is_not_believed(hub: Hub) -> None:
    hub.burns(number=1, ts=hub.now_ms - HOUR).passes()
    assert hub.alerts() == [SMOKE_1]
    hub.burns(number=2, active=False, ts=hub.now_ms - 2 * HOUR).passes()
    assert hub.alerts() == [SMOKE_1]


@pytest.mark.parametrize("value", [None, "banana", 2, 10**30, {"a": 1}, [], "\u0000"], ids=repr)
def test_a_value_that_cannot_be_never_clears_an_alarm(hub: Hub, value: Any) -> None:
    hub.burns().passes()
    hub.hears("smoke-1", "state", {"m": {"smoke": value}}).passes()
    assert hub.alerts() == [SMOKE_1]


def test_a_test_button_wakes_nobody(hub: Hub) -> None:
    hub.burns(test=True).passes()
    assert hub.alerts() == []
    assert hub.told() == 0
