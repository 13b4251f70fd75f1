"""Unknown devices over the API: seen, claimed and read again, by whom it concerns."""

from __future__ import annotations

import base64
import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from hub.api import create_app
from hub.clock import SteppedClock
from hub.ingest.codecs.context import CodecContext
from hub.ingest.router import Router, Source
from hub.model.readings import QuarantineRow
from hub.onboarding.replay import Spool
from hub.onboarding.service import Onboarding
from hub.registry.live import LiveRegistry
from hub.stores.quarantine_queries import QuarantineQueries
from tests.support.paths import CONFIG
from tests.support.served import FAR_GRID, GRID, SMOKE, Hub, hub_at

API = "/api/v1/onboarding"
NOW = 1_767_225_600_000
FIRE = b'{"smoke":true,"battery":97}'
KITCHEN = "zigbee2mqtt:zigbee2mqtt/My kitchen"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with hub_at(tmp_path, SteppedClock(NOW)) as found:
        folder = tmp_path / "registry"
        shutil.copytree(CONFIG / "registry", folder)
        live = LiveRegistry(folder)
        onboarding = Onboarding(
            folder,
            QuarantineQueries(found.ledger),
            Router([Source(codec="zigbee2mqtt", root="zigbee2mqtt")], CodecContext(zone="Asia/Shanghai")),
            lambda: live.current,
            spool=Spool(tmp_path / "replay"),
            reload=lambda: live.reload() and None,
            skews=lambda: {SMOKE: 7_200_000, "gone": 1},
        )
        found.parts = dataclasses.replace(found.parts, onboarding=onboarding, registry=lambda: live.current)
        found.app = create_app(found.parts)
        row = QuarantineRow(
            topic="zigbee2mqtt/My kitchen", reason="unknown device", codec="zigbee2mqtt", address=KITCHEN, count=3,
            first_at_ms=NOW - 5_000, last_at_ms=NOW, position=7, payload=FIRE,
        )  # fmt: skip
        found.parts.desk.record([], consumer="rules", journal="j", position=8, now_ms=NOW, quarantine=[row])
        yield found


def client(hub: Hub, role: Any = "officer", **scope: Any) -> TestClient:
    token = hub.token(role, **(scope or {"grids": ("*",)}))
    return TestClient(hub.app, headers={"Authorization": f"Bearer {token}"})


def claim(**more: Any) -> dict[str, Any]:
    return {"claims": [{"address": KITCHEN, "kind": "smoke_alarm", "place": GRID, "name_zh": "厨房烟感", **more}]}


def test_an_unknown_device_is_shown_with_its_messages_and_a_guess(hub: Hub) -> None:
    (one,) = client(hub).get(f"{API}/devices").json()
    assert (one["address"], one["guess"], one["count"], one["alarms"]) == (KITCHEN, "smoke_alarm", 3, ["smoke"])
    assert one["suggested_id"] == "my-kitchen"
    assert base64.b64decode(one["messages"][0]["payload"]) == FIRE
    assert one["last_at"].endswith("+08:00")


def test_a_claim_is_tried_then_made_and_its_messages_read_again(hub: Hub) -> None:
    officer = client(hub)
    tried = officer.post(f"{API}/claims", json={**claim(), "dry_run": True}).json()
    assert (tried["written"], tried["devices"][0]["id"], tried["devices"][0]["grid"]) == (False, "my-kitchen", GRID)
    assert officer.get("/api/v1/devices/my-kitchen").status_code == 404
    assert officer.post(f"{API}/claims", json=claim()).json()["written"] is True
    assert officer.get("/api/v1/devices/my-kitchen").json()["kind"] == "smoke_alarm"
    assert officer.get(f"{API}/devices").json() == []
    done = officer.post(f"{API}/replays", json={"addresses": [KITCHEN]}).json()
    assert (done["handed_over"], done["messages"], done["devices"]) == (True, 1, ["my-kitchen"])
    assert [(a["device"], a["quantity"]) for a in done["alarms"]] == [("my-kitchen", "smoke")]


def test_what_is_wrong_with_a_claim_is_said_and_nothing_is_written(hub: Hub) -> None:
    answer = client(hub).post(f"{API}/claims", json=claim(kind="toaster"))
    assert (answer.status_code, answer.json()["code"]) == (422, "bad-claims")
    assert "unknown kind 'toaster'" in str(answer.json()["complaints"])
    assert len(client(hub).get(f"{API}/devices").json()) == 1
    for body in ({}, {"claims": []}, {"claims": [{"address": "a\nb", "kind": "x", "place": "y"}]}):
        assert client(hub).post(f"{API}/claims", json=body).status_code == 422


@pytest.mark.parametrize("role", ["viewer", "grid_worker", "station", "machine"])
def test_onboarding_is_for_officers(hub: Hub, role: str) -> None:
    reader = client(hub, role)
    assert reader.get(f"{API}/devices").status_code == 403
    assert reader.post(f"{API}/claims", json=claim()).status_code == 403
    assert reader.post(f"{API}/replays", json={}).status_code == 403


def test_a_token_of_some_grid_neither_sees_nor_claims_nor_replays_what_is_not_its_own(hub: Hub) -> None:
    officer = client(hub, grids=(FAR_GRID,))
    assert officer.get(f"{API}/devices").json() == []
    assert officer.post(f"{API}/claims", json=claim()).status_code == 404
    assert officer.post(f"{API}/claims", json={**claim(place=FAR_GRID), "dry_run": True}).status_code == 404
    assert client(hub).post(f"{API}/claims", json=claim()).status_code == 200
    assert officer.post(f"{API}/replays", json={}).json()["messages"] == 0


def test_a_folder_that_cannot_be_written_is_told(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    from hub.onboarding import claims

    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(claims, "replaced", refused)
    answer = client(hub).post(f"{API}/claims", json=claim())
    assert (answer.status_code, answer.json()["code"]) == (409, "registry-not-writable")


def test_a_clock_that_is_off_is_shown_to_whom_the_device_concerns(hub: Hub) -> None:
    (one,) = client(hub).get(f"{API}/clocks").json()
    assert (one["device"], one["behind"], one["policy"]) == (SMOKE, "2 h behind", "late")
    assert client(hub, grids=(FAR_GRID,)).get(f"{API}/clocks").json() == []


def test_the_page_is_for_whom_it_concerns(hub: Hub) -> None:
    def page(role: Any) -> Any:
        browser = TestClient(hub.app)
        browser.post("/api/v1/session", json={"token": hub.token(role, grids=("*",))})
        return browser.get("/onboarding", headers={"Accept": "text/html"})

    assert "onboarding.js" in page("officer").text
    assert page("station").status_code == 403
    stranger = TestClient(hub.app).get("/onboarding", follow_redirects=False)
    assert stranger.headers["location"] == "/sign-in?next=/onboarding"
