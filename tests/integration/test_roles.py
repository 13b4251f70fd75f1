"""One hub in several processes on one PostgreSQL: alarms go through, nobody is told twice, and every process keeps up."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from hub.registry.loader import load
from tests.e2e.scene import alerts_of, fire, send, spoken_by, told, until
from tests.support.ear import Ear
from tests.support.hub_process import HubProcess, make_config
from tests.support.mosquitto import Mosquitto, running_mosquitto
from tests.support.phone import Phone
from tests.support.postgres import fresh_database

pytestmark = [pytest.mark.needs_mosquitto, pytest.mark.needs_postgres]


class Place:
    """A broker, a database, a phone, and the processes of one hub."""

    def __init__(self, folder: Path, broker: Mosquitto, phone: Phone, url: str) -> None:
        self.folder, self.broker, self.phone = folder, broker, phone
        webhook = phone.url("").rstrip("/")
        self.config = make_config(folder, broker_port=broker.port, ledger_url=url, webhook=webhook)
        self.running: list[HubProcess] = []

    def hub(self, role: str) -> HubProcess:
        """A process of its own, with its own log; one without the role api is ready when it says that it has started."""
        process = HubProcess(self.config, role=role)
        process.log_file = self.folder / f"{role.replace(',', '-')}-{len(self.running)}.log"
        self.running.append(process)
        process.start(wait="api" in role)
        until(lambda: "hub.started" in process.log(), within_s=30, what=process.log)
        return process


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    (tmp_path / "broker").mkdir()
    with (
        running_mosquitto(tmp_path / "broker", persistent=True) as broker,
        Phone() as phone,
        fresh_database() as url,
    ):
        one = Place(tmp_path, broker, phone, url)
        try:
            yield one
        finally:
            for process in one.running:
                process.stop()


def test_an_alarm_goes_through_split_roles_and_two_couriers_tell_it_once(place: Place) -> None:
    first = place.hub("courier,api")
    place.hub("courier")
    rules = place.hub("ingest,rules")
    every = spoken_by(load(place.config / "registry"), "native-v1", "smoke_alarm")
    detectors, others = every[:-10], every[-10:]
    send(place.broker.port, [fire(*d) for d in detectors])
    wanted = {d for d, _ in detectors}
    phone = place.phone
    until(lambda: wanted <= told(phone), within_s=30, what=lambda: f"not told: {sorted(wanted - told(phone))}")
    time.sleep(1.0)  # a second courier's copy would come now
    assert phone.repeated() == 0
    assert Counter(a.device_id for a in alerts_of(place.config, rule="smoke-alarm")) == Counter(
        dict.fromkeys(wanted, 1)
    )

    status, ready = first.get("/readyz")
    assert (status, ready["ready"]) == (200, True)
    assert "pipeline" not in ready["parts"], "a process tells of its own parts only"

    # one of the couriers dies: the other one tells the rest
    first.kill()
    send(place.broker.port, [fire(*d) for d in others])
    wanted |= {d for d, _ in others}
    until(lambda: wanted <= told(phone), within_s=30, what=lambda: f"not told: {sorted(wanted - told(phone))}")
    assert rules.process is not None
    assert rules.process.poll() is None
    assert phone.repeated() <= 1, "at most the one in flight when it was killed"


def test_a_courier_without_rules_sounds_sirens_and_takes_a_new_registry_over(place: Place) -> None:
    path = place.config / "registry" / "stations.yaml"
    stations = yaml.safe_load(path.read_text("utf-8"))
    for station in stations["stations"]:
        station["contacts"]["siren"] = "sirens/x"
    path.write_text(yaml.safe_dump(stations, allow_unicode=True), "utf-8")
    api = place.hub("courier,api")
    rules = place.hub("ingest,rules")
    registry = load(place.config / "registry")
    device, address = spoken_by(registry, "native-v1", "smoke_alarm")[0]

    with Ear(place.broker.port, filters=("sirens/#",), client_id="siren") as siren:
        send(place.broker.port, [fire(device, address)])
        until(lambda: siren.heard, within_s=20, what=lambda: api.log()[-3_000:])
    assert b'"on":true' in siren.heard[0].payload

    devices = place.config / "registry" / "devices.csv"
    text = devices.read_text("utf-8")
    devices.write_text(text.replace(f"{device},smoke_alarm,", f"{device},smoke_alarm,改名·"), "utf-8")
    token = token_of(place.config)
    until(
        lambda: "改名" in api.get(f"/api/v1/devices/{device}", token)[1]["name"]["zh"],
        within_s=10,
        what=lambda: str(api.get(f"/api/v1/devices/{device}", token)),
    )
    devices.write_text(text.replace("smoke_alarm", "smoke_alram"), "utf-8")
    until(lambda: api.get("/readyz")[1]["parts"]["config"]["state"] == "degraded", within_s=10, what=api.log)
    assert "devices.csv" in api.get("/readyz")[1]["parts"]["config"]["detail"]
    assert api.get("/readyz")[0] == 200
    assert rules.process is not None
    assert rules.process.poll() is None


def token_of(config: Path) -> str:
    from hub.clock import now_ms
    from hub.settings import load_settings
    from hub.stores.ledger import Ledger
    from hub.stores.tokens import Tokens

    ledger = Ledger.open(load_settings(config).ledger_url, migrate=False)
    try:
        return Tokens(ledger).create("t", "admin", ["*"], ["*"], now_ms=now_ms())
    finally:
        ledger.close()
