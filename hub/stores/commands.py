"""Commands to devices, in the ledger: planned once, moved from state to state, each step with its audit row in one transaction."""

from __future__ import annotations

import builtins
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, Select, func, insert, select, text, update

from hub.model.alerts import Actor, Alert
from hub.model.commands import Ban, Command, CommandState
from hub.stores import audit_log
from hub.stores.alert_rows import alert_of, locked
from hub.stores.alert_scope import scoped
from hub.stores.ledger import Ledger
from hub.stores.schema import alerts, command_bans, commands, episodes

HUB: Final = "hub"
_CHUNK = 400
_MOST = 500
_OPEN = text("state IN ('planned', 'sent', 'unconfirmed', 'expired')")
"""As the index of open commands says it, else SQLite does not use that."""


class Step(NamedTuple):
    """What becomes of a command: its new state, what the audit calls it, who did it, and what else changes with it."""

    to: CommandState
    audit: str
    reason: str = ""
    actor: str = HUB
    changes: Mapping[str, Any] = {}
    detail: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What the ledger knows around a command at the moment of a step: its alert, what the rule saw last, and the bans in force."""

    alert: Alert | None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    bans: tuple[Ban, ...] = ()


class Commands:
    """Thread-safe, and safe for several hubs on one ledger. Every method raises `Unavailable` while the ledger is away."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    # -- what is to be done -------------------------------------------------------------------------------------------

    def plan(self, planned: Collection[Command], *, actor: str = HUB, detail: Mapping[str, Any] | None = None) -> int:
        """Takes those that are not there yet, each with its audit row. How many that were."""

        def work(connection: Connection) -> int:
            known: set[str] = set()
            ids = [one.id for one in planned]
            for at in range(0, len(ids), _CHUNK):
                found = connection.execute(select(commands.c.id).where(commands.c.id.in_(ids[at : at + _CHUNK])))
                known.update(row.id for row in found)
            fresh = list({one.id: one for one in planned if one.id not in known}.values())
            if fresh:
                connection.execute(insert(commands), [_row(one) for one in fresh])
                self._audit(
                    connection, [_entry(one, "command_planned", actor, one.reason, detail or {}) for one in fresh]
                )
            return len(fresh)

        return self._ledger.transact(work) if planned else 0

    def step(
        self, command_id: str, decide: Callable[[Command, Around], Step | None], *, at_ms: int
    ) -> tuple[Command, Step] | None:
        """Locks the command (and its alert), asks `decide`, and does what it says. None when it says nothing.

        `decide` must be pure: the transaction may begin again. What it is told is true until the step is committed.
        """

        def work(connection: Connection) -> tuple[Command, Step] | None:
            row = connection.execute(select(commands).where(commands.c.id == command_id)).first()
            if row is None:
                return None
            alert_id = row.alert_id
            alert = next(iter(locked(connection, [alert_id])), None) if alert_id is not None else None
            row = connection.execute(select(commands).where(commands.c.id == command_id).with_for_update()).one()
            before = _command(row)
            around = Around(alert=alert, evidence=_evidence(connection, alert_id), bans=_bans(connection, at_ms))
            decided = decide(before, around)
            if decided is None:
                return None
            changes = {"state": decided.to, **decided.changes}
            if decided.reason:
                changes["reason"] = decided.reason
            connection.execute(update(commands).where(commands.c.id == command_id).values(**changes))
            after = _command(connection.execute(select(commands).where(commands.c.id == command_id)).one())
            entry = _entry(after, decided.audit, decided.actor, decided.reason, decided.detail, at_ms, before.state)
            self._audit(connection, [entry])
            return after, decided

        return self._ledger.transact(work)

    def note(self, command: Command, action: str, detail: Mapping[str, Any], *, at_ms: int, actor: str = HUB) -> None:
        """An audit row about a command that stays as it is."""
        entry = _entry(command, action, actor, "", detail, at_ms, command.state)
        self._ledger.transact(lambda connection: self._audit(connection, [entry]))

    def _audit(self, connection: Connection, entries: list[dict[str, Any]]) -> None:
        number = self._ledger.number_audit(connection)
        audit_log.append(connection, [{"id": number + n, **entry} for n, entry in enumerate(entries)])

    # -- what there is ------------------------------------------------------------------------------------------------

    def triggers(self, rules: Collection[str], after: int, *, limit: int = _MOST) -> tuple[builtins.list[Alert], int]:
        """Live alerts of `rules` that changed after `after`, in the order of their last change; and up to which change that is all."""
        with self._ledger.read() as connection:
            newest = int(connection.execute(select(func.coalesce(func.max(alerts.c.change), 0))).scalar_one())
            if newest <= after:
                return [], after
            statement = select(alerts).where(
                alerts.c.change > after,
                alerts.c.change <= newest,
                alerts.c.live,
                alerts.c.rule_id.in_(sorted(rules)),
            )
            found = [alert_of(row) for row in connection.execute(statement.order_by(alerts.c.change).limit(limit))]
        return found, found[-1].change if len(found) == limit else newest

    def unsettled(self, *, decided_since_ms: int) -> builtins.list[Command]:
        """Those that are planned or sent, and unconfirmed ones decided since then: a late read-back still counts."""
        late = (commands.c.state == "unconfirmed") & (commands.c.done_at_ms >= decided_since_ms)
        statement = select(commands).where(_OPEN, (commands.c.state.in_(("planned", "sent"))) | late)
        return self._many(statement.order_by(commands.c.planned_at_ms, commands.c.id))

    def one(self, command_id: str, *, scope: Actor | None = None) -> Command | None:
        statement = select(commands).where(
            commands.c.id == command_id, *scoped(scope, commands.c.grid, commands.c.station)
        )
        return next(iter(self._many(statement)), None)

    def list(
        self,
        *,
        scope: Actor | None,
        alert: str | None = None,
        device: str | None = None,
        action: str | None = None,
        states: Collection[CommandState] = (),
        since_ms: int | None = None,
        limit: int = 100,
    ) -> builtins.list[Command]:
        """Commands, the latest first."""
        wanted = [*scoped(scope, commands.c.grid, commands.c.station)]
        same = {"alert_id": alert, "device_id": device, "action_id": action}
        wanted += [commands.c[name] == value for name, value in same.items() if value is not None]
        if states:
            wanted.append(commands.c.state.in_(sorted(states)))
        if since_ms is not None:
            wanted.append(commands.c.planned_at_ms >= since_ms)
        statement = select(commands).where(*wanted)
        statement = statement.order_by(commands.c.planned_at_ms.desc(), commands.c.id).limit(max(1, min(limit, _MOST)))
        return self._many(statement)

    def _many(self, statement: Select[Any]) -> builtins.list[Command]:
        with self._ledger.read() as connection:
            return [_command(row) for row in connection.execute(statement)]

    # -- bans ---------------------------------------------------------------------------------------------------------

    def ban(self, ban: Ban) -> Ban:
        """Takes a new ban; returns it with its number."""

        def work(connection: Connection) -> Ban:
            row = {name: value for name, value in asdict(ban).items() if name != "id"}
            number = connection.execute(insert(command_bans).values(**row)).inserted_primary_key
            taken = Ban(**{**asdict(ban), "id": int(number[0]) if number else 0})
            self._audit(connection, [_ban_entry(taken, "command_ban", ban.actor, ban.since_ms)])
            return taken

        return self._ledger.transact(work)

    def lift(self, ban_id: int, actor: str, now_ms: int) -> Ban | None:
        """Ends a ban before its time; None when there is none that holds."""

        def work(connection: Connection) -> Ban | None:
            wanted = (
                command_bans.c.id == ban_id,
                command_bans.c.ended_at_ms.is_(None),
                command_bans.c.until_ms > now_ms,
            )
            row = connection.execute(select(command_bans).where(*wanted).with_for_update()).first()
            if row is None:
                return None
            ended = {"ended_at_ms": now_ms, "ended_by": actor}
            connection.execute(update(command_bans).where(command_bans.c.id == ban_id).values(**ended))
            lifted = Ban(**{**row._mapping, **ended})
            self._audit(connection, [_ban_entry(lifted, "command_ban_lifted", actor, now_ms)])
            return lifted

        return self._ledger.transact(work)

    def bans(self, now_ms: int, *, scope: Actor | None = None) -> builtins.list[Ban]:
        """The bans that hold now. One of all devices is everybody's to see."""
        with self._ledger.read() as connection:
            found = _bans(connection, now_ms)
        return [ban for ban in found if scope is None or not ban.device_id or scope.may_see(ban.grid, ban.station)]


