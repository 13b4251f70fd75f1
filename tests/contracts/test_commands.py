"""Commands to devices, on an SQLite file and on a real PostgreSQL: sent once, by two triggers or one and a person, and read back."""

from __future__ import annotations

import threading

import pytest

from hub.actuation.actuator import Actuator
from hub.actuation.table import Table
from hub.errors import IllegalAction, NotAllowed, NotFound
from hub.model.readings import Quality
from hub.stores.audit_log import AuditLog
from hub.stores.fact_queries import FactQueries
from hub.stores.ledger import Ledger
from tests.support.alerts import OFFICER, OTHER, STRANGER, T0, VIEWER, WORKER, event
from tests.support.commands import CABINET, CONFIRMED, ONE, RULES, SMOKE, Latest, Yard, table


@pytest.fixture
def yard(ledger: Ledger) -> Yard:
    return Yard(ledger)


def test_a_confirmed_fire_opens_the_gates_of_its_compound_and_their_word_confirms_it(yard: Yard) -> None:
    alert = yard.burns()
    yard.step()
    assert [topic for topic, _ in yard.published] == ["sc/v1/demo/gw-1/gate-1/cmd", "zigbee2mqtt/Gate 2/set"]
    assert yard.published[0][1]["set"] == {"gate_state": "open"}
    assert yard.published[0][1]["expires_ms"] == yard.now_ms + 60_000
    assert yard.published[1][1] == {"state": "OPEN"}
    assert yard.said == [("gate-2", "gate_wanted", 1.0)], "the rules hear of what the hub cannot hear itself"
    assert yard.states() == {"gate-1": "sent", "gate-2": "sent"}
    yard.now_ms += 800
    yard.answers("gate-1", "gate_state", "opening")
    yard.step()
    assert yard.states() == {"gate-1": "confirmed", "gate-2": "sent"}
    yard.step(later_ms=10_000)
    assert yard.states() == {"gate-1": "confirmed", "gate-2": "unconfirmed"}
    assert yard.of("gate-2").reason == "no read-back within 10 s"
    assert yard.story(alert) == [
        *["command_planned"] * 2,
        *["command_sent", "command_handed_over"] * 2,
        "command_confirmed",
        "command_unconfirmed",
    ]
    assert AuditLog(yard.ledger).verify().good


def test_a_device_that_nobody_named_is_never_moved(yard: Yard) -> None:
    yard.burns()
    yard.burns(CABINET, "cabinet-2")
    yard.step()
    assert {one.device_id for one in yard.all()} == {"gate-1", "gate-2"}


def test_what_is_not_live_goes_all_the_way_but_to_the_broker(yard: Yard) -> None:
    yard.table = table(live=False)
    yard.boot()
    alert = yard.burns()
    yard.step()
    assert yard.published == []
    assert yard.states() == {"gate-1": "rehearsed", "gate-2": "rehearsed"}
    (row,) = [
        r for r in yard.queries.audit(alert.id) if r.action == "command_rehearsed" and r.detail["device"] == "gate-1"
    ]
    assert row.detail["topic"] == "sc/v1/demo/gw-1/gate-1/cmd"
    assert row.detail["reason"] == "the action is not live"


def test_a_test_alarm_moves_nothing(yard: Yard) -> None:
    yard.burns(canary=True)
    yard.step()
    assert yard.published == []
    assert set(yard.states().values()) == {"rehearsed"}


def test_one_trigger_alone_moves_nothing_whatever_its_rule_is_called(yard: Yard) -> None:
    yard.burns(evidence=ONE)
    yard.step()
    assert yard.published == []
    assert {one.reason for one in yard.all()} == {"fewer than two independent triggers are on record"}


def test_a_rule_that_was_made_a_single_trigger_meanwhile_moves_nothing(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RULES, CONFIRMED.id, SMOKE)
    yard.burns()
    yard.step()
    assert yard.published == []
    assert set(yard.states().values()) == {"refused"}


