"""Broker, PostgreSQL, InfluxDB and the disk go away and come back: no alarm is lost, and the hub is not started again."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path

import pytest

from hub.registry.loader import load
from hub.stores.journal_shelf import Shelf
from tests.e2e.scene import alerts_of, fire, send, spoken_by, tele, told, until
from tests.support.hub_process import HubProcess, make_config
from tests.support.influx import running_influx
from tests.support.mosquitto import Mosquitto
from tests.support.phone import Phone
from tests.support.postgres import Postgres

pytestmark = [pytest.mark.slow, pytest.mark.needs_mosquitto]


JOURNAL_FULL = (
    "hub-journal-full"  # others of the hub come with it: a person with so many fires is a flood, for ten minutes
)


def journal_alarm_active(config: Path) -> bool:
    return any(a.alarm_state.startswith("active") for a in alerts_of(config, live=True, rule=JOURNAL_FULL))


def webhook(phone: Phone) -> str:
    return phone.url("").rstrip("/")


def test_a_restarted_broker_loses_nothing(tmp_path: Path, broker: Mosquitto, phone: Phone) -> None:
    config = make_config(tmp_path, broker_port=broker.port, webhook=webhook(phone))
    detectors = spoken_by(load(config / "registry"), "native-v1", "smoke_alarm")[:30]
    with HubProcess(config) as hub:
        send(broker.port, [fire(*d) for d in detectors[:10]])
        broker.stop()
        until(lambda: hub.get("/readyz")[0] == 503, within_s=10, what="the hub does not say that the broker is away")
        assert hub.get("/healthz")[0] == 200
        broker.start()
        send(broker.port, [fire(*d) for d in detectors[10:20]])
        until(lambda: hub.get("/readyz")[0] == 200, within_s=40, what=lambda: str(hub.get("/readyz")))
        send(broker.port, [fire(*d) for d in detectors[20:]])
        wanted = {d for d, _ in detectors}
        until(lambda: wanted <= told(phone), within_s=30, what=lambda: f"not told: {sorted(wanted - told(phone))}")
    assert Counter(a.device_id for a in alerts_of(config, rule="smoke-alarm")) == Counter(dict.fromkeys(wanted, 1))
    assert phone.repeated() == 0


@pytest.mark.needs_postgres
def test_a_restarted_postgresql_loses_nothing(tmp_path: Path, broker: Mosquitto, phone: Phone) -> None:
    folder = Path(tempfile.mkdtemp(prefix="gridhub-pg-"))  # not tmp_path: PostgreSQL runs as another user
    database = Postgres(folder).start()
    try:
        config = make_config(
            tmp_path, broker_port=broker.port, ledger_url=database.url("postgres"), webhook=webhook(phone)
        )
        detectors = spoken_by(load(config / "registry"), "native-v1", "smoke_alarm")[:30]
        with HubProcess(config) as hub:
            send(broker.port, [fire(*d) for d in detectors[:10]])
            until(lambda: len(told(phone)) == 10, within_s=30, what="the first alarms were not told")
            database.stop()
            send(broker.port, [fire(*d) for d in detectors[10:20]])
            until(
                lambda: hub.get("/readyz")[0] == 503, within_s=15, what="the hub does not say that its ledger is away"
            )
            time.sleep(3)
            database.start()
            send(broker.port, [fire(*d) for d in detectors[20:]])
            wanted = {d for d, _ in detectors}
            until(lambda: wanted <= told(phone), within_s=60, what=lambda: f"not told: {sorted(wanted - told(phone))}")
            until(lambda: hub.get("/readyz")[0] == 200, within_s=20, what=lambda: str(hub.get("/readyz")))
        assert Counter(a.device_id for a in alerts_of(config, rule="smoke-alarm")) == Counter(dict.fromkeys(wanted, 1))
        assert phone.repeated() <= 1, "at most the one in flight when the database went away"
    finally:
        if database.pid:
            database.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.needs_influx
def test_influxdb_away_for_a_while_delays_charts_and_loses_no_reading(
    tmp_path: Path, broker: Mosquitto, phone: Phone
) -> None:
    away_s = 60 if os.environ.get("CI") else 8
    (tmp_path / "influx").mkdir()
    with running_influx(tmp_path / "influx") as influx:
        influx.create("telemetry")
        token = tmp_path / "token"
        token.write_text("test-token")
        history = {"kind": "influx", "url": influx.url, "org": "o", "bucket": "telemetry", "token_file": str(token)}
        config = make_config(tmp_path, broker_port=broker.port, webhook=webhook(phone), history=history)
        registry = load(config / "registry")
        meters = spoken_by(registry, "native-v1", "meter")
        detectors = spoken_by(registry, "native-v1", "smoke_alarm")
        with HubProcess(config):
            send(broker.port, (tele(meters[n % len(meters)][1], n) for n in range(500)))
            influx.stop_engine()
            began = time.monotonic()
            send(broker.port, (tele(meters[n % len(meters)][1], n) for n in range(500, 1_000)))
            send(broker.port, [fire(*detectors[0])])
            until(lambda: detectors[0][0] in told(phone), within_s=10, what="a dead history delayed an alarm")
            time.sleep(max(0.0, away_s - (time.monotonic() - began)))
            influx.start()
            send(broker.port, (tele(meters[n % len(meters)][1], n) for n in range(1_000, 1_500)))

            def values() -> set[float]:
                return {
                    row["power_w"]
                    for row in influx.rows('SELECT "power_w" FROM "telemetry"')
                    if row["power_w"] is not None
                }

            until(
                lambda: values() >= set(map(float, range(1_500))),
                within_s=90,
                what=lambda: f"{1_500 - len(values())} readings are missing",
            )


def test_a_full_disk_degrades_towards_alarms_and_heals_by_itself(
    tmp_path: Path, broker: Mosquitto, phone: Phone
) -> None:
    small = tmp_path / "small"
    small.mkdir()
    config = make_config(
        tmp_path, broker_port=broker.port, webhook=webhook(phone), journal_folder=str(small / "journal")
    )
    registry = load(config / "registry")
    native = spoken_by(registry, "native-v1", "smoke_alarm")
    zigbee = spoken_by(registry, "zigbee2mqtt", "smoke_alarm")
    meters = spoken_by(registry, "native-v1", "meter")
    mount = f'mount -t tmpfs -o size=12m tmpfs "{small}" && exec "$@"'
    hub = HubProcess(config, before=("unshare", "--mount", "sh", "-c", mount, "sh"))
    hub.start()
    try:
        assert hub.process is not None
        inside = Path(f"/proc/{hub.process.pid}/root{small}")
        send(broker.port, [fire(*d) for d in native[:3]])
        until(lambda: len(told(phone)) == 3, within_s=20, what="the first alarms were not told")

        fill(inside / "filler")
        sent = [tele(meters[n % len(meters)][1], n) for n in range(6_000)]  # more than the broker leaves unacknowledged
        send(broker.port, sent[:3_000])
        burning = [fire(*d) for d in native[3:10]]
        send(broker.port, burning)
        send(broker.port, [z2m(topic) for _, topic in zigbee[:5]])
        send(broker.port, sent[3_000:])
        send(broker.port, [z2m(topic) for _, topic in zigbee[5:8]])
        wanted = {d for d, _ in native[:10]} | {d for d, _ in zigbee[:8]}
        until(lambda: wanted <= told(phone), within_s=30, what=lambda: f"not told: {sorted(wanted - told(phone))}")
        until(
            lambda: any(a.device_id == "hub" and a.severity == "P2" for a in alerts_of(config, live=True)),
            within_s=20,
            what="no alert about the hub itself",
        )
        assert hub.get("/readyz")[1]["parts"]["journal"]["state"] == "degraded"

        (inside / "filler").unlink()
        until(
            lambda: hub.get("/readyz")[1]["parts"]["journal"]["state"] == "ok",
            within_s=30,
            what="the journal did not recover",
        )
        until(
            lambda: not journal_alarm_active(config),
            within_s=20,
            what=lambda: f"the alert about the hub stays active: {alerts_of(config, live=True, rule=JOURNAL_FULL)}",
        )

        def kept() -> set[bytes]:
            copy = tmp_path / "copy"
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(inside / "journal", copy)
            shelf = Shelf(copy)
            shelf.scan()
            shelf.head = shelf.end
            found, position = set(), shelf.tail
            while records := shelf.read(position, 8_192):
                found |= {r.payload for r in records}
                position = records[-1].position + 1
            shelf.close()
            return found

        everything = {m.payload for m in [*sent, *burning]}
        until(
            lambda: everything <= kept(),
            within_s=60,
            what=lambda: f"{len(everything - kept())} messages are not in the journal",
        )
        counts = Counter(a.device_id for a in alerts_of(config, rule="smoke-alarm"))
        assert counts == Counter(dict.fromkeys(wanted, 1))
    finally:
        hub.stop()


def fill(path: Path) -> None:
    """Takes every byte that is left."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4_096)
        except OSError:
            pass


def z2m(topic: str) -> object:
    from devices.simulators.publisher import Message

    return Message(topic, b'{"smoke":true,"battery":90,"linkquality":77}')
