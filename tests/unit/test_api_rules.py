"""Rules over the API: read, tried, changed with a reason, refused with complaints, taken back; and by whom."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jsonschema
import pytest
import yaml
from fastapi.testclient import TestClient

from hub.clock import SteppedClock
from hub.errors import Unavailable
from hub.stores.rule_files import RuleFiles, RulesUnwritable
from hub.stores.rule_versions import RuleVersions
from tests.support.served import GRID, Hub, hub_at

API = "/api/v1"
RULES = f"{API}/rules"
T0 = 1_767_225_600_000
CABINET = f"{RULES}/files/cabinet.yaml"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with hub_at(tmp_path, SteppedClock(T0), small=True) as found:
        yield found


class Officer(TestClient):
    """Somebody with a token; `edit` sends a file with one passage changed."""

    def __init__(self, hub: Hub, role: Any = "officer", **area: Any) -> None:
        token = hub.token(role, **(area or {"grids": ("*",)}))
        super().__init__(hub.app, headers={"Authorization": f"Bearer {token}", "Accept-Language": "en"})

    def version(self) -> str:
        return str(self.get(RULES).headers["etag"])

    def edit(self, old: str, new: str, *, file: str = "cabinet.yaml", why: str = "try it", **query: Any) -> Any:
        read = self.get(f"{RULES}/files/{file}")
        text = read.json()["text"]
        assert old in text
        body = {"text": text.replace(old, new, 1), "why": why}
        return self.put(f"{RULES}/files/{file}", json=body, headers={"If-Match": read.headers["etag"]}, params=query)


@pytest.fixture
def officer(hub: Hub) -> Officer:
    return Officer(hub)


def limit(hub: Hub) -> float:
    assert hub.runs.rules is not None
    rule = hub.runs.rules.find("cabinet-overheat")
    assert rule is not None
    return float(rule.spec.when.above)


# -- reading ----------------------------------------------------------------------------------------------------------


def test_the_list_names_every_rule_that_runs_with_its_place_and_its_devices(hub: Hub, officer: Officer) -> None:
    answer = officer.get(RULES)
    body = answer.json()
    assert hub.runs.rules is not None
    assert [item["id"] for item in body["items"]] == [rule.spec.id for rule in hub.runs.rules.rules]
    assert answer.headers["etag"] == f'"{body["version"]}"'
    assert body["running"] == body["version"]
    assert body["complaints"] == []
    assert body["may_edit"] is True
    assert "cabinet.yaml" in [file["name"] for file in body["files"]]
    hot = next(item for item in body["items"] if item["id"] == "cabinet-overheat")
    assert hot["name"] == {"zh": "充电柜内高温", "en": "Charging cabinet hot inside"}
    assert (hot["file"], hot["severity"], hot["quantity"]) == ("cabinet.yaml", "P2", "temperature_c")
    assert hot["when"] == {"above": 55.0, "clear_below": 50.0, "hold_s": 300.0}
    assert hot["devices"] == sum(1 for d in hub.registry.devices() if d.kind == "charging_cabinet")


def test_one_rule_comes_with_its_own_lines_of_the_file(officer: Officer) -> None:
    rule = officer.get(f"{RULES}/cabinet-overheat").json()
    lines = officer.get(CABINET).json()["text"].splitlines(keepends=True)
    assert rule["text"] == "".join(lines[rule["line"] - 1 : rule["last_line"]])
    assert rule["text"].startswith("  - id: cabinet-overheat\n")
    assert rule["text"].rstrip().splitlines()[-1].strip().startswith("certainty:")
    assert yaml.safe_load(rule["text"])[0]["id"] == rule["parsed"]["id"] == "cabinet-overheat"
    assert rule["action"]["zh"]


def test_the_lines_of_every_rule_are_that_rule_and_no_other(officer: Officer) -> None:
    for item in officer.get(RULES).json()["items"]:
        rule = officer.get(f"{RULES}/{item['id']}").json()
        (alone,) = yaml.load(rule["text"], yaml.BaseLoader)
        assert alone["id"] == item["id"]
        assert not rule["text"].rstrip().splitlines()[-1].lstrip().startswith("#")


def test_a_rule_that_does_not_exist_is_404(officer: Officer) -> None:
    for path in (f"{RULES}/astrology", f"{RULES}/files/astrology.yaml", f"{RULES}/history/99"):
        assert (officer.get(path).status_code, officer.get(path).json()["code"]) == (404, "not-found")


def test_a_file_is_read_as_json_or_as_it_stands(hub: Hub, officer: Officer) -> None:
    as_json = officer.get(CABINET)
    as_yaml = officer.get(CABINET, headers={"Accept": "text/yaml"})
    assert as_yaml.headers["content-type"] == "text/yaml; charset=utf-8"
    assert as_yaml.content == hub.parts.rules.current().files["cabinet.yaml"]
    assert as_yaml.text == as_json.json()["text"]
    assert as_yaml.headers["etag"] == as_json.headers["etag"] == f'"{as_json.json()["version"]}"'


def test_the_schema_is_public_and_says_the_shipped_rules_are_right(hub: Hub) -> None:
    answer = TestClient(hub.app).get(f"{API}/schema/rules.json")
    assert answer.headers["content-type"] == "application/schema+json"
    jsonschema.Draft7Validator.check_schema(answer.json())
    text = hub.parts.rules.current().text("smoke.yaml")
    jsonschema.Draft7Validator(answer.json()).validate(_as_editors_read(text))


def _as_editors_read(text: str) -> Any:
    from hub import documents

    document, _ = documents.parse(text, "x")
    assert document is not None
    return document.data


# -- who --------------------------------------------------------------------------------------------------------------

READS = [RULES, f"{RULES}/cabinet-overheat", CABINET, f"{RULES}/history", f"{RULES}/history/1"]


@pytest.mark.parametrize("role", ["viewer", "machine", "grid_worker", "station"])
def test_only_officers_and_administrators_read_and_change_rules(hub: Hub, role: str) -> None:
    caller = Officer(hub, role)
    asked = [caller.get(path) for path in READS]
    asked.append(caller.put(CABINET, json={"text": "rules: []", "why": "x"}, headers={"If-Match": "*"}))
    asked.append(caller.delete(CABINET, params={"why": "x"}, headers={"If-Match": "*"}))
    asked.append(caller.post(f"{RULES}/rollback", json={"why": "x"}, headers={"If-Match": "*"}))
    asked.append(caller.post(f"{RULES}/check", json={"files": {}}))
    assert {(answer.status_code, answer.json()["code"]) for answer in asked} == {(403, "wrong-role")}
    assert limit(hub) == 55


def test_an_officer_of_some_grids_reads_and_does_not_change(hub: Hub) -> None:
    caller = Officer(hub, grids=(GRID,))
    assert all(caller.get(path).status_code == 200 for path in READS)
    assert caller.get(RULES).json()["may_edit"] is False
    answer = caller.edit("above: 55", "above: 60")
    assert (answer.status_code, answer.json()["code"]) == (403, "not-everywhere")
    assert limit(hub) == 55


def test_strangers_get_nothing_but_the_schema(hub: Hub) -> None:
    stranger = TestClient(hub.app)
    assert {stranger.get(path).status_code for path in READS} == {401}
    assert stranger.put(CABINET, json={"text": "x", "why": "x"}).status_code == 401


# -- changing ---------------------------------------------------------------------------------------------------------


def test_a_change_runs_is_recorded_and_says_what_it_did(hub: Hub, officer: Officer) -> None:
    before = officer.version()
    answer = officer.edit("above: 55", "above: 60", why=" too many in August ")
    body = answer.json()
    assert answer.status_code == 200, answer.text
    assert (body["changed"], body["applied"], body["dry_run"]) == (True, True, False)
    assert limit(hub) == 60
    (change,) = body["difference"]["changes"]
    assert (change["what"], change["id"]) == ("changed", "cabinet-overheat")
    assert change["fields"] == [{"key": "when.above", "old": 55.0, "new": 60.0, "is_text": False}]
    assert change["devices"] == change["restarted"] == body["difference"]["devices"] > 0
    assert "+    when: {above: 60" in body["lines"]["cabinet.yaml"]
    entry = body["entry"]
    assert (entry["who"]["id"], entry["why"]) == ("token:officer token", "too many in August")
    assert (f'"{body["base"]}"', f'"{body["version"]}"') == (before, answer.headers["etag"])
    assert officer.version() == answer.headers["etag"]
    newest, first = officer.get(f"{RULES}/history").json()["items"]
    assert newest == entry
    assert newest["running"] is True
    assert (first["who"]["name"], first["running"]) == ({"zh": "手工修改文件", "en": "Files edited by hand"}, False)


def test_yaml_itself_may_be_sent_with_the_reason_beside_it(hub: Hub, officer: Officer) -> None:
    text = officer.get(CABINET).json()["text"].replace("above: 55", "above: 57")
    answer = officer.put(
        CABINET,
        content=text.encode(),
        headers={"Content-Type": "text/yaml; charset=utf-8", "If-Match": officer.version()},
        params={"why": "from the command line"},
    )
    assert answer.status_code == 200, answer.text
    assert limit(hub) == 57
    assert answer.json()["entry"]["why"] == "from the command line"


def test_trying_changes_nothing_and_needs_no_reason(hub: Hub, officer: Officer) -> None:
    version = officer.version()
    text = officer.get(CABINET).json()["text"].replace("above: 55", "above: 60")
    answer = officer.put(CABINET, json={"text": text}, headers={"If-Match": version}, params={"dry_run": 1})
    body = answer.json()
    assert answer.status_code == 200, answer.text
    assert (body["dry_run"], body["changed"], body["applied"], body["entry"]) == (True, True, False, None)
    assert body["difference"]["changes"][0]["fields"][0]["new"] == 60
    assert answer.headers["etag"] == version == officer.version()
    assert limit(hub) == 55
    assert len(officer.get(f"{RULES}/history").json()["items"]) == 1


def test_the_same_text_again_is_no_change(officer: Officer) -> None:
    body = officer.edit("above: 55", "above: 55").json()
    assert (body["changed"], body["entry"], body["difference"]["changes"]) == (False, None, [])
    assert len(officer.get(f"{RULES}/history").json()["items"]) == 1


@pytest.mark.parametrize("why", ["", "   ", None])
def test_no_change_without_a_reason(hub: Hub, officer: Officer, why: str | None) -> None:
    head = {"If-Match": officer.version()}
    text = officer.get(CABINET).json()["text"] + "\n"
    reason = {} if why is None else {"why": why}
    for answer in (
        officer.put(CABINET, json={"text": text, **reason}, headers=head),
        officer.put(CABINET, content=text.encode(), headers={**head, "Content-Type": "text/yaml"}, params=reason),
        officer.delete(CABINET, params=reason, headers=head),
        officer.post(f"{RULES}/rollback", json=reason, headers=head),
    ):
        assert answer.status_code == 422
        assert any("why" in error["field"] for error in answer.json()["errors"]), answer.text
    assert head["If-Match"] == officer.version()


def test_a_change_says_what_it_starts_from_and_is_refused_when_that_is_gone(hub: Hub, officer: Officer) -> None:
    text = officer.get(CABINET).json()["text"].replace("above: 55", "above: 60")
    old = officer.version()
    missing = officer.put(CABINET, json={"text": text, "why": "x"})
    assert (missing.status_code, missing.json()["code"]) == (428, "version-missing")
    assert officer.edit("hold_s: 300", "hold_s: 200").status_code == 200
    for path, send in (
        (CABINET, lambda head: officer.put(CABINET, json={"text": text, "why": "x"}, headers=head)),
        (CABINET, lambda head: officer.delete(CABINET, params={"why": "x"}, headers=head)),
        (RULES, lambda head: officer.post(f"{RULES}/rollback", json={"why": "x"}, headers=head)),
    ):
        answer = send({"If-Match": old})
        assert (answer.status_code, answer.json()["code"]) == (412, "changed-meanwhile"), path
        assert answer.headers["etag"] == officer.version()
    assert limit(hub) == 55
    several = {"If-Match": f'{old}, W/{officer.version()}, "other"'}
    assert officer.put(CABINET, json={"text": text, "why": "x"}, headers=several).status_code == 200


def test_of_many_who_change_at_once_one_wins_and_the_others_are_told(hub: Hub, officer: Officer) -> None:
    version, text = officer.version(), officer.get(CABINET).json()["text"]
    answers: list[int] = []
    together = threading.Barrier(5)

    def send(n: int) -> None:
        body = {"text": text.replace("above: 55", f"above: {60 + n}"), "why": str(n)}
        together.wait()
        answers.append(officer.put(CABINET, json=body, headers={"If-Match": version}).status_code)

    threads = [threading.Thread(target=send, args=(n,)) for n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(answers) == [200, 412, 412, 412, 412]
    (newest, _) = [e for e in officer.get(f"{RULES}/history").json()["items"] if not e["failed"]]
    assert limit(hub) == 60 + int(newest["why"])


def test_one_bad_rule_changes_nothing_and_every_complaint_names_file_line_rule_key_and_remedy(
    hub: Hub, officer: Officer
) -> None:
    read, runs = officer.get(CABINET), hub.runs.rules
    text = (
        read.json()["text"].replace("when: {above: 55", "when: {abov: 55", 1).replace("severity: P2", "severity: P9", 1)
    )
    answer = officer.put(CABINET, json={"text": text, "why": "x"}, headers={"If-Match": read.headers["etag"]})
    body = answer.json()
    assert (answer.status_code, body["code"]) == (422, "bad-rules")
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(body["complaints"]) >= 2
    lines = text.splitlines()
    for complaint in body["complaints"]:
        assert complaint["file"] == "cabinet.yaml"
        assert complaint["rule"]
        assert complaint["key"].rpartition(".")[2] in lines[complaint["line"] - 1]
        assert complaint["message"]
        assert complaint["remedy"]
    assert officer.get(CABINET).content == read.content
    assert hub.runs.rules is runs
    tried = officer.put(CABINET, json={"text": text}, headers={"If-Match": "*"}, params={"dry_run": 1})
    assert tried.json()["complaints"] == body["complaints"]


def test_complaints_come_in_the_readers_language(officer: Officer) -> None:
    read = officer.get(CABINET)
    body = {"text": read.json()["text"].replace("latch", "lacth").replace("severity: P2", "severty: P2", 1), "why": "x"}
    head = {"If-Match": read.headers["etag"], "Accept-Language": "zh-CN"}
    complaints = officer.put(CABINET, json=body, headers=head).json()["complaints"]
    assert {c["message"] for c in complaints} == {"未知的键", "缺少这个键"}
    assert {"是不是 'severity'？", "补上 'severity'", "是不是 'latch'？"} == {c["remedy"] for c in complaints}


def test_a_file_may_be_added_and_taken_away(hub: Hub, officer: Officer) -> None:
    rule = officer.get(f"{RULES}/cabinet-overheat").json()["text"].replace("cabinet-overheat", "cabinet-warm")
    path = f"{RULES}/files/night-shift.yaml"
    added = officer.put(path, json={"text": f"rules:\n{rule}", "why": "new"}, headers={"If-Match": officer.version()})
    assert added.json()["difference"]["changes"][0]["what"] == "added"
    assert officer.get(f"{RULES}/cabinet-warm").json()["file"] == "night-shift.yaml"
    gone = officer.delete(path, params={"why": "not needed"}, headers={"If-Match": added.headers["etag"]})
    assert gone.status_code == 200, gone.text
    (change,) = gone.json()["difference"]["changes"]
    assert (change["what"], change["loses"]) == ("removed", ["removed"])
    assert officer.get(path).status_code == 404


@pytest.mark.parametrize(
    "name", ["..%2F..%2Fhub.yaml", "%2Fetc%2Fx.yaml", "%2E%2E", ".x.yaml", "x.yml", "X.yaml", "a%00.yaml", "a%5Cb.yaml"]
)
def test_no_name_leads_out_of_the_folder(hub: Hub, officer: Officer, tmp_path: Path, name: str) -> None:
    before = sorted(p for p in tmp_path.rglob("*"))
    answers = [
        officer.put(f"{RULES}/files/{name}", json={"text": "rules: []\n", "why": "x"}, headers={"If-Match": "*"}),
        officer.delete(f"{RULES}/files/{name}", params={"why": "x"}, headers={"If-Match": "*"}),
        officer.get(f"{RULES}/files/{name}"),
    ]
    checked = officer.post(f"{RULES}/check", json={"files": {unquote(name): "rules: []"}}).json()
    assert (checked["ok"], checked["complaints"][0]["message"]) == (False, "not a name for a rule file")
    assert {answer.status_code for answer in answers} <= {404, 405, 422}
    assert [p for p in sorted(tmp_path.rglob("*")) if "ledger" not in p.name] == [
        p for p in before if "ledger" not in p.name
    ]


def test_the_last_rules_cannot_be_taken_away(officer: Officer) -> None:
    names = [file["name"] for file in officer.get(RULES).json()["files"]]
    answer = officer.post(f"{RULES}/check", json={"files": dict.fromkeys(names)}).json()
    assert (answer["ok"], answer["difference"]) == (False, None)
    assert "no rules" in answer["complaints"][0]["message"]


def test_a_file_that_is_too_large_is_refused(officer: Officer) -> None:
    head = {"If-Match": officer.version()}
    answer = officer.put(CABINET, json={"text": "#" * 300_000, "why": "x"}, headers=head)
    assert (answer.status_code, answer.json()["complaints"][0]["message"]) == (422, "larger than 256 KiB")
    assert officer.put(CABINET, json={"text": "#" * 1_100_000, "why": "x"}, headers=head).status_code == 413


@pytest.mark.parametrize(
    "sent",
    [
        {"content": b'{"text": 5, "why": "x"}', "headers": {"Content-Type": "application/json"}},
        {"content": b'{"text": "a", "why": "x", "who": "me"}', "headers": {"Content-Type": "application/json"}},
        {"content": b"{", "headers": {"Content-Type": "application/json"}},
        {"content": b'{"text": "\\ud800", "why": "x"}', "headers": {"Content-Type": "application/json"}},
        {"content": b"\xff\xfe", "headers": {"Content-Type": "text/yaml"}},
        {"content": b"a: &a [*a]\n", "headers": {"Content-Type": "text/yaml"}, "params": {"why": "x"}},
        {"content": b"", "headers": {"Content-Type": "text/yaml"}, "params": {"why": "x"}},
    ],
)
def test_a_body_that_is_none_is_422(officer: Officer, sent: dict[str, Any]) -> None:
    head = {**sent.pop("headers"), "If-Match": officer.version()}
    answer = officer.put(CABINET, headers=head, **sent)
    assert answer.status_code == 422, answer.text
    assert answer.json()["code"] in ("bad-request", "bad-rules", "reason-missing")


def test_a_folder_that_cannot_be_written_is_said_and_leaves_all_as_it_was(
    hub: Hub, officer: Officer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise RulesUnwritable("Read-only file system")

    monkeypatch.setattr(RuleFiles, "write", refuse)
    answer = officer.edit("above: 55", "above: 60")
    assert (answer.status_code, answer.json()["code"]) == (409, "rules-not-writable")
    assert "Read-only file system" in answer.json()["detail"]
    assert limit(hub) == 55
    newest = officer.get(f"{RULES}/history").json()["items"][0]
    assert newest["failed"] == "Read-only file system"


def test_without_the_ledger_nothing_is_changed(hub: Hub, officer: Officer, monkeypatch: pytest.MonkeyPatch) -> None:
    class Away(RuleVersions):
        def record(self, **_: Any) -> Any:
            raise Unavailable("the ledger is away", after_s=2)

    monkeypatch.setattr(hub.parts.rules, "versions", Away(hub.ledger))
    answer = officer.edit("above: 55", "above: 60")
    assert (answer.status_code, answer.json()["code"]) == (503, "store-away")
    assert answer.headers["retry-after"] == "2"
    assert limit(hub) == 55
    assert "above: 55" in officer.get(CABINET).json()["text"]


def test_a_change_that_is_not_in_force_yet_is_told_so(
    hub: Hub, officer: Officer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.runs.busy = True
    body = officer.edit("above: 55", "above: 60").json()
    assert (body["applied"], body["entry"]["applied_at_ms"]) == (False, None)
    listed = officer.get(RULES).json()
    assert listed["running"] != listed["version"] == body["version"]
    hot = next(item for item in listed["items"] if item["id"] == "cabinet-overheat")
    assert hot["when"]["above"] == 55, "what is shown is what runs"


def test_files_broken_by_hand_are_shown_while_the_old_rules_run_and_can_be_mended(hub: Hub, officer: Officer) -> None:
    path = hub.parts.rules.files.folder / "cabinet.yaml"
    path.write_text(path.read_text("utf-8").replace("above: 55", "abov: 60", 1), "utf-8")
    hub.runs.reload()
    listed = officer.get(RULES).json()
    first = listed["complaints"][0]
    assert (first["file"], first["rule"], first["key"]) == ("cabinet.yaml", "cabinet-overheat", "when.abov")
    assert listed["running"] != listed["version"]
    assert officer.get(f"{RULES}/cabinet-overheat").json()["parsed"]["when"]["above"] == 55
    assert officer.get(CABINET).json()["complaints"] == listed["complaints"]
    assert officer.edit("abov: 60", "above: 60").status_code == 200
    assert limit(hub) == 60


# -- the history ------------------------------------------------------------------------------------------------------


def test_one_step_back_restores_the_rules_and_says_why(hub: Hub, officer: Officer) -> None:
    before = officer.get(CABINET).json()["text"]
    officer.edit("above: 55", "above: 60")
    head = {"If-Match": officer.version()}
    tried = officer.post(f"{RULES}/rollback", json={}, headers=head, params={"dry_run": True}).json()
    assert tried["difference"]["changes"][0]["fields"][0] == {
        "key": "when.above",
        "old": 60,
        "new": 55,
        "is_text": False,
    }
    assert limit(hub) == 60
    made = officer.post(f"{RULES}/rollback", json={"why": "worse"}, headers=head).json()
    assert (made["applied"], made["entry"]["why"], made["entry"]["rolled_back_to"]) == (True, "worse", 1)
    assert officer.get(CABINET).json()["text"] == before
    assert limit(hub) == 55
    nothing = officer.post(f"{RULES}/rollback", json={"why": "x"}, headers={"If-Match": "*"})
    assert nothing.status_code == 404
    forward = officer.post(f"{RULES}/rollback", json={"why": "x", "to": 2}, headers={"If-Match": "*"})
    assert forward.status_code == 200
    assert limit(hub) == 60


def test_an_entry_shows_its_files_and_what_it_changed_against_any_other(officer: Officer) -> None:
    officer.edit("above: 55", "above: 60")
    officer.edit("above: 60", "above: 65")
    entry = officer.get(f"{RULES}/history/3").json()
    assert (entry["parent"], entry["against"]) == (2, 2)
    assert "above: 65" in entry["files"]["cabinet.yaml"]
    assert entry["difference"]["changes"][0]["fields"][0]["old"] == 60
    assert "-    when: {above: 60" in entry["lines"]["cabinet.yaml"]
    other = officer.get(f"{RULES}/history/3", params={"against": 1}).json()
    assert other["difference"]["changes"][0]["fields"][0]["old"] == 55
    first = officer.get(f"{RULES}/history/1").json()
    assert first["against"] is None
    assert {change["what"] for change in first["difference"]["changes"]} == {"added"}
    assert officer.get(f"{RULES}/history/1", params={"against": 99}).status_code == 404


def test_rules_that_are_not_understood_any_more_are_still_shown_line_by_line(hub: Hub, officer: Officer) -> None:
    hub.parts.rules.versions.record(
        at_ms=T0, who="li", why="long ago", version="x", files={"a.yaml": "rules: [{kind: astrology}]\n"}, summary={}
    )
    entry = officer.get(f"{RULES}/history/2").json()
    assert entry["difference"] is None
    assert "+rules: [{kind: astrology}]" in entry["lines"]["a.yaml"]
    back = officer.post(f"{RULES}/rollback", json={"to": 2, "why": "x"}, headers={"If-Match": "*"})
    assert (back.status_code, back.json()["code"]) == (422, "bad-rules")


def test_the_history_comes_in_pages(officer: Officer) -> None:
    for n in range(4):
        officer.edit(f"above: {55 + n}", f"above: {56 + n}", why=str(n))
    seen, before = [], None
    while True:
        query = {"limit": 2, **({"before": before} if before else {})}
        page = officer.get(f"{RULES}/history", params=query).json()
        seen += [entry["id"] for entry in page["items"]]
        before = page["next"]
        if before is None:
            break
    assert seen == [5, 4, 3, 2, 1]


def test_who_changed_what_is_in_the_audit(hub: Hub, officer: Officer) -> None:
    officer.edit("above: 55", "above: 60", why="because")
    row = hub.parts.queries.audit_since(0, 100)[-1]
    assert (row.actor, row.action, row.alert_id) == ("token:officer token", "rules_changed", None)
    assert row.detail["why"] == "because"
    assert row.detail["changed"] == {"cabinet-overheat": {"when.above": [55.0, 60.0]}}