def _bans(connection: Connection, now_ms: int) -> tuple[Ban, ...]:
    statement = select(command_bans).where(command_bans.c.until_ms > now_ms, command_bans.c.ended_at_ms.is_(None))
    return tuple(Ban(**row._mapping) for row in connection.execute(statement.order_by(command_bans.c.id)))


def _evidence(connection: Connection, alert_id: str | None) -> Mapping[str, Any]:
    """What the rule saw when the alert's condition last began to hold."""
    if alert_id is None:
        return {}
    statement = select(episodes.c.evidence).where(episodes.c.alert_id == alert_id, episodes.c.id.not_like("chatter:%"))
    said = connection.execute(
        statement.order_by(episodes.c.raised_at_ms.desc(), episodes.c.start_ms.desc()).limit(1)
    ).scalar()
    found = json.loads(said) if said else {}
    return found if isinstance(found, dict) else {}


def _row(command: Command) -> dict[str, Any]:
    return {**asdict(command), "wanted": json.dumps(command.wanted)}


def _command(row: Row[Any]) -> Command:
    return Command(**{**row._mapping, "wanted": json.loads(row.wanted)})


def _entry(
    command: Command,
    action: str,
    actor: str,
    reason: str,
    detail: Mapping[str, Any],
    at_ms: int | None = None,
    before: str = "",
) -> dict[str, Any]:
    about: dict[str, Any] = {
        "command": command.id,
        "action": command.action_id,
        "device": command.device_id,
        "set": {command.quantity: command.wanted},
        "mode": command.mode,
        "ground": command.ground,
        **({"reason": reason} if reason else {}),
        **detail,
        "state": {"from": before, "to": command.state},
    }
    return {
        "alert_id": command.alert_id,
        "at_ms": command.planned_at_ms if at_ms is None else at_ms,
        "actor": actor,
        "action": action,
        "detail": json.dumps(about, ensure_ascii=False),
    }


def _ban_entry(ban: Ban, action: str, actor: str, at_ms: int) -> dict[str, Any]:
    about = {name: value for name, value in asdict(ban).items() if value not in (None, "")}
    return {
        "alert_id": None,
        "at_ms": at_ms,
        "actor": actor,
        "action": action,
        "detail": json.dumps(about, ensure_ascii=False),
    }
