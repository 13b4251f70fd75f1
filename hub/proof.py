"""Builds what proves that the hub works: its self-audit, the heartbeat outside that hangs on it, and synthetic fires."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hub.api.parts import PartHealth
from hub.audit.alarms import Dialects, JournalAlarms, watched_at_once
from hub.audit.deadman import Deadman
from hub.audit.self_audit import SelfAudit
from hub.audit.synthetic import QUANTITY, TestFires, devices_in
from hub.canary import CODEC, event
from hub.clock import Clock
from hub.dispatch.channels.channel import secret_of
from hub.documents import Document
from hub.errors import ConfigError
from hub.loops import Loop
from hub.pipeline import CONSUMER
from hub.registry.snapshot import Registry
from hub.rules.ruleset import RuleSet
from hub.settings import Settings
from hub.stores.account_queries import AccountQueries
from hub.stores.audit_log import AuditLog
from hub.stores.journal import Journal

_FIRST_S = 20.0
"""After a start the hub has to catch up before anything can be missing."""


@dataclass(frozen=True, slots=True)
class Proof:
    """`loops` are to be started; `close` ends a heartbeat under way."""

    audit: SelfAudit
    loops: tuple[Loop, ...]
    close: Callable[[], None]


def prove(
    settings: Settings,
    document: Document,
    *,
    accounts: AccountQueries,
    audit_log: AuditLog,
    registry: Callable[[], Registry],
    rules: Callable[[], RuleSet],
    journal: Journal,
    position: tuple[int, str] | None,
    dialects: Dialects,
    native: str | None,
    publish: Callable[[str, bytes], bool],
    parts: Mapping[str, Callable[[], PartHealth]],
    clock: Clock,
) -> Proof:
    """`position`: where the rules have recorded the journal to, and its identity. `native`: the topic root of the native dialect.

    Raises ConfigError when the heartbeat's address is not there or is none.
    """
    wrong = settings.heartbeat.missing(os.environ)
    if wrong:
        raise ConfigError([document.complain(("heartbeat", *path), message, remedy) for path, message, remedy in wrong])
    loops: list[Loop] = []
    fires: TestFires | None = None
    if native is not None and settings.test_fires.every_h:
        root = native
        fires = TestFires(
            lambda: devices_in(registry(), CODEC, root),
            publish,
            lambda active, now_ms: event(QUANTITY, active=active, now_ms=now_ms),
            accounts,
            audit_log,
            clock,
            memory=settings.data / "test-fires.json",
            every_s=settings.test_fires.every_h * 3_600,
        )
        loops.append(fires.loop)
    deadman = None
    if settings.heartbeat.wanted:
        deadman = Deadman(settings.heartbeat, secret_of(settings.heartbeat, "url", os.environ), settings.site, clock)
    pause = threading.Event()
    audit = SelfAudit(
        accounts,
        audit_log,
        clock,
        alarms=JournalAlarms(
            journal,
            dialects,
            registry,
            lambda: watched_at_once(rules()),
            position=position[0] if position is not None and position[1] == journal.identity else journal.head,
            breathe=lambda: pause.wait(0.002),
        ),
        parts=lambda: {name: ask() for name, ask in parts.items() if name != "self-audit"},
        consumer=CONSUMER,
        failed_test_fires=lambda: fires.failed if fires is not None else (),
        afterwards=deadman.after if deadman is not None else lambda audited: None,
        first_s=_FIRST_S,
    )
    return Proof(audit, (*loops, audit.loop), deadman.close if deadman is not None else lambda: None)
