"""Drives a fleet over a publisher in real time, slower or faster, and counts what really went out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from devices.simulators.fleet import Fleet
from devices.simulators.publisher import Message, Publisher
from hub.clock import monotonic_s, now_ms

_LONGEST_PAUSE_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a running simulation is. `rate_per_s` is over the last second or so."""

    elapsed_s: float
    world_s: float
    published: int
    acked: int
    rate_per_s: float
    connected: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a simulation did. `msgs_per_s` is measured over the run without the greeting; `wanted_per_s` what was asked for."""

    devices: int
    nodes: int
    connections: int
    elapsed_s: float
    world_s: float
    published: int
    acked: int
    refused: int
    reconnects: int
    greeting_msgs: int
    msgs_per_s: float
    wanted_per_s: float
    skipped_reports: int
    said: tuple[str, ...]


class Drive:
    """One run: `begin` connects and greets, `run` goes on until told to stop, `end` says goodbye. One thread."""

    def __init__(
        self,
        fleet: Fleet,
        publisher: Publisher,
        *,
        speed: float = 1.0,
        max_connections: int = 200,
        qos: int = 1,
        on_said: Callable[[str], None] = lambda text: None,
        on_progress: Callable[[Progress], None] = lambda progress: None,
    ) -> None:
        self.fleet = fleet
        self.publisher = publisher
        self.speed = speed
        self._qos = qos  # at most
        self.on_said = on_said
        self.on_progress = on_progress
        self._said: list[str] = []
        own = max(1, max_connections - 1)
        # Beyond `max_connections` nodes share one connection, which therefore carries no will.
        self._connection = {node: (node if n < own else "shared") for n, node in enumerate(fleet.nodes)}
        self._start_ms = 0
        self._start_s = 0.0
        self._greeting = 0
        self._ended_s = 0.0
        self._ended = 0

    def begin(self, start_ms: int, stop: Callable[[], bool] = lambda: False) -> None:
        """Connects every node and says what nodes say when they come up. `start_ms` is the fleet's own start."""
        for node in self.fleet.nodes:
            if stop():
                return
            own = self._connection[node] == node
            self.publisher.open(self._connection[node], will=self.fleet.will(node) if own else None)
        self._send(self.fleet.greet(now_ms()), stop)
        self.publisher.flush()
        self._greeting = self.publisher.counts.published
        self._start_ms, self._start_s = start_ms, monotonic_s()

    def run(self, *, duration_s: float | None = None, stop: Callable[[], bool] = lambda: False) -> None:
        """Goes on until `duration_s` of real time are over, every behaviour has ended, or `stop()` says so."""
        mark_s, mark = self._start_s, self._greeting
        while not stop():
            elapsed_s = monotonic_s() - self._start_s
            if duration_s is not None and elapsed_s >= duration_s:
                break
            world_ms = self._start_ms + int(elapsed_s * 1_000 * self.speed)
            self._send(self.fleet.advance(world_ms, now_ms()), stop)
            for text in self.fleet.world.said():
                self._said.append(text)
                self.on_said(text)
            if self.fleet.finished:
                break
            now_s = monotonic_s()
            if now_s - mark_s >= 1.0:
                published = self.publisher.counts.published
                self.on_progress(self._progress((published - mark) / (now_s - mark_s)))
                mark_s, mark = now_s, published
            wait_s = (self.fleet.next_ms() - world_ms) / 1_000 / self.speed - (now_s - self._start_s - elapsed_s)
            left_s = _LONGEST_PAUSE_S if duration_s is None else duration_s - (now_s - self._start_s)
            self.publisher.poll(max(0.0, min(wait_s, left_s, _LONGEST_PAUSE_S)))
        self._ended_s, self._ended = monotonic_s(), self.publisher.counts.published

    def end(self, *, timeout_s: float = 1.0) -> None:
        """Says goodbye for every node that is connected and waits for the last confirmations. Raises BrokerAway when
        they do not come within `timeout_s`."""
        publisher = self.publisher
        publisher.stop, publisher.patience_s = (lambda: False), timeout_s
        publisher.poll()
        self._send(m for m in self.fleet.leave(now_ms()) if publisher.is_up(self._connection[m.node]))
        publisher.flush(timeout_s)

    def summary(self, wanted_per_s: float) -> Summary:
        elapsed_s = max((self._ended_s or monotonic_s()) - self._start_s, 1e-9) if self._start_s else 0.0
        counts = self.publisher.counts
        return Summary(
            devices=len(self.fleet),
            nodes=len(self.fleet.nodes),
            connections=len(self.publisher.nodes),
            elapsed_s=round(elapsed_s, 3),
            world_s=round(elapsed_s * self.speed, 3),
            published=counts.published,
            acked=counts.acked,
            refused=counts.refused,
            reconnects=counts.reconnects,
            greeting_msgs=self._greeting,
            msgs_per_s=round((self._ended - self._greeting) / elapsed_s, 1) if elapsed_s else 0.0,
            wanted_per_s=round(wanted_per_s, 1),
            skipped_reports=self.fleet.skipped,
            said=tuple(self._said),
        )

    def _send(self, messages: Iterable[Message], stop: Callable[[], bool] = lambda: False) -> None:
        publish, connection = self.publisher.publish, self._connection
        for n, message in enumerate(messages):
            via = connection[message.node]
            if message.qos > self._qos:
                message = message._replace(qos=self._qos)
            publish(message if via == message.node else message._replace(node=via))
            if n % 64 == 63:
                self.publisher.poll()
                if stop():
                    return

    def _progress(self, rate_per_s: float) -> Progress:
        elapsed_s = monotonic_s() - self._start_s
        return Progress(
            elapsed_s=elapsed_s,
            world_s=elapsed_s * self.speed,
            published=self.publisher.counts.published,
            acked=self.publisher.counts.acked,
            rate_per_s=rate_per_s,
            connected=self.publisher.connected,
        )
