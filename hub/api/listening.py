"""The web server's side of a connection, with bounds: idle or half-said requests may not use up the hub's descriptors."""

from __future__ import annotations

import asyncio
import resource
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CONNECTIONS = 600
PATIENCE_S = 10.0


class BoundedProtocol(H11Protocol):
    """HTTP/1.1 as uvicorn speaks it; closes connections that are too many, or that say no whole request for `patience_s`."""

    most = MOST_CONNECTIONS
    patience_s = PATIENCE_S
    _watch: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if len(self.connections) > self.most:
            transport.abort()
            return
        self._watch = self.loop.call_later(self.patience_s, self._look)

    def _look(self) -> None:
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:
            self.transport.abort()
            return
        self._watch = self.loop.call_later(self.patience_s, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._watch is not None:
            self._watch.cancel()
        super().connection_lost(exc)


def allow_descriptors(wanted: int = 65_536) -> int:
    """Raises this process's limit of open files towards `wanted`, as far as the system lets it. Returns the limit in force."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft == resource.RLIM_INFINITY or soft >= most:
        return soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most
