"""Looks every half minute whether all is accounted for: journal → alert → notification → answer, timers, parts, audit log."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, get_args

from hub.audit.account import Finding, Kind, accounted
from hub.audit.alarms import Said
from hub.clock import Clock
from hub.errors import Unavailable
from hub.loops import Loop
from hub.stores.account_queries import AccountQueries
from hub.stores.audit_log import AuditLog, Head
from hub.telemetry import AUDIT_AT, AUDIT_FINDINGS, log

EVERY_S = 30.0
GRACE_MS = 10_000
"""So long an alarm may take from the journal to its alert, a timer and a notification to be dealt with."""

_STUCK_MS = 60_000
_STOPPED_MS = 60_000
_WHOLE_LOG_EVERY_MS = 3_600_000
_MOST_SHOWN = 20


class Part(Protocol):
    """How a part of the hub is (`hub.health`)."""

    @property
    def state(self) -> str: ...
    @property
    def detail(self) -> str: ...
    @property
    def required(self) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """One look. `checked` says how many of each there were; `head` is the newest row of the audit log."""

    at_ms: int
    findings: tuple[Finding, ...]
    checked: Mapping[str, int]
    head: Head | None

    @property
    def good(self) -> bool:
        return not self.findings


class SelfAudit:
    """One owner thread (`loop`) calls `step`; `last` may be read from any thread.

    `alarms()` gives what devices have said since it was last asked (nothing in a process without a journal); `parts()` the
    health of the hub's parts; `afterwards` is told of every look, also of one that could not be made because the ledger is away (None).
    """

    def __init__(
        self,
        accounts: AccountQueries,
        audit_log: AuditLog,
        clock: Clock,
        *,
        alarms: Callable[[], Sequence[Said]] = lambda: (),
        parts: Callable[[], Mapping[str, Part]] = dict,
        consumer: str = "",
        failed_test_fires: Callable[[], Iterable[str]] = lambda: (),
        afterwards: Callable[[Audited | None], None] = lambda audited: None,
        every_s: float = EVERY_S,
        first_s: float = 0.0,
    ) -> None:
        self._accounts, self._log, self._clock = accounts, audit_log, clock
        self._alarms, self._parts, self._consumer = alarms, parts, consumer
        self._failed_test_fires, self._afterwards, self._every_s = failed_test_fires, afterwards, every_s
        self._open: dict[tuple[str, str], Said] = {}  # said, and not found in the ledger yet
        self._head: Head | None = None
        self._verified_at_ms = 0
        self._told: frozenset[Finding] = frozenset()
        self._first_s = first_s
        self.last: Audited | None = None
        self.loop = Loop("self-audit", self.step)

    def step(self) -> float:
        """One look; the first one `first_s` after the start. Returns the seconds to wait."""
        if self._first_s:
            wait_s, self._first_s = self._first_s, 0.0
            return wait_s
        try:
            self.last = self._look()
        except Unavailable:
            self._afterwards(None)
            raise
        self._tell(self.last)
        self._afterwards(self.last)
        return self._every_s

    @property
    def trouble(self) -> str:
        """What was found last, for the health page; "" when all is well, or nobody has looked yet."""
        if self.last is None or self.last.good:
            return ""
        first, others = self.last.findings[0], len(self.last.findings) - 1
        return f"{first.kind} {first.subject}".rstrip() + (f" (and {others} more)" if others else "")

    def _look(self) -> Audited:
        now_ms = self._clock()
        checked: dict[str, int] = {}
        findings = [
            *self._journalled(now_ms, checked),
            *self._alerts(now_ms, checked),
            *self._overdue(now_ms),
            *self._chain(now_ms, checked),
            *self._stopped(now_ms),
        ]
        return Audited(at_ms=now_ms, findings=tuple(findings), checked=checked, head=self._head)

    def _journalled(self, now_ms: int, checked: dict[str, int]) -> Iterator[Finding]:
        """Alarms of the journal that no alert followed. One that was found is not asked for again."""
        said = self._alarms()
        checked["alarms_in_journal"] = len(said)
        for one in said:
            self._open.setdefault((one.device, one.quantity), one)
        for key, one in list(self._open.items()):
            if now_ms - one.at_ms < GRACE_MS:
                continue
            if self._accounts.has_episode(one.device, one.quantity, one.at_ms, grace_ms=_STUCK_MS):
                del self._open[key]
            else:
                yield Finding(
                    kind="no_alert", subject=one.device, detail=f"{one.quantity}, journal position {one.position}"
                )

    def _alerts(self, now_ms: int, checked: dict[str, int]) -> Iterator[Finding]:
        count = 0
        for account in self._accounts.live(("P1", "P2")):
            count += 1
            yield from accounted(account, now_ms).findings
        checked["open_alarms"] = count

    def _overdue(self, now_ms: int) -> Iterator[Finding]:
        for alert, step, due_ms in self._accounts.overdue_timers(now_ms - GRACE_MS):
            yield Finding(
                kind="timer_overdue", subject=alert, detail=f"step {step}, {(now_ms - due_ms) // 1_000} s late"
            )
        for number, alert, channel, due_ms in self._accounts.stuck(now_ms - _STUCK_MS):
            detail = f"notification {number} by {channel}, {(now_ms - due_ms) // 1_000} s late"
            yield Finding(kind="delivery_stuck", subject=alert, detail=detail)

    def _chain(self, now_ms: int, checked: dict[str, int]) -> Iterator[Finding]:
        whole = self._head is None or not 0 <= now_ms - self._verified_at_ms < _WHOLE_LOG_EVERY_MS
        found = self._log.verify(since=None if whole else self._head)
        if whole and found.good:
            self._verified_at_ms = now_ms
        checked["audit_rows"] = found.rows
        if found.broken is not None:
            yield Finding(kind="chain_broken", subject=f"row {found.broken.number}", detail=found.broken.why)
        elif found.head is not None:
            self._head = found.head

    def _stopped(self, now_ms: int) -> Iterator[Finding]:
        moved_ms = self._accounts.cursor_moved_at_ms(self._consumer) if self._consumer else None
        if moved_ms is not None and now_ms - moved_ms > _STOPPED_MS:
            yield Finding(kind="pipeline_stopped", detail=f"for {(now_ms - moved_ms) // 1_000} s")
        for name, part in self._parts().items():
            if part.state == "down" and part.required:
                yield Finding(kind="part_down", subject=name, detail=part.detail)
        for device in self._failed_test_fires():
            yield Finding(kind="test_fire_failed", subject=device)

    def _tell(self, audited: Audited) -> None:
        AUDIT_AT.set(audited.at_ms / 1_000)
        for kind in get_args(Kind):
            AUDIT_FINDINGS.labels(kind=kind).set(sum(finding.kind == kind for finding in audited.findings))
        now = {finding_without_times(finding) for finding in audited.findings}
        new = [f for f in audited.findings if finding_without_times(f) not in self._told]
        for finding in new[:_MOST_SHOWN]:
            log.error("audit.not_accounted_for", kind=finding.kind, subject=finding.subject, detail=finding.detail)
        if self._told and not now:
            log.info("audit.all_accounted_for")
        self._told = frozenset(now)


def finding_without_times(finding: Finding) -> Finding:
    """The finding as far as it stays the same from look to look."""
    return Finding(kind=finding.kind, subject=finding.subject)
