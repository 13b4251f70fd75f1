"""One running hub is thrown everything of bad_input_table.py at. It says clearly what was wrong, and the next fire still gets through."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import yaml

from devices.simulators.publisher import Message as Mqtt
from hub.__main__ import main
from hub.app import Hub
from hub.cli.check import examine
from hub.clock import now_ms
from hub.registry.loader import load
from hub.settings import load_settings
from hub.stores.ledger import Ledger
from hub.stores.tokens import Tokens
from tests.e2e import bad_input_table as table
from tests.e2e.scene import alerts_of, fire, send, spoken_by, told, until
from tests.support.hub_process import HubProcess, make_config
from tests.support.mosquitto import Mosquitto, free_port, running_mosquitto
from tests.support.paths import CONFIG, ROOT
from tests.support.phone import Phone
from tests.support.postgres import fresh_database

pytestmark = [pytest.mark.slow, pytest.mark.needs_mosquitto, pytest.mark.needs_postgres]
DAY = 86_400_000


class Scene:
    """The hub under test with all that is around it, and detectors that have not burned yet."""

    def __init__(self, config: Path, broker: Mosquitto, phone: Phone, hub: HubProcess) -> None:
        self.config, self.broker, self.phone, self.hub = config, broker, phone, hub
        self.registry = load(config / "registry")
        detectors = [(d, f"sc/v1/{a}/event") for d, a in spoken_by(self.registry, "native-v1", "smoke_alarm")]
        self.fresh = [d for d in detectors if not d[0].startswith("bad-")]
        self.number = count()
        self.alerts: dict[str, str] = {}
        self.tokens: dict[str, str] = {}
        self.stated = hub.process.pid if hub.process else 0

    def burns(self, device: tuple[str, str] | None = None) -> str:
        """A fire breaks out at a device that has not burned yet; returns when the phone has rung for it."""
        name, topic = device or self.fresh.pop()
        address = topic.removeprefix("sc/v1/").removesuffix("/event")
        send(self.broker.port, [fire(name, address)])
        until(
            lambda: name in told(self.phone),
            within_s=15,
            what=lambda: f"the fire at {name} was not told\n{self.hub.log()[-3_000:]}",
        )
        return name

    def set_aside(self, limit: int = 12) -> list[dict[str, Any]]:
        status, rows = self.hub.get(f"/api/v1/quarantine?limit={limit}", self.tokens["admin"])
        assert status == 200, rows
        assert isinstance(rows, list)
        return rows

    def takes(self, *messages: Mqtt) -> None:
        """Publishes `messages`, and returns when the hub has worked them off: what follows on each lane was set aside."""
        n = next(self.number)
        last = [f"sc/v1/demo/nobody/m{n}/{channel}" for channel in ("tele", "event")]
        send(self.broker.port, [*messages, *(Mqtt(topic, b'{"v":1,"type":"x","m":{}}') for topic in last)])
        until(
            lambda: set(last) <= {row["topic"] for row in self.set_aside()},
            within_s=15,
            what=lambda: f"the hub does not get beyond the message\n{self.hub.log()[-3_000:]}",
        )

    def stands(self) -> None:
        process = self.hub.process
        assert process is not None
        assert process.poll() is None, self.hub.log()[-4_000:]
        assert process.pid == self.stated


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("bad-input")
    (folder / "broker").mkdir()
    big = "max_inflight_messages 5000\nmax_queued_messages 0\n"
    with (
        running_mosquitto(folder / "broker", persistent=True, config=big) as broker,
        Phone() as phone,
        fresh_database() as url,
    ):
        config = prepared(folder, broker, phone, url)
        ghosts = [Mqtt(g.topic, dated(g.payload), retain=True) for g in table.RETAINED]
        send(broker.port, ghosts)
        with HubProcess(config) as hub:
            one = Scene(config, broker, phone, hub)
            one.tokens = tokens(config, one)
            yield one


def prepared(folder: Path, broker: Mosquitto, phone: Phone, url: str) -> Path:
    """A town of 1,500 devices, those that the tables speak of among them, and every source that they use."""
    webhook = phone.url("").rstrip("/")
    config = make_config(folder, broker_port=broker.port, devices=1_500, ledger_url=url, webhook=webhook)
    grid = next(iter(load(config / "registry").station_of_grid))
    rows = (
        ("bad-env", "env", "native-v1:demo/bad-gw/bad-env"),
        ("bad-smoke", "smoke_alarm", "native-v1:demo/bad-gw/bad-smoke"),
        ("bad-zigbee", "smoke_alarm", f"zigbee2mqtt:{table.ZIGBEE}"),
        ("dev1", "smoke_alarm", "generic-json:sensors/dev1;generic-json:homeassistant/sensor/dev1"),
    )
    devices = config / "registry" / "devices.csv"
    quiet = re.sub(
        ",(mains|radio|nbiot),", ",none,", devices.read_text("utf-8")
    )  # nobody here is missed for being silent
    devices.write_text(quiet, "utf-8")
    with devices.open("a", encoding="utf-8") as file:
        file.writelines(f"{id_},{kind},坏,Bad,,{grid},{address},,,60,none,,,\n" for id_, kind, address in rows)
    settings = yaml.safe_load((config / "hub.yaml").read_text("utf-8"))
    settings["sources"].append({"codec": "generic-json", "root": "homeassistant/sensor"})
    (config / "hub.yaml").write_text(yaml.safe_dump(settings, allow_unicode=True), "utf-8")
    return config


def dated(payload: bytes) -> bytes:
    return payload % (now_ms() - DAY) if b"%d" in payload else payload


def tokens(config: Path, scene: Scene) -> dict[str, str]:
    """One of each role; those that are limited see only the grid of the first detector."""
    grid = device_of(scene, scene.fresh[0][0]).grid  # fires break out from the other end
    ledger = Ledger.open(load_settings(config).ledger_url, migrate=False)
    try:
        book, now = Tokens(ledger), now_ms()
        found = {"admin": book.create("a", "admin", ["*"], ["*"], now_ms=now)}
        for role in ("viewer", "grid_worker", "station", "machine"):
            found[role] = book.create(role, role, [grid], [], now_ms=now)  # type: ignore[arg-type]
        found["expired"] = book.create("e", "admin", ["*"], ["*"], expires_at_ms=now - 1, now_ms=now - DAY)
        found["revoked"] = book.create("r", "admin", ["*"], ["*"], now_ms=now)
        book.revoke(next(token.id for token in book.list() if token.name == "r"), now)
        return found
    finally:
        ledger.close()


def device_of(scene: Scene, name: str) -> Any:
    device = scene.registry.find(name)
    assert device is not None
    return device


# == over MQTT ==========================================================================================================


@pytest.mark.parametrize("bad", [*table.MESSAGES, *table.fixtures()], ids=lambda bad: bad.name)
def test_a_bad_message_is_set_aside_in_words_and_the_next_fire_is_told(scene: Scene, bad: table.Message) -> None:
    before = row_of(scene, bad)
    scene.takes(Mqtt(bad.topic, bad.payload))
    row = row_of(scene, bad)
    if bad.reason:
        assert row is not None, f"no row {bad.reason!r} for {bad.shown_at[:80]!r}: {brief(scene)}"
        assert row["count"] == (before["count"] if before else 0) + 1
        if not bad.where:  # what the screen sets aside is a value; the journal has its message
            assert base64.b64decode(row["payload"]) == bad.payload[: table.SHOWN]
            assert row["payload_bytes"] == min(len(bad.payload), table.MOST)
            assert row["detail"] or row["reason"] in ("not an object", "empty payload")
    else:
        assert row == before, f"it was set aside: {row}"
    if bad.readings:
        wanted = bad.readings.items()
        until(
            lambda: wanted <= latest(scene, bad.device).items(),
            within_s=10,
            what=lambda: str(latest(scene, bad.device)),
        )
    scene.burns()
    scene.stands()


def row_of(scene: Scene, bad: table.Message) -> dict[str, Any] | None:
    """The row of `bad`; for one that should leave none, any row that has its bytes."""
    for row in scene.set_aside(500 if bad.where or bad.reason else 40):
        if row["topic"] != bad.shown_at:
            continue
        if row["reason"] == bad.reason or (not bad.reason and base64.b64decode(row["payload"]) == bad.payload):
            return row
    return None


def brief(scene: Scene) -> list[tuple[str, str]]:
    return [(row["topic"][:60], row["reason"]) for row in scene.set_aside(8)]


def latest(scene: Scene, device: str) -> dict[str, Any]:
    _, answer = scene.hub.get(f"/api/v1/devices/{device}", scene.tokens["admin"])
    return {r["quantity"]: r["value"] for r in answer["latest"]}


def test_there_are_28_messages_of_no_dialect_and_each_is_in_the_table() -> None:
    assert {bad.name for bad in table.fixtures()} == set(table.GENERIC)
    assert len(table.GENERIC) == 28


def test_what_the_broker_kept_from_before_alarms_nobody(scene: Scene) -> None:
    scene.burns()
    assert not {"bad-smoke", "bad-zigbee"} & {a.device_id for a in alerts_of(scene.config)}
    for ghost in table.RETAINED:
        rows = [r for r in scene.set_aside(500) if (r["topic"], r["reason"]) == (ghost.topic, ghost.reason)]
        assert bool(rows) == bool(ghost.reason), ghost.name


def test_ten_thousand_bad_messages_do_not_stand_before_a_fire(scene: Scene) -> None:
    flood = [Mqtt(f"sc/v1/demo/nobody/f{n % 3_000}/tele", b"{" * (n % 50)) for n in range(10_000)]
    began = time.monotonic()
    name, topic = scene.fresh.pop()
    send(scene.broker.port, [*flood, fire(name, topic.removeprefix("sc/v1/").removesuffix("/event"))])
    until(lambda: name in told(scene.phone), within_s=20, what="the fire was not told")
    assert time.monotonic() - began < 20
    rows = scene.set_aside(500)
    assert len(rows) == 500
    scene.stands()


# == over HTTP ==========================================================================================================


@pytest.fixture(scope="module")
def known(scene: Scene) -> dict[str, str]:
    """Ids that the requests speak of: an alert in the grid worker's grid, one elsewhere, one that is over."""
    mine = scene.fresh.pop(0)
    grid = device_of(scene, mine[0]).grid
    theirs = next(d for d in scene.fresh if device_of(scene, d[0]).grid != grid)
    closed = next(d for d in scene.fresh if d != theirs)
    for device in (theirs, closed):
        scene.fresh.remove(device)
    for device in (mine, theirs, closed):
        scene.burns(device)
    alerts = {a.device_id: a.id for a in alerts_of(scene.config, rule="smoke-alarm")}
    found = {
        "mine": alerts[mine[0]],
        "theirs": alerts[theirs[0]],
        "closed": alerts[closed[0]],
        "theirs_device": theirs[0],
    }
    body = b'{"reason":"cooking"}'
    ended = table.Request("end it", "POST", "/alerts/{closed}/false-alarm", "admin", 200, "", body)
    assert asked(scene, ended, found)[0] == 200
    return found


