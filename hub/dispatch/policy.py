"""Who is told when: the escalation policy as loaded from escalation.yaml."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from hub import documents
from hub.dispatch.channels import CHANNELS
from hub.dispatch.roster import minute_of_day, within
from hub.dispatch.routing import TELLS, Tell
from hub.documents import Document, Strict
from hub.errors import Complaint, ConfigError
from hub.model.alerts import Alert
from hub.model.rules import SEVERITIES
from hub.wrong_values import near

Unless = Literal["acknowledged", "on_scene", "closed"]


def _minute(value: Any) -> Any:
    """ "20:00" as minutes after midnight. Unquoted, YAML 1.1 reads 20:00 as the number 1200, which is the same minutes."""
    if isinstance(value, str) and (found := re.fullmatch(r"(\d{1,2}):(\d{2})", value)):
        hour, minute = int(found[1]), int(found[2])
        if hour < 24 and minute < 60:
            return hour * 60 + minute
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1_440:
        return value
    raise ValueError('a time of day is written "HH:MM", 00:00 to 23:59')


MinuteOfDay = Annotated[int, BeforeValidator(_minute)]


class Night(Strict):
    """The hours in which the shorter waits count, on the wall clock of the site. May run over midnight."""

    start: MinuteOfDay = 20 * 60
    end: MinuteOfDay = 6 * 60

    def at(self, at_ms: int, zone: str) -> bool:
        return self.start != self.end and within(minute_of_day(at_ms, zone), self.start, self.end)


class Step(Strict):
    """One rung: `after_s` seconds after the alarm, `unless` it was answered by then, tell these people."""

    tell: tuple[Tell, ...] = Field(min_length=1)
    after_s: int = Field(0, ge=0, le=86_400)
    night_after_s: int | None = Field(None, ge=0, le=86_400)
    unless: Unless = "closed"
    channels: tuple[str, ...] = ()  # () = every channel that the hub has

    def due_s(self, *, night: bool) -> int:
        return self.night_after_s if night and self.night_after_s is not None else self.after_s


class Ladder(Strict):
    """The rungs of one severity. `repeat_s`: after the last rung tell everybody again at this pace `repeat_unless`.

    `go_on_s`: once that was answered, tell the others again at this pace until somebody is on scene: one who says "I go" is
    no proof that anybody arrives.
    """

    steps: tuple[Step, ...] = Field(min_length=1)
    repeat_s: int | None = Field(None, ge=10, le=3_600)
    repeat_unless: Unless = "acknowledged"
    go_on_s: int | None = Field(None, ge=10, le=3_600)
    every_contact: bool = False  # True: all contacts of a person at once; False: the best one, the next when it fails

    @model_validator(mode="after")
    def _climbs(self) -> Ladder:
        if self.steps[0].due_s(night=False) or self.steps[0].due_s(night=True):
            raise ValueError("the first step must be at once: after_s 0")
        for night in (False, True):
            waits = [step.due_s(night=night) for step in self.steps]
            if any(later <= earlier for earlier, later in pairwise(waits)):
                which = "at night" if night else "by day"
                raise ValueError(f"each step must come later than the one before; {which} they come after {waits} s")
        for number, step in enumerate(self.steps):
            if step.night_after_s is not None and step.night_after_s > step.after_s:
                raise ValueError(f"step {number} waits longer at night ({step.night_after_s} s) than by day")
        return self

    def pace(self, alert: Alert) -> tuple[int, Unless] | None:
        """Seconds until everybody is told again after the last rung, and what makes that needless; None when it is over."""
        if self.repeat_s is not None and not answered(alert, self.repeat_unless):
            return self.repeat_s, self.repeat_unless
        if self.go_on_s is not None and not answered(alert, "on_scene"):
            return self.go_on_s, "on_scene"
        return None

    @property
    def fit_for_fire(self) -> bool:
        """Whether a P1 may climb it: it begins at the station and repeats until somebody answers."""
        return self.repeat_s is not None and "station" in self.steps[0].tell

    def told_by(self, alert: Alert, now_ms: int, *, night: bool) -> tuple[Step, ...]:
        """The rungs whose people have been told by `now_ms`: due, and not answered before they were due."""
        return tuple(
            step
            for n, step in enumerate(self.steps)
            if n == 0
            or (
                (due_ms := since_ms(alert) + step.due_s(night=night) * 1_000) <= now_ms
                and not answered(alert, step.unless, by_ms=due_ms)
            )
        )

    def deadline_s(self, unless: Unless, *, night: bool) -> int | None:
        """Seconds after the alarm at which the ladder climbs because nobody has acknowledged or arrived."""
        return next((s.due_s(night=night) for s in self.steps if s.unless == unless and s.after_s), None)


class Severities(Strict):
    P1: Ladder
    P2: Ladder
    P3: Ladder
    P4: Ladder

    @model_validator(mode="after")
    def _fire_is_never_given_up(self) -> Severities:
        if self.P1.repeat_s is None:
            raise ValueError("the ladder of P1 must repeat until somebody answers: give it repeat_s, e.g. 60")
        if "station" not in self.P1.steps[0].tell:
            raise ValueError("the first step of P1 must tell the station")
        return self


class Incidents(Strict):
    """Alerts of P3 and P4 of one rule at one place (building, else grid) that come within `window_s` of each other are one
    incident: the first is told at once, those that follow together at the end of each window. 0 = each by itself."""

    window_s: int = Field(1_800, ge=0, le=86_400)


class EscalationPolicy(Strict):
    """Everything in escalation.yaml. `reinforce[n]` is told at the n-th call for reinforcement, the last one from then on.

    `rules`: ladders of single rules (by id), which stand before the ladder of their severity.
    """

    severities: Severities
    rules: dict[str, Ladder] = {}
    incidents: Incidents = Incidents()
    night: Night = Night()
    reinforce: tuple[tuple[Tell, ...], ...] = Field(
        (("backup_station", "community"), ("backup_stations", "street")), min_length=1
    )

    def ladder(self, severity: str) -> Ladder:
        found: Ladder = getattr(self.severities, severity if severity in SEVERITIES else "P1")
        return found

    def ladder_of(self, alert: Alert) -> Ladder:
        """The ladder that `alert` climbs: of its rule, else of its severity. A P1 is never given up, whatever its rule's says."""
        own = self.rules.get(alert.rule_id)
        if own is None or (alert.severity == "P1" and not own.fit_for_fire):
            return self.ladder(alert.severity)
        return own

    def deadlines_s(self, alert: Alert, zone: str) -> tuple[int | None, int | None]:
        """Seconds in which it must be acknowledged, and somebody on scene; None where the ladder does not ask."""
        ladder, night = self.ladder_of(alert), self.night.at(since_ms(alert), zone)
        return ladder.deadline_s("acknowledged", night=night), ladder.deadline_s("on_scene", night=night)


