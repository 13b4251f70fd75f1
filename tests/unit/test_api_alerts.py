"""Alerts over the API: list and filter, one, and what people may do about them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from hub.alerts.lifecycle import REFUSALS
from hub.api import gaps, routes_board
from hub.clock import SteppedClock
from hub.i18n import text
from tests.support.paths import ROOT
from tests.support.served import FAR_GRID, GRID, SMOKE, STATION, Hub, hub_at

API = "/api/v1"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with hub_at(tmp_path, SteppedClock(1_767_225_600_000)) as found:
        yield found


def client(hub: Hub, role: Any = "station", **scope: Any) -> TestClient:
    token = hub.token(role, **(scope or {"stations": (STATION,)}))
    return TestClient(hub.app, headers={"Authorization": f"Bearer {token}"})


def test_a_new_alert_is_listed_with_all_that_the_crew_needs(hub: Hub) -> None:
    alert_id = hub.says()
    (alert,) = client(hub).get(f"{API}/alerts?live=true").json()["items"]
    assert alert["id"] == alert_id
    assert alert["severity"] == "P1"
    assert alert["title"] == {"zh": "烟雾报警", "en": "Smoke alarm"}
    assert alert["place"]["zh"] == "幸福里 1栋 1单元"
    assert alert["device"]["name"]["zh"] == "1303室卧室烟感"
    assert alert["station"]["id"] == STATION
    assert alert["value"] is True
    assert alert["actions"] == ["acknowledge", "on_scene", "false_alarm", "reinforce"]
    assert alert["raised_at"] == "2026-01-01T08:00:00+08:00"
    assert alert["raised_at_ms"] == 1_767_225_600_000
    assert alert["acknowledge_by_ms"] == alert["raised_at_ms"] + 60_000
    assert alert["on_scene_by_ms"] == alert["raised_at_ms"] + 180_000


def test_at_night_there_is_less_time_to_acknowledge(tmp_path: Path) -> None:
    night = SteppedClock(1_767_225_600_000 + 14 * 3_600_000)  # 22:00 on the wall of the site
    with hub_at(tmp_path, night) as hub:
        hub.says()
        (alert,) = client(hub).get(f"{API}/alerts").json()["items"]
        assert alert["acknowledge_by_ms"] == alert["raised_at_ms"] + 30_000


def test_the_whole_way_of_a_case_from_report_to_close(hub: Hub) -> None:
    clock = hub.clock
    assert isinstance(clock, SteppedClock)
    crew = client(hub, stations=(STATION,), person="st-1-crew-1")
    alert_id = hub.says()
    clock.advance(s=20)
    taken = crew.post(f"{API}/alerts/{alert_id}/acknowledge").json()
    assert taken["case_state"] == "accepted"
    assert taken["acked_by"]["id"] == "st-1-crew-1"
    assert taken["acked_at_ms"] == clock()
    clock.advance(s=100)
    there = crew.post(f"{API}/alerts/{alert_id}/on-scene").json()
    assert (there["case_state"], there["actions"]) == ("on_scene", ["false_alarm", "reinforce"])
    hub.says(kind="cleared", value=False, start_ms=1_767_225_600_000)
    closed = crew.post(f"{API}/alerts/{alert_id}/close", json={"reason": "扑灭"}).json()
    assert (closed["case_state"], closed["live"], closed["close_reason"]) == ("closed", False, "扑灭")
    assert [row["action"] for row in closed["timeline"]] == ["raised", "acknowledge", "on_scene", "returned", "close"]
    assert closed["actions"] == []


def test_a_false_alarm_needs_a_reason(hub: Hub) -> None:
    alert_id, crew = hub.says(), client(hub)
    for body in (None, {}, {"reason": ""}, {"reason": "   "}):
        refused = crew.post(f"{API}/alerts/{alert_id}/false-alarm", json=body)
        assert (refused.status_code, refused.json()["code"]) == (422, "reason-missing"), body
    done = crew.post(f"{API}/alerts/{alert_id}/false-alarm", json={"reason": "做饭油烟"})
    assert (done.status_code, done.json()["case_state"]) == (200, "false_alarm")
    assert done.json()["close_reason"] == "做饭油烟"


def test_an_action_that_does_not_fit_the_state_is_a_conflict_with_a_remedy(hub: Hub) -> None:
    alert_id, crew = hub.says(), client(hub)
    refused = crew.post(f"{API}/alerts/{alert_id}/close")
    assert refused.status_code == 409
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["code"] == "illegal-action"
    assert "still reports" in refused.json()["detail"]
    assert refused.json()["remedy"]
    chinese = crew.post(f"{API}/alerts/{alert_id}/close", headers={"Accept-Language": "zh-CN"}).json()
    assert chinese["detail"] == "设备仍在报 P1 告警，不能结案。"
    assert chinese["reason"] == refused.json()["reason"] == "still-active"


def test_whoever_comes_too_late_is_told_who_closed_it_and_how(hub: Hub) -> None:
    alert_id = hub.says()
    crew = client(hub, stations=(STATION,), person="st-1-crew-1")
    assert crew.post(f"{API}/alerts/{alert_id}/false-alarm", json={"reason": "steam"}).status_code == 200
    late = {
        language: client(hub).post(f"{API}/alerts/{alert_id}/acknowledge", headers={"Accept-Language": language}).json()
        for language in ("zh-CN", "en")
    }
    name = hub.registry.people["st-1-crew-1"].name
    assert late["zh-CN"]["detail"] == f"该告警已由{name.zh}判定为误报。"
    assert late["en"]["detail"] == f"The alert was already closed as a false alarm by {name.en}."
    assert {answer["reason"] for answer in late.values()} == {"closed-as-false-alarm"}


def test_every_reason_of_the_desk_is_translated() -> None:
    say = text("zh-CN")
    for code, (message, remedy) in REFUSALS.items():
        assert say(message) != message, code
        assert say(remedy) != remedy, code


def test_a_misspelt_filter_is_refused_with_the_right_one(hub: Hub) -> None:
    crew = client(hub)
    for language, said in (("en", "'statoin' is not known; did you mean station?"), ("zh-CN", "您是不是要写 station")):
        refused = crew.get(f"{API}/alerts?statoin=st-3", headers={"Accept-Language": language})
        assert (refused.status_code, refused.json()["code"]) == (422, "bad-request")
        (error,) = refused.json()["errors"]
        assert error["field"] == "query.statoin"
        assert said in error["message"]


@pytest.mark.parametrize(
    "query", ["station=st-99", "grid=999", "device=smoke-c1b1-99", "device=%3Cscript%3E", "station=" + "x" * 200]
)
def test_a_filter_for_what_does_not_exist_is_refused(hub: Hub, query: str) -> None:
    refused = client(hub, "officer", grids=("*",)).get(f"{API}/alerts?{query}")
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "query." + query.split("=")[0]


def test_a_device_elsewhere_is_refused_like_one_that_does_not_exist(hub: Hub) -> None:
    hub.says(hub.far_smoke())
    mine = client(hub, grids=(GRID,))
    hidden, unknown = (mine.get(f"{API}/alerts?device={device}") for device in (hub.far_smoke(), "none"))
    assert hidden.status_code == unknown.status_code == 422
    assert hidden.text.replace(hub.far_smoke(), "none") == unknown.text


def test_the_alerts_of_a_device_that_left_the_registry_are_still_found(hub: Hub) -> None:
    alert_id = hub.says("taken-down")  # the registry does not know it (any more)
    found = client(hub, "officer", grids=("*",)).get(f"{API}/alerts?device=taken-down")
    assert [alert["id"] for alert in found.json()["items"]] == [alert_id]


def test_what_is_wrong_with_a_field_is_said_in_the_readers_words(hub: Hub) -> None:
    def said(query: str, language: str = "zh-CN") -> list[dict[str, str]]:
        answer = client(hub).get(f"{API}/alerts?{query}", headers={"Accept-Language": language})
        errors: list[dict[str, str]] = answer.json()["errors"]
        return errors

    instant = "必须是带时区的日期时间（ISO 8601），或自 1970 年起的 UTC 毫秒数"
    for since in ("-1", "yesterday", "5e3", "2026-01-01T00:00:00", "999999999999999999"):
        assert said(f"since={since}") == [{"field": "query.since", "message": instant}], since
    assert said("limit=0") == [{"field": "query.limit", "message": "不能小于 1"}]
    assert said("severity=P9", "en") == [{"field": "query.severity", "message": "must be one of: P1, P2, P3, P4"}]


def test_a_gap_in_the_timeline_is_told_in_both_languages_with_names(hub: Hub) -> None:
    alert_id = hub.says()
    (row,) = [r for r in client(hub).get(f"{API}/alerts/{alert_id}").json()["timeline"] if r["action"] == "raised"]
    assert row["gaps"] == []
    called = {"station": "幸福里微站", "person": "张三", "grid": "一网格"}

    def zh(gap: str) -> str:
        return gaps.told(gap, lambda kind, _: {"zh-CN": called[kind], "en": called[kind]}).zh

    assert zh("station st-1 has a contact that this hub does not know (webhook)") == (
        "幸福里微站有本中枢未配置的联系方式（消息推送）"
    )
    assert zh("nobody is responsible for compound 44, 4401") == "一网格、一网格没有责任人"
    assert zh("person li has no contact that this hub can use (siren, webhook)") == (
        "张三没有本中枢可用的联系方式（警笛、消息推送）"
    )


def test_every_gap_that_routing_can_find_has_words() -> None:
    """The notes of the source, with something in their placeholders."""
    source = (ROOT / "hub" / "dispatch" / "routing.py").read_text("utf-8")
    notes = re.findall(r'f?"((?:no |nobody |station \{|backup |person )[^"]*)"', source)
    assert len(notes) >= 10
    for note in notes:
        if note.startswith("no backup station for") or "only" in note:
            continue
        gap = re.sub(r"\{level[^}]*\}", "street", note)
        gap = re.sub(r"\{_names\([^}]*\}", "webhook", gap)
        gap = re.sub(r"\{[^}]*\}", "440399", gap)
        told = gaps.told(gap, lambda kind, known: {"zh-CN": known, "en": known})
        assert told.zh != gap, gap


def test_a_call_for_help_is_planned_and_shown_in_the_notifications(hub: Hub) -> None:
    alert_id, crew = hub.says(), client(hub)
    before = len(crew.get(f"{API}/alerts/{alert_id}").json()["deliveries"])
    after = crew.post(f"{API}/alerts/{alert_id}/reinforce", json={"reason": "need water"}).json()
    assert len(after["deliveries"]) > before
    assert any(d["transition"].startswith("reinforce") for d in after["deliveries"])


def test_a_notification_says_how_long_its_acceptance_took(hub: Hub) -> None:
    clock = hub.clock
    assert isinstance(clock, SteppedClock)
    alert_id = hub.says()
    (first, *_) = hub.outbox.claim(clock(), "test", limit=50, lease_ms=10_000)
    hub.outbox.begin_send(first.id, clock())
    hub.outbox.accepted(first.id, "receipt", clock.advance(ms=812))
    shown = {d["id"]: d for d in client(hub).get(f"{API}/alerts/{alert_id}").json()["deliveries"]}
    assert shown[first.id]["state"] in ("accepted", "read"), "read, where it went to the station that looks at it now"
    assert shown[first.id]["accepted_after_ms"] == 812


def test_an_alert_of_another_grid_does_not_exist_for_this_token(hub: Hub) -> None:
    far = hub.says(hub.far_smoke())
    mine = client(hub, grids=(GRID,))
    unknown = mine.get(f"{API}/alerts/ffffffffffffffffffff")
    hidden = mine.get(f"{API}/alerts/{far}")
    assert (hidden.status_code, hidden.json()) == (404, unknown.json())
    assert mine.post(f"{API}/alerts/{far}/acknowledge").status_code == 404
    assert mine.get(f"{API}/alerts").json()["items"] == []
    assert mine.get(f"{API}/alerts?grid={FAR_GRID}").json()["items"] == []
    assert client(hub, "officer", grids=("*",)).get(f"{API}/alerts/{far}").status_code == 200


@pytest.mark.parametrize("role", ["viewer", "machine"])
def test_roles_that_only_read_cannot_act(hub: Hub, role: str) -> None:
    alert_id = hub.says()
    reader = client(hub, role, grids=("*",))
    assert reader.get(f"{API}/alerts/{alert_id}").status_code == 200
    refused = reader.post(f"{API}/alerts/{alert_id}/acknowledge")
    assert (refused.status_code, refused.json()["code"]) == (403, "wrong-role")


@pytest.mark.parametrize("role", ["grid_worker", "station", "officer", "admin"])
def test_roles_that_act_may_acknowledge(hub: Hub, role: str) -> None:
    alert_id = hub.says()
    assert client(hub, role, grids=(GRID,)).post(f"{API}/alerts/{alert_id}/acknowledge").status_code == 200


def test_pages_follow_each_other_without_gap_or_double(hub: Hub) -> None:
    clock = hub.clock
    assert isinstance(clock, SteppedClock)
    smokes = [d.id for d in hub.registry.devices() if d.kind == "smoke_alarm"][:7]
    ids = []
    for device in smokes:
        ids.append(hub.says(device))
        clock.advance(ms=1)
    officer, found, before = client(hub, "officer", grids=("*",)), [], ""
    while True:
        page = officer.get(f"{API}/alerts", params={"limit": 3, **({"before": before} if before else {})}).json()
        found += [alert["id"] for alert in page["items"]]
        if page["next"] is None:
            break
        before = page["next"]
        hub.says(smokes[0], kind="cleared", value=False)  # changes meanwhile move nothing
    assert found == list(reversed(ids))


def test_filters_choose_what_they_say(hub: Hub) -> None:
    clock = hub.clock
    assert isinstance(clock, SteppedClock)
    smoke = hub.says()
    clock.advance(minutes=10)
    hot = hub.says("cabinet-c1-09", "cabinet-overheat", value=58.4, threshold=55.0)
    officer = client(hub, "officer", grids=("*",))

    def ids(**filters: Any) -> set[str]:
        answer = officer.get(f"{API}/alerts", params=filters)
        assert answer.status_code == 200, answer.text
        return {alert["id"] for alert in answer.json()["items"]}

    assert ids() == {smoke, hot}
    assert ids(severity="P1") == {smoke}
    assert ids(severity="P2") == {hot}
    assert ids(device=SMOKE) == {smoke}
    assert ids(grid=GRID) == {smoke}
    assert ids(station="st-2") == set()
    assert ids(text="充电柜") == {hot}
    assert ids(text="SMOKE") == {smoke}
    assert ids(since=clock() - 1_000) == {hot}
    assert ids(until="2026-01-01T08:05:00+08:00") == {smoke}
    assert ids(state="accepted") == set()
    assert ids(live="false") == set()
    assert ids(test="true") == set()


@pytest.mark.parametrize(
    "query",
    [
        "severity=P9",
        "limit=0",
        "limit=100000",
        "state=asleep",
        "live=perhaps",
        "since=yesterday",
        "since=2026-01-01T00:00:00",  # without a zone it could be any moment
        "since=-1",
        "text=%00",
        "text=" + "x" * 300,
    ],
)
def test_a_bad_filter_is_named(hub: Hub, query: str) -> None:
    answer = client(hub).get(f"{API}/alerts?{query}")
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["code"] == "bad-request"
    assert problem["errors"][0]["field"].startswith("query." + query.split("=")[0])


@pytest.mark.parametrize("cursor", ["x", "1", "-abc", "99999999999999999999-a", "１-a"])
def test_an_unknown_cursor_is_refused(hub: Hub, cursor: str) -> None:
    answer = client(hub).get(f"{API}/alerts", params={"before": cursor})
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown-cursor")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 422),
        (b"[]", 422),
        (b'{"reason": 5}', 422),
        (b'{"reason": "x", "extra": 1}', 422),
        (b'{"reason": "' + b"x" * 501 + b'"}', 422),
        (b'{"reason": "\\u0000"}', 422),
        (b'{"reason": "\\ud800"}', 422),
        (b"\xff\xfe", 422),
        (b'{"reason": "' + b"x" * 70_000 + b'"}', 413),
    ],
)
def test_a_bad_body_is_a_problem_and_never_a_fault(hub: Hub, body: bytes, status: int) -> None:
    alert_id = hub.says()
    answer = client(hub).post(
        f"{API}/alerts/{alert_id}/false-alarm", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_while_the_ledger_is_away_the_api_says_so_and_when_to_come_back(hub: Hub) -> None:
    crew = client(hub)
    hub.away.append("ledger")
    answer = crew.get(f"{API}/alerts")
    assert (answer.status_code, answer.json()["code"]) == (503, "store-away")
    assert answer.headers["retry-after"] == "2"
    hub.away.clear()
    assert crew.get(f"{API}/alerts").status_code == 200


def test_a_flood_of_faults_never_pushes_a_fire_off_the_board(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes_board, "PER_SEVERITY", 5)
    fire = hub.says()
    for device in [d.id for d in hub.registry.devices() if d.kind == "smoke_alarm"][:8]:
        hub.says(device, "smoke-battery-low")
    board = client(hub, "officer", grids=("*",)).get(f"{API}/board").json()
    assert [alert["severity"] for alert in board["alerts"]] == ["P1", "P3", "P3", "P3", "P3", "P3"]
    assert board["alerts"][0]["id"] == fire
    assert board["more"] == ["P3"]
