"""Whether an alarm is accounted for: told, answered, or still climbing. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from hub.i18n import _ as mark
from hub.stores.account_queries import Account, Told

CONSOLE = "console"
REACHED = ("sent", "accepted", "delivered", "read")
REACH_WITHIN_MS = 60_000
"""So long an alarm may be on its way to people; then it counts as having reached nobody."""

Kind = Literal[
    "no_alert", "no_delivery", "nobody_reached", "not_climbing", "timer_overdue", "delivery_stuck", "pipeline_stopped",
    "chain_broken", "part_down", "test_fire_failed",
]  # fmt: skip
Verdict = Literal["answered", "closed", "climbing", "told", "quiet", "unaccounted"]

WORDS: dict[Kind, str] = {
    "no_alert": mark("an alarm is in the journal and no alert followed"),
    "no_delivery": mark("nobody was to be told"),
    "nobody_reached": mark("no notification got through"),
    "not_climbing": mark("nobody has answered, and nothing more is planned"),
    "timer_overdue": mark("an escalation is overdue"),
    "delivery_stuck": mark("a notification is overdue and nobody carries it"),
    "pipeline_stopped": mark("the rules do not get on"),
    "chain_broken": mark("the audit log was changed"),
    "part_down": mark("a part of the hub is down"),
    "test_fire_failed": mark("a test fire did not get through"),
}
VERDICTS: dict[Verdict, str] = {
    "answered": mark("acknowledged"),
    "closed": mark("closed"),
    "climbing": mark("open, escalating"),
    "told": mark("told"),
    "quiet": mark("kept quiet on purpose"),
    "unaccounted": mark("NOT ACCOUNTED FOR"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that is not accounted for. `subject` is an id (alert, device, part), `detail` for the operator."""

    kind: Kind
    subject: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounted:
    """An alarm with its verdict, and the evidence for it."""

    account: Account
    verdict: Verdict
    findings: tuple[Finding, ...]
    first_reached: Told | None
    reached_people: bool

    @property
    def reached_after_ms(self) -> int | None:
        first = self.first_reached
        at_ms = first and (first.accepted_at_ms or first.sent_at_ms)
        return None if not first or not at_ms else max(at_ms - first.created_at_ms, 0)


def accounted(account: Account, now_ms: int) -> Accounted:
    """What became of the alarm, as of `now_ms`."""
    reached = [told for told in account.told if told.state in REACHED]
    people = [told for told in reached if told.channel != CONSOLE]
    first = min(people or reached, key=lambda told: told.accepted_at_ms or told.sent_at_ms or 0, default=None)
    findings = tuple(_missing(account, bool(people), now_ms))
    return Accounted(
        account=account,
        verdict="unaccounted" if findings else _verdict(account),
        findings=findings,
        first_reached=first,
        reached_people=bool(people),
    )


def is_quiet(account: Account) -> bool:
    """Whether people have said that nobody is to be told: shelved, out of service, silenced, told later with others."""
    return bool(getattr(account.alert, "quiet", "")) or account.alert.bundled_until_ms is not None


def _answered(account: Account) -> bool:
    alert = account.alert
    return alert.acked_at_ms is not None or alert.on_scene_at_ms is not None or not alert.live


def _missing(account: Account, people: bool, now_ms: int) -> Iterator[Finding]:
    alert = account.alert
    if _answered(account) or is_quiet(account):
        return
    since_ms = max(account.fired_at_ms, default=alert.raised_at_ms)
    if not account.told:
        if now_ms - since_ms > REACH_WITHIN_MS or not account.timers:
            yield Finding(kind="no_delivery", subject=alert.id, detail=f"{alert.device_id} {alert.rule_id}")
    elif alert.severity == "P1" and not people and now_ms - since_ms > REACH_WITHIN_MS:
        states = ", ".join(sorted({f"{told.channel} {told.state}" for told in account.told}))
        yield Finding(kind="nobody_reached", subject=alert.id, detail=states)
    if alert.severity == "P1" and not account.timers and now_ms - since_ms > REACH_WITHIN_MS:
        yield Finding(kind="not_climbing", subject=alert.id, detail=f"escalation level {alert.escalation_level}")


def _verdict(account: Account) -> Verdict:
    alert = account.alert
    if not alert.live:
        return "closed"
    if _answered(account):
        return "answered"
    if is_quiet(account):
        return "quiet"
    return "climbing" if account.timers else "told"