def since_ms(alert: Alert) -> int:
    """When the ladder began: at the alarm, not when the hub got to it; after an outage it is late already.

    An alert that fires again climbs from the beginning, from the receipt of its latest occurrence.
    """
    return alert.raised_at_ms if alert.occurrences <= 1 else max(alert.received_at_ms, alert.raised_at_ms)


def answered(alert: Alert, unless: Unless, *, by_ms: int | None = None) -> bool:
    """Whether what `unless` names has happened to `alert` (by `by_ms`)."""
    if not alert.live and (by_ms is None or (alert.closed_at_ms is not None and alert.closed_at_ms <= by_ms)):
        return True
    moment = {"acknowledged": alert.acked_at_ms, "on_scene": alert.on_scene_at_ms, "closed": alert.closed_at_ms}[unless]
    if unless == "acknowledged" and moment is None:
        moment = alert.on_scene_at_ms  # who stands there has taken it
    return moment is not None and (by_ms is None or moment <= by_ms)


def load_policy(path: Path, *, channels: Collection[str] = tuple(CHANNELS)) -> EscalationPolicy:
    """The policy in the file at `path`. Raises ConfigError with every complaint, each with file, line and key."""
    document, complaints = documents.read(path)
    if document is None:
        raise ConfigError(complaints)
    policy, wrong = documents.check(EscalationPolicy, document)
    complaints += wrong
    if policy is not None:
        complaints += _unknown_channels(policy, document, channels)
    if policy is None or complaints:
        raise ConfigError(complaints)
    return policy


def _unknown_channels(policy: EscalationPolicy, document: Document, channels: Collection[str]) -> list[Complaint]:
    ladders: list[tuple[tuple[str, str], Ladder]] = []
    ladders += [(("severities", severity), policy.ladder(severity)) for severity in SEVERITIES]
    ladders += [(("rules", rule), ladder) for rule, ladder in policy.rules.items()]
    return [
        document.complain(
            (*at, "steps", n, "channels", k), f"{channel!r} is not a channel", f"use {', '.join(sorted(channels))}"
        )
        for at, ladder in ladders
        for n, step in enumerate(ladder.steps)
        for k, channel in enumerate(step.channels)
        if channel not in channels
    ]


def wrong_rules(path: Path, policy: EscalationPolicy, severities: Mapping[str, str]) -> list[Complaint]:
    """What is wrong with the ladders of single rules, given the severity of each rule in force (by its id)."""
    document, complaints = documents.read(path)
    if document is None:
        return complaints
    found = []
    for rule, ladder in policy.rules.items():
        if rule not in severities:
            remedy = near(rule, severities, "remove it, or write the rule")
            found.append(document.complain(("rules", rule), "there is no rule with this id", remedy))
        elif severities[rule] == "P1" and not ladder.fit_for_fire:
            found.append(
                document.complain(
                    ("rules", rule),
                    "the ladder of a P1 rule must begin at the station and repeat; that of P1 is used instead",
                    "tell the station in its first step, and give it repeat_s, e.g. 60",
                )
            )
    return found


__all__ = [
    "TELLS", "EscalationPolicy", "Incidents", "Ladder", "Night", "Step", "Unless", "answered", "load_policy", "since_ms",
    "wrong_rules",
]  # fmt: skip