def asked(scene: Scene, request: table.Request, known: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", scene.hub.settings["api"]["port"], timeout=10)
    headers = dict(request.headers)
    if request.who != table.NOBODY and "Authorization" not in headers:
        headers["Authorization"] = f"Bearer {scene.tokens[request.who]}"
    if request.body is not None:
        headers.setdefault("Content-Type", "application/json")
    path = request.path
    for name, value in known.items():
        path = path.replace(f"{{{name}}}", value)
    try:
        connection.request(request.method, f"/api/v1{path}", request.body, headers)
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("bad", table.REQUESTS, ids=lambda bad: bad.name)
def test_a_bad_request_is_refused_in_words(scene: Scene, known: dict[str, str], bad: table.Request) -> None:
    status, headers, body = asked(scene, bad, known)
    assert status == bad.status, body[:500]
    assert headers["content-type"].startswith("application/problem+json")
    problem = json.loads(body)
    assert (problem["code"], problem["status"]) == (bad.code, bad.status)
    assert problem["title"]
    assert problem["detail"]
    assert problem["remedy"]
    assert b"Traceback" not in body
    if bad.code == "bad-request":
        assert problem["errors"], "it names the field"
    if bad.status == 401:
        assert "www-authenticate" in headers


def test_nothing_of_another_grid_shows_in_any_list(scene: Scene, known: dict[str, str]) -> None:
    mine = device_of(scene, next(a.device_id for a in alerts_of(scene.config) if a.id == known["mine"])).grid
    for who in ("grid_worker", "viewer", "machine"):
        _, page = scene.hub.get("/api/v1/alerts?limit=200", scene.tokens[who])
        assert known["mine"] in {alert["id"] for alert in page["items"]}
        assert {alert["grid"]["code"] for alert in page["items"]} == {mine}
        _, board = scene.hub.get("/api/v1/board", scene.tokens[who])
        assert {alert["grid"]["code"] for alert in board["alerts"]} == {mine}
        _, devices = scene.hub.get("/api/v1/devices?limit=500", scene.tokens[who])
        assert {device["grid"]["code"] for device in devices["items"]} == {mine}
        other = device_of(scene, known["theirs_device"]).grid
        assert scene.hub.get(f"/api/v1/alerts?grid={other}", scene.tokens[who])[1]["items"] == []


def test_what_was_refused_changed_nothing(scene: Scene, known: dict[str, str]) -> None:
    states = {a.id: a.case_state for a in alerts_of(scene.config)}
    assert (states[known["mine"]], states[known["theirs"]]) == ("reported", "reported")


def test_rubbish_on_the_socket_and_headers_without_end_do_no_harm(scene: Scene) -> None:
    port = scene.hub.settings["api"]["port"]
    endless = b"GET /api/v1/me HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 200_000 + b"\r\n\r\n"
    chunks = b"POST /api/v1/session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = b"".join(b"4000\r\n" + b"x" * 0x4000 + b"\r\n" for _ in range(8))
    answers = []
    for said in (
        b"\x00\xff" * 500,
        b"\r\n\r\n",
        endless,
        chunks + body,
        b"\x16\x03\x01\x02\x00\x01",
        b"GET / HTTP/9.9\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as line:
            with contextlib.suppress(OSError):
                line.sendall(said)
                line.shutdown(socket.SHUT_WR)
            with contextlib.suppress(OSError):
                answers.append(line.recv(100))
    assert any(b" 413 " in answer for answer in answers), "a body that does not say how long it is has the same limit"
    waiting = [socket.create_connection(("127.0.0.1", port)) for _ in range(100)]
    try:
        assert scene.hub.get("/healthz")[0] == 200
        scene.burns()
    finally:
        for line in waiting:
            line.close()
    scene.stands()


def test_guessing_tokens_is_slowed_down(scene: Scene) -> None:
    guess = table.Request("guess", "POST", "/session", table.NOBODY, 401, "", b'{"token":"gh_guess"}')
    answers = [asked(scene, guess, {}) for _ in range(15)]
    assert [status for status, _, _ in answers][-3:] == [429] * 3
    assert int(answers[-1][1]["retry-after"]) > 0
    assert scene.hub.get("/api/v1/me", scene.tokens["admin"])[0] == 200, "who has a token is not locked out"


# == in the operator's files, while the hub runs ===========================================================================


def config_of(scene: Scene) -> dict[str, Any]:
    part: dict[str, Any] = scene.hub.get("/readyz")[1]["parts"]["config"]
    return part


@pytest.mark.parametrize("how", ["by itself", "by SIGHUP"])
@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("registry/devices.csv", ",smoke_alarm,", ",smoke_alram,", "smoke_alarm"),
        ("registry/stations.yaml", "\nstations:", "\nstations: [", "not valid YAML"),
        ("rules/smoke.yaml", "latch: true", "lacth: true", "latch"),
    ],
    ids=["devices", "stations", "rules"],
)
def test_a_wrong_file_leaves_what_was_in_force_until_it_is_right_again(
    scene: Scene, how: str, file: str, old: str, new: str, says: str
) -> None:
    path = scene.config / file
    right = path.read_text("utf-8")
    assert old in right
    path.write_text(right.replace(old, new, 1), "utf-8")
    if how == "by SIGHUP":
        assert scene.hub.process is not None
        scene.hub.process.send_signal(signal.SIGHUP)
    until(lambda: config_of(scene)["state"] == "degraded", within_s=10, what=lambda: str(config_of(scene)))
    said = config_of(scene)["detail"]
    assert Path(file).name in said
    assert says in said
    assert scene.hub.get("/readyz")[0] == 200, "it works on with what it had"
    scene.burns()
    assert "config.refused" in scene.hub.log()
    path.write_text(right, "utf-8")
    until(lambda: config_of(scene)["state"] == "ok", within_s=10, what=lambda: str(config_of(scene)))
    scene.burns()
    scene.stands()


