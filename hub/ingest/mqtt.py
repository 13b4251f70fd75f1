"""The MQTT session on paho-mqtt: MQTT 5 or 3.1.1, persistent, manual acknowledgement, explicit subscriptions, TLS."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from hub.clock import Clock, monotonic_s, now_ms
from hub.ingest.session import Receipt, Take
from hub.loops import backoff_s
from hub.model.readings import Envelope
from hub.telemetry import LOOP_ERRORS, MQTT_CONNECTED, log


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """Where the broker is and how to speak with it. `version` is 5 or 311."""

    host: str
    port: int
    version: int = 5
    username: str = ""
    password: str = ""
    client_id: str = "gridhub"
    keepalive_s: int = 30
    receive_maximum: int = 4_000
    session_expiry_s: int = 7 * 86_400
    tls: bool = False
    ca: str = ""
    cert: str = ""
    key: str = ""
    persistent: bool = True  # False: a clean session at QoS 0 that the broker keeps nothing for


_STEADY_S = 5.0
"""A connection that held for so long was a good one: after its loss, the next try comes soon."""


def client_id_of(broker: Broker, lane: str) -> str:
    return broker.client_id if lane == "main" else f"{broker.client_id}-{lane}"


class PahoSession:
    """A session of its own for each lane. See `hub.ingest.session.Session` for the promises."""

    def __init__(self, broker: Broker, lane: str, filters: Sequence[str], take: Take, *, clock: Clock = now_ms) -> None:
        self.lane, self.broker, self.filters = lane, broker, tuple(filters)
        self.trouble = "not connected yet"
        self._take, self._clock = take, clock
        self._connection = 0
        self._connected = threading.Event()
        self._stopping = threading.Event()
        self._lost = threading.Event()
        self._was_up, self._up_since_s = False, 0.0
        self._told = False  # why this connection came to nothing
        self._client = self._make()
        self._thread = threading.Thread(target=self._keep_connected, name=f"mqtt-{lane}", daemon=True)

    def _make(self) -> paho.Client:
        b = self.broker
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id_of(b, self.lane),
            protocol=paho.MQTTv5 if b.version == 5 else paho.MQTTv311,
            clean_session=None if b.version == 5 else not b.persistent,
            manual_ack=True,
            reconnect_on_failure=False,
        )
        if b.username:
            client.username_pw_set(b.username, b.password or None)
        if b.tls:
            client.tls_set(
                ca_certs=b.ca or None,
                certfile=b.cert or None,
                keyfile=b.key or None,
                tls_version=ssl.PROTOCOL_TLS_CLIENT,
            )
        client.max_queued_messages_set(0)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_subscribe = self._on_subscribe
        return client

    # -- life ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._thread.start()

    @property
    def connected(self) -> bool:
        return self._connected.is_set()

    def stop(self) -> None:
        self._stopping.set()
        self._lost.set()
        self._client.disconnect()
        if self._thread.ident is not None:
            self._thread.join(3.0)

    def _keep_connected(self) -> None:
        attempt = 0
        while not self._stopping.is_set():
            self._lost.clear()
            try:
                self._connect()
            except (OSError, ValueError) as refused:
                self._say(f"cannot reach the broker at {self.broker.host}:{self.broker.port}: {refused}")
            else:
                self._receive()
                if self._was_up and monotonic_s() - self._up_since_s > _STEADY_S:
                    attempt = 0
                elif self._was_up and attempt >= 2:
                    me = client_id_of(self.broker, self.lane)
                    self._say(f"{self.trouble}, again and again: does another client use the id {me!r} too?")
            self._connected.clear()
            MQTT_CONNECTED.labels(lane=self.lane).set(0)
            if not self._stopping.is_set():
                self._stopping.wait(backoff_s(attempt, first_s=0.25, most_s=15.0))
                attempt += 1

    def _receive(self) -> None:
        """Runs until the connection is lost. What is not acknowledged by then, the broker sends again."""
        try:
            self._client.loop_forever(retry_first_connection=False)
        except Exception as error:  # the top of this loop: a broken packet must not end the session's thread
            LOOP_ERRORS.labels(loop=f"mqtt-{self.lane}").inc()
            log.error("mqtt.failed", lane=self.lane, reason=repr(error), exc_info=True)
            self._say(f"the connection was dropped: {error!r}")

    def _connect(self) -> None:
        self._was_up = self._told = False
        b = self.broker
        if b.version != 5:
            self._client.connect(b.host, b.port, b.keepalive_s)
            return
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = b.session_expiry_s if b.persistent else 0
        properties.ReceiveMaximum = b.receive_maximum
        self._client.connect(b.host, b.port, b.keepalive_s, clean_start=not b.persistent, properties=properties)

    def _say(self, trouble: str) -> None:
        if trouble != self.trouble:
            log.warning("mqtt.trouble", lane=self.lane, trouble=trouble)
        self.trouble = trouble

    # -- callbacks, all in the session's thread -----------------------------------------------------------------------

    def _on_connect(
        self, client: paho.Client, userdata: Any, flags: Any, reason: ReasonCode, properties: Any = None
    ) -> None:
        if reason.is_failure:
            self._told = True
            self._say(f"the broker refused the connection: {reason} (check username, password and ACL)")
            return
        self._connection += 1
        self._was_up, self._up_since_s = True, monotonic_s()
        result = paho.MQTT_ERR_SUCCESS
        if self.filters:
            result, _ = client.subscribe([(f, self._options()) for f in self.filters])
        if result != paho.MQTT_ERR_SUCCESS:
            self._say(f"subscribing failed: {paho.error_string(result)}")
            client.disconnect()
            return
        self.trouble = ""
        self._connected.set()
        MQTT_CONNECTED.labels(lane=self.lane).set(1)
        log.info("mqtt.connected", lane=self.lane, session_present=flags.session_present, filters=len(self.filters))

    def _options(self) -> Any:
        qos = 1 if self.broker.persistent else 0
        return SubscribeOptions(qos=qos) if self.broker.version == 5 else qos

    def _on_subscribe(
        self, client: paho.Client, userdata: Any, mid: int, reasons: list[ReasonCode], properties: Any = None
    ) -> None:
        refused = [f for f, r in zip(self.filters, reasons, strict=False) if r.is_failure]
        if refused:
            self._say(f"the broker refused the subscription to {', '.join(refused)}: allow them in its ACL")

    def _on_disconnect(
        self, client: paho.Client, userdata: Any, flags: Any, reason: ReasonCode, properties: Any = None
    ) -> None:
        self._connected.clear()
        MQTT_CONNECTED.labels(lane=self.lane).set(0)
        if not (
            self._stopping.is_set() or self._told
        ):  # the first reason is the true one, e.g. that the broker refused us
            self._told = True
            self._say(f"connection lost: {reason}")

    def _on_message(self, client: paho.Client, userdata: Any, message: paho.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = "(topic is not UTF-8)"
        receipt = Receipt(self.lane, self._connection, message.mid, message.qos) if message.qos else None
        self._take(Envelope(topic, bytes(message.payload), self._clock(), bool(message.retain), receipt))

    # -- towards the broker ---------------------------------------------------------------------------------------------

    def ack(self, receipt: Receipt) -> None:
        if receipt.connection == self._connection and self._connected.is_set():
            self._client.ack(receipt.packet_id, receipt.qos)

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
        if not self._connected.is_set():
            return False
        properties = None
        if expires_s is not None and self.broker.version == 5:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.MessageExpiryInterval = max(int(expires_s), 1)
        info = self._client.publish(topic, payload, qos=qos, retain=retain, properties=properties)
        try:
            info.wait_for_publish(timeout_s)
        except (RuntimeError, ValueError):
            return False
        return info.is_published()
