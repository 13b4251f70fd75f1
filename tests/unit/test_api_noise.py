"""Over the API: incidents, evidence, alerts that stand for long, and who raises false alarms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hub.clock import SteppedClock
from hub.model.alerts import Actor
from hub.model.rules import ConditionEvent
from tests.support.served import FAR_GRID, SMOKE, STATION, Hub, hub_at
from tests.unit.test_api_alerts import API, client

T0 = 1_767_225_600_000
HOUR = 3_600_000
CREW = Actor(id="crew", name="Crew", role="station", stations=("*",))


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with hub_at(tmp_path, SteppedClock(T0)) as found:
        yield found


def neighbours(hub: Hub) -> list[str]:
    """Detectors of the building in which SMOKE hangs."""
    registry = hub.registry
    number = registry.building[registry.slot_of[SMOKE]]
    return [d.id for d in registry.devices() if registry.building[d.slot] == number and d.kind == "smoke_alarm"]


def record(hub: Hub, *events: ConditionEvent) -> None:
    hub.parts.desk.record(events, consumer="rules", journal="j", position=1, now_ms=hub.clock())


def found(hub: Hub, kind: Any, device: str, rule: str, **more: Any) -> ConditionEvent:
    spec = hub.rules[rule]
    now = hub.clock()
    return ConditionEvent(
        kind=kind, rule=spec, slot=0, device=device, at_ms=now, observed_at_ms=now, received_at_ms=now,
        episode_start_ms=more.pop("start_ms", now), position=1, value=True, quantity=spec.quantity, **more,
    )  # fmt: skip


def test_faults_of_one_building_are_one_incident_with_its_alerts(hub: Hub) -> None:
    devices = neighbours(hub)[:3]
    for device in devices:
        hub.says(device, "smoke-battery-low")
    crew = client(hub)
    (incident,) = crew.get(f"{API}/incidents?live=true").json()["items"]
    assert (incident["alerts"], incident["open_alerts"], incident["live"]) == (3, 3, True)
    assert incident["title"]["en"] == "Detector battery low"
    assert incident["place"]["en"] == "Xingfu Lane, Building 1"
    assert incident["next_message_at_ms"] == T0 + 1_800_000
    listed = crew.get(f"{API}/alerts", params={"incident": incident["id"]}).json()["items"]
    assert {a["device"]["id"] for a in listed} == set(devices)
    assert {a["incident_id"] for a in listed} == {incident["id"]}
    assert sorted(a["bundled_until_ms"] or 0 for a in listed) == [0, T0 + 1_800_000, T0 + 1_800_000]
    whole = crew.get(f"{API}/incidents/{incident['id']}").json()
    assert [a["id"] for a in whole["members"]] == [a["id"] for a in listed]


def test_a_digest_stands_among_the_notifications_of_each_alert_that_it_tells_of(hub: Hub) -> None:
    ids = [hub.says(device, "smoke-battery-low") for device in neighbours(hub)[:3]]
    hub.parts.desk.run_timers(T0 + 1_800_000)
    told = client(hub).get(f"{API}/alerts/{ids[2]}").json()["deliveries"]
    assert {(d["transition"], d["alerts"]) for d in told} == {("digest:1", 2)}
    first = client(hub).get(f"{API}/alerts/{ids[0]}").json()["deliveries"]
    assert {(d["transition"], d["alerts"]) for d in first} == {("raised", 1)}


def test_incidents_of_other_grids_are_not_there(hub: Hub) -> None:
    far = hub.says(hub.far_smoke(), "smoke-battery-low")
    incident = hub.parts.queries.one(far).incident_id  # type: ignore[union-attr]
    assert client(hub).get(f"{API}/incidents").json()["items"] == []
    answer = client(hub).get(f"{API}/incidents/{incident}")
    assert (answer.status_code, answer.json()["remedy"]) == (404, "Look it up in the list of incidents.")
    assert client(hub, grids=(FAR_GRID,)).get(f"{API}/incidents/{incident}").status_code == 200
    assert client(hub).get(f"{API}/incidents/nonsense").status_code == 422
    assert client(hub).get(f"{API}/incidents?before=nonsense").status_code == 422


def test_an_alert_brings_the_evidence_of_each_raising(hub: Hub) -> None:
    evidence = {"value": 61.5, "threshold": 60, "members": ["a", "b"]}
    record(hub, found(hub, "raised", SMOKE, "smoke-alarm", evidence=evidence))
    (alert,) = client(hub).get(f"{API}/alerts").json()["items"]
    (raising,) = client(hub).get(f"{API}/alerts/{alert['id']}").json()["raisings"]
    assert raising["evidence"] == evidence
    assert (raising["start_ms"], raising["cleared_at_ms"]) == (T0, None)


def test_a_flapping_alert_says_so_and_is_in_the_ranking(hub: Hub) -> None:
    record(hub, found(hub, "raised", SMOKE, "smoke-alarm"))
    record(hub, found(hub, "chatter", SMOKE, "smoke-alarm", start_ms=T0))
    (alert,) = client(hub).get(f"{API}/alerts?severity=P1").json()["items"]
    assert alert["chattering"] is True
    ranking = client(hub).get(f"{API}/alerts/ranking").json()
    assert [a["id"] for a in ranking["chattering"]] == [alert["id"]]
    assert [(s["rule_id"], s["device_id"], s["times"]) for s in ranking["flapped"]] == [("smoke-alarm", SMOKE, 1)]


def test_what_stands_for_more_than_a_day_is_stale(hub: Hub) -> None:
    old = hub.says(SMOKE, "smoke-battery-low")
    hub.clock.at_ms += 2 * HOUR  # type: ignore[attr-defined]
    hub.says(neighbours(hub)[1], "smoke-battery-low")
    assert client(hub).get(f"{API}/alerts/stale").json() == []
    hub.clock.at_ms += 23 * HOUR  # type: ignore[attr-defined]
    (stale,) = client(hub).get(f"{API}/alerts/stale").json()
    assert (stale["id"], stale["held_s"]) == (old, 25 * 3_600)
    assert len(client(hub).get(f"{API}/alerts/stale?hours=20").json()) == 2
    assert client(hub, grids=(FAR_GRID,)).get(f"{API}/alerts/stale").json() == []
    anybody = client(hub)
    assert "gridhub_alerts_stale 1.0" in anybody.get("/metrics").text
    hub.away.append("ledger")
    assert "gridhub_alerts_stale NaN" in anybody.get("/metrics").text


def test_the_ranking_counts_what_became_of_alarms_and_compares_with_fire_practice(hub: Hub) -> None:
    for device, action in ((SMOKE, "false_alarm"), (SMOKE, "false_alarm"), (neighbours(hub)[1], "close")):
        alert_id = hub.says(device)
        start = hub.parts.queries.one(alert_id).episode_start_ms  # type: ignore[union-attr]
        hub.parts.desk.act(alert_id, "on_scene", CREW, hub.clock())
        if action == "close":
            record(hub, found(hub, "cleared", device, "smoke-alarm", start_ms=start))
        hub.parts.desk.act(alert_id, action, CREW, hub.clock(), reason="cooking")  # type: ignore[arg-type]
        if action == "false_alarm":
            record(hub, found(hub, "cleared", device, "smoke-alarm", start_ms=start))
        hub.clock.at_ms += HOUR  # type: ignore[attr-defined]
    hub.says(hub.far_smoke())
    record(hub, found(hub, "test", SMOKE, "smoke-alarm"))
    ranking = client(hub).get(f"{API}/alerts/ranking", params={"since": T0 - 365 * 24 * HOUR}).json()
    first, second = ranking["rows"]
    assert (first["key"], first["false"], first["real"], first["test"]) == (SMOKE, 2, 0, 1)
    assert first["name"]["zh"] == "1303室卧室烟感"
    assert first["level"] == "red"
    assert first["rate"] == pytest.approx(2.0, rel=0.01)
    assert (second["false"], second["real"], second["level"]) == (0, 1, "green")
    assert ranking["total"]["false"] == 2
    assert ranking["alarms"] == 3
    assert [(s["device_id"], s["times"]) for s in ranking["sources"]] == [(SMOKE, 2), (second["key"], 1)]
    assert ranking["sources"][0]["share"] == pytest.approx(2 / 3)

    building = client(hub).get(f"{API}/alerts/ranking", params={"by": "building", "since": T0 - 365 * 24 * HOUR}).json()
    (row,) = building["rows"]
    assert row["name"]["en"] == "Xingfu Lane, Building 1"
    assert row["detectors"] >= len(neighbours(hub))
    assert row["rate"] == pytest.approx(2 / row["detectors"], rel=0.01)
    assert client(hub).get(f"{API}/alerts/ranking?by=rule").json()["rows"][0]["key"] == "smoke-alarm"
    assert client(hub).get(f"{API}/alerts/ranking?by=street").status_code == 422


def test_a_rank_begins_where_it_is_asked_to(hub: Hub) -> None:
    hub.says()
    hub.clock.at_ms += HOUR  # type: ignore[attr-defined]
    assert client(hub).get(f"{API}/alerts/ranking", params={"since": T0}).json()["alarms"] == 1
    assert client(hub).get(f"{API}/alerts/ranking", params={"since": T0 + 1}).json()["alarms"] == 0
    later = client(hub).get(f"{API}/alerts/ranking", params={"since": T0 + 10**12}).json()
    assert (later["rows"], later["since_ms"]) == ([], later["until_ms"])


def test_a_withdrawn_rule_leaves_its_reason_where_people_look(hub: Hub) -> None:
    alert_id = hub.says(SMOKE, "smoke-battery-low")
    record(
        hub, replace(found(hub, "withdrawn", SMOKE, "smoke-battery-low", start_ms=T0), reason="the rule was removed")
    )
    alert = client(hub).get(f"{API}/alerts/{alert_id}").json()
    assert (alert["case_state"], alert["close_reason"], alert["closed_by"]["id"]) == (
        "closed",
        "the rule was removed",
        "hub",
    )
    assert alert["timeline"][-1]["action"] == "withdrawn"
    assert alert["station"]["id"] == STATION