def test_a_new_device_is_taken_over_in_the_middle_of_fires_and_none_is_lost(scene: Scene) -> None:
    path = scene.config / "registry" / "devices.csv"
    grid = device_of(scene, "bad-env").grid
    burning = [scene.fresh.pop() for _ in range(30)]
    for n, (name, topic) in enumerate(burning):
        if n in (10, 20):
            with path.open("a", encoding="utf-8") as file:
                file.write(f"new-{n},smoke_alarm,新,New,,{grid},native-v1:demo/new-gw/new-{n},,,60,none,,,\n")
            assert scene.hub.process is not None
            scene.hub.process.send_signal(signal.SIGHUP)
        send(scene.broker.port, [fire(name, topic.removeprefix("sc/v1/").removesuffix("/event"))])
    wanted = {name for name, _ in burning}
    until(lambda: wanted <= told(scene.phone), within_s=20, what=lambda: f"not told: {wanted - told(scene.phone)}")
    until(
        lambda: scene.hub.get("/api/v1/devices/new-20", scene.tokens["admin"])[0] == 200,
        within_s=10,
        what="not taken over",
    )
    time.sleep(1.0)  # the rules take it over between two batches
    for n in (10, 20):
        assert scene.burns((f"new-{n}", f"sc/v1/demo/new-gw/new-{n}/event"))
    counts = Counter(a.device_id for a in alerts_of(scene.config, rule="smoke-alarm"))
    assert {counts[name] for name in wanted} == {1}