def test_one_trigger_waits_for_a_person_who_may_and_says_why(yard: Yard) -> None:
    alert = yard.burns(SMOKE, "cabinet-1")
    yard.step()
    command = yard.of("cabinet-1")
    assert command.needs_a_person
    assert yard.published == []
    for actor, refusal in ((WORKER, NotFound), (STRANGER, NotFound), (VIEWER, NotAllowed)):
        with pytest.raises(refusal):
            yard.people.approve(command.id, actor, "I see smoke")
    with pytest.raises(IllegalAction, match="reason"):
        yard.people.approve(command.id, OTHER, "  ")
    yard.now_ms += 30_000
    yard.people.approve(command.id, OTHER, "I see smoke")
    yard.step()
    ((topic, body),) = yard.published
    assert (topic, body["set"]) == ("sc/v1/demo/gw-1/cabinet-1/cmd", {"relay_on": False})
    rows = [row for row in yard.queries.audit(alert.id) if row.action == "command_approved"]
    assert [(row.actor, row.detail["words"]) for row in rows] == [(OTHER.id, "I see smoke")]
    with pytest.raises(IllegalAction):
        yard.people.approve(command.id, OTHER, "again")
    with pytest.raises(IllegalAction):
        yard.people.forbid(command.id, OTHER, "too late")


def test_nobody_approves_and_it_lapses(yard: Yard) -> None:
    yard.burns(SMOKE, "cabinet-1")
    yard.step()
    yard.step(later_ms=900_000)
    assert yard.of("cabinet-1").state == "expired"
    assert yard.of("cabinet-1").reason == "nobody approved it in time"
    assert yard.published == []


def test_an_approval_after_the_alarm_is_over_is_refused(yard: Yard) -> None:
    alert = yard.burns(SMOKE, "cabinet-1")
    yard.step()
    yard.alerts.act(alert.id, "false_alarm", OFFICER, yard.now_ms + 1, reason="dust")
    with pytest.raises(IllegalAction):
        yard.people.approve(yard.of("cabinet-1").id, OFFICER, "cut it")
    with pytest.raises(IllegalAction, match="over"):
        yard.people.order("cut-cabinet", alert.id, OFFICER, "cut it")


def test_a_person_may_ask_while_one_trigger_holds(yard: Yard) -> None:
    alert = yard.burns(SMOKE, "cabinet-1")
    with pytest.raises(IllegalAction, match="does not belong"):
        yard.people.order("open-gates", alert.id, OFFICER, "let them in")
    with pytest.raises(IllegalAction, match="no such device"):
        yard.people.order("cut-cabinet", alert.id, OFFICER, "cut it", device_id="cabinet-2")
    (command,) = yard.people.order("cut-cabinet", alert.id, OFFICER, "cut it")
    yard.step()
    assert yard.commands.one(command.id).state == "sent"  # type: ignore[union-attr]
    assert len(yard.published) == 1


def test_the_interlock_looks_again_at_the_moment_of_sending(yard: Yard) -> None:
    alert = yard.burns()
    yard.connected = False
    yard.step()
    assert yard.states() == {"gate-1": "planned", "gate-2": "planned"}
    yard.alerts.act(alert.id, "false_alarm", OFFICER, yard.now_ms + 1, reason="dust")
    yard.connected = True
    yard.step(later_ms=1_000)
    assert yard.published == []
    assert {one.reason for one in yard.all()} == {"the alarm is over"}


def test_what_could_not_be_sent_in_time_never_leaves(yard: Yard) -> None:
    yard.connected = False
    yard.burns()
    yard.step()
    yard.step(later_ms=59_000)
    assert set(yard.states().values()) == {"planned"}
    yard.connected = True
    yard.step(later_ms=1_000)
    assert yard.published == []
    assert set(yard.states().values()) == {"expired"}


