"""A broker for demonstrations on one machine: mosquitto when it is installed, else amqtt (MQTT 3.1.1 only) in a process of its own.

`python -m devices.simulators.embedded_broker --port N` is the latter.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

# Debian keeps daemons in sbin, which is not on everybody's PATH.
_PLACES = ("/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/sbin")
INFLIGHT = 4_000
"""Unacknowledged messages that the broker gives a subscriber: the hub acknowledges late, in groups."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerPlan:
    """How to start a broker: its command, and the MQTT version that clients must use with it."""

    name: str
    command: tuple[str, ...]
    protocol: Literal["5", "311"]


def find_mosquitto() -> str | None:
    """Path of mosquitto on this machine, None when there is none."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path=os.pathsep.join(_PLACES))


def plan_broker(folder: Path, port: int, *, kind: Literal["auto", "mosquitto", "amqtt"] = "auto") -> BrokerPlan:
    """The broker to start on 127.0.0.1:`port` with its files in `folder`. FileNotFoundError when `mosquitto` is asked for in vain."""
    found = None if kind == "amqtt" else find_mosquitto()
    if found is None:
        if kind == "mosquitto":
            raise FileNotFoundError("mosquitto is not installed; apt-get install mosquitto, or use amqtt")
        command = (sys.executable, "-m", "devices.simulators.embedded_broker", "--port", str(port))
        return BrokerPlan(name="amqtt", command=command, protocol="311")
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "mosquitto.conf"
    config.write_text(_mosquitto_config(folder, port), "utf-8")
    return BrokerPlan(name="mosquitto", command=(found, "-c", str(config)), protocol="5")


def _mosquitto_config(folder: Path, port: int) -> str:
    lines = [
        f"listener {port} 127.0.0.1",
        "allow_anonymous true",
        f"max_inflight_messages {INFLIGHT}",
        "max_queued_messages 0",
        "persistence true",
        f"persistence_location {folder}/",
        "autosave_interval 60",
        "log_dest stderr",
        "log_type error",
        "log_type warning",
        "connection_messages false",
    ]
    if os.geteuid() == 0:
        lines.append("user root")  # else mosquitto drops to a user that cannot write into our folder
    return "\n".join(lines) + "\n"


async def _serve_amqtt(port: int) -> None:
    from amqtt.broker import Broker

    broker = Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
    )
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await broker.start()
    await stop.wait()
    try:
        await asyncio.wait_for(broker.shutdown(), 1.0)
    except TimeoutError:
        pass  # clients that do not let go: the process ends anyway


def main() -> None:
    arguments = argparse.ArgumentParser(description="The embedded MQTT 3.1.1 broker of the demonstration (amqtt).")
    arguments.add_argument("--port", type=int, required=True)
    asyncio.run(_serve_amqtt(arguments.parse_args().port))


if __name__ == "__main__":
    main()
