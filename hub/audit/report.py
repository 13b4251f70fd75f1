"""The report for a time: every alarm with what became of it, whatever is not accounted for, and the state of the audit log."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from hub.audit.account import Accounted, Finding, accounted
from hub.audit.alarms import Said
from hub.stores.account_queries import AccountQueries
from hub.stores.audit_log import AuditLog, Head, Verified

SEVERITIES = ("P1", "P2")
GRACE_MS = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TestFire:
    """A synthetic fire: how long its way took, or what was missing."""

    at_ms: int
    grid: str
    device: str
    after_ms: int | None
    missing: str

    __test__ = False  # not a class of tests


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What happened in [from, to) as of `made_at_ms`. `journal_alarms`: alarms that the journal has; None: it was not read."""

    site: str
    zone: str
    from_ms: int
    to_ms: int
    made_at_ms: int
    alarms: tuple[Accounted, ...]
    findings: tuple[Finding, ...]
    journal_alarms: int | None
    log: Verified
    fires: tuple[TestFire, ...]
    untested: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether every alarm is accounted for, and the log that says so is whole."""
        return not self.findings and self.log.good


@dataclass(frozen=True, slots=True)
class Accounts:
    """Where a report comes from."""

    queries: AccountQueries
    log: AuditLog


def collect(
    accounts: AccountQueries,
    audit_log: AuditLog,
    *,
    site: str,
    zone: str,
    from_ms: int,
    to_ms: int,
    now_ms: int,
    said: Iterable[Said] | None = None,
    untested: Sequence[str] = (),
    kept: Head | None = None,
    seen: Callable[[Accounted], None] = lambda one: None,
) -> Report:
    """The report. `said`: alarms that were read from the journal, each of which must have become an alert; None: not read."""
    alarms = []
    for account in accounts.fired(from_ms, to_ms, severities=SEVERITIES):
        alarms.append(accounted(account, now_ms))
        seen(alarms[-1])
    findings = [finding for one in alarms for finding in one.findings]
    journal_alarms = None
    if said is not None:
        journal_alarms = 0
        for one in said:
            journal_alarms += 1
            if not accounts.has_episode(one.device, one.quantity, one.at_ms, grace_ms=GRACE_MS):
                detail = f"{one.quantity}, journal position {one.position}"
                findings.append(Finding(kind="no_alert", subject=one.device, detail=detail))
    return Report(
        site=site,
        zone=zone,
        from_ms=from_ms,
        to_ms=to_ms,
        made_at_ms=now_ms,
        alarms=tuple(alarms),
        findings=tuple(findings),
        journal_alarms=journal_alarms,
        log=audit_log.verify(kept=kept),
        fires=tuple(_fire(*row) for row in accounts.test_fires(from_ms, to_ms)),
        untested=tuple(untested),
    )


def _fire(at_ms: int, action: str, detail: str) -> TestFire:
    said: dict[str, Any] = json.loads(detail)
    after_ms = said.get("after_ms")
    return TestFire(
        at_ms=at_ms,
        grid=str(said.get("grid", "")),
        device=str(said.get("device", "")),
        after_ms=int(after_ms) if isinstance(after_ms, int) else None,
        missing=str(said.get("missing", "")) if action == "test_fire_failed" else "",
    )
