"""A bare publisher and a bare subscriber on plain sockets, each run as a process of its own.

python -m tests.bench.raw_peer publish PORT QOS FILE [RATE]   sends the packets of FILE (made by `pack`), prints JSON
python -m tests.bench.raw_peer subscribe PORT QOS COUNT       counts publishes (acknowledging QoS 1), prints JSON
"""

from __future__ import annotations

import json
import pickle
import select
import socket
import sys
import time
from pathlib import Path

from tests.bench.load import connect_packet, publish_packet, subscribe_packet

_WINDOW = 2_000
_QUIET_S = 2.0


def pack(path: Path, messages: list[tuple[str, bytes]], qos: int, marked: tuple[int, ...] = ()) -> None:
    """Writes the packets of `messages` for `publish`; `marked` are the numbers of those whose time is wanted."""
    packets = [publish_packet(t, p, qos, n % 65_535 + 1) for n, (t, p) in enumerate(messages)]
    path.write_bytes(pickle.dumps((packets, frozenset(marked))))


def _connected(port: int, name: str) -> socket.socket:
    peer = socket.create_connection(("127.0.0.1", port))
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    peer.sendall(connect_packet(name))
    assert peer.recv(4)[0] == 0x20
    return peer


def _packets(buffer: bytearray) -> tuple[int, int, list[int]]:
    """(bytes used, publishes and acknowledgements seen, packet ids of QoS 1 publishes) of the whole packets in `buffer`."""
    at, seen, ids, end = 0, 0, [], len(buffer)
    while at + 2 <= end:
        length, shift, body = 0, 0, at + 1
        while True:
            if body >= end:
                return at, seen, ids
            digit = buffer[body]
            body += 1
            length |= (digit & 0x7F) << shift
            shift += 7
            if digit < 0x80:
                break
        if body + length > end:
            break
        kind = buffer[at] >> 4
        if kind == 3:
            seen += 1
            if buffer[at] & 0x06:
                topic = buffer[body] << 8 | buffer[body + 1]
                ids.append(buffer[body + 2 + topic] << 8 | buffer[body + 3 + topic])
        elif kind == 4:
            seen += 1
        at = body + length
    return at, seen, ids


def publish(port: int, qos: int, packets: list[bytes], marked: frozenset[int], rate: float) -> dict[str, object]:
    peer = _connected(port, "bench-publisher")
    peer.setblocking(False)
    began = time.perf_counter()
    sent, acked, waiting, buffer = 0, 0, b"", bytearray()
    left: dict[int, int] = {}
    while sent < len(packets) or waiting or (qos and acked < len(packets)):
        due = len(packets) if not rate else min(len(packets), int((time.perf_counter() - began) * rate) + 1)
        if qos:
            due = min(due, acked + _WINDOW)
        if not waiting and sent < due:
            until = min(due, sent + 500)
            waiting = b"".join(packets[sent:until])
            left.update((n, time.perf_counter_ns()) for n in range(sent, until) if n in marked)
            sent = until
        readable, writable, _ = select.select([peer], [peer] if waiting else [], [], 0.002 if not waiting else 1.0)
        if writable:
            waiting = waiting[peer.send(waiting) :]
        if readable:
            buffer += peer.recv(262_144)
            used, seen, _ = _packets(buffer)
            del buffer[:used]
            acked += seen
    return {"messages": sent, "seconds": time.perf_counter() - began, "left_ns": left}


def subscribe(port: int, qos: int, count: int) -> dict[str, float]:
    peer = _connected(port, "bench-subscriber")
    peer.sendall(subscribe_packet("sc/v1/#", qos))
    print("ready", flush=True)
    buffer, seen, began, last = bytearray(), 0, 0.0, 0.0
    peer.settimeout(_QUIET_S)
    while seen < count:
        try:
            buffer += peer.recv(262_144)
        except TimeoutError:
            if seen:
                break
            continue
        used, found, ids = _packets(buffer)
        del buffer[:used]
        if found and not seen:
            began = time.perf_counter()
        seen += found
        last = time.perf_counter()
        if ids:
            peer.sendall(b"".join(b"\x40\x02" + i.to_bytes(2, "big") for i in ids))
    return {"messages": seen, "seconds": last - began}


if __name__ == "__main__":
    what, port, qos = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    if what == "publish":
        rate = float(sys.argv[5]) if len(sys.argv) > 5 else 0.0
        print(json.dumps(publish(port, qos, *pickle.loads(Path(sys.argv[4]).read_bytes()), rate)), flush=True)
    else:
        print(json.dumps(subscribe(port, qos, int(sys.argv[4]))), flush=True)
