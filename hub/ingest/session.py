"""The narrow interface between a broker connection and the hub. A faster receiver takes paho's place by keeping to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from hub.model.readings import Envelope


class Receipt(NamedTuple):
    """What is needed to acknowledge one message: which session and connection it came by, and its packet id. QoS 0 has none."""

    lane: str
    connection: int
    packet_id: int
    qos: int


Take = Callable[[Envelope], None]
"""Called from the session's thread for each message; must not block."""


class Session(Protocol):
    """One persistent session with a broker. Messages stay unacknowledged until `ack`."""

    lane: str

    def start(self) -> None:
        """Connects in the background, and again after every loss, with back-off and jitter. Returns at once."""

    def ack(self, receipt: Receipt) -> None:
        """Tells the broker that it may forget the message. Safe from any thread, at most once.

        A receipt from an older connection is ignored: MQTT redelivers those by itself, and an old packet id could by now
        belong to another message.
        """

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 1,
        retain: bool = False,
        timeout_s: float = 5.0,
        expires_s: float | None = None,
    ) -> bool:
        """Publishes and waits for the broker's acknowledgement (QoS 1). False when it did not come in time.

        After `expires_s` the broker keeps it for nobody any more (MQTT 5; older brokers know no expiry).
        """

    @property
    def connected(self) -> bool: ...

    @property
    def trouble(self) -> str:
        """Why it is not connected, for people; empty when it is."""

    def stop(self) -> None:
        """Disconnects. What was not acknowledged stays with the broker."""