# == and after all of it ==================================================================================================


def test_after_all_of_it_the_hub_is_well_and_has_told_each_fire_once(scene: Scene) -> None:
    scene.stands()
    assert scene.hub.get("/readyz") == (200, scene.hub.get("/readyz")[1])
    log = scene.hub.log()
    assert "Traceback" not in log, log[log.index("Traceback") - 500 :][:3_000]
    failed = re.findall(r"^gridhub_loop_errors_total\{.*\} [1-9].*$", metrics(scene), re.MULTILINE)
    assert failed == []
    assert scene.phone.repeated() == 0
    burned = {a.device_id for a in alerts_of(scene.config, rule="smoke-alarm")}
    assert burned <= told(scene.phone), "other rules tell of what the fires mean together"
    assert not burned & {"bad-env", "bad-smoke", "bad-zigbee", "dev1"}
    for secret in scene.tokens.values():
        assert secret not in log
    assert "gh_guess" not in log


def metrics(scene: Scene) -> str:
    status, body = scene.hub.get("/metrics")
    assert status == 200
    return body.decode() if isinstance(body, bytes) else str(body)


# == in the operator's files, before the hub starts =======================================================================


def started(config: Path, *more: str, before: tuple[str, ...] = (), **environment: str) -> tuple[int, str]:
    """`gridhub run` in a process of its own, that should refuse: its exit code and what it said."""
    command = [*before, sys.executable, "-m", "hub", "run", "--config", str(config), *more]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60, cwd=ROOT, env=os.environ | environment, check=False
        )
    except subprocess.TimeoutExpired as runs:
        return -1, f"it did not refuse, it runs: {runs.stdout!r} {runs.stderr!r}"
    return done.returncode, done.stdout + done.stderr


