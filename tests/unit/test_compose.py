"""The container files, as far as they can be judged without an engine."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from hub.settings import load_settings

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docker-compose.yml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ONE_SHOTS = {"volume-owner", "mosquitto-users", "influxdb-init"}
each_service = pytest.mark.parametrize("name", sorted(SERVICES))


def mounts(service: dict[str, Any]) -> list[tuple[str, str]]:
    return [(v.split(":")[0], v.split(":")[1]) for v in service.get("volumes", ())]


def test_the_compose_file_fits_the_published_schema() -> None:
    tool = Path(sys.executable).with_name("check-jsonschema")
    done = subprocess.run(
        [str(tool), "--builtin-schema", "vendor.compose-spec", str(FILE)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_parts_are_all_there() -> None:
    assert set(SERVICES) == {"mosquitto", "influxdb", "grafana", "hub", "simulators", *ONE_SHOTS}
    assert {n for n, s in SERVICES.items() if s.get("profiles")} == {"simulators"}


@each_service
def test_images_are_pinned(name: str) -> None:
    tag = SERVICES[name]["image"].rpartition(":")[2]
    assert re.fullmatch(r"\d+\.\d+\.\d+[\w.-]*", tag), SERVICES[name]["image"]


@each_service
def test_a_service_can_do_no_more_than_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["deploy"]["resources"]["limits"]["memory"]
    assert service["logging"]["options"]["max-size"]
    user = service.get("user")
    if name not in ("hub", "simulators"):  # these two: USER of the Dockerfile
        assert user, f"{name} does not say its user"
        assert name in ONE_SHOTS or not user.startswith("0:"), f"{name} runs as root"
    assert set(service.get("cap_add", ())) <= {"CHOWN"}
    assert "privileged" not in service


@each_service
def test_a_lasting_service_has_a_health_check(name: str) -> None:
    service = SERVICES[name]
    if name in ONE_SHOTS:
        assert service["restart"] == "no"
        return
    assert service["restart"] == "unless-stopped"
    if name != "simulators":
        assert service["healthcheck"]["test"][0] == "CMD"
        assert {"interval", "timeout", "retries"} <= set(service["healthcheck"])


@each_service
def test_dependencies_exist_and_can_be_met(name: str) -> None:
    for other, condition in SERVICES[name].get("depends_on", {}).items():
        assert other in SERVICES
        wanted = "service_completed_successfully" if other in ONE_SHOTS else "service_healthy"
        assert condition == {"condition": wanted}


def test_dependencies_do_not_go_in_circles() -> None:
    def depth(name: str, seen: tuple[str, ...] = ()) -> int:
        assert name not in seen, (*seen, name)
        return 1 + max((depth(d, (*seen, name)) for d in SERVICES[name].get("depends_on", {})), default=0)

    assert max(depth(name) for name in SERVICES) <= 6


@each_service
def test_nothing_is_published_beyond_the_loopback(name: str) -> None:
    for port in SERVICES[name].get("ports", ()):
        assert re.match(r"(127\.0\.0\.1|\$\{\w+:-127\.0\.0\.1\}):\d+:\d+$", port), port


@each_service
def test_every_name_that_is_used_is_defined(name: str) -> None:
    service = SERVICES[name]
    assert set(service.get("networks", ())) <= set(COMPOSE["networks"])
    assert set(service.get("secrets", ())) <= set(COMPOSE["secrets"])
    for source, _ in mounts(service):
        if source.startswith("."):
            assert (ROOT / source).exists(), source
        else:
            assert source in COMPOSE["volumes"], source


def test_nothing_that_is_defined_is_unused() -> None:
    for kind in ("networks", "secrets"):
        assert {n for s in SERVICES.values() for n in s.get(kind, ())} == set(COMPOSE[kind])
    used = {source for s in SERVICES.values() for source, _ in mounts(s) if not source.startswith(".")}
    assert used == set(COMPOSE["volumes"])


def test_the_database_is_not_reachable_from_outside() -> None:
    assert COMPOSE["networks"]["data"] == {"internal": True}
    assert SERVICES["influxdb"]["networks"] == ["data"]


def test_a_secret_is_a_file_and_never_a_value() -> None:
    assert all(set(s) == {"file"} for s in COMPOSE["secrets"].values())
    for service in SERVICES.values():
        for variable, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|TOKEN|SECRET", variable):
                assert variable.endswith("_FILE"), variable
                place = Path(value)
                if place.parent == Path("/run/secrets"):
                    assert place.name in service["secrets"]
                else:
                    assert str(place.parent) in {target for _, target in mounts(service)}


def test_the_hub_understands_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [v for v in os.environ if v.startswith("GRIDHUB_")]:
        monkeypatch.delenv(variable)
    for variable, value in SERVICES["hub"]["environment"].items():
        monkeypatch.setenv(variable, re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value))
    settings = load_settings(ROOT / "config")
    assert (settings.mqtt.host, settings.mqtt.username) == ("mosquitto", "hub")
    assert (settings.history.kind, settings.history.url) == ("influx", "http://influxdb:8086")
    assert (settings.history.org, settings.history.bucket) == ("gridhub", "telemetry")
    assert settings.data_dir == "/data" in [target for _, target in mounts(SERVICES["hub"])]
    assert settings.api.host == "0.0.0.0"


def test_broker_window_is_at_least_what_the_hub_asks_for() -> None:
    text = (ROOT / "deploy/mosquitto/mosquitto.conf").read_text("utf-8")
    set_to = dict(re.findall(r"^(\w+) (\d+)$", text, re.M))
    asked = load_settings(ROOT / "config").mqtt.receive_maximum
    assert int(set_to["max_inflight_messages"]) >= max(asked, 1_000)
    assert int(set_to["message_size_limit"]) >= 256 * 1024


def test_the_broker_lets_the_hub_hear_every_configured_root() -> None:
    acl = (ROOT / "deploy/mosquitto/acl").read_text("utf-8")
    hub = acl.split("user hub\n")[1].split("\nuser ")[0]
    for source in load_settings(ROOT / "config").sources:
        assert f"topic read {source.root}/#" in hub


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})


def test_the_secrets_of_the_example_are_made_once(tmp_path: Path) -> None:
    script = str(ROOT / "deploy/make-secrets.sh")
    assert run(script, str(tmp_path / "s")).returncode == 0
    made = {f.name: f.read_text() for f in (tmp_path / "s").iterdir()}
    assert {Path(s["file"]).name for s in COMPOSE["secrets"].values()} == set(made)
    assert {str(Path(s["file"]).parent) for s in COMPOSE["secrets"].values()} == {"deploy/secrets"}
    assert all(re.fullmatch(r"[0-9a-f]{64}", text) for text in made.values())
    assert len(set(made.values())) == len(made)
    assert run(script, str(tmp_path / "s")).returncode == 0
    assert {f.name: f.read_text() for f in (tmp_path / "s").iterdir()} == made
    ignored = (ROOT / ".gitignore").read_text("utf-8").splitlines()
    assert "/deploy/secrets/" in ignored


FAKE_INFLUX = """#!/usr/bin/env python3
import json, os, sys
file = os.environ["FAKE_STATE"]
state = json.load(open(file)) if os.path.exists(file) else {"buckets": {}, "auths": {}, "made": 0, "deleted": 0}
args = sys.argv[1:]
def option(name):
    return args[args.index(name) + 1]
