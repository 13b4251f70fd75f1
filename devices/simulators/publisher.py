"""Publishes MQTT messages over a few connections: an in-flight window as back-pressure, counts, reconnect, clear errors.

One thread owns a `Publisher` and everything in it: the network moves only inside its methods, so there is nothing to lock.
"""

from __future__ import annotations

import selectors
import ssl
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

from hub.clock import monotonic_s
from hub.errors import GridHubError, Unavailable
from hub.loops import backoff_s


class Message(NamedTuple):
    """One MQTT message to publish. `node` names the connection that carries it ("" = the default one)."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False
    node: str = ""


class BrokerAway(Unavailable):
    """The broker could not be reached, or was lost and did not come back in time."""


class BrokerRefused(GridHubError):
    """The broker was reached and said no: credentials, protocol version, client id. Trying again would not help."""


class Interrupted(GridHubError):
    """`stop` of the publisher said so while it waited for the broker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Files for TLS; without `ca` the system's certificates are trusted. `insecure` skips the check of the name only."""

    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    insecure: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """How to reach a broker. `protocol` is 5 (MQTT 5) or 311 (MQTT 3.1.1)."""

    host: str = "127.0.0.1"
    port: int = 1883
    protocol: int = 5
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: Tls | None = None
    keepalive_s: int = 60
    connect_timeout_s: float = 5.0

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, address: str, **more: Any) -> Link:
        """From `HOST`, `HOST:PORT`, `[IPV6]:PORT` or `mqtt[s]://HOST[:PORT]`. Raises ValueError that says what is wrong."""
        rest, secure = address.strip(), False
        for scheme in ("mqtts://", "mqtt://"):
            if rest.startswith(scheme):
                rest, secure = rest.removeprefix(scheme).rstrip("/"), scheme == "mqtts://"
        if rest.startswith("["):
            host, _, tail = rest[1:].partition("]")
            port_text = tail.removeprefix(":")
        else:
            host, _, port_text = rest.partition(":")
        if not host:
            raise ValueError(f"broker address {address!r} names no host; write HOST:PORT, e.g. 127.0.0.1:1883")
        port = 8883 if secure or more.get("tls") else 1883
        if port_text:
            if not port_text.isdecimal() or not 0 < int(port_text) < 65_536:
                raise ValueError(f"broker address {address!r}: {port_text!r} is no port; write HOST:PORT with 1–65535")
            port = int(port_text)
        if secure:
            more.setdefault("tls", Tls())
        return cls(host=host, port=port, **more)


@dataclass(slots=True)
class Counts:
    """What a publisher did so far. `acked` counts QoS 0 when written to the socket, QoS 1 and 2 when confirmed."""

    published: int = 0
    acked: int = 0
    refused: int = 0
    reconnects: int = 0


class _Connection:
    """One paho client driven from outside: no thread of its own."""

    def __init__(self, owner: Publisher, node: str, client_id: str, will: Message | None) -> None:
        self.owner, self.node = owner, node
        self.in_flight = 0
        self.window = owner.window
        self.up = False
        self.closing = False
        self.attempt = 0
        self.retry_at_s = 0.0
        self.ever_up = False
        self.refusal = ""
        link = owner.link
        protocol = MQTTProtocolVersion.MQTTv5 if link.protocol == 5 else MQTTProtocolVersion.MQTTv311
        # A clean start: a simulated device that comes back publishes its state again, it expects no commands.
        options: dict[str, Any] = {} if link.protocol == 5 else {"clean_session": True}
        self.client = client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=protocol,
            reconnect_on_failure=False,
            **options,
        )
        client.max_inflight_messages_set(owner.window)
        client.max_queued_messages_set(0)
        client.connect_timeout = link.connect_timeout_s
        if link.username is not None:
            client.username_pw_set(link.username, link.password)
        if link.tls is not None:
            tls = link.tls
            client.tls_set(ca_certs=tls.ca, certfile=tls.cert, keyfile=tls.key, tls_version=ssl.PROTOCOL_TLS_CLIENT)
            client.tls_insecure_set(tls.insecure)
        if will is not None:
            client.will_set(will.topic, will.payload, will.qos, will.retain)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_socket_open = self._on_socket_open
        client.on_socket_close = self._on_socket_close
        client.on_socket_register_write = self._on_register_write
        client.on_socket_unregister_write = self._on_unregister_write

    def dial(self) -> None:
        """Opens the socket and sends CONNECT. Raises OSError."""
        link = self.owner.link
        self.refusal = ""
        if self.ever_up or self.client.host:
            self.client.reconnect()
        else:
            self.client.connect(link.host, link.port, link.keepalive_s)

    def lost(self) -> None:
        """Plans the next try after the connection broke or could not be made."""
        self.up = False
        self.retry_at_s = monotonic_s() + backoff_s(self.attempt, first_s=0.2, most_s=5.0)
        self.attempt += 1

    def serve(self, readable: bool, writable: bool) -> None:
        if readable:
            self.client.loop_read()
        if writable or self.client.want_write():
            self.client.loop_write()

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self.refusal = str(reason)
            return
        if self.ever_up:
            self.owner.counts.reconnects += 1
        # An MQTT 5 broker says how much it takes at once, and may hang up on those who send more.
        self.window = min(self.owner.window, getattr(properties, "ReceiveMaximum", None) or 65_535)
        self.up = self.ever_up = True
        self.attempt = 0

    def _on_disconnect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if not self.closing:
            if reason.is_failure and not self.ever_up and not self.refusal:
                self.refusal = str(reason)
            self.lost()
        self.up = False

    def _on_publish(self, _client: Any, _data: Any, _mid: int, reason: Any, _properties: Any) -> None:
        self.in_flight -= 1
        self.owner.in_flight -= 1
        if reason.value >= 0x80:
            self.owner.counts.refused += 1
        else:
            self.owner.counts.acked += 1

    def _on_socket_open(self, _client: Any, _data: Any, sock: Any) -> None:
        self.owner.watch(sock, self)

    def _on_socket_close(self, _client: Any, _data: Any, sock: Any) -> None:
        self.owner.unwatch(sock)

    def _on_register_write(self, _client: Any, _data: Any, sock: Any) -> None:
        self.owner.unwritten.add(self)

    def _on_unregister_write(self, _client: Any, _data: Any, sock: Any) -> None:
        self.owner.unwritten.discard(self)


