"""Fire-alarm transmission units over TCP (GB/T 26875.3): a second way into the same journal, beside MQTT.

A unit sends frames and waits for an acknowledgement; it gets one only after its frame stands in the journal, so what it may forget
is never lost. A frame with a wrong checksum is refused, set aside and never believed. One thread owns all connections.
"""

from __future__ import annotations

import selectors
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from hub.clock import Clock
from hub.ingest.codecs import HandWritten
from hub.ingest.codecs.gb26875 import NAME, Frame, Gb26875Codec, acknowledgement, read_frame
from hub.ingest.router import Source
from hub.ingest.session import Receipt
from hub.model.readings import Envelope
from hub.telemetry import log

LANE: Final = "gb26875"
ROOT: Final = "gb26875"
_HEAD: Final = 27
_LEAST: Final = 30
_MOST_BODY: Final = 1_024
_MOST_WAITING: Final = 64 * 1_024
_MOST_CONNECTIONS: Final = 1_000
_SILENT_MS: Final = 30 * 60_000
_UNANSWERED: Final = frozenset((3, 6))  # acknowledgement and refusal: to answer these would never end

__all__ = ["LANE", "NAME", "ROOT", "Listener", "source", "split"]


def split(waiting: bytearray) -> list[bytes]:
    """Takes the whole frames out of `waiting`, true ones and such with a wrong checksum; skips what is none. Keeps the rest."""
    found: list[bytes] = []
    at, end = 0, len(waiting)
    while True:
        begin = waiting.find(b"@@", at)
        if begin < 0:
            at = max(at, end - waiting.endswith(b"@"))
            break
        at = begin
        if end - at < _HEAD:
            break
        size = _LEAST + int.from_bytes(waiting[at + 24 : at + 26], "little")
        if size > _LEAST + _MOST_BODY:
            at += 1  # no frame begins here
        elif end - at < size:
            break
        elif waiting[at + size - 2 : at + size] == b"##":
            found.append(bytes(waiting[at : at + size]))
            at += size
        else:
            at += 1
    del waiting[:at]
    return found


def refused(data: bytes) -> Frame | None:
    """The frame that `data` would be with a right checksum: whom to tell that it was not."""
    said = read_frame(data[:-3] + bytes((sum(data[2:-3]) & 0xFF,)) + data[-2:])
    return None if isinstance(said, str) else said


def source(others: Sequence[Source]) -> Source:
    """The source that reads what a listener takes: it wants no topic of the broker. Below the root of one in `others`, if any has it."""
    root = next((other.root for other in others if other.codec == NAME), ROOT)
    kind = HandWritten(make=Gb26875Codec, filters=lambda root: (), usual_root=ROOT, root_of=lambda topic: ROOT)
    return Source(codec=NAME, root=root, kind=kind)


@dataclass(slots=True)
class _Unit:
    number: int
    peer: str
    socket: socket.socket
    heard_ms: int
    waiting: bytearray = field(default_factory=bytearray)
    out: bytearray = field(default_factory=bytearray)
    unanswered: dict[int, Frame] = field(default_factory=dict)
    next: int = 1


