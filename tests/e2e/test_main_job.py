"""The main job, whole and real: a message published to mosquitto reaches the station's webhook; crashes lose nothing."""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import threading
import time
from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from devices.simulators.publisher import Link, Publisher
from hub.registry.loader import load
from hub.registry.snapshot import Registry
from hub.stores.ledger import Ledger
from hub.stores.schema import deliveries
from tests.e2e.scene import alerts_of, fire, ledger_url_of, send, spoken_by, tele, told, until
from tests.support.hub_process import HubProcess, make_config
from tests.support.mosquitto import Mosquitto
from tests.support.phone import Phone
from tests.support.postgres import fresh_database

SMOKE_PAYLOAD = {"battery": 97, "linkquality": 88, "smoke": True}


@pytest.mark.needs_mosquitto
def test_a_zigbee_smoke_message_reaches_the_right_station_and_its_webhook_every_time(
    tmp_path: Path, broker: Mosquitto, phone: Phone
) -> None:
    repetitions = 200 if os.environ.get("CI") else 40
    config = make_config(tmp_path, broker_port=broker.port, devices=4_000, webhook=phone.url("").rstrip("/"))
    registry = load(config / "registry")
    devices = spoken_by(registry, "zigbee2mqtt", "smoke_alarm")[:repetitions]
    assert len(devices) * 2 >= repetitions, "a third fire of one detector within a minute would be chatter"
    took_ms: list[float] = []
    with HubProcess(config):
        for n in range(repetitions):
            device, topic = devices[n % len(devices)]
            first = n < len(devices)
            if not first:  # the device recovers, then burns again: the same live alert fires again
                publish(broker, topic, SMOKE_PAYLOAD | {"smoke": False, "linkquality": n % 255})
                time.sleep(0.15)
            before = len(phone.calls)
            began = publish(broker, topic, SMOKE_PAYLOAD | {"linkquality": n % 255})
            until(
                lambda b=before, d=device: any(
                    c.body["device"] == d and "raised" in c.body["transition"] for c in phone.calls[b:]
                ),
                within_s=10,
                what=f"no webhook for {device}",
            )
            call = next(
                c for c in phone.calls[before:] if c.body["device"] == device and "raised" in c.body["transition"]
            )
            took_ms.append((call.at_ns - began) / 1e6)
        alerts = alerts_of(config, live=True, rule="smoke-alarm")
    assert Counter(a.device_id for a in alerts) == Counter({device: 1 for device, _ in devices})
    for alert in alerts:
        found = registry.find(alert.device_id)
        assert found is not None
        station = registry.station_for(found.grid)
        assert station is not None
        assert (alert.severity, alert.grid, alert.station) == ("P1", found.grid, station.id)
    took_ms.sort()
    p99 = took_ms[int(len(took_ms) * 0.99) - 1]
    # a figure to look at (pytest -s), not a promise of a busy machine: speed is measured by `make bench`
    print(f"publish → webhook over {len(took_ms)}: p50 {statistics.median(took_ms):.0f} ms, p99 {p99:.0f} ms")


def publish(broker: Mosquitto, topic: str, payload: dict[str, Any]) -> int:
    """By mosquitto_pub; returns perf_counter_ns just before the message left."""
    began = time.perf_counter_ns()
    subprocess.run(
        ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(broker.port), "-t", topic, "-q", "1", "-m", json.dumps(payload)],
        check=True,
        timeout=10,
    )
    return began


@pytest.mark.slow
@pytest.mark.needs_mosquitto
@pytest.mark.parametrize("store", ["sqlite", pytest.param("postgres", marks=pytest.mark.needs_postgres)])
def test_ten_kills_lose_no_alarm_and_double_none(tmp_path: Path, broker: Mosquitto, phone: Phone, store: str) -> None:
    with fresh_database() if store == "postgres" else nullcontext("") as url:
        crash_ten_times(tmp_path, broker, phone, url)


