"""What the hub says of its own work: what follows from what, and that only changes are said, over restarts too."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import Unavailable
from hub.facts import AT_HAND, IN_LEDGER, Facts, Known, hub_facts, ledger_facts, stepped
from hub.model.quantities import OWN, QUANTITIES
from hub.stores import state_file

T0 = 1_767_225_600_000


class Ledger:
    """The questions of `FactQueries`, answered from attributes; `away` raises, as a ledger does that cannot be reached."""

    def __init__(self) -> None:
        self.known = {
            "unattended": [],
            "confirmed": frozenset(),
            "false_alarms": {},
            "refusals": {},
            "told": {},
            "failed_commands": (),
        }
        self.alerts: list[tuple[str, str]] = []
        self.asked: list[str] = []
        self.away = False

    def __getattr__(self, name):
        def ask(*_):
            self.asked.append(name)
            if self.away:
                raise Unavailable("the ledger is away")
            return self.alerts if name == "standing" else self.known[name]

        return ask


class Life:
    """One life of the hub: a `Facts` on a ledger that stays, a memory that stays, and a clock."""

    def __init__(self, ledger: Ledger, memory: Path, now_ms: int = T0) -> None:
        self.said: list[tuple[str, str, float]] = []
        self.now_ms, self.missed, self.unmanned = now_ms, 0, ()
        self.facts = Facts(
            ledger,  # type: ignore[arg-type]
            lambda *fact: self.said.append(fact),
            memory=memory,
            clock=lambda: self.now_ms,
            missed=lambda: self.missed,
            unmanned=lambda now_ms: self.unmanned,
        )

    def look(self, later_ms: int = 3_000) -> list[tuple[str, str, float]]:
        self.now_ms += later_ms
        self.said.clear()
        self.facts.step()
        return list(self.said)


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    return tmp_path / "facts.state"


# -- what follows from what


def test_a_device_is_unattended_for_as_long_as_its_fire_was_acknowledged_and_nobody_is_there():
    known = Known(unattended=[("a", T0), ("a", T0 - 60_000), ("b", T0 + 175_000)])
    assert ledger_facts(known, T0 + 180_000) == {("a", "unattended_s"): 240.0}


def test_seconds_are_told_in_steps_that_meet_every_limit_of_ten_seconds():
    assert [stepped(s) for s in (-5, 0, 9.9, 10, 179.9, 180, 599, 600, 659, 660, 3_599, 3_600, 10**9)] == [
        0, 0, 0, 10, 170, 180, 590, 600, 600, 660, 3_540, 3_600, 3_600,
    ]  # fmt: skip


@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_steps_are_never_ahead_and_never_go_back(one, other):
    earlier, later = sorted((one, other))
    assert stepped(earlier) <= earlier
    assert stepped(earlier) <= stepped(later)


def test_the_worst_channel_and_the_busiest_person_count():
    known = Known(refusals={"webhook": 3, "sms": 7}, told={"li": 4, "north": 11})
    assert ledger_facts(known, T0) == {("hub", "channel_refusals"): 7.0, ("hub", "alarms_per_person_10min"): 11.0}


def test_false_alarms_and_confirmed_fires_are_of_their_devices():
    known = Known(false_alarms={"a": 2, "b": 1}, confirmed=["c"])
    assert ledger_facts(known, T0) == {
        ("a", "false_alarms_12m"): 2.0,
        ("b", "false_alarms_12m"): 1.0,
        ("c", "fire_confirmed"): 1.0,
    }


def test_all_is_well_is_no_fact():
    assert hub_facts(missed=0, unmanned=()) == {}
    assert ledger_facts(Known(refusals={"webhook": 0}), T0) == {}


def test_every_fact_is_a_quantity_of_the_hubs_own_and_stays_within_its_limits():
    assert OWN - {"chattering", "flooding"} == AT_HAND | IN_LEDGER
    many = Known(refusals={"w": 10**9}, told={"li": 10**9}, false_alarms={"a": 10**9}, unattended=[("a", 0)])
    for (_, name), value in (ledger_facts(many, T0) | hub_facts(missed=10**9, unmanned=["g"] * 2_000)).items():
        assert QUANTITIES[name].low <= value <= QUANTITIES[name].high


# -- what is said


def test_only_what_changed_is_said(ledger, memory):
    life = Life(ledger, memory)
    assert life.look() == []
    life.unmanned, ledger.known["told"] = ("g1", "g2"), {"li": 3}
    assert life.look() == [("hub", "unmanned_grids", 2.0), ("hub", "alarms_per_person_10min", 3.0)]
    assert [life.look() for _ in range(5)] == [[]] * 5
    life.unmanned = ("g1",)
    assert life.look() == [("hub", "unmanned_grids", 1.0)]
    life.unmanned = ()
    assert life.look() == [("hub", "unmanned_grids", 0.0)]
    assert life.look() == []


def test_an_unattended_fire_is_told_every_ten_seconds_and_ends_once(ledger, memory):
    life = Life(ledger, memory)
    ledger.known["unattended"] = [("smoke-1", T0)]
    said = [life.look() for _ in range(60)]  # three minutes
    told = [fact for look in said for fact in look]
    assert [value for *_, value in told] == [10.0 * n for n in range(1, 19)]
    ledger.known["unattended"] = []
    assert life.look() == [("smoke-1", "unattended_s", 0.0)]
    assert life.look() == []


def test_after_a_restart_everything_is_said_again_as_it_is_then(ledger, memory):
    life = Life(ledger, memory)
    ledger.known["confirmed"], ledger.known["false_alarms"] = frozenset({"a", "b"}), {"c": 3}
    life.look()
    ledger.known["confirmed"] = frozenset({"b"})
    again = Life(ledger, memory, T0 + 60_000)
    assert sorted(again.look()) == [
        ("a", "fire_confirmed", 0.0),
        ("b", "fire_confirmed", 1.0),
        ("c", "false_alarms_12m", 3.0),
    ]
    assert again.look() == []


def test_what_was_said_right_before_a_crash_ends_after_it(ledger, memory):
    life = Life(ledger, memory)

    def crash(*fact):
        raise KeyboardInterrupt

    life.facts._say = crash
    ledger.known["confirmed"] = frozenset({"a"})
    with pytest.raises(KeyboardInterrupt):
        life.look()
    ledger.known["confirmed"] = frozenset()
    assert Life(ledger, memory).look() == [("a", "fire_confirmed", 0.0)]  # it may have been said: its end is said


@pytest.mark.parametrize("damage", [None, b"nonsense", b"GHS1\0\0\0\0[]"])
def test_a_lost_memory_is_made_up_for_from_the_alerts_that_stand(ledger, memory, damage):
    if damage is not None:
        memory.write_bytes(damage)
    ledger.alerts = [("a", "unattended_s"), ("hub", "unmanned_grids")]
    life = Life(ledger, memory)
    life.unmanned = ("g1",)
    assert sorted(life.look()) == [("a", "unattended_s", 0.0), ("hub", "unmanned_grids", 1.0)]


def test_while_the_ledger_is_away_its_facts_stand_and_the_others_go_on(ledger, memory):
    life = Life(ledger, memory)
    ledger.known["unattended"] = [("a", T0)]
    life.look(10_000)
    ledger.away, life.missed = True, 2
    with pytest.raises(Unavailable):
        life.look()
    assert life.said == [("hub", "canary_missed", 2.0)]
    ledger.away = False
    ledger.known["unattended"] = []
    assert life.look() == [("a", "unattended_s", 0.0)]


def test_a_start_without_ledger_and_memory_says_what_needs_none_and_takes_up_the_rest_later(ledger, memory):
    ledger.away, ledger.alerts = True, [("a", "fire_confirmed")]
    life = Life(ledger, memory)
    life.missed = 1
    for expected in ([("hub", "canary_missed", 1.0)], []):
        with pytest.raises(Unavailable):
            life.look()
        assert life.said == expected
    ledger.away = False
    assert life.look() == [("a", "fire_confirmed", 0.0)]


def test_a_fact_that_could_not_be_said_is_said_at_the_next_look(ledger, memory):
    life = Life(ledger, memory)
    life.missed = 2
    say, life.facts._say = life.facts._say, lambda *fact: (_ for _ in ()).throw(Unavailable("the journal is closed"))
    with pytest.raises(Unavailable):
        life.look()
    life.facts._say = say
    assert life.look() == [("hub", "canary_missed", 2.0)]


def test_a_full_disk_keeps_nobody_from_saying_facts(ledger, tmp_path):
    life = Life(ledger, tmp_path / "no" / "such" / "folder" / "facts.state")
    life.missed = 2
    assert life.look() == [("hub", "canary_missed", 2.0)]


def test_the_memory_does_not_change_with_every_value(ledger, memory):
    life = Life(ledger, memory)
    ledger.known["unattended"] = [("a", T0)]
    life.look(10_000)
    before = memory.stat().st_mtime_ns
    for _ in range(10):
        life.look(10_000)
    assert memory.stat().st_mtime_ns == before
    assert state_file.read(memory) == b'[["a", "unattended_s"]]'


def test_false_alarms_are_counted_twice_a_minute_not_at_every_look(ledger, memory):
    life = Life(ledger, memory)
    for _ in range(20):  # a minute
        life.look()
    assert ledger.asked.count("false_alarms") == 2
    assert ledger.asked.count("unattended") == 20


def test_thin_shifts_are_said_without_the_ledger_and_unanswered_duty_checks_with_it(ledger, memory):
    life = Life(ledger, memory)
    life.facts = Facts(
        ledger,
        lambda *fact: life.said.append(fact),
        memory=memory,
        clock=lambda: life.now_ms,
        thin=lambda now_ms: ("north",),
        unanswered=lambda now_ms: ("north", "east"),
    )
    assert life.look() == [("hub", "thin_stations", 1.0), ("hub", "duty_unanswered", 2.0)]
    assert life.look() == []
