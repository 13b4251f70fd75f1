"""An MQTT session of the hub's own kind that keeps what it hears."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from hub.ingest.mqtt import Broker, PahoSession
from hub.ingest.session import Receipt
from hub.model.readings import Envelope
from tests.support.pace import patient


def until(ready: Callable[[], Any], what: Any = "it did not happen", *, within_s: float = 10.0) -> None:
    end = time.monotonic() + patient(within_s)
    while not ready():
        assert time.monotonic() < end, what() if callable(what) else what
        time.sleep(0.01)


class Ear:
    """A session that keeps what it hears; it acknowledges at once, or when it is told to."""

    def __init__(self, port: int, *, ack: bool = True, filters: tuple[str, ...] = ("a/#",), **broker: Any) -> None:
        self.heard: list[Envelope] = []
        self.acks = ack
        self.fails = 0
        self.session = PahoSession(Broker(host="127.0.0.1", port=port, **broker), "main", filters, self._take)

    def _take(self, envelope: Envelope) -> None:
        if self.fails:
            self.fails -= 1
            raise RuntimeError("no")
        self.heard.append(envelope)
        if self.acks and envelope.receipt is not None:
            self.session.ack(envelope.receipt)

    def payloads(self) -> list[str]:
        return [e.payload.decode() for e in self.heard]

    def receipts(self) -> list[Receipt]:
        return [e.receipt for e in self.heard if e.receipt is not None]

    def waits_for(self, *payloads: str) -> Ear:
        until(lambda: self.payloads() == list(payloads), lambda: f"heard {self.payloads()}, not {list(payloads)}")
        return self

    def __enter__(self) -> Ear:
        self.session.start()
        until(lambda: self.session.connected, lambda: self.session.trouble)
        time.sleep(0.05)  # the SUBACK
        return self

    def __exit__(self, *exc: object) -> None:
        self.session.stop()