def test_a_ban_keeps_a_device_still_until_it_is_lifted(yard: Yard) -> None:
    with pytest.raises(NotAllowed):
        yard.people.ban("", "", yard.now_ms + 60_000, OTHER, "all of it")
    with pytest.raises(NotAllowed):
        yard.people.ban("", "gate-1", yard.now_ms + 60_000, WORKER, "I am under it")
    ban = yard.people.ban("", "gate-1", yard.now_ms + 3_600_000, OTHER, "somebody works at it")
    yard.burns()
    yard.step()
    assert yard.states() == {"gate-1": "refused", "gate-2": "sent"}
    assert yard.of("gate-1").reason == f"forbidden by {OTHER.name}: somebody works at it"
    yard.people.lift(ban.id, OTHER)
    yard.burns(CABINET, "cabinet-1")
    yard.step(later_ms=1)
    assert yard.of("gate-1").state == "sent"
    with pytest.raises(NotFound):
        yard.people.lift(ban.id, OTHER)


def test_a_restart_only_looks_for_the_read_back_of_what_was_sent(yard: Yard) -> None:
    yard.burns()
    yard.step()
    before = list(yard.published)
    yard.boot()
    yard.known["gate-1"] = [Latest("gate_state", "open", yard.now_ms + 400)]
    yard.step(later_ms=1_000)
    assert yard.published == before
    assert yard.states() == {"gate-1": "confirmed", "gate-2": "sent"}
    yard.boot()
    yard.step(later_ms=10_000)
    assert yard.published == before
    assert yard.states()["gate-2"] == "unconfirmed"


def test_killed_between_marking_and_publishing_it_is_not_sent_and_says_so(yard: Yard) -> None:
    yard.burns()
    yard.dies_before_publishing = True
    with pytest.raises(SystemExit):
        yard.step()
    yard.dies_before_publishing = False
    yard.boot()
    yard.step(later_ms=1_000)
    assert [topic for topic, _ in yard.published] == ["zigbee2mqtt/Gate 2/set"], "the other one had not been marked yet"
    yard.step(later_ms=10_000)
    assert yard.states()["gate-1"] == "unconfirmed"


def test_the_same_alarm_asks_once_and_a_new_one_asks_anew(yard: Yard) -> None:
    yard.burns()
    for _ in range(3):
        yard.step(later_ms=100)
    yard.boot()
    yard.step()
    assert len(yard.published) == 2
    yard.now_ms += 60_000
    gone = event("cleared", device="smoke-1", at_ms=yard.now_ms, start_ms=T0, of=CONFIRMED)
    yard.alerts.record([gone], consumer="rules", journal="j", position=2, now_ms=yard.now_ms)
    yard.burns(start_ms=yard.now_ms + 1)
    yard.step(later_ms=1)
    assert len(yard.published) == 4


def test_an_alarm_of_yesterday_that_is_found_at_a_start_moves_nothing(yard: Yard) -> None:
    yard.burns()
    yard.now_ms += 2 * 3_600_000
    yard.step()
    assert yard.all() == []


def test_what_was_said_before_the_command_proves_nothing(yard: Yard) -> None:
    yard.burns()
    yard.step()
    sent_ms = yard.now_ms
    yard.now_ms += 500
    yard.answers("gate-1", "gate_state", "open", quality=int(Quality.RETAINED), observed_ms=sent_ms - 1)
    yard.answers("gate-1", "gate_state", "open", quality=int(Quality.RETAINED | Quality.CLOCK))
    yard.answers("gate-1", "gate_state", "open", quality=int(Quality.TEST))
    yard.answers("gate-1", "gate_state", "closed")
    yard.step()
    assert yard.states()["gate-1"] == "sent"


def test_a_late_word_of_the_device_still_counts(yard: Yard) -> None:
    yard.burns()
    yard.step()
    yard.step(later_ms=10_000)
    assert yard.states()["gate-1"] == "unconfirmed"
    yard.now_ms += 5_000
    yard.answers("gate-1", "gate_state", "open")
    yard.step()
    assert yard.of("gate-1").state == "confirmed"
    assert yard.of("gate-1").reason == "late: read back after 15.0 s"


def test_a_gate_that_stood_open_is_confirmed_by_its_last_word_while_that_is_fresh(yard: Yard) -> None:
    yard.known = {
        "gate-1": [Latest("gate_state", "open", yard.now_ms - 5_000)],
        "gate-2": [Latest("gate_state", "open", yard.now_ms - 10 * 86_400_000)],
    }
    yard.burns()
    yard.step()
    yard.step(later_ms=10_000)
    assert yard.states() == {"gate-1": "confirmed", "gate-2": "unconfirmed"}