class Publisher:
    """Publishes over named connections, opened by `open` (or on first use), at most `window` messages unconfirmed on each
    (fewer where the broker asks for fewer).

    `publish` waits while the window is full: that is the back-pressure. A lost connection is made again with back-off and
    its unconfirmed QoS 1 messages are sent again (so the broker may see one twice); after `patience_s` without a broker
    `publish` and `flush` raise `BrokerAway`, or `Interrupted` as soon as `stop()` is true. Not for several threads.
    """

    def __init__(
        self,
        link: Link,
        *,
        window: int = 1_000,
        client_id: str = "gridhub-sim",
        patience_s: float = 30.0,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        if not 1 <= window <= 65_535:
            raise ValueError(f"window {window} is outside 1–65535")
        self.link = link
        self.window = window
        self.client_id = client_id
        self.patience_s = patience_s
        self.stop = stop
        self.counts = Counts()
        self.in_flight = 0
        self.unwritten: set[_Connection] = set()
        self._selector = selectors.DefaultSelector()
        self._connections: dict[str, _Connection] = {}
        self._misc_at_s = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(self._connections)

    @property
    def connected(self) -> int:
        """How many of the connections are up right now."""
        return sum(c.up for c in self._connections.values())

    def is_up(self, node: str = "") -> bool:
        return node in self._connections and self._connections[node].up

    def open(self, node: str = "", *, will: Message | None = None, client_id: str | None = None) -> None:
        """Connects `node` and waits for the broker's yes. Raises `BrokerAway` or `BrokerRefused`."""
        if node in self._connections:
            return
        identity = client_id or (f"{self.client_id}-{node}" if node else self.client_id)
        connection = _Connection(self, node, identity, will)
        try:
            connection.dial()
        except ssl.SSLError as error:
            raise BrokerRefused(f"TLS with the MQTT broker at {self.link} failed: {error}") from error
        except OSError as error:
            raise BrokerAway(f"cannot reach the MQTT broker at {self.link}: {_say(error)}. Is it running?") from error
        self._connections[node] = connection
        give_up_s = monotonic_s() + self.link.connect_timeout_s
        while not connection.up and not connection.refusal and monotonic_s() < give_up_s:
            if connection.attempt:
                break  # the broker hung up without a word
            self._round(0.05)
        if connection.up:
            return
        self._forget(connection)
        if connection.refusal:
            raise BrokerRefused(f"the MQTT broker at {self.link} refused {identity!r}: {connection.refusal}")
        hint = "; does it speak MQTT 5? Try protocol 311" if self.link.protocol == 5 else ""
        raise BrokerAway(f"the MQTT broker at {self.link} did not answer the CONNECT{hint}")

    def publish(self, message: Message) -> None:
        """Hands `message` to the network, waiting while its connection is down or its window is full."""
        connection = self._connections.get(message.node)
        if connection is None:
            self.open(message.node)
            connection = self._connections[message.node]
        if not connection.up or connection.in_flight >= connection.window:
            self._wait_for_room(connection)
        connection.in_flight += 1
        self.in_flight += 1
        self.counts.published += 1
        try:
            info = connection.client.publish(message.topic, message.payload, message.qos, message.retain)
        except (ValueError, TypeError):
            connection.in_flight -= 1
            self.in_flight -= 1
            self.counts.published -= 1
            raise
        if info.rc not in (MQTTErrorCode.MQTT_ERR_SUCCESS, MQTTErrorCode.MQTT_ERR_NO_CONN):
            raise BrokerAway(f"cannot publish to {self.link}: {mqtt.error_string(info.rc)}")

    def publish_all(self, messages: Iterable[Message]) -> None:
        for message in messages:
            self.publish(message)

    def poll(self, timeout_s: float = 0.0) -> None:
        """Moves the network for at most about `timeout_s` seconds: writes, confirmations, keep-alive, reconnects."""
        until_s = monotonic_s() + timeout_s
        while True:
            left_s = until_s - monotonic_s()
            self._round(max(0.0, min(left_s, 0.25)))
            if left_s <= 0:
                return

    def flush(self, timeout_s: float = 30.0) -> None:
        """Returns when every message is confirmed; raises `BrokerAway` when that takes longer than `timeout_s`."""
        give_up_s = monotonic_s() + timeout_s
        while self.in_flight:
            if monotonic_s() > give_up_s:
                raise BrokerAway(f"{self.in_flight} messages not confirmed by {self.link} within {timeout_s:g} s")
            if self.stop():
                raise Interrupted("stopped while waiting for confirmations")
            self._round(0.05)

    def close(self, *, timeout_s: float = 1.0) -> None:
        """Disconnects every connection cleanly (no will is sent). Idempotent."""
        for connection in self._connections.values():
            connection.closing = True
            if connection.up:
                connection.client.disconnect()
        until_s = monotonic_s() + timeout_s
        while self.connected and monotonic_s() < until_s:
            self._round(0.02)
        for connection in list(self._connections.values()):
            self._forget(connection)
        self._selector.close()

    def drop(self, node: str = "") -> None:
        """Breaks the connection of `node` as a power cut would: the broker publishes its will. For scenes and tests."""
        connection = self._connections[node]
        connection.closing = True
        self._forget(connection)

    def watch(self, sock: Any, connection: _Connection) -> None:
        self._selector.register(sock, selectors.EVENT_READ, connection)

    def unwatch(self, sock: Any) -> None:
        try:
            self._selector.unregister(sock)
        except (KeyError, ValueError):
            pass  # closed before it was ever watched

    def _wait_for_room(self, connection: _Connection) -> None:
        give_up_s = monotonic_s() + self.patience_s
        goal = connection.window - max(1, connection.window // 8)  # some hysteresis: fewer, larger rounds
        while not connection.up or connection.in_flight > goal:
            if connection.refusal:
                raise BrokerRefused(f"the MQTT broker at {self.link} refused us: {connection.refusal}")
            if monotonic_s() > give_up_s:
                state = "does not confirm" if connection.up else "is away"
                raise BrokerAway(f"the MQTT broker at {self.link} {state} for {self.patience_s:g} s")
            if self.stop():
                raise Interrupted("stopped while waiting for the broker")
            self._round(0.05)

    def _round(self, timeout_s: float) -> None:
        for connection in list(self.unwritten):
            connection.serve(False, True)
        if not self._selector.get_map():
            # No socket at all: an empty selector would return at once and spin.
            time.sleep(min(timeout_s, 0.05))
        else:
            blocked = bool(self.unwritten)
            for key, _ in self._selector.select(min(timeout_s, 0.002) if blocked else timeout_s):
                key.data.serve(True, False)
        now_s = monotonic_s()
        if now_s >= self._misc_at_s:
            self._misc_at_s = now_s + 0.1
            for connection in self._connections.values():
                self._keep_up(connection, now_s)

    def _keep_up(self, connection: _Connection, now_s: float) -> None:
        if connection.client.socket() is not None:
            connection.client.loop_misc()
        elif not connection.closing and connection.ever_up and now_s >= connection.retry_at_s:
            try:
                connection.dial()
            except OSError:
                connection.lost()

    def _forget(self, connection: _Connection) -> None:
        self.in_flight -= connection.in_flight
        self.unwritten.discard(connection)
        sock = connection.client.socket()
        if sock is not None:
            self.unwatch(sock)
            sock.close()
        self._connections.pop(connection.node, None)


def _say(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__
