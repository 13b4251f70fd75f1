"""`gridhub simulate` against a real mosquitto: what it says it sent has arrived."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.support.mosquitto import free_port, running_mosquitto
from tests.support.pace import patient

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.needs_mosquitto


class Listener:
    """Hears everything on a broker."""

    def __init__(self, port: int) -> None:
        self.heard: list[tuple[str, bytes, bool]] = []
        self.client = client = mqtt.Client(CallbackAPIVersion.VERSION2)
        client.on_message = lambda _c, _d, m: self.heard.append((m.topic, m.payload, m.retain))
        client.connect("127.0.0.1", port)
        client.subscribe("#", qos=1)
        client.loop_start()

    def topics(self, end: str) -> list[str]:
        return [topic for topic, _, _ in list(self.heard) if topic.endswith(end)]

    def close(self) -> None:
        time.sleep(0.3)
        self.client.disconnect()
        self.client.loop_stop()


def command(*more: str) -> list[str]:
    return [sys.executable, "-m", "hub", "simulate", *more]


def simulate(*more: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*more), cwd=ROOT, capture_output=True, text=True, timeout=120, env=env)


@pytest.mark.parametrize("protocol", ["5", "311"])
def test_the_example_place_speaks_and_every_message_arrives(protocol):
    with running_mosquitto() as broker:
        listener = Listener(broker.port)
        done = simulate(
            "--broker", broker.address, "--duration", "3", "--json", "--protocol", protocol, "--kitchen-fire", "auto"
        )
        listener.close()
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["published"] == summary["acked"] == len(listener.heard)
    assert summary["devices"] > 250
    assert summary["connections"] == summary["nodes"] > 5
    assert len(summary["said"]) == 1
    assert listener.topics("/birth")
    assert listener.topics("zigbee2mqtt/bridge/devices")


def test_a_generated_town_at_a_rate_sends_at_that_rate_and_says_so():
    with running_mosquitto() as broker:
        done = simulate("--devices", "1000", "--broker", broker.address, "--rate", "300", "--duration", "5", "--json")
    summary = json.loads(done.stdout)
    assert summary["devices"] == pytest.approx(1_000, abs=10)
    assert summary["msgs_per_s"] == pytest.approx(300, rel=0.15)
    assert summary["wanted_per_s"] == 300


def test_time_can_run_faster():
    with running_mosquitto() as broker:
        done = simulate(
            "--broker", broker.address, "--speed", "600", "--duration", "2", "--json", "--kitchen-fire", "auto"
        )
    summary = json.loads(done.stdout)
    assert summary["world_s"] == pytest.approx(1_200, rel=0.05)
    assert len(summary["said"]) == 2, "it was put out within twenty minutes of the simulated day"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_says_goodbye_when_it_is_stopped(how):
    with running_mosquitto() as broker:
        listener = Listener(broker.port)
        running = subprocess.Popen(
            command("--broker", broker.address), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        until = time.monotonic() + 30
        while not listener.topics("/tele"):
            assert time.monotonic() < until
            time.sleep(0.05)
        running.send_signal(how)
        out, _ = running.communicate(timeout=10)
        listener.close()
    assert running.returncode == 0
    assert "confirmed" in out
    ends = [json.loads(body) for topic, body, _ in listener.heard if topic.endswith("/-/online")][-3:]
    assert all(end["reason"] == "shutdown" for end in ends)


def test_a_broker_that_goes_away_and_comes_back_is_no_trouble():
    with running_mosquitto() as broker:
        running = subprocess.Popen(
            command("--broker", broker.address, "--rate", "100", "--duration", "8", "--json"),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        listener = Listener(broker.port)
        until = time.monotonic() + 30
        while not listener.topics("/tele"):
            assert time.monotonic() < until
            time.sleep(0.05)
        listener.close()
        broker.restart(away_s=0.5)
        out, err = running.communicate(timeout=60)
    assert running.returncode == 0, err
    summary = json.loads(out)
    assert summary["reconnects"] == summary["connections"]
    assert summary["acked"] == summary["published"]


def test_it_can_be_stopped_while_the_broker_is_away():
    with running_mosquitto() as broker:
        listener = Listener(broker.port)
        running = subprocess.Popen(
            command("--broker", broker.address, "--rate", "100"), cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        until = time.monotonic() + 30
        while not listener.topics("/tele"):
            assert time.monotonic() < until
            time.sleep(0.05)
        listener.close()
        broker.kill()
        time.sleep(0.5)
        running.terminate()
        began = time.monotonic()
        running.communicate(timeout=30)
        assert time.monotonic() - began < patient(4)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--broker", "127.0.0.1:{free}", "--duration", "1"], 1, "Is it running?"),
        (["--broker", "127.0.0.1:x"], 2, "HOST:PORT"),
        (["--behaviour", "earthquake"], 2, "calm_day, kitchen_fire"),
        (["--kitchen-fire", "nowhere", "--broker", "127.0.0.1:{free}"], 2, "no simulated device 'nowhere'"),
        (["--kitchen-fire", "gw-c1-yard", "--broker", "127.0.0.1:{free}"], 2, "is a gateway"),
        (["--protocol", "4"], 2, "neither 5 nor 311"),
        (["--config", "/nonexistent"], 2, "hub.yaml"),
    ],
)
def test_a_wrong_call_is_refused_with_a_reason(arguments, code, says):
    done = simulate(*(a.format(free=free_port()) for a in arguments))
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_credentials_come_from_the_environment_and_are_not_shown():
    with running_mosquitto(users={"sim": "s3cret-word"}) as broker:
        refused = simulate("--broker", broker.address, "--duration", "1")
        assert refused.returncode == 1
        assert "refused" in refused.stderr
        env = {**os.environ, "GRIDHUB_MQTT_PASSWORD": "s3cret-word"}
        done = simulate("--broker", broker.address, "--duration", "1", "--username", "sim", env=env)
    assert done.returncode == 0, done.stderr
    assert "s3cret-word" not in done.stdout + done.stderr
