"""Pieces that the end-to-end scenes share."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import yaml

from devices.simulators.publisher import Link, Message, Publisher
from hub.model.alerts import Alert
from hub.registry.snapshot import Registry
from hub.stores.alert_queries import AlertQueries
from hub.stores.ledger import Ledger
from tests.support.pace import patient
from tests.support.phone import Phone

_latest: list[int] = [0]


def stamp_ms() -> int:
    """Now, in milliseconds, and never the same twice: two readings of one time would be one point in a history."""
    last = max(time.time_ns() // 1_000_000, _latest[0] + 1)
    _latest[0] = last
    return last


def spoken_by(registry: Registry, dialect: str, *kinds: str) -> list[tuple[str, str]]:
    """(device id, address without the dialect) of the devices of `kinds` that speak `dialect`."""
    return [
        (d.id, a.removeprefix(f"{dialect}:"))
        for d in registry.devices()
        if d.kind in kinds
        for a in d.addresses
        if a.startswith(f"{dialect}:")
    ]


def fire(device: str, address: str, *, number: int = 0) -> Message:
    """A smoke alarm event of the native dialect."""
    body = {"v": 1, "id": f"fire-{device}-{number}", "type": "alarm", "alarm": "smoke", "active": True}
    return Message(f"sc/v1/{address}/event", json.dumps(body).encode())


def tele(address: str, seq: int) -> Message:
    body = {"v": 1, "seq": seq, "ts": stamp_ms(), "m": {"power_w": float(seq)}}
    return Message(f"sc/v1/{address}/tele", json.dumps(body).encode())


def send(port: int, messages: Iterable[Message]) -> None:
    """Publishes `messages` and returns when the broker has confirmed all of them."""
    with Publisher(Link(port=port), client_id="scene") as out:
        out.publish_all(messages)
        out.flush(30)


def told(phone: Phone) -> set[str]:
    """Devices of whose alarm the webhook has heard."""
    return {c.body["device"] for c in phone.calls if c.body["transition"].startswith("raised")}


def ledger_url_of(config: Path) -> str:
    settings = yaml.safe_load((config / "hub.yaml").read_text("utf-8"))
    return settings.get("ledger", {}).get("url") or f"sqlite:///{settings['data_dir']}/ledger.db"


def alerts_of(config: Path, *, rule: str = "", **filters: Any) -> list[Alert]:
    """Alerts in the ledger of the hub at `config`, of `rule` only if one is named."""
    ledger = Ledger.open(ledger_url_of(config), migrate=False)
    try:
        queries, found, before = AlertQueries(ledger), [], None
        while True:
            page = queries.list(scope=None, limit=1_000, before=before, **filters)
            found += page.rows
            before = page.next
            if before is None:
                return [alert for alert in found if not rule or alert.rule_id == rule]
    finally:
        ledger.close()


def until(ready: Callable[[], Any], *, within_s: float, what: str | Callable[[], str]) -> None:
    end = time.monotonic() + patient(within_s)
    while not ready():
        assert time.monotonic() < end, what() if callable(what) else what
        time.sleep(0.05)
