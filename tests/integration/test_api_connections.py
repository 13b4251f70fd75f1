"""Connections that say nothing, or half a request, do not take the hub's descriptors away from alarms."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from hub.api.listening import BoundedProtocol, allow_descriptors
from tests.support.pace import patient


class Small(BoundedProtocol):
    most = 5
    patience_s = 0.6


async def app(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def port() -> Iterator[int]:
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=0, http=Small, lifespan="off", log_level="error")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(5)


def connect(port: int, said: bytes = b"") -> socket.socket:
    peer = socket.create_connection(("127.0.0.1", port), timeout=5)
    peer.sendall(said)
    return peer


def closed(peer: socket.socket) -> bool:
    try:
        return peer.recv(100) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "])
def test_a_connection_that_says_no_whole_request_is_closed(port: int, said: bytes) -> None:
    peer = connect(port, said)
    began = time.monotonic()
    assert closed(peer)
    assert 0.3 < time.monotonic() - began < patient(4)


def test_more_connections_than_allowed_are_closed_and_the_others_are_served(port: int) -> None:
    kept = [connect(port) for _ in range(4)]
    good = connect(port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert good.recv(1_000).startswith(b"HTTP/1.1 200")
    assert closed(connect(port))
    for peer in [*kept, good]:
        peer.close()


def test_the_limit_of_open_files_is_raised_as_far_as_the_system_allows() -> None:
    assert allow_descriptors(64) >= 64
