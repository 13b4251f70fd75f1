"""Over the API: what may be moved, commands to devices with what people say about them, and figures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.clock import SteppedClock
from hub.model.commands import Command, command_id
from tests.support.served import GRID, SMOKE, Hub, hub_at
from tests.unit.test_api_alerts import API, client

T0 = 1_767_225_600_000
CABINET = "cabinet-c1-02"
WHY = {"reason": "smoke comes out of it"}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with hub_at(tmp_path, SteppedClock(T0)) as found:
        yield found


def planned(hub: Hub, alert: str, **changed: object) -> str:
    """A command that one trigger asks for, as the actuator plans it."""
    cabinet = hub.registry.find(CABINET)
    assert cabinet is not None
    fields = {
        "id": command_id("cut-cabinet", CABINET, alert), "action_id": "cut-cabinet", "device_id": CABINET,
        "quantity": "relay_on", "wanted": False, "mode": "live", "ground": "suspected", "alert_id": alert,
        "rule_id": "cabinet-smoke", "occurrence": 1, "grid": cabinet.grid,
        "station": hub.registry.station_of_grid[cabinet.grid], "planned_at_ms": T0, "expires_at_ms": T0 + 900_000,
    }  # fmt: skip
    command = Command(**fields | changed)  # type: ignore[arg-type]
    assert hub.parts.moving is not None
    hub.parts.moving.commands.plan([command])
    return command.id


def test_the_shipped_table_moves_nothing_but_sirens(hub: Hub) -> None:
    rows = client(hub).get(f"{API}/actions").json()
    assert {row["id"]: row["live"] for row in rows} == {
        "sound-sirens": True,
        "open-gates": False,
        "cut-cabinet": False,
        "cut-bay": False,
    }
    gates = next(row for row in rows if row["id"] == "open-gates")
    assert gates["set"] == {"quantity": "gate_state", "value": "open"}
    assert gates["devices"], "those of the crew's own grids"
    assert all(device["known"] for device in gates["devices"])
    assert len(gates["devices"]) < 10


def test_a_crew_approves_what_one_trigger_asks_for_and_it_stands_in_the_record(hub: Hub) -> None:
    alert = hub.says(CABINET, "cabinet-smoke")
    number = planned(hub, alert)
    crew = client(hub)
    (listed,) = crew.get(f"{API}/commands", params={"alert": alert}).json()
    assert (listed["id"], listed["needs_a_person"], listed["state"]) == (number, True, "planned")
    assert crew.post(f"{API}/commands/{number}/approve", json={"reason": "  "}).status_code == 422
    answer = crew.post(f"{API}/commands/{number}/approve", json=WHY)
    assert (answer.status_code, answer.json()["needs_a_person"]) == (200, False)
    again = crew.post(f"{API}/commands/{number}/approve", json=WHY)
    assert again.status_code == 200, "it has not left: the word may be said again"
    stopped = crew.post(f"{API}/commands/{number}/forbid", json={"reason": "somebody is inside"}).json()
    assert (stopped["state"], stopped["reason"]) == ("refused", "somebody is inside")
    too_late = crew.post(f"{API}/commands/{number}/approve", json=WHY)
    assert (too_late.status_code, too_late.json()["reason"]) == (409, "command-too-late")
    timeline = [row["action"] for row in crew.get(f"{API}/alerts/{alert}").json()["timeline"]]
    assert timeline[-4:] == ["command_planned", "command_approved", "command_approved", "command_refused"]


def test_who_may_not_act_may_not_move(hub: Hub) -> None:
    number = planned(hub, hub.says(CABINET, "cabinet-smoke"))
    viewer = client(hub, "viewer", grids=("*",))
    assert viewer.post(f"{API}/commands/{number}/approve", json=WHY).status_code == 403
    worker = client(hub, "grid_worker", grids=("*",))
    refused = worker.post(f"{API}/commands/{number}/approve", json=WHY)
    assert (refused.status_code, refused.json()["code"]) == (403, "wrong-role")
    elsewhere = client(hub, "officer", grids=("440399001002001",), stations=())
    assert elsewhere.get(f"{API}/commands/{number}").status_code == 404
    assert elsewhere.post(f"{API}/commands/{number}/approve", json=WHY).status_code == 404
    assert elsewhere.get(f"{API}/commands").json() == []


def test_a_person_asks_for_an_action_only_while_its_alarm_holds(hub: Hub) -> None:
    crew = client(hub)
    smoke = hub.says(SMOKE)
    wrong = crew.post(f"{API}/actions/cut-cabinet/order", json={"alert": smoke, **WHY})
    assert (wrong.status_code, wrong.json()["reason"]) == (409, "command-other-alarm")
    alert = hub.says(CABINET, "cabinet-smoke")
    made = crew.post(f"{API}/actions/cut-cabinet/order", json={"alert": alert, **WHY})
    assert made.status_code == 201
    ((device, mode),) = [(row["device"], row["mode"]) for row in made.json()]
    assert (device, mode) == (CABINET, "dry"), "the shipped action is not live: written down, not sent"
    assert crew.post(f"{API}/actions/no-such/order", json={"alert": alert, **WHY}).status_code == 404


def test_bans_and_tests(hub: Hub) -> None:
    crew = client(hub)
    made = crew.post(f"{API}/command-bans", json={"device": CABINET, "for_s": 3_600, "reason": "being repaired"})
    assert made.status_code == 201
    cabinet = next(row for row in crew.get(f"{API}/actions").json() if row["id"] == "cut-cabinet")
    assert [one["id"] for one in cabinet["devices"] if one["banned"]] == [CABINET]
    whole = crew.post(f"{API}/command-bans", json={"for_s": 3_600, "reason": "all of it"})
    assert whole.status_code == 403
    assert [row["id"] for row in crew.get(f"{API}/command-bans").json()] == [made.json()["id"]]
    assert crew.delete(f"{API}/command-bans/{made.json()['id']}").status_code == 200
    assert crew.get(f"{API}/command-bans").json() == []
    tried = crew.post(f"{API}/actions/cut-cabinet/test", json={"device": CABINET, "reason": "monthly"})
    assert (tried.status_code, tried.json()["mode"]) == (201, "test")


def test_figures_of_the_own_grids_and_as_metrics(hub: Hub) -> None:
    alert = hub.says()
    hub.clock.advance(s=40)  # type: ignore[attr-defined]
    crew = client(hub)
    assert crew.post(f"{API}/alerts/{alert}/acknowledge").status_code == 200
    hub.says(hub.far_smoke())
    found = crew.get(f"{API}/figures").json()
    assert found["alerts"] == 1
    (p1,) = found["answered"]
    assert (p1["severity"], p1["mtta_s"], p1["share"]) == ("P1", 40.0, 1.0)
    assert found["acknowledged_in_time"] == {"limit_s": 60, "due": 1, "kept": 1, "ratio": 1.0}
    assert {row["source"] for row in found["cases"]} == {"alert"}
    assert found["load"][0]["busiest_10_min"] == 1
    assert crew.get(f"{API}/figures", params={"grid": GRID}).json()["alerts"] == 1
    assert crew.get(f"{API}/figures", params={"grid": "999"}).status_code == 422
    assert crew.get(f"{API}/figures", params={"since": T0 + 100_000}).status_code == 422
    text = crew.get("/metrics").text
    assert 'gridhub_mtta_seconds{severity="P1",window="24h"} 40.0' in text
    assert 'gridhub_alerts_share{severity="P1",window="30d"} 1.0' in text
    assert "gridhub_false_alarms_per_detector_year 0.0" in text
    hub.away.append("ledger")
    hub.clock.advance(minutes=2)  # type: ignore[attr-defined]
    assert 'gridhub_mtta_seconds{severity="P1"' not in crew.get("/metrics").text, "an old figure looks like a good one"