what = args[:2]
assert os.environ["INFLUX_TOKEN"] == "admin" and os.environ["INFLUX_ORG"] == "gridhub"
if what == ["bucket", "list"]:
    found = [(i, n) for i, n in state["buckets"].items() if n == option("--name")]
    if not found:
        sys.exit("Error: bucket not found")
    for i, n in found:
        print(i, n, "2160h0m0s", "168h0m0s", "org", "implicit", sep="\\t")
elif what == ["bucket", "create"]:
    state["buckets"]["00b1"] = option("--name")
elif what == ["bucket", "update"]:
    assert option("--id") in state["buckets"]
elif what == ["auth", "list"]:
    for i, a in state["auths"].items():
        print(i, a["description"], "", "admin", "0a", "[...]", sep="\\t")
elif what == ["auth", "delete"]:
    del state["auths"][option("--id")]
    state["deleted"] += 1
elif what == ["auth", "create"]:
    state["made"] += 1
    token = f"tok{state['made']}=="
    state["auths"][f"0a{state['made']}"] = {"description": option("--description"), "args": args}
    print(json.dumps({"id": "x", "description": option("--description"), "token": token, "userName": "admin"}, indent=1))
else:
    sys.exit(f"unknown: {args}")
json.dump(state, open(file, "w"))
"""


def test_influxdb_is_prepared_once_and_repaired_when_a_token_is_lost(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    fake = tmp_path / "bin/influx"
    fake.write_text(FAKE_INFLUX)
    fake.chmod(0o755)
    (tmp_path / "admin").write_text("admin")
    state = tmp_path / "state.json"
    hub, grafana = tmp_path / "hub-token", tmp_path / "grafana-token"

    def prepare() -> dict[str, Any]:
        done = run(
            "/bin/sh", str(ROOT / "deploy/influxdb/init.sh"),
            PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}", FAKE_STATE=str(state), ADMIN_TOKEN_FILE=str(tmp_path / "admin"),
            HUB_TOKEN_FILE=str(hub), GRAFANA_TOKEN_FILE=str(grafana),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(state.read_text())
        return found

    first = prepare()
    assert first["buckets"] == {"00b1": "telemetry"}
    assert (hub.read_text(), grafana.read_text()) == ("tok1==", "tok2==")
    assert stat.S_IMODE(hub.stat().st_mode) == 0o444
    rights = {a["description"]: a["args"] for a in first["auths"].values()}
    assert "--write-bucket" in rights["gridhub-writer"]
    assert "--write-bucket" not in rights["gridhub-grafana"]
    assert prepare() == first
    hub.unlink()
    repaired = prepare()
    assert hub.read_text() == "tok3=="
    assert sorted(a["description"] for a in repaired["auths"].values()) == ["gridhub-grafana", "gridhub-writer"]
    assert repaired["deleted"] == 1


DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")


def test_the_image_is_pinned_checked_and_not_root() -> None:
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.M)) == {"python:3.12-slim"}
    (installed,) = re.findall(r"pip install (.*) -r (\S+)", DOCKERFILE)
    assert "--require-hashes" in installed[0]
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.search(r"^USER 10001:10001$", last, re.M)
    assert re.search(r"^HEALTHCHECK ", last, re.M)
    assert re.search(r'^ENTRYPOINT \["gridhub"\]$', last, re.M)


def test_what_the_image_copies_is_there_and_not_ignored() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.M):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert source in kept, source


def test_the_lock_of_the_image_has_every_dependency_with_hashes() -> None:
    (name,) = re.findall(r"-r (\S+)", DOCKERFILE)
    entries = re.findall(
        r"^(\S+)==\S+(?: ; [^\\\n]+)?((?: \\\n +--hash=sha256:[0-9a-f]{64})+)", (ROOT / name).read_text("utf-8"), re.M
    )
    locked = {entry.lower().replace("_", "-").partition("[")[0] for entry, _ in entries}
    import tomllib

    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    assert {re.split(r"[\[<>=~! ]", w)[0].lower() for w in wanted} <= locked
