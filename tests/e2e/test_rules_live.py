"""Rules edited while a whole hub runs: through the API, by hand, wrongly, over a crash and from another process."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.scene import until
from tests.support.hub_process import CONFIG, HubProcess, make_config
from tests.support.mosquitto import running_mosquitto
from tests.support.rule_files import write_rules

pytestmark = pytest.mark.needs_mosquitto

RULES = "/api/v1/rules"
CABINET = f"{RULES}/files/cabinet.yaml"


@pytest.fixture
def config(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "broker").mkdir()
    with running_mosquitto(tmp_path / "broker", persistent=True) as broker:
        folder = make_config(tmp_path, broker_port=broker.port)
        shutil.rmtree(folder / "rules")
        write_rules(folder / "rules")
        yield folder


def put(hub: HubProcess, token: str, old: str, new: str, why: str) -> tuple[int, Any]:
    """Changes cabinet.yaml as a machine would."""
    file = hub.get(CABINET, token)[1]
    assert old in file["text"]
    return send(hub, token, "PUT", CABINET, {"text": file["text"].replace(old, new, 1), "why": why}, file["version"])


def send(hub: HubProcess, token: str, method: str, path: str, body: Any, version: str) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {token}", "If-Match": f'"{version}"', "Content-Type": "application/json"}
    request = urllib.request.Request(hub.url + path, json.dumps(body).encode(), headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as refused:
        return refused.code, json.loads(refused.read())


def limit(hub: HubProcess, token: str) -> float:
    return float(hub.get(f"{RULES}/cabinet-overheat", token)[1]["when"]["above"])


def history(hub: HubProcess, token: str) -> list[tuple[str, str]]:
    return [(entry["who"]["id"], entry["why"]) for entry in hub.get(f"{RULES}/history", token)[1]["items"]]


def gridhub(config: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hub", "rules", *arguments, "--config", str(config)]
    return subprocess.run(command, capture_output=True, text=True, cwd=CONFIG.parent, check=False)


def test_rules_are_edited_while_the_hub_runs_and_every_way_in_is_in_the_history(config: Path) -> None:
    with HubProcess(config) as hub:
        token = hub.token("admin")
        until(lambda: len(history(hub, token)) == 1, within_s=10, what=hub.log)

        status, made = put(hub, token, "above: 55", "above: 60", "too many")
        assert (status, made["applied"]) == (200, True), made
        assert limit(hub, token) == 60
        assert "rules.different" in hub.log()

        file = config / "rules" / "cabinet.yaml"
        file.write_text(file.read_text("utf-8").replace("above: 60", "above: 58", 1), "utf-8")
        until(lambda: limit(hub, token) == 58, within_s=10, what=hub.log)
        until(lambda: len(history(hub, token)) == 3, within_s=10, what=hub.log)

        file.write_text(file.read_text("utf-8").replace("above: 58", "abov: 50", 1), "utf-8")
        until(lambda: hub.get("/readyz")[1]["parts"]["config"]["state"] != "ok", within_s=10, what=hub.log)
        assert limit(hub, token) == 58
        (complaint, *_) = hub.get(RULES, token)[1]["complaints"]
        assert (complaint["rule"], complaint["key"]) == ("cabinet-overheat", "when.abov")

        status, made = put(hub, token, "abov: 50", "above: 57", "a slip of the hand")
        assert (status, made["applied"]) == (200, True), made
        until(lambda: hub.get("/readyz")[1]["parts"]["config"]["state"] == "ok", within_s=10, what=hub.log)

        back = gridhub(config, "rollback", "--why", "as before")
        assert back.returncode == 0, back.stderr
        assert "they run now" in back.stdout
        assert limit(hub, token) == 58
        said = history(hub, token)
        assert [why for _, why in said] == [
            "as before",
            "a slip of the hand",
            "the files were edited",
            "too many",
            "read at the first start",
        ]
        assert [who for who, _ in said[1:]] == ["token:admin", "file", "token:admin", "file"]
        assert said[0][0].startswith("cli:")


def test_a_broken_registry_keeps_no_rule_from_being_changed_and_broken_rules_keep_no_device_from_being_added(
    config: Path,
) -> None:
    with HubProcess(config) as hub:
        token = hub.token("admin")
        people = config / "registry" / "people.yaml"
        whole = people.read_text("utf-8")
        people.write_text(whole.replace("\npeople:", "\npeopel:", 1), "utf-8")
        until(lambda: "people.yaml" in hub.get("/readyz")[1]["parts"]["config"]["detail"], within_s=10, what=hub.log)
        status, made = put(hub, token, "above: 55", "above: 60", "x")
        assert (status, made["applied"]) == (200, True), made
        assert limit(hub, token) == 60
        assert "people.yaml" in hub.get("/readyz")[1]["parts"]["config"]["detail"]
        people.write_text(whole, "utf-8")
        until(lambda: hub.get("/readyz")[1]["parts"]["config"]["state"] == "ok", within_s=10, what=hub.log)

        (config / "rules" / "broken.yaml").write_text("rules:\n\t- id: x\n", "utf-8")
        until(lambda: "broken.yaml" in hub.get("/readyz")[1]["parts"]["config"]["detail"], within_s=10, what=hub.log)
        devices = config / "registry" / "devices.csv"
        known = devices.read_text("utf-8").splitlines()
        fields = next(line for line in known if ",smoke_alarm," in line).split(",")
        fields[0], fields[6] = "new-one", "zigbee2mqtt:zigbee2mqtt/New one"
        devices.write_text("\n".join([*known, ",".join(fields), ""]), "utf-8")
        until(lambda: hub.get("/api/v1/devices/new-one", token)[0] == 200, within_s=10, what=hub.log)
        assert "broken.yaml" in hub.get("/readyz")[1]["parts"]["config"]["detail"]


def test_a_calendar_is_taken_over_while_the_hub_runs(config: Path) -> None:
    with HubProcess(config) as hub:
        calendar = config / "calendar.yaml"
        calendar.write_text("holidays: [{on: 2027-13-01}]\n")
        until(lambda: "calendar.yaml" in hub.get("/readyz")[1]["parts"]["config"]["detail"], within_s=10, what=hub.log)
        calendar.write_text("holidays: [{on: 2027-01-01}]\n")
        until(lambda: hub.get("/readyz")[1]["parts"]["config"]["state"] == "ok", within_s=10, what=hub.log)


def test_a_change_survives_a_crash_right_after_the_answer(config: Path) -> None:
    hub = HubProcess(config).start()
    try:
        token = hub.token("admin")
        status, made = put(hub, token, "above: 55", "above: 60", "x")
        assert status == 200, made
        hub.kill()
        file = config / "rules" / "gate.yaml"
        file.write_text(file.read_text("utf-8").replace("severity: P2", "severity: P3", 1), "utf-8")
        hub.start()
        assert limit(hub, token) == 60
        until(lambda: len(history(hub, token)) == 3, within_s=10, what=hub.log)
        assert history(hub, token)[0] == ("file", "the files were edited while the hub was stopped")
    finally:
        hub.stop()


def test_the_web_in_one_process_changes_the_rules_of_another(config: Path) -> None:
    rules = HubProcess(config, role="ingest,rules,courier")
    rules.log_file = config.parent / "rules.log"
    with HubProcess(config, role="api") as web:
        rules.start(wait=False)
        try:
            until(lambda: "hub.started" in rules.log(), within_s=30, what=rules.log)
            token = web.token("admin")
            until(lambda: len(history(web, token)) == 1, within_s=15, what=rules.log)
            status, made = put(web, token, "above: 55", "above: 60", "x")
            assert status == 200, made
            until(
                lambda: web.get(f"{RULES}/history", token)[1]["items"][0]["applied_at_ms"] is not None,
                within_s=10, what=rules.log,
            )  # fmt: skip
            assert limit(web, token) == 60
            assert "rules.different" in rules.log()
            assert history(web, token)[0] == ("token:admin", "x")
        finally:
            rules.stop()