class Listener:
    """Takes frames from units into `take`; `ack` answers them. Thread-safe where said so.

    `lane` is what receipts of this listener carry, as with a broker's session.
    """

    lane = LANE

    def __init__(
        self, host: str, port: int, take: Callable[[Envelope], None], clock: Clock, *, zone: str, root: str = ROOT
    ) -> None:
        """Opens the port; raises OSError when it cannot be had."""
        self._take, self._clock, self._zone, self._root = take, clock, ZoneInfo(zone), root
        self._server = socket.create_server((host, port), backlog=128)
        self._server.setblocking(False)
        self.port = int(self._server.getsockname()[1])
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._server, selectors.EVENT_READ)
        self._selector.register(self._wake_in, selectors.EVENT_READ)
        self._units: dict[int, _Unit] = {}
        self._next = 1
        self._acks: deque[Receipt] = deque()
        self._stopping = threading.Event()
        self._looked_ms = 0
        self.frames = self.bad = 0
        self._thread = threading.Thread(target=self._run, name=LANE, daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def connected(self) -> bool:
        return self._thread.is_alive()

    @property
    def trouble(self) -> str:
        return "" if self.connected else "the thread is not running"

    def ack(self, receipt: Receipt) -> None:
        """Tells the unit that its frame stands in the journal. Safe from any thread; a connection that is gone is passed over."""
        self._acks.append(receipt)
        self._wake()

    def stop(self) -> None:
        """Closes the port and all connections. What was not acknowledged, the units send again. Idempotent."""
        self._stopping.set()
        self._wake()
        if self._thread.is_alive():
            self._thread.join(3.0)
        for unit in list(self._units.values()):
            self._drop(unit, "")
        for one in (self._server, self._wake_in, self._wake_out):
            one.close()

    def _wake(self) -> None:
        try:
            self._wake_out.send(b"x")
        except OSError:
            pass  # it is awake already, or over

    # -- the thread -----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping.is_set():
            for key, events in self._selector.select(1.0):
                if key.fileobj is self._server:
                    self._accept()
                elif key.fileobj is self._wake_in:
                    _drain(self._wake_in)
                else:
                    self._serve(key.data, events)
            self._answer()
            self._look()

    def _accept(self) -> None:
        try:
            connection, peer = self._server.accept()
        except OSError:
            return
        if len(self._units) >= _MOST_CONNECTIONS:
            connection.close()
            log.warning("gb26875.too_many_connections", most=_MOST_CONNECTIONS)
            return
        connection.setblocking(False)
        unit = _Unit(number=self._next, peer=f"{peer[0]}:{peer[1]}", socket=connection, heard_ms=self._clock())
        self._next += 1
        self._units[unit.number] = unit
        self._selector.register(connection, selectors.EVENT_READ, unit)
        log.info("gb26875.connected", peer=unit.peer)

    def _serve(self, unit: _Unit, events: int) -> None:
        try:
            if events & selectors.EVENT_WRITE:
                self._send(unit)
            if not events & selectors.EVENT_READ:
                return
            said = unit.socket.recv(65_536)
        except BlockingIOError:
            return
        except OSError as lost:
            self._drop(unit, str(lost))
            return
        if not said:
            self._drop(unit, "closed")
            return
        unit.heard_ms = self._clock()
        unit.waiting += said
        for data in split(unit.waiting):
            self._frame(unit, data)

    def _frame(self, unit: _Unit, data: bytes) -> None:
        now_ms = self._clock()
        frame = read_frame(data)
        if isinstance(frame, str):
            self.bad += 1
            whose = refused(data)
            self._take(
                Envelope(f"{self._root}/{whose.source if whose else 'unknown'}", data, now_ms)
            )  # the codec sets it aside
            if whose is not None and whose.command not in _UNANSWERED:
                self._say(unit, acknowledgement(whose, self._six(now_ms), accepted=False))
            return
        self.frames += 1
        receipt = None
        if frame.command not in _UNANSWERED:
            receipt = Receipt(LANE, unit.number, unit.next, 1)
            unit.unanswered[unit.next] = frame
            unit.next += 1
        self._take(Envelope(f"{self._root}/{frame.source}", data, now_ms, False, receipt))

    def _answer(self) -> None:
        while self._acks:
            receipt = self._acks.popleft()
            unit = self._units.get(receipt.connection)
            frame = unit.unanswered.pop(receipt.packet_id, None) if unit is not None else None
            if unit is not None and frame is not None:
                self._say(unit, acknowledgement(frame, self._six(self._clock())))

    def _say(self, unit: _Unit, data: bytes) -> None:
        unit.out += data
        if len(unit.out) > _MOST_WAITING:
            self._drop(unit, "takes no answers")
            return
        try:
            self._send(unit)
        except OSError as lost:
            self._drop(unit, str(lost))

    def _send(self, unit: _Unit) -> None:
        try:
            sent = unit.socket.send(unit.out) if unit.out else 0
        except BlockingIOError:
            sent = 0
        del unit.out[:sent]
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if unit.out else 0)
        self._selector.modify(unit.socket, wanted, unit)

    def _look(self) -> None:
        """Ends connections that have been silent for long: a unit that is cut off does not say so."""
        now_ms = self._clock()
        if 0 <= now_ms - self._looked_ms < 60_000:
            return
        self._looked_ms = now_ms
        for unit in [u for u in self._units.values() if now_ms - u.heard_ms > _SILENT_MS]:
            self._drop(unit, "silent")

    def _drop(self, unit: _Unit, why: str) -> None:
        if self._units.pop(unit.number, None) is None:
            return
        try:
            self._selector.unregister(unit.socket)
        except (KeyError, ValueError):
            pass
        unit.socket.close()
        if why:
            log.info("gb26875.gone", peer=unit.peer, why=why)

    def _six(self, at_ms: int) -> bytes:
        """Second, minute, hour, day, month, year, by the wall clock of the site."""
        at = datetime.fromtimestamp(at_ms / 1_000, self._zone)
        return bytes((at.second, at.minute, at.hour, at.day, at.month, at.year % 100))


def _drain(wake: socket.socket) -> None:
    try:
        while wake.recv(4_096):
            pass
    except OSError:
        pass
