"""The broker that the other tests lean on keeps what it promises."""

from __future__ import annotations

import subprocess

import pytest

from tests.support.mosquitto import running_mosquitto

pytestmark = pytest.mark.needs_mosquitto


def _publish(broker, *more: str) -> subprocess.CompletedProcess[str]:
    command = ["mosquitto_pub", "-h", broker.host, "-p", str(broker.port), "-q", "1", "-t", "a", "-m", "x", *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=10)


def _retained(broker) -> str:
    command = ["mosquitto_sub", "-h", broker.host, "-p", str(broker.port), "-t", "a", "-C", "1", "-W", "1"]
    return subprocess.run(command, capture_output=True, text=True, timeout=10).stdout.strip()


def test_a_persistent_broker_keeps_retained_messages_over_a_restart():
    with running_mosquitto(persistent=True) as broker:
        assert _publish(broker, "-r").returncode == 0
        first = broker.pid
        broker.restart()
        assert broker.pid != first
        assert _retained(broker) == "x"


def test_a_killed_broker_has_forgotten_and_answers_again_on_the_same_port():
    with running_mosquitto() as broker:
        _publish(broker, "-r")
        broker.restart(killed=True)
        assert _retained(broker) == ""


def test_a_broker_with_users_refuses_strangers():
    with running_mosquitto(users={"hub": "s3cret"}) as broker:
        assert _publish(broker).returncode != 0
        assert _publish(broker, "-u", "hub", "-P", "s3cret").returncode == 0


def test_nothing_is_left_behind():
    with running_mosquitto() as broker:
        folder = broker.folder
        assert broker.running
    assert not broker.running
    assert not folder.exists()
