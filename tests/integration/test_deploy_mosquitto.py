"""The shipped broker configuration on a real mosquitto: who may say and hear what."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.mosquitto import Mosquitto, free_port

pytestmark = pytest.mark.needs_mosquitto
DEPLOY = Path(__file__).resolve().parents[2] / "deploy/mosquitto"


class Shipped(Mosquitto):
    """A broker with the files of deploy/mosquitto; only paths, ports and (as root) the user differ."""

    def __init__(self, folder: Path) -> None:
        self.health_port = free_port()
        super().__init__(folder)
        for part in ("data", "auth", "config"):
            (folder / part).mkdir()
        for name in ("acl", "acl-health"):
            shutil.copy(DEPLOY / name, folder / "config" / name)
        text = (DEPLOY / "mosquitto.conf").read_text("utf-8").replace("/mosquitto/", f"{folder}/")
        text = text.replace("listener 1883", f"listener {self.port} 127.0.0.1")
        text = text.replace("listener 1880 127.0.0.1", f"listener {self.health_port} 127.0.0.1")
        self.config_file.write_text(text + ("\nuser root\n" if os.geteuid() == 0 else ""), "utf-8")

    def users(self, *arguments: str, secrets: Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", str(DEPLOY / "users.sh"), *arguments], input=stdin, capture_output=True, text=True, check=False,
            env={**os.environ, "PASSWORDS": str(self.folder / "auth/passwords"), "SECRETS": str(secrets)},
        )  # fmt: skip

    def hears(self, listener: str, topic: str, *, speaker: str, message: str = "x") -> bool:
        """Whether `listener` gets what `speaker` says on `topic`. Passwords are the names."""
        common = ["-h", self.host, "-p", str(self.port)]
        heard = subprocess.Popen(
            ["mosquitto_sub", *common, "-u", listener, "-P", listener, "-t", topic, "-C", "1", "-W", "2"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        say = ["mosquitto_pub", *common, "-u", speaker, "-P", speaker, "-t", topic, "-m", message, "-q", "1"]
        while heard.poll() is None:  # again and again: the listener does not tell when it has subscribed
            subprocess.run(say, check=True, capture_output=True)
            time.sleep(0.1)
        assert heard.stdout is not None
        return heard.stdout.read() == f"{message}\n"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shipped]:
    secrets = tmp_path_factory.mktemp("secrets")
    for name in ("hub", "simulator"):
        (secrets / f"mqtt_{name}_password").write_text(name)
    shipped = Shipped(tmp_path_factory.mktemp("broker"))
    for _ in range(2):  # again: nothing is doubled
        done = shipped.users(secrets=secrets)
        assert done.returncode == 0, done.stderr
    for node in ("gw-1", "gw-2", "zigbee2mqtt"):
        assert shipped.users("add", node, secrets=secrets, stdin=f"{node}\n").returncode == 0
    shipped.start()
    yield shipped
    shipped.stop()


def test_each_account_is_there_once(broker: Shipped) -> None:
    names = [line.split(":")[0] for line in (broker.folder / "auth/passwords").read_text().splitlines()]
    assert sorted(names) == ["gw-1", "gw-2", "hub", "simulator", "zigbee2mqtt"]


@pytest.mark.parametrize(
    ("listener", "topic", "speaker", "expected"),
    [
        ("hub", "sc/v1/demo/gw-1/smoke-1/event", "gw-1", True),
        ("hub", "sc/v1/demo/gw-1/smoke-1/tele", "gw-2", False),
        ("hub", "zigbee2mqtt/kitchen", "gw-1", False),
        ("hub", "zigbee2mqtt/kitchen", "zigbee2mqtt", True),
        ("hub", "sc/v1/demo/hub/canary/event", "hub", True),
        ("hub", "sc/v1/demo/gw-2/smoke-7/event", "hub", False),
        ("hub", "sc/v1/demo/gw-2/smoke-7/event", "simulator", True),
        ("gw-1", "sc/v1/demo/gw-1/siren/cmd", "hub", True),
        ("gw-2", "sc/v1/demo/gw-1/siren/cmd", "hub", False),
        ("gw-1", "sc/v1/demo/gw-1/smoke-1/reject", "hub", True),
        ("gw-1", "sc/v1/demo/gw-2/smoke-1/tele", "gw-2", False),
    ],
)
def test_a_message_arrives_only_where_it_may(
    broker: Shipped, listener: str, topic: str, speaker: str, expected: bool
) -> None:
    assert broker.hears(listener, topic, speaker=speaker) is expected


def test_nobody_enters_without_a_password(broker: Shipped) -> None:
    for who in ([], ["-u", "hub", "-P", "wrong"]):
        done = subprocess.run(
            ["mosquitto_pub", "-h", broker.host, "-p", str(broker.port), *who, "-t", "sc/v1/a/b/c/tele", "-m", "x"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode != 0


def test_the_health_check_reads_the_uptime_and_nothing_else(broker: Shipped) -> None:
    def read(topic: str) -> int:
        command = ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(broker.health_port), "-t", topic, "-C", "1", "-W", "2"]
        return subprocess.run(command, capture_output=True, check=False).returncode

    assert read("$SYS/broker/uptime") == 0
    assert read("$SYS/broker/version") != 0


def test_an_account_can_be_taken_away(broker: Shipped, tmp_path: Path) -> None:
    assert broker.users("add", "gone", secrets=tmp_path, stdin="pw\n").returncode == 0
    assert broker.users("remove", "gone", secrets=tmp_path).returncode == 0
    assert "gone:" not in (broker.folder / "auth/passwords").read_text()
    assert broker.users("add", "empty", secrets=tmp_path, stdin="\n").returncode != 0
