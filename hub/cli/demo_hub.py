"""The hub of a demonstration: what it has otherwise than its configuration says, and how others look into it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from hub.registry.loader import load
from hub.settings import document_of, merged

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    config: Path
    data: Path
    broker_kind: Literal["auto", "mosquitto", "amqtt"]
    broker_port: int
    console_port: int
    fire_after_s: float | None
    speed: float
    keep: bool

    @property
    def looking(self) -> Path:
        """The configuration folder of the demonstration's hub, also for commands that look into it from another terminal."""
        return self.data / "config"

    @property
    def console_url(self) -> str:
        return f"http://{HOST}:{self.console_port}"


def plain_environment() -> dict[str, str]:
    """Ours without the hub's own variables: a demonstration never touches the stores of a real hub."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GRIDHUB_")}
    return kept | {"PYTHONUNBUFFERED": "1"}


def ledger_url(data: Path) -> str:
    return f"sqlite:///{data / 'ledger.db'}"


def hub_settings(plan: Plan, protocol: str, phone_url: Callable[[str], str]) -> dict[str, Any]:
    """What the demonstration's hub has otherwise than the configuration says."""
    return {
        "data_dir": str(plan.data),
        "mqtt": {
            "host": HOST,
            "port": plan.broker_port,
            "protocol": protocol,
            "username": "",
            "password_file": "",
            "tls": None,
        },
        "journal": {"folder": str(plan.data / "journal")},
        "ledger": {"url": ledger_url(plan.data), "password_file": ""},
        "history": {"kind": "embedded"},
        "api": {"host": HOST, "port": plan.console_port, "public_url": plan.console_url},
        "channels": {"webhook": {"endpoints": {name: {"url": phone_url(name)} for name in _webhooks(plan.config)}}},
    }


def environment_of(settings: dict[str, Any]) -> dict[str, str]:
    environment = plain_environment()
    for section, value in settings.items():
        if section == "channels":
            environment["GRIDHUB_CHANNELS"] = json.dumps(value)
        elif isinstance(value, dict):
            for key, one in value.items():
                environment[f"GRIDHUB_{section}__{key}".upper()] = "null" if one is None else str(one)
        else:
            environment[f"GRIDHUB_{section}".upper()] = str(value)
    return environment


def write_config(plan: Plan, settings: dict[str, Any]) -> None:
    """Writes the folder `looking`: the settings as a file, and a copy of the rules, since the console and the API write those.

    All else is linked: who edits devices or ladders in the place's own folder sees the hub take them over.
    """
    folder = plan.looking
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "hub.yaml").write_text(
        yaml.safe_dump(merged(document_of(plan.config).data or {}, settings), allow_unicode=True, sort_keys=False),
        "utf-8",
    )
    shutil.copytree(plan.config / "rules", folder / "rules")
    for path in plan.config.iterdir():
        if path.name not in ("hub.yaml", "rules") and path != plan.data:
            (folder / path.name).symlink_to(path)


def _webhooks(config: Path) -> set[str]:
    """Names of the webhooks that people and stations of the place are told by."""
    registry = load(config / "registry")
    contacts = [c for person in registry.people.values() for c in person.contacts]
    contacts += [c for station in registry.stations.values() for c in station.contacts]
    return {address for channel, address in contacts if channel == "webhook"}


def configuration_news(lines: Iterable[str]) -> list[str]:
    """What the hub's log says about files that it has read again: one line a change, or the first of its complaints."""
    told: list[str] = []
    refused = False
    for line in lines:
        if '"config.' not in line:
            continue
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        match entry.get("event"):
            case "config.reloaded":
                told.append(f"taken over, {entry.get('devices')} devices")
                refused = False
            case "config.refused" if not refused:
                told.append(f"refused, the old one stays in force: {entry.get('complaint')}")
                refused = True
    return told