def crash_ten_times(tmp_path: Path, broker: Mosquitto, phone: Phone, url: str) -> None:
    config = make_config(
        tmp_path, broker_port=broker.port, devices=2_500, ledger_url=url, webhook=phone.url("").rstrip("/")
    )
    registry = load(config / "registry")
    burning = spoken_by(registry, "native-v1", "smoke_alarm")[:500]
    assert len(burning) == 500
    hub = HubProcess(config).start()
    chance, kills = random.Random(7), 10
    sending = Sender(broker.port, registry, burning, per_second=2_000)
    sending.start()
    try:
        for _ in range(kills):
            time.sleep(chance.uniform(0.3, 1.5))
            hub.kill()
            hub.start()
        sending.finish()

        wanted = {device for device, _ in burning}
        until(
            lambda: wanted <= told(phone),
            within_s=90,
            what=lambda: f"no notification for {sorted(wanted - told(phone))[:9]} …",
        )
    finally:
        sending.abort()
        hub.stop()
    alerts = alerts_of(config, rule="smoke-alarm")
    assert Counter(a.device_id for a in alerts) == Counter(dict.fromkeys(wanted, 1))
    assert {a.occurrences for a in alerts} == {1}, "a redelivered event is not a second fire"
    print(f"{kills} kills: {phone.repeated()} notifications of {len(phone.calls)} came twice")
    assert phone.repeated() <= kills


@pytest.mark.needs_mosquitto
def test_a_hub_that_comes_back_takes_up_at_once_what_its_crash_left_half_sent(
    tmp_path: Path, broker: Mosquitto, phone: Phone
) -> None:
    """It keeps its name among the hubs of a ledger, so its own claims need not run out first."""
    config = make_config(tmp_path, broker_port=broker.port, webhook=phone.url("").rstrip("/"))
    device = spoken_by(load(config / "registry"), "native-v1", "smoke_alarm")[0]
    phone.answers.clear()
    with HubProcess(config) as hub:
        send(broker.port, [fire(*device)])
        names: set[str] = set()
        until(lambda: names.update(claimed(config)) or names, within_s=30, what="nothing was sent")
        hub.kill()
        hub.start()
        until(
            lambda: phone.repeated() and claimed(config) == names,
            within_s=60,
            what=lambda: f"{names} before the crash, {claimed(config)} after it",
        )
        phone.answers.set()
        until(lambda: not claimed(config), within_s=30, what=lambda: f"never finished: {claimed(config)}")


def claimed(config: Path) -> set[str]:
    """Names of the hubs that are sending something."""
    ledger = Ledger.open(ledger_url_of(config), migrate=False)
    try:
        with ledger.read() as connection:
            wanted = select(deliveries.c.lease_owner).where(deliveries.c.state == "sending")
            return set(connection.execute(wanted).scalars())
    finally:
        ledger.close()


class Sender(threading.Thread):
    """2,000 messages a second for as long as it takes, with the alarms spread evenly over the first 25 seconds."""

    def __init__(self, port: int, registry: Registry, burning: list[tuple[str, str]], *, per_second: int) -> None:
        super().__init__(name="sender", daemon=True)
        meters = [a for _, a in spoken_by(registry, "native-v1", "meter", "charging_socket", "env")]
        self._meters, self._burning, self._rate = meters, list(burning), per_second
        self._port = port
        self._enough, self._abort = threading.Event(), threading.Event()
        self.alarms_done = threading.Event()
        self.trouble: BaseException | None = None

    def run(self) -> None:
        try:
            with Publisher(Link(port=self._port), client_id="sender") as out:
                began, sent, waiting = time.monotonic(), 0, list(self._burning)
                every = self._rate * 25 // len(waiting)
                while not self._abort.is_set() and not (self._enough.is_set() and not waiting):
                    if sent and sent % every == 0 and waiting:
                        device, address = waiting.pop()
                        out.publish(fire(device, address))
                    else:
                        out.publish(tele(self._meters[sent % len(self._meters)], sent))
                    sent += 1
                    ahead_s = sent / self._rate - (time.monotonic() - began)
                    if ahead_s > 0.01:
                        out.poll(ahead_s)
                out.flush(60)
            self.alarms_done.set()
        except BaseException as bad:
            self.trouble = bad

    def finish(self) -> None:
        """Waits until every alarm is with the broker."""
        self._enough.set()
        self.join(90)
        assert self.trouble is None, self.trouble
        assert self.alarms_done.is_set(), "the sender could not send all alarms"

    def abort(self) -> None:
        self._abort.set()
        self.join(10)