def test_a_rehearsal_stops_before_the_broker_unless_the_action_lets_it_go_marked_as_a_test(yard: Yard) -> None:
    command = yard.people.rehearse("open-gates", "gate-1", OFFICER, "monthly test")
    yard.step()
    assert yard.published == []
    assert yard.commands.one(command.id).state == "rehearsed"  # type: ignore[union-attr]
    yard.table = table(tests_reach_devices=True)
    yard.boot()
    yard.now_ms += 1
    yard.people.rehearse("open-gates", "gate-1", OFFICER, "monthly test")
    other = yard.people.rehearse("open-gates", "gate-2", OFFICER, "monthly test")
    yard.step()
    ((_, body),) = yard.published
    assert body["test"] is True
    assert yard.commands.one(other.id).state == "refused", "a dialect that cannot mark a test says none"  # type: ignore[union-attr]
    assert yard.said == []
    with pytest.raises(NotFound):
        yard.people.rehearse("open-gates", "gate-9", OFFICER, "not named")


def test_two_hubs_send_a_command_once(yard: Yard) -> None:
    yard.burns()
    second = Actuator(yard.commands, yard.table, yard.world(), lambda: yard.now_ms)
    both = [threading.Thread(target=one.step) for one in (yard.actuator, second)]
    for one in both:
        one.start()
    for one in both:
        one.join(10)
    assert len(yard.published) == 2
    assert set(yard.states().values()) == {"sent"}


def test_what_was_not_done_is_a_fact_until_it_is_proven_or_the_alarm_is_over(yard: Yard) -> None:
    facts = FactQueries(yard.ledger)
    yard.burns(SMOKE, "cabinet-1")
    alert = yard.burns()
    yard.step()
    assert facts.failed_commands(T0) == frozenset()
    yard.step(later_ms=10_000)
    assert facts.failed_commands(T0) == {"gate-1", "gate-2"}
    yard.answers("gate-1", "gate_state", "open")
    yard.step(later_ms=900_000)
    assert yard.of("cabinet-1").state == "expired"
    assert facts.failed_commands(T0) == {"gate-2"}, "what nobody approved was not meant to go"
    assert facts.failed_commands(T0 + 1) == frozenset(), "of that time only"
    yard.alerts.act(alert.id, "false_alarm", OFFICER, yard.now_ms, reason="dust")
    assert facts.failed_commands(T0) == frozenset()


def test_a_siren_that_shows_nothing_is_no_failure(yard: Yard) -> None:
    siren = {"id": "siren", "set": {"siren": True}, "devices": ["siren-1"], "area": "station"}
    first = yard.table.actions[0].model_dump()
    yard.table = Table.model_validate({"actions": [{**first, **siren}]})
    yard.boot()
    yard.burns()
    yard.step()
    ((topic, body),) = yard.published
    assert (topic, body["cmd"], body["on"], body["expires_ms"]) == (
        "sc/v1/demo/st/siren/cmd", "siren", True, yard.now_ms + 120_000,
    )  # fmt: skip
    assert (yard.of("siren-1").state, yard.of("siren-1").reason) == ("unconfirmed", "it reports nothing to read back")
    assert FactQueries(yard.ledger).failed_commands(T0) == frozenset()


def test_looking_for_alarms_goes_on_behind_what_was_seen(yard: Yard) -> None:
    first = yard.burns()
    found, upto = yard.commands.triggers(["fire-confirmed"], 0)
    assert ([one.id for one in found], upto) == ([first.id], first.change)
    assert yard.commands.triggers(["fire-confirmed"], upto) == ([], upto)
    other = yard.burns(SMOKE, "cabinet-1")
    assert yard.commands.triggers(["fire-confirmed"], upto) == ([], other.change), (
        "what is not asked for is passed over"
    )
    one, at = yard.commands.triggers(["fire-confirmed", "cabinet-smoke"], 0, limit=1)
    assert ([a.id for a in one], at) == ([first.id], first.change)
