"""Over the API: routes and their proof, rosters, silences and drills, contacts and duty checks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hub.api import gaps
from hub.clock import SteppedClock
from hub.dispatch.roster import wall_minute
from hub.model.alerts import Role
from hub.model.places import Leave, Swap
from tests.support.served import FAR_GRID, SMOKE, STATION, Hub, hub_at
from tests.unit.test_api_alerts import API, client

T0 = 1_767_225_600_000  # 2026-01-01 08:00 in Shanghai
HOUR = 3_600_000
GRID = "440399001001001"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with hub_at(tmp_path, SteppedClock(T0)) as found:
        yield found


def officer(hub: Hub, role: Role = "officer"):
    return client(hub, role, grids=("*",))


def test_a_route_is_shown_for_the_devices_of_ones_grids(hub: Hub) -> None:
    found = client(hub).get(f"{API}/devices/{SMOKE}/route").json()
    assert (found["station"]["id"], found["reaches"], found["repeat_s"]) == (STATION, True, 60)
    assert [step["after_s"] for step in found["steps"]] == [0, 60, 180, 300]
    assert found["steps"][0]["hearers"][0]["on_duty"] == ["st-1-head", "st-1-crew-1", "st-1-crew-2", "st-1-crew-3"]
    assert client(hub).get(f"{API}/devices/{hub.far_smoke()}/route").status_code == 404
    night = client(hub).get(f"{API}/devices/{SMOKE}/route", params={"at": T0 + 15 * HOUR, "severity": "P2"}).json()
    assert (night["night"], night["severity"]) == (True, "P2")


def test_the_proof_is_for_officers_of_all_grids(hub: Hub) -> None:
    found = officer(hub).get(f"{API}/routes/audit", params={"hours": 2}).json()
    assert (found["devices"], found["gaps"]) == (300, [])
    assert client(hub).get(f"{API}/routes/audit").status_code == 403


def test_a_roster_says_who_is_on_duty_span_by_span(hub: Hub) -> None:
    found = client(hub).get(f"{API}/stations/{STATION}/roster", params={"hours": 24}).json()
    assert [(s["from_ms"] - T0) // HOUR for s in found["spans"]] == [0, 7, 15, 23]
    assert [s["missing"] for s in found["spans"]] == [0, 0, 0, 0]
    assert {who for span in found["spans"] for who in span["people"]} == set(found["names"])
    assert (found["swaps"], found["leave"]) == ([], [])
    assert [b["id"] for b in found["backups"]] == ["st-2", "st-3"]
    assert client(hub).get(f"{API}/stations/nowhere/roster").status_code == 404


def test_a_roster_names_swaps_and_leave_to_those_who_act(hub: Hub, tmp_path: Path) -> None:
    day, station = wall_minute(T0, "Asia/Shanghai") // 1_440, hub.registry.stations[STATION]
    swaps = (
        Swap(day=day, outgoing="st-1-crew-7", incoming="st-1-crew-4", start_min=23 * 60),
        Swap(day=day + 9, outgoing="a", incoming="b"),
    )
    away = (("st-1-crew-1", Leave(start=day * 1_440 + 600, end=(day + 2) * 1_440)),)
    changed = replace(
        hub.registry, stations={**hub.registry.stations, STATION: replace(station, swaps=swaps, away=away)}
    )
    (tmp_path / "other").mkdir()
    with hub_at(tmp_path / "other", SteppedClock(T0), registry=changed) as other:
        found = client(other).get(f"{API}/stations/{STATION}/roster").json()
        swap = {"day": "2026-01-01", "begins": "23:00", "outgoing": "st-1-crew-7", "incoming": "st-1-crew-4"}
        assert found["swaps"] == [swap]
        assert found["leave"] == [{"person": "st-1-crew-1", "start": "2026-01-01 10:00", "end": "2026-01-03 00:00"}]
        assert found["names"]["st-1-crew-4"]["zh"]
        looking = client(other, "viewer").get(f"{API}/stations/{STATION}/roster").json()
        assert (looking["swaps"], looking["leave"]) == ([], [])


def test_a_silence_is_made_listed_and_ended(hub: Hub) -> None:
    crew = client(hub)
    body = {"place": GRID, "end": T0 + HOUR, "reason": "works on the riser"}
    made = crew.post(f"{API}/silences", json=body)
    assert made.status_code == 201
    number = made.json()["id"]
    alert = hub.says(SMOKE, "smoke-battery-low")
    shown = crew.get(f"{API}/alerts/{alert}").json()
    assert (shown["quiet"], shown["silence_id"], shown["drill"]) == ("silenced", number, False)
    quieted = shown["quieted"]
    assert (quieted["kind"], quieted["until_ms"], quieted["reason"]) == ("silence", T0 + HOUR, "works on the riser")
    assert quieted["by"]["name"]["zh"] == "station token"
    (listed,) = crew.get(f"{API}/silences").json()
    assert (listed["running"], listed["caught"], listed["place"]) == (True, 1, GRID)
    assert crew.delete(f"{API}/silences/{number}").json()["running"] is False
    assert crew.get(f"{API}/silences").json() == []
    assert crew.delete(f"{API}/silences/{number}").status_code == 409
    assert crew.get(f"{API}/alerts/{alert}").json()["quiet"] == ""


def test_fires_and_drills_are_for_officers_and_ones_own_grids_for_all(hub: Hub) -> None:
    crew, body = client(hub), {"place": GRID, "end": T0 + HOUR, "reason": "works"}
    assert crew.post(f"{API}/silences", json=body | {"include_p1": True}).status_code == 403
    assert crew.post(f"{API}/silences", json=body | {"place": FAR_GRID}).status_code == 403
    drill = body | {"kind": "drill", "tell": ["st-1-crew-1"]}
    assert crew.post(f"{API}/silences", json=drill).status_code == 403
    assert officer(hub).post(f"{API}/silences", json=drill).status_code == 201
    alert = client(hub).get(f"{API}/alerts/{hub.says(SMOKE)}").json()
    assert (alert["severity"], alert["drill"], alert["quieted"]["kind"]) == ("P1", True, "drill")
    refused = officer(hub).post(f"{API}/silences", json=body | {"place": "nowhere"})
    assert (refused.status_code, refused.json()["reason"]) == (409, "silence-unknown")


def test_silences_and_drills_are_shown_to_those_whose_grids_they_touch(hub: Hub) -> None:
    def make(**what: object) -> int:
        made = officer(hub).post(f"{API}/silences", json={"end": T0 + HOUR, "reason": "works"} | what)
        assert made.status_code == 201, made.text
        return int(made.json()["id"])

    far = hub.far_smoke()
    town = hub.registry.path(GRID)[0].code
    building = next(
        place.code for place in hub.registry.path(hub.registry.find(SMOKE).place) if place.level == "building"
    )
    mine = make(place=GRID)
    theirs = make(place=FAR_GRID, kind="drill", tell=["st-1-crew-1"])
    both = make(devices=[SMOKE, far])
    everybody = make(device_kinds=["smoke_alarm"])
    above, below = make(place=town), make(place=building)
    their_device = make(devices=[far])
    crew = client(hub)
    drills = officer(hub).get(f"{API}/silences", params={"kind": "drill"}).json()
    assert [one["id"] for one in drills] == [theirs]
    assert crew.get(f"{API}/silences", params={"kind": "drill"}).json() == []
    shown = {one["id"]: one for one in crew.get(f"{API}/silences").json()}
    assert set(shown) == {mine, both, everybody, above, below}
    assert shown[both]["devices"] == [SMOKE]
    hub.says(far, "smoke-battery-low")
    hub.says(SMOKE, "smoke-battery-low")
    seen = crew.get(f"{API}/silences", params={"limit": 1}).json()
    assert [one["id"] for one in seen] == [below]  # what is not theirs takes no room in the list
    counts = {one["id"]: one["caught"] for one in officer(hub).get(f"{API}/silences").json()}
    assert len(counts) == 7
    assert sum(counts.values()) == 2
    assert sum(one["caught"] for one in crew.get(f"{API}/silences").json()) == 1
    for hidden in (theirs, their_device):
        assert crew.delete(f"{API}/silences/{hidden}").status_code == 404


def test_a_station_is_asked_whether_somebody_is_there(hub: Hub) -> None:
    asked = officer(hub).post(f"{API}/stations/{STATION}/duty-checks", json={"answer_s": 60})
    assert asked.status_code == 201
    hub.clock.advance(s=60)  # type: ignore[attr-defined]
    (late,) = client(hub).get(f"{API}/stations/{STATION}/duty-checks").json()
    assert late["unanswered"]
    assert hub.parts.dispatch.asking.unanswered(hub.clock()) == (STATION,)
    assert client(hub).post(f"{API}/alerts/{late['alert']}/acknowledge").status_code == 200
    assert hub.parts.dispatch.asking.unanswered(hub.clock()) == ()
    (answered,) = client(hub).get(f"{API}/stations/{STATION}/duty-checks").json()
    assert (answered["unanswered"], answered["answered_at_ms"]) == (False, T0 + 60_000)
    assert client(hub).post(f"{API}/stations/{STATION}/duty-checks").status_code == 403


def test_contacts_are_shown_without_addresses_and_tested(hub: Hub) -> None:
    people = officer(hub).get(f"{API}/contacts").json()
    assert {c["channel"] for p in people for c in p["contacts"]} == {"console"}
    assert "address" not in str(people)
    refused = officer(hub).post(f"{API}/contacts/st-1-crew-1/test")
    assert refused.status_code == 409  # the console is no way to a person
    assert officer(hub).post(f"{API}/contacts/nobody/test").status_code == 404
    wrong = officer(hub).post(f"{API}/contacts/st-1-crew-1/answer", json={"code": "123456"})
    assert wrong.json() == {"channel": None}
    assert client(hub).get(f"{API}/contacts").status_code == 403


def test_gaps_of_routes_are_said_in_both_languages() -> None:
    def called(kind: str, known: str) -> dict[str, str]:
        return {"zh-CN": f"<{known}>", "en": f"<{known}>"}

    said = gaps.told("only 2 of 3 on duty at station north", called)
    assert (said.zh, said.en) == ("<north>在岗 2 人，应有 3 人", "only 2 of 3 on duty at <north>")
    assert gaps.told("person li is on leave and has no deputy", called).zh == "<li>正在休假且没有代理人"
    assert gaps.told("person li has no verified contact", called).en == "<li> has no verified contact"
    assert gaps.told("nobody of the drill's list can be reached", called).zh == "演练名单中无人可通知"
