"""Devices, grids, stations and operations over the API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from hub.api import PartHealth
from hub.clock import SteppedClock
from hub.model.readings import QuarantineRow
from hub.stores.history import LatestValue
from tests.support.served import FAR_GRID, GRID, SMOKE, STATION, Hub, hub_at

API = "/api/v1"
NOW = 1_767_225_600_000  # 08:00 on the wall of the site


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with hub_at(tmp_path, SteppedClock(NOW)) as found:
        yield found


def client(hub: Hub, role: Any = "officer", **scope: Any) -> TestClient:
    token = hub.token(role, **(scope or {"grids": ("*",)}))
    return TestClient(hub.app, headers={"Authorization": f"Bearer {token}"})


def devices(reader: TestClient, **filters: Any) -> list[str]:
    answer = reader.get(f"{API}/devices", params={"limit": 500, **filters})
    assert answer.status_code == 200, answer.text
    return [device["id"] for device in answer.json()["items"]]


def test_every_device_is_listed_once_over_the_pages(hub: Hub) -> None:
    reader, found, after = client(hub), [], None
    while True:
        page = reader.get(f"{API}/devices", params={"limit": 70, **({"after": after} if after else {})}).json()
        found += [device["id"] for device in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert found == [device.id for device in hub.registry.devices()]


def test_devices_are_found_by_kind_grid_station_text_and_silence(hub: Hub) -> None:
    reader, known = client(hub), list(hub.registry.devices())
    assert devices(reader, kind="gate") == [d.id for d in known if d.kind == "gate"]
    assert devices(reader, grid=GRID) == [d.id for d in known if d.grid == GRID]
    served = hub.registry.stations[STATION].grids
    assert devices(reader, station=STATION) == [d.id for d in known if d.grid in served]
    assert SMOKE in devices(reader, text="1303室")
    assert SMOKE in devices(reader, text="ROOM 1303")
    hub.silent.add(SMOKE)
    assert devices(reader, silent="true") == [SMOKE]
    assert SMOKE not in devices(reader, silent="false")
    refused = reader.get(f"{API}/devices?kind=smoke_alrm").json()
    assert refused["errors"] == [
        {"field": "query.kind", "message": "'smoke_alrm' is not known; did you mean smoke_alarm?"}
    ]
    assert devices(reader, grid=GRID, kind="smoke_alarm", text=SMOKE) == [SMOKE]


def test_a_grid_worker_sees_the_devices_of_the_own_grid_only(hub: Hub) -> None:
    worker = client(hub, "grid_worker", grids=(GRID,))
    assert set(devices(worker)) == {d.id for d in hub.registry.devices() if d.grid == GRID}
    assert devices(worker, grid=FAR_GRID) == []
    hidden, unknown = worker.get(f"{API}/devices/{hub.far_smoke()}"), worker.get(f"{API}/devices/none")
    assert (hidden.status_code, hidden.json()) == (404, unknown.json())


def test_a_device_is_shown_with_its_latest_readings_and_open_alerts(hub: Hub) -> None:
    hub.latest[SMOKE] = [
        LatestValue(
            device=SMOKE,
            quantity="temperature_c",
            value=21.5,
            unit="°C",
            observed_at_ms=NOW,
            received_at_ms=NOW,
            quality=0,
        ),
        LatestValue(
            device=SMOKE, quantity="smoke", value=None, unit="", observed_at_ms=NOW, received_at_ms=NOW, quality=1
        ),
    ]
    alert_id = hub.says()
    device = client(hub).get(f"{API}/devices/{SMOKE}").json()
    assert device["open_alerts"] == [alert_id]
    assert device["latest"][0] == {
        "quantity": "temperature_c", "unit": "°C", "value": 21.5,
        "observed_at": "2026-01-01T08:00:00+08:00", "observed_at_ms": NOW,
    }  # fmt: skip
    assert device["latest"][1]["value"] is None


def test_a_dead_history_does_not_hide_the_device(hub: Hub) -> None:
    hub.away.append("history")
    answer = client(hub).get(f"{API}/devices/{SMOKE}")
    assert (answer.status_code, answer.json()["latest"]) == (200, None)


def test_stations_say_who_is_on_duty_now_and_what_is_missing(hub: Hub) -> None:
    clock = hub.clock
    assert isinstance(clock, SteppedClock)
    (morning,) = client(hub, "station", stations=(STATION,)).get(f"{API}/stations").json()
    assert [p["id"] for p in morning["on_duty"]] == ["st-1-head", "st-1-crew-1", "st-1-crew-2", "st-1-crew-3"]
    assert morning["missing"] == 0
    clock.advance(minutes=8 * 60)
    (evening,) = client(hub, "station", stations=(STATION,)).get(f"{API}/stations").json()
    assert [p["id"] for p in evening["on_duty"]] == ["st-1-crew-4", "st-1-crew-5", "st-1-crew-6"]


def test_phones_are_shown_to_those_who_act_and_masked_for_others(hub: Hub) -> None:
    crew = client(hub, "station", stations=(STATION,)).get(f"{API}/stations").json()[0]["head"]["phone"]
    viewer = client(hub, "viewer", stations=(STATION,)).get(f"{API}/stations").json()[0]["head"]["phone"]
    assert crew == hub.registry.people["st-1-head"].phone
    assert "****" in viewer
    assert crew not in client(hub, "viewer", stations=(STATION,)).get(f"{API}/board").text


def test_grids_come_with_outlines_only_when_asked_for(hub: Hub) -> None:
    reader = client(hub, "grid_worker", grids=(GRID,))
    (plain,) = reader.get(f"{API}/grids").json()
    (drawn,) = reader.get(f"{API}/grids?outlines=true").json()
    assert plain["code"] == GRID
    assert plain["outline"] is None
    assert drawn["outline"]["type"] == "Polygon"
    assert drawn["responsible"]["name"]["zh"]


@pytest.mark.parametrize(("role", "status"), [("officer", 200), ("admin", 200), ("station", 403), ("viewer", 403)])
def test_the_quarantine_is_for_officers(hub: Hub, role: str, status: int) -> None:
    rejected = QuarantineRow(
        topic="sc/v1/demo/x/y/tele", reason="bad JSON", codec="native-v1", count=3, first_at_ms=NOW, last_at_ms=NOW + 5,
        position=7, payload=b"{\xff" + b"x" * 9_000,
    )  # fmt: skip
    hub.parts.desk.record([], consumer="rules", journal="j", position=8, now_ms=NOW, quarantine=[rejected])
    answer = client(hub, role).get(f"{API}/quarantine")
    assert answer.status_code == status
    if status == 200:
        (row,) = answer.json()
        assert (row["topic"], row["count"], row["payload_bytes"]) == ("sc/v1/demo/x/y/tele", 3, 9_002)
        assert len(row["payload"]) < 6_000


def test_a_token_with_limits_reads_of_the_quarantine_what_its_own_devices_said(hub: Hub) -> None:
    registry = hub.registry
    mine, other = (
        next(d for d in registry.devices() if d.grid == grid and d.kind == "smoke_alarm")
        for grid in (
            GRID,
            next(g for g in registry.grids if registry.station_of_grid[g] != registry.station_of_grid[GRID]),
        )
    )
    rejected = [
        QuarantineRow(
            topic=f"t/{n}",
            reason="r",
            codec="c",
            address=address,
            first_at_ms=NOW,
            last_at_ms=NOW,
            position=n,
            payload=b"x",
        )
        for n, address in enumerate([mine.addresses[0], other.addresses[0], "native-v1:demo/nobody/knows"])
    ]
    hub.parts.desk.record([], consumer="rules", journal="j", position=8, now_ms=NOW, quarantine=rejected)
    seen = [row["topic"] for row in client(hub, "officer", grids=(GRID,)).get(f"{API}/quarantine").json()]
    assert seen == ["t/0"]
    assert len(client(hub, "officer").get(f"{API}/quarantine").json()) == 3


def test_readiness_names_the_part_that_is_missing(hub: Hub) -> None:
    probe = TestClient(hub.app)
    assert probe.get("/healthz").json() == {"ok": True}
    assert probe.get("/readyz").status_code == 200
    hub.health["mqtt"] = PartHealth(state="down", detail="connection refused")
    answer = probe.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["parts"]["mqtt"] == {"state": "down", "detail": "connection refused", "required": True}
    assert probe.get("/healthz").status_code == 200
    hub.health["mqtt"] = PartHealth(state="ok")
    hub.health["history"] = PartHealth(state="down", required=False)
    assert probe.get("/readyz").json()["ready"] is True


def test_the_board_says_how_the_hub_is(hub: Hub) -> None:
    reader, clock = client(hub), hub.clock
    assert isinstance(clock, SteppedClock)
    assert reader.get(f"{API}/board").json()["hub"] == "ok"
    hub.health["mqtt"] = PartHealth(state="down")
    clock.advance(s=1)  # asked at most once a second
    board = reader.get(f"{API}/board").json()
    assert (board["hub"], board["parts"]) == ("down", ["mqtt"])


def test_metrics_count_open_alerts_and_admit_when_they_cannot(hub: Hub) -> None:
    hub.says()
    probe = TestClient(hub.app)
    assert 'gridhub_alerts_open{severity="P1"} 1.0' in probe.get("/metrics").text
    hub.away.append("ledger")
    assert 'gridhub_alerts_open{severity="P1"} NaN' in probe.get("/metrics").text