class Refused:
    """`gridhub run` in this process, up to where it would start: much faster than in one of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

        def starts(hub: Hub) -> None:
            hub.stop()
            raise AssertionError("it starts")

        monkeypatch.setattr(Hub, "start", starts)
        monkeypatch.setattr("hub.telemetry.configure_logging", lambda **more: None)

    def __call__(self, config: Path, *more: str) -> str:
        """What it says. Its exit code is 2, it says that nothing was started, and it has not made as much as a folder."""
        self._monkeypatch.setattr(sys, "argv", ["gridhub", "run", "--config", str(config), *more])
        with pytest.raises(SystemExit) as ended:
            main()
        said = self._capsys.readouterr().err
        assert ended.value.code == 2, said
        assert "nothing was started" in said
        assert not (config.parent / "data").exists()
        return said


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refused:
    return Refused(monkeypatch, capsys)


@pytest.mark.parametrize("mistake", table.MISTAKES, ids=lambda mistake: mistake.name)
def test_a_wrong_file_is_refused_before_anything_starts(
    tmp_path: Path, refused: Refused, mistake: table.Mistake
) -> None:
    """By `gridhub run` and by `gridhub check` alike."""
    config = mistaken(tmp_path, mistake)
    for complaints in (refused(config).splitlines(), list(map(str, examine(config).complaints))):
        assert complained(mistake, complaints), complaints


def mistaken(folder: Path, mistake: table.Mistake) -> Path:
    """The example configuration with `mistake` in it; its data would be in `folder`/data."""
    config = folder / "config"
    shutil.copytree(CONFIG, config)
    path = config / "hub.yaml"
    path.write_text(path.read_text("utf-8").replace("data_dir: data", f"data_dir: {folder / 'data'}"), "utf-8")
    table.put(mistake, config)
    return config


def complained(mistake: table.Mistake, complaints: list[str]) -> bool:
    """Whether file, line, key and a remedy are said."""
    line = "" if mistake.line == table.WHOLE else rf":{mistake.line or '[0-9]+'}"
    found = [c for c in complaints if re.search(rf"{re.escape(mistake.file)}{line}: ", c)]
    return any(mistake.key in c and mistake.says in c for c in found) and any("→" in c for c in found)


def test_every_file_of_the_configuration_has_its_mistakes_in_the_table() -> None:
    files = {
        str(path.relative_to(CONFIG)).replace(".example", "") for path in CONFIG.rglob("*") if path.is_file()
    }  # an example stands for the file that a site makes of it
    named = {mistake.file for mistake in table.MISTAKES}
    assert {f for f in files if not f.startswith(("rules/", "schema/"))} <= named, "the schemas are for editors only"
    assert any(f.startswith("rules/") for f in named)


# == a start that cannot be ==============================================================================================


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return make_config(tmp_path, broker_port=free_port())


def test_a_port_that_is_taken_is_named(config: Path, refused: Refused) -> None:
    port = yaml.safe_load((config / "hub.yaml").read_text("utf-8"))["api"]["port"]
    with socket.create_server(("127.0.0.1", port)):
        said = refused(config)
    assert f"127.0.0.1:{port}" in said
    assert "api.port" in said


@pytest.mark.parametrize("role", ["ingest", "rules", "nonsense", "ingest,rules,curier", ",", " "])
def test_roles_that_make_no_sense_are_refused(config: Path, refused: Refused, role: str) -> None:
    assert re.search(r"--role: (ingest and rules share|unknown role)", refused(config, "--role", role))


def test_the_process_ends_with_code_2(config: Path) -> None:
    code, said = started(config, "--role", "ingest")
    assert code == 2
    assert "give both or neither" in said


def test_a_folder_without_a_configuration_is_refused(tmp_path: Path, refused: Refused) -> None:
    assert "hub.yaml: file not found" in refused(tmp_path / "nothing")


def test_a_data_folder_that_cannot_be_written_is_refused(
    config: Path, tmp_path: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GRIDHUB_DATA_DIR", str(tmp_path / "file" / "data"))
    assert "data_dir" in refused(config)
    (tmp_path / "disk").mkdir()
    mount = f'mount -t tmpfs -o size=1m,ro tmpfs "{tmp_path / "disk"}" && exec "$@"'
    code, said = started(
        config, before=("unshare", "--mount", "sh", "-c", mount, "sh"), GRIDHUB_DATA_DIR=str(tmp_path / "disk")
    )
    assert code == 2, said
    assert "read-only" in said


def test_a_certificate_that_is_not_there_is_refused(
    config: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRIDHUB_MQTT__TLS", '{"ca": "/nowhere/ca.pem"}')
    assert "mqtt.tls.ca: /nowhere/ca.pem cannot be used" in refused(config)


def test_a_second_hub_on_the_same_journal_is_refused_and_the_first_goes_on(
    tmp_path: Path, phone: Phone, broker: Mosquitto
) -> None:
    """And before that: a broker that is away, then one that refuses the hub; each is said, and then all is well."""
    broker.stop()
    config = make_config(tmp_path, broker_port=broker.port, webhook=phone.url("").rstrip("/"), mqtt={"username": "hub"})
    hub = HubProcess(config)
    hub.start(wait=False)
    try:
        until(lambda: "cannot reach the broker" in trouble(hub), within_s=30, what=hub.log)
        assert hub.get("/readyz")[0] == 503
        assert hub.get("/healthz")[0] == 200

        strict = Mosquitto(tmp_path / "broker", users={"hub": "s3cret"}, port=broker.port)
        strict.start()
        until(lambda: "refused the connection" in trouble(hub), within_s=30, what=lambda: trouble(hub))
        assert "password" in trouble(hub)
        assert hub.get("/readyz")[0] == 503
        strict.stop()

        broker.config_file.write_text(f"listener {broker.port} 127.0.0.1\nallow_anonymous true\nuser root\n")
        broker.start()
        hub.wait_ready()
        code, said = started(config, GRIDHUB_API__PORT=str(free_port()))
        assert code == 2, said
        assert f"in use by process {hub.process.pid if hub.process else ''}" in said
        detector = spoken_by(load(config / "registry"), "native-v1", "smoke_alarm")[0]
        send(broker.port, [fire(*detector)])
        until(lambda: detector[0] in told(phone), within_s=15, what="the first hub is disturbed")
    finally:
        hub.stop()


def trouble(hub: HubProcess) -> str:
    status, ready = hub.get("/readyz")
    return str(ready["parts"]["mqtt-main"]["detail"]) if status in (200, 503) else str(ready)
