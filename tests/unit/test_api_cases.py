"""Cases over the API: steps, reports, work orders, comments, photos; and who may see and do what."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from hub.alerts import case_desk, casework, shelf
from hub.clock import SteppedClock
from hub.i18n import text
from tests.support.pictures import PLACE, jpeg, png, webp
from tests.support.served import FAR_GRID, GRID, STATION, Hub, hub_at

API = "/api/v1"
T0 = 1_767_225_600_000


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with hub_at(tmp_path, SteppedClock(T0)) as found:
        yield found


def client(hub: Hub, role: Any = "grid_worker", **scope: Any) -> TestClient:
    token = hub.token(role, **(scope or {"grids": (GRID,)}))
    return TestClient(hub.app, headers={"Authorization": f"Bearer {token}"})


def lane(worker: TestClient, **more: Any) -> dict[str, Any]:
    answer = worker.post(f"{API}/cases", json={"title": "消防通道被堵", "grid": GRID, "category": "fire_lane", **more})
    assert answer.status_code in (200, 201), answer.text
    return dict(answer.json())


def test_a_report_goes_all_the_way_with_feedback_and_verification(hub: Hub) -> None:
    worker, officer = client(hub), client(hub, "officer", grids=("*",))
    case = lane(worker, text="两辆电动车", where="3栋北侧")
    assert (case["step"], case["source"], case["handling"]) == ("reported", "report", "")
    assert case["place"]["zh"].endswith("3栋北侧")
    path = f"{API}/cases/{case['id']}"
    for who, verb, body, step in (
        (worker, "accept", None, "accepted"),
        (worker, "dispatch", {"to": "城管中队"}, "dispatched"),
        (worker, "send-back", {"reason": "不归我们管"}, "accepted"),
        (worker, "dispatch", {"to": "物业"}, "dispatched"),
        (worker, "arrive", None, "on_scene"),
        (worker, "handle", {"reason": "已挪走"}, "handled"),
        (worker, "feedback", {"reason": "通道已清空"}, "feedback"),
        (officer, "send-back", {"reason": "仍有一辆"}, "dispatched"),
        (worker, "handle", {"reason": "都挪走了"}, "handled"),
        (worker, "feedback", {"reason": "已拍照"}, "feedback"),
        (officer, "verify", None, "verified"),
        (officer, "close", None, "closed"),
    ):
        answer = who.post(f"{path}/{verb}", json=body)
        assert (answer.status_code, answer.json().get("step")) == (200, step), (verb, answer.text)
    done = worker.get(path).json()
    assert (done["handling"], done["sent_back"], done["moves"]) == ("transferred", 2, [])
    assert [row["action"] for row in done["timeline"]][:3] == ["case_reported", "case_accept", "case_dispatch"]
    assert len(done["timeline"]) == 13
    reopened = officer.post(f"{path}/reopen", json={"reason": "又堵了"}).json()
    assert (reopened["step"], reopened["reopened"], reopened["handling"]) == ("reported", 1, "")


def test_what_somebody_handles_alone_closes_without_a_check_and_says_so(hub: Hub) -> None:
    worker = client(hub)
    case = lane(worker)
    worker.post(f"{API}/cases/{case['id']}/handle", json={"reason": "当场劝离"})
    closed = worker.post(f"{API}/cases/{case['id']}/close").json()
    assert (closed["step"], closed["handling"]) == ("closed", "self")
    other = lane(worker, text="另一处")
    worker.post(f"{API}/cases/{other['id']}/dispatch", json={"to": "物业"})
    worker.post(f"{API}/cases/{other['id']}/handle")
    refused = worker.post(f"{API}/cases/{other['id']}/close")
    assert (refused.status_code, refused.json()["reason"]) == (409, "case-unchecked")
    found = worker.get(f"{API}/cases?handling=transferred").json()["items"]
    assert [one["id"] for one in found] == [other["id"]]


def test_a_fire_moves_with_its_case_and_is_closed_only_after_verification(hub: Hub) -> None:
    alert_id = hub.says()
    worker, officer = client(hub), client(hub, "officer", grids=("*",))
    path = f"{API}/cases/{alert_id}"
    assert worker.get(path).json()["moves"] == ["accept", "dispatch", "arrive", "false_alarm"]
    assert worker.post(f"{path}/dispatch", json={"to": "st-1"}).json()["step"] == "dispatched"
    alert = worker.get(f"{API}/alerts/{alert_id}").json()
    assert (alert["case_state"], alert["acked_at_ms"]) == ("accepted", T0)
    assert worker.post(f"{API}/alerts/{alert_id}/on-scene").json()["case_state"] == "on_scene"
    assert worker.get(path).json()["step"] == "on_scene"
    refused = worker.post(f"{path}/handle")
    assert (refused.status_code, refused.json()["reason"]) == (409, "still-active")
    hub.says(kind="cleared", value=False, start_ms=T0)
    assert worker.get(path).json()["step"] == "on_scene"
    assert worker.post(f"{path}/handle", json={"reason": "锅烧干，已断气"}).json()["step"] == "handled"
    assert worker.get(f"{API}/alerts/{alert_id}").json()["live"] is False
    assert worker.post(f"{path}/close").json()["reason"] == "case-unchecked"
    assert worker.post(f"{path}/feedback", json={"reason": "无人员受伤"}).json()["step"] == "feedback"
    assert worker.post(f"{path}/verify").json()["reason"] == "case-checker"
    assert officer.post(f"{path}/verify").json()["step"] == "verified"
    assert officer.post(f"{path}/close").json()["step"] == "closed"


def test_a_fault_that_is_closed_on_the_alert_is_self_handled(hub: Hub) -> None:
    hub.says()
    fault = hub.says(rule="smoke-battery-low", device="smoke-c1b1-02")
    worker = client(hub)
    assert worker.post(f"{API}/alerts/{fault}/close", json={"reason": "换了电池"}).status_code == 200
    case = worker.get(f"{API}/cases/{fault}").json()
    assert (case["step"], case["handling"], case["close_reason"]) == ("closed", "self", "换了电池")


def test_an_answer_to_an_older_alarm_silences_no_new_fire(hub: Hub) -> None:
    alert_id, worker = hub.says(), client(hub)
    hub.clock.advance(s=5)  # type: ignore[attr-defined]
    hub.says(kind="cleared", value=False, start_ms=T0)
    hub.says()
    for body, reason in (
        ({"occurrence": 1}, "alarmed-again"),
        ({"occurrence": 2, "severity": "P3"}, "more-severe"),
        (None, "which-alarm"),
    ):
        for path in (f"{API}/alerts/{alert_id}/acknowledge", f"{API}/cases/{alert_id}/accept"):
            refused = worker.post(path, json=body)
            assert (refused.status_code, refused.json()["reason"]) == (409, reason), path
            assert refused.json()["remedy"]
    assert hub.parts.queries.one(alert_id).acked_at_ms is None  # type: ignore[union-attr]
    taken = worker.post(f"{API}/alerts/{alert_id}/acknowledge", json={"occurrence": 2, "severity": "P1"})
    assert taken.json()["case_state"] == "accepted"
    assert worker.post(f"{API}/alerts/{alert_id}/reinforce").status_code == 200  # help is never refused


def test_an_urgent_report_is_an_alarm_that_people_end(hub: Hub) -> None:
    worker = client(hub)
    case = lane(worker, title="楼道冒烟", severity="P1")
    alert = worker.get(f"{API}/alerts/{case['alert_id']}").json()
    assert (alert["severity"], alert["live"], alert["device"]["kind"]) == ("P1", True, "report")
    assert alert["deliveries"]
    hub.parts.desk.run_timers(T0 + 61_000)
    assert hub.parts.queries.one(case["alert_id"]).escalation_level == 1  # type: ignore[union-attr]
    path = f"{API}/cases/{case['id']}"
    assert worker.post(f"{path}/handle").json()["reason"] == "nobody-on-scene"
    worker.post(f"{path}/arrive")
    assert worker.post(f"{path}/false-alarm", json={"reason": "烧纸"}).json()["step"] == "false_alarm"
    assert worker.get(f"{API}/alerts/{case['alert_id']}").json()["case_state"] == "false_alarm"


def test_the_same_number_is_one_case(hub: Hub) -> None:
    worker = client(hub)
    first, again = lane(worker, number="r-1"), lane(worker, number="r-1", title="别的")
    assert (first["id"], again["title"]) == (again["id"], first["title"])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body.title"),
        ({"title": "x"}, "body.grid"),
        ({"title": "x", "grid": "999"}, "body.grid"),
        ({"title": "x", "place": "nowhere"}, "body.place"),
        ({"title": "x", "grid": FAR_GRID}, "body.grid"),
        ({"title": "", "grid": GRID}, "body.title"),
        ({"title": "x", "grid": GRID, "severity": "P9"}, "body.severity"),
        ({"title": "x", "grid": GRID, "lat": 91}, "body.lat"),
        ({"title": "x", "grid": GRID, "color": "red"}, "body.color"),
    ],
)
def test_a_report_that_makes_no_sense_names_the_field(hub: Hub, body: dict[str, Any], field: str) -> None:
    refused = client(hub).post(f"{API}/cases", json=body)
    assert refused.status_code == 422
    assert [error["field"] for error in refused.json()["errors"]] == [field]


def test_who_only_looks_neither_reports_nor_moves(hub: Hub) -> None:
    case = lane(client(hub))
    viewer = client(hub, "viewer", grids=("*",))
    assert viewer.get(f"{API}/cases/{case['id']}").json()["moves"] == []
    for path, body in (("/cases", {"title": "x", "grid": GRID}), (f"/cases/{case['id']}/accept", None)):
        assert viewer.post(API + path, json=body).status_code == 403
    machine = client(hub, "machine")
    assert machine.post(f"{API}/cases", json={"title": "居民随手拍", "grid": GRID}).status_code == 201


def test_the_cases_of_another_grid_are_not_there(hub: Hub) -> None:
    case, far = lane(client(hub)), client(hub, grids=(FAR_GRID,))
    client(hub).post(f"{API}/cases/{case['id']}/photos", content=jpeg())
    photo = client(hub).get(f"{API}/cases/{case['id']}").json()["photos"][0]
    assert far.get(f"{API}/cases").json()["items"] == []
    assert far.get(photo["href"]).status_code == 404
    calls = [("get", "", None), ("post", "/accept", None), ("post", "/comments", {"text": "x"})]
    for method, path, body in calls:
        hidden, unknown = (
            far.request(method, f"{API}/cases/{known}{path}", json=body) for known in (case["id"], "0" * 20)
        )
        assert (hidden.status_code, unknown.status_code) == (404, 404)
        assert hidden.json() == unknown.json()
    assert far.post(f"{API}/cases/{case['id']}/photos", content=jpeg()).status_code == 404


def test_comments_are_kept_with_who_wrote_them_also_after_the_end(hub: Hub) -> None:
    worker = client(hub, person="st-1-crew-1", grids=(GRID,))
    case = lane(worker)
    worker.post(f"{API}/cases/{case['id']}/false-alarm", json={"reason": "没有堵"})
    said = worker.post(f"{API}/cases/{case['id']}/comments", json={"text": "  已回访 "})
    assert said.status_code == 201
    (row,) = said.json()["comments"]
    assert (row["text"], row["author"]["id"]) == ("已回访", "st-1-crew-1")
    for wrong in ("", "   ", "x" * 2_001):
        assert worker.post(f"{API}/cases/{case['id']}/comments", json={"text": wrong}).status_code == 422


@pytest.mark.parametrize("make", [jpeg, png, webp])
def test_a_photo_is_kept_without_its_place(hub: Hub, make: Any) -> None:
    worker, data = client(hub), make()
    assert PLACE in data
    case = lane(worker)
    added = worker.post(
        f"{API}/cases/{case['id']}/photos?stage=after", content=data, headers={"Content-Type": "text/x"}
    )
    assert added.status_code == 201, added.text
    (photo,) = added.json()["photos"]
    assert (photo["stage"], photo["width"], photo["height"]) == ("after", 16, 8)
    shown = worker.get(photo["href"])
    assert shown.headers["content-type"] == photo["media_type"] == f"image/{make.__name__}"
    assert PLACE not in shown.content
    assert len(shown.content) == photo["bytes"]
    again = worker.post(f"{API}/cases/{case['id']}/photos?stage=after", content=data)
    assert len(again.json()["photos"]) == 1
    assert "private" in shown.headers["cache-control"]
    assert TestClient(hub.app).get(photo["href"]).status_code == 401


@pytest.mark.parametrize(
    "data",
    [b"", b"GIF89a", b"<svg onload=alert(1)>", b"\xff\xd8\xff", jpeg()[:-60], png()[:-40], webp()[:-3], b"x" * 4_000],
)
def test_what_is_no_photo_is_refused_whatever_it_is_called(hub: Hub, data: bytes) -> None:
    worker = client(hub)
    case = lane(worker)
    refused = worker.post(f"{API}/cases/{case['id']}/photos", content=data, headers={"Content-Type": "image/jpeg"})
    assert (refused.status_code, refused.json()["code"]) == (422, "bad-photo")
    assert refused.json()["errors"][0]["message"]


def test_there_is_an_end_of_photos_and_of_their_size(hub: Hub) -> None:
    worker = client(hub)
    case = lane(worker)
    path = f"{API}/cases/{case['id']}/photos"
    assert worker.post(path, content=jpeg() + b"x" * (10 * 1_024 * 1_024)).status_code == 413
    for n in range(case_desk.MOST_PHOTOS):
        assert worker.post(path, content=png(n)).status_code == 201
    refused = worker.post(path, content=png(99))
    assert (refused.status_code, refused.json()["reason"]) == (409, "case-photos")


def order(number: str = "T1", **more: Any) -> dict[str, Any]:
    return {"number": number, "title": "楼道堆物", "grid": GRID, **more}


def test_work_orders_come_in_once_and_need_verification(hub: Hub) -> None:
    machine = client(hub, "machine")
    body = {"orders": [order(text="来电人 13812345678", due="2026-01-03 18:00"), order("T2", grid="999"), order("")]}
    dry = machine.post(f"{API}/cases/orders", json={**body, "dry_run": True}).json()
    assert (dry["new"], dry["known"], dry["refused"]) == (1, 0, 2)
    assert machine.get(f"{API}/cases").json()["items"] == []
    done = machine.post(f"{API}/cases/orders", json=body).json()
    assert [one["result"] for one in done["results"]] == ["new", "refused", "refused"]
    assert "grid '999'" in done["results"][1]["wrong"][0]
    again = machine.post(f"{API}/cases/orders", json=body).json()
    assert (again["new"], again["known"]) == (0, 1)
    (case,) = machine.get(f"{API}/cases?source=hotline").json()["items"]
    assert (case["number"], case["needs_check"], case["text"]) == ("T1", True, "来电人 138****5678")
    assert case["due_at_ms"] == T0 + 2 * 86_400_000 + 10 * 3_600_000
    far = client(hub, "machine", grids=(FAR_GRID,))
    (refused,) = far.post(f"{API}/cases/orders", json={"orders": [order("T9")]}).json()["results"]
    assert refused["result"] == "refused"


def test_every_refusal_of_cases_is_translated() -> None:
    say = text("zh-CN")
    for table in (casework.REFUSALS, case_desk.REFUSALS, shelf.REFUSALS):
        for code, (message, remedy) in table.items():
            assert say(message) != message, code
            assert say(remedy) != remedy, code


def test_a_refused_step_is_named_in_the_readers_words(hub: Hub) -> None:
    worker = client(hub)
    case = lane(worker)
    for language, word in (("zh-CN", "上报"), ("en", "Reported")):
        refused = worker.post(f"{API}/cases/{case['id']}/feedback", headers={"Accept-Language": language})
        assert refused.status_code == 409
        assert word in refused.json()["detail"]


def test_checksums_of_the_test_pictures_are_right() -> None:
    assert zlib.crc32(b"IHDR" + png()[16:29]) == int.from_bytes(png()[29:33], "big")


def test_a_shelved_alert_is_shown_so_and_a_fire_cannot_be(hub: Hub) -> None:
    crew, fire = client(hub, "station", stations=(STATION,)), hub.says()
    refused = crew.post(f"{API}/alerts/{fire}/shelve", json={"kind": "timed", "for_s": 600, "reason": "装修"})
    assert (refused.status_code, refused.json()["reason"]) == (409, "shelve-p1")
    fault = hub.says(rule="smoke-battery-low")
    for body, reason in (
        ({"for_s": 10, "reason": "x"}, "shelve-time"),
        ({"for_s": 999_999, "reason": "x"}, "shelve-time"),
        ({"for_s": 600, "reason": " "}, "shelve-reason"),
    ):
        assert crew.post(f"{API}/alerts/{fault}/shelve", json=body).json()["reason"] == reason
    shelved = crew.post(f"{API}/alerts/{fault}/shelve", json={"for_s": 600, "reason": "已约换电池"}).json()
    assert (shelved["quiet"], shelved["quiet_until_ms"]) == ("shelved", T0 + 600_000)
    (row,) = crew.get(f"{API}/shelvings").json()
    assert (row["kind"], row["reason"], row["device_id"]) == ("timed", "已约换电池", shelved["device"]["id"])
    assert crew.request("DELETE", f"{API}/alerts/{fault}/shelve").json()["quiet"] == ""
    assert crew.get(f"{API}/shelvings").json() == []
    assert crew.request("DELETE", f"{API}/alerts/{fault}/shelve").json()["reason"] == "shelve-not"


def test_only_an_officer_puts_a_device_out_of_service(hub: Hub) -> None:
    worker, officer = client(hub), client(hub, "officer", grids=("*",))
    path = f"{API}/devices/smoke-c1b1-01/out-of-service"
    body = {"for_s": 7_200, "reason": "装修粉尘"}
    assert worker.post(path, json=body).status_code == 403
    assert client(hub, "officer", grids=(FAR_GRID,)).post(path, json=body).status_code == 404
    taken = officer.post(path, json=body)
    assert (taken.status_code, taken.json()["until_ms"]) == (201, T0 + 7_200_000)
    alert = worker.get(f"{API}/alerts/{hub.says()}").json()
    assert (alert["quiet"], alert["deliveries"]) == ("out_of_service", [])
    assert officer.request("DELETE", path).json()["ended_at_ms"] == T0
    alert = worker.get(f"{API}/alerts/{alert['id']}").json()
    assert (alert["quiet"], alert["occurrences"], bool(alert["deliveries"])) == ("", 2, True)
