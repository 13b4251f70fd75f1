"""A confirmed fire opens a gate: the whole way, through a real broker and back."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.app import Hub, build
from hub.registry.loader import load
from hub.settings import load_settings
from hub.stores.commands import Commands
from tests.e2e.scene import fire, send, spoken_by
from tests.support.ear import Ear, until
from tests.support.hub_process import make_config
from tests.support.mosquitto import Mosquitto, running_mosquitto

pytestmark = pytest.mark.needs_mosquitto
OBEYS, DEAF = "gate-c2-01", "gate-c2-08"
STAIRCASE = ("smoke-c2b1-01", "smoke-c2b1-04")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    (tmp_path / "broker").mkdir()
    with running_mosquitto(tmp_path / "broker") as one:
        yield one


@pytest.fixture
def hub(tmp_path: Path, broker: Mosquitto) -> Iterator[Hub]:
    config = make_config(tmp_path, broker_port=broker.port)
    shipped = (config / "actions.yaml").read_text("utf-8")
    head, name, gates = shipped.partition("- id: open-gates")
    gates = gates.replace("live: false", "live: true", 1).replace("read_back_s: 10", "read_back_s: 1", 1)
    (config / "actions.yaml").write_text(head + name + gates, "utf-8")
    one = build(load_settings(config))
    try:
        one.start()
        until(lambda: all(part().state == "ok" for name, part in one.parts.items() if name.startswith("mqtt")))
        yield one
    finally:
        one.stop()


def test_two_detectors_of_a_staircase_open_the_gates_and_the_one_that_does_not_answer_is_an_alarm(
    hub: Hub, broker: Mosquitto
) -> None:
    alarms = dict(spoken_by(load(hub.settings.folder / "registry"), "native-v1", "smoke_alarm"))
    commands = Commands(hub.desk.ledger)
    with Ear(broker.port, client_id="gates", filters=("sc/v1/+/+/+/cmd",)) as gates:
        send(broker.port, [fire(one, alarms[one]) for one in STAIRCASE])
        begun = time.monotonic()
        until(lambda: {DEAF, OBEYS} <= set(_commanded(gates)), lambda: f"told: {_commanded(gates)}", within_s=5)
        assert time.monotonic() - begun < 2.0
        topic = next(e.topic for e in gates.heard if OBEYS in e.topic)
        opening = json.dumps({"v": 1, "m": {"gate_state": "opening"}}).encode()
        assert gates.session.publish(topic.replace("/cmd", "/state"), opening)

        def states() -> dict[str, str]:
            return {one.device_id: one.state for one in commands.list(scope=None, action="open-gates")}

        until(lambda: states() == {OBEYS: "confirmed", DEAF: "unconfirmed"}, lambda: str(states()), within_s=5)
        assert sum(OBEYS in e.topic for e in gates.heard) == 1
        sirens = [e for e in gates.heard if e.topic.endswith("/siren/cmd")]
        assert any(json.loads(e.payload).get("cmd") == "siren" for e in sirens), "the shipped siren action is live"

    def failed() -> list[str]:
        rows = hub.queries.list(scope=None, live=True, device=DEAF).rows
        return [alert.rule_id for alert in rows if alert.rule_id == "command-failed"]

    until(failed, "nobody hears that the gate did not open", within_s=6)


def _commanded(gates: Ear) -> list[str]:
    return [e.topic.split("/")[-2] for e in gates.heard]
