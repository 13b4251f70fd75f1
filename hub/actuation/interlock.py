"""May this command go now? Asked when it is planned and again at the moment of sending, in the same transaction that marks it.

Two independent triggers, or one and a person (GB 50116-2013 4.1.6). Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from hub.actuation.planning import ground_of, mode_of
from hub.actuation.table import Action
from hub.model.alerts import Alert
from hub.model.commands import Ban, Command

Verdict = Literal["send", "rehearse", "wait", "lapse", "forbid"]


class Judgement(NamedTuple):
    """What is to be done with a planned command, and why (for the audit; "" where that is plain)."""

    verdict: Verdict
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What is so at this moment. `evidence`: what the rule saw at the alert's latest occurrence. `rule_kind` "" = no such rule.

    `here`: whether the device is in the registry and can be told in its dialect. `ready`: whether the broker can be reached.
    """

    now_ms: int
    action: Action | None
    alert: Alert | None
    rule_kind: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    bans: Sequence[Ban] = ()
    here: bool = True
    ready: bool = True


def judge(command: Command, at: Situation) -> Judgement:
    """The judgement over a planned command. What is not surely allowed is not sent."""
    if at.now_ms >= command.expires_at_ms:
        waited = "nobody approved it in time" if command.needs_a_person else "it could not be sent in time"
        return Judgement("lapse", waited)
    action = at.action
    if (
        action is None
        or action.set.one != (command.quantity, command.wanted)
        or command.device_id not in action.devices
    ):
        return Judgement("forbid", "the configuration does not name it any more")
    if not at.here:
        return Judgement("forbid", "no source speaks a dialect in which this device can be told")
    for ban in at.bans:
        if ban.covers(command.action_id, command.device_id, at.now_ms):
            return Judgement("forbid", f"forbidden by {ban.actor_name}: {ban.reason}")
    if command.mode == "test":
        if not action.tests_reach_devices:
            return Judgement("rehearse", "a test stops before the broker")
        return Judgement("send" if at.ready else "wait")
    held = _held(command, at, action)
    if held is not None:
        return held
    assert at.alert is not None  # else it is held
    mode, why = mode_of(action, at.alert)
    if command.mode == "dry" or mode == "dry":
        return Judgement("rehearse", command.reason or why)
    return Judgement("send") if at.ready else Judgement("wait", "the broker cannot be reached")


def _held(command: Command, at: Situation, action: Action) -> Judgement | None:
    """What the interlock says against a real command."""
    alert = at.alert
    if alert is None or not alert.live:
        return Judgement("forbid", "the alarm is over")
    if ground_of(action, alert.rule_id) is None:
        return Judgement("forbid", "this rule does not call for it any more")
    if command.ground == "confirmed":
        if ground_of(action, alert.rule_id) != "confirmed" or at.rule_kind != "correlate":
            return Judgement("forbid", "the rule needs one trigger only, and nobody approved it")
        if triggers(at.evidence) < 2:
            return Judgement("forbid", "fewer than two independent triggers are on record")
    elif command.approved_by is None:
        return Judgement("wait", "one trigger: a person has to approve it")
    return None


def triggers(evidence: Mapping[str, Any]) -> int:
    """How many independent triggers a correlation has seen: different devices, or different rules of one device."""
    members = evidence.get("members")
    if not isinstance(members, list):
        return 0
    return len({(m.get("rule"), m.get("device")) for m in members if isinstance(m, Mapping)})
