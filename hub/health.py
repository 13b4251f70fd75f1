"""How each part of the hub is, in words for its operator."""

from __future__ import annotations

from collections.abc import Callable

from hub.api.parts import PartHealth
from hub.clock import ForwardClock
from hub.errors import Unavailable
from hub.ingest.gb26875_listener import Listener
from hub.ingest.mqtt import PahoSession
from hub.stores.history import HistoryStore
from hub.stores.ledger import Ledger


def of_loops(alive: bool) -> PartHealth:
    return PartHealth(state="ok") if alive else PartHealth(state="down", detail="a thread is not running")


def of_session(session: PahoSession, *, required: bool = True) -> Callable[[], PartHealth]:
    def ask() -> PartHealth:
        well = session.connected and not session.trouble
        return PartHealth(state="ok" if well else "down", detail=session.trouble, required=required)

    return ask


def of_listener(listener: Listener) -> Callable[[], PartHealth]:
    """Of the port that fire-alarm units call."""

    def ask() -> PartHealth:
        return PartHealth(state="ok" if listener.connected else "down", detail=listener.trouble)

    return ask


def of_clock(clock: ForwardClock) -> Callable[[], PartHealth]:
    def ask() -> PartHealth:
        clock()
        if clock.ahead_ms < 1_000:
            return PartHealth(state="ok", required=False)
        ahead_s = clock.ahead_ms // 1_000
        detail = f"the system's clock was set back; the hub's is {ahead_s} s ahead until a restart"
        return PartHealth(state="degraded", detail=detail, required=False)

    return ask


def of_configuration(trouble: str) -> PartHealth:
    return PartHealth(state="degraded" if trouble else "ok", detail=trouble, required=False)


def of_self_audit(trouble: str, *, alive: bool) -> PartHealth:
    """What is not accounted for makes the hub degraded, not unready: alarms go their way all the same."""
    if not alive:
        return PartHealth(state="degraded", detail="the thread is not running", required=False)
    return PartHealth(state="degraded" if trouble else "ok", detail=trouble, required=False)


def of_ledger(ledger: Ledger) -> PartHealth:
    try:
        ledger.ping()
    except Unavailable as away:
        return PartHealth(state="down", detail=str(away))
    return PartHealth(state="ok")


def of_history(history: HistoryStore) -> PartHealth:
    if history.ping():
        return PartHealth(state="ok", required=False)
    return PartHealth(state="degraded", detail="the history store does not answer; charts are behind", required=False)
