"""The desk's SQL: reads alerts under row locks, and writes everything that one transaction decided (a `Sheet`)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Table, bindparam, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from hub.model.alerts import Alert, Incident
from hub.model.cases import Case
from hub.model.deliveries import NewTimer
from hub.model.readings import QuarantineRow
from hub.stores import audit_log, case_rows, incident_rows, shelving_rows
from hub.stores.ledger import Ledger
from hub.stores.schema import alerts, audit, cursors, deliveries, episodes, quarantine, timers

CHUNK = 500
HELP = "reinforce"
_PAYLOAD_BYTES = 65_536
_QUARANTINE_ROWS = 10_000


class Episode(NamedTuple):
    """One time that a condition began to hold; `alert_id` is the alert it belongs to (None: a pressed test button).

    `evidence` (a JSON object) is written with a new one and never read back here.
    """

    id: str
    alert_id: str | None
    rule_id: str
    device_id: str
    start_ms: int
    raised_at_ms: int
    cleared_at_ms: int | None
    evidence: str | None = None


class Entry(NamedTuple):
    """An audit row before it has its number. `moves` says whether the alert itself changed (then it gets the number)."""

    alert_id: str | None
    at_ms: int
    actor: str
    action: str
    from_state: str = ""
    to_state: str = ""
    detail: Mapping[str, Any] = {}
    moves: bool = True


class Cancel(NamedTuple):
    """Queued deliveries of an alert that are no longer needed: these `needed_while`, but not calls for help if `keep_help`."""

    alert_id: str
    needed_while: tuple[str, ...]
    reason: str
    keep_help: bool = False

    def means(self, row: Mapping[str, Any]) -> bool:
        spared = self.keep_help and row["transition"].startswith(HELP)
        return row["needed_while"] in self.needed_while and not spared


@dataclass(slots=True)
class Sheet:
    """All that one transaction decided. `alerts` are in their final state; `new` names those that are inserted."""

    alerts: dict[str, Alert] = field(default_factory=dict)
    new: set[str] = field(default_factory=set)
    changed: set[str] = field(default_factory=set)
    entries: list[Entry] = field(default_factory=list)
    episodes: dict[str, Episode] = field(default_factory=dict)
    new_episodes: set[str] = field(default_factory=set)
    cleared_episodes: set[str] = field(default_factory=set)
    incidents: dict[str, Incident] = field(default_factory=dict)
    new_incidents: set[str] = field(default_factory=set)
    changed_incidents: set[str] = field(default_factory=set)
    cases: dict[str, Case] = field(default_factory=dict)
    new_cases: set[str] = field(default_factory=set)
    changed_cases: set[str] = field(default_factory=set)
    ended_shelvings: dict[int, str] = field(default_factory=dict)  # who ended it
    deliveries: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # by alert
    cancels: list[Cancel] = field(default_factory=list)
    timers: dict[str, dict[int, NewTimer]] = field(default_factory=dict)  # by alert, then step
    stopped_timers: set[str] = field(default_factory=set)  # alerts
    done_timers: list[int] = field(default_factory=list)
    later_timers: list[tuple[int, int]] = field(default_factory=list)  # timer id, due_at_ms

    def put(self, alert: Alert) -> None:
        """Takes the new state of a known alert."""
        self.alerts[alert.id] = alert
        self.changed.add(alert.id)

    def put_case(self, case: Case, *, new: bool = False) -> None:
        """Takes a new case, or the new state of a known one."""
        self.cases[case.id] = case
        (self.new_cases if new else self.changed_cases).add(case.id)

    def deliver(self, row: dict[str, Any]) -> None:
        self.deliveries.setdefault(row["alert_id"], []).append(row)

    def time(self, timer: NewTimer) -> None:
        self.timers.setdefault(timer.alert_id, {})[timer.step] = timer

    def cancel(self, cancel: Cancel) -> None:
        """Nobody needs these any more: neither those waiting in the outbox nor those planned a moment ago."""
        self.cancels.append(cancel)
        planned = self.deliveries.get(cancel.alert_id, ())
        self.deliveries[cancel.alert_id] = [row for row in planned if not cancel.means(row)]

    def stop_timers(self, alert_id: str) -> None:
        self.stopped_timers.add(alert_id)
        self.timers.pop(alert_id, None)

    @property
    def planned(self) -> list[dict[str, Any]]:
        """Every delivery to be queued."""
        return [row for rows in self.deliveries.values() for row in rows]


_ALERT_COLUMNS = tuple(column.name for column in alerts.columns)
_EPISODE = tuple(episodes.c[name] for name in Episode._fields if name != "evidence")
_UPDATE_ALERT = update(alerts).where(alerts.c.id == bindparam("key"))
_CLEAR_EPISODE = update(episodes).where(episodes.c.id == bindparam("key"))
_MOVE_CURSOR = update(cursors).where(cursors.c.consumer == bindparam("key"))


def alert_of(row: Row[Any]) -> Alert:
    return Alert(**row._mapping)


def _row_of(alert: Alert) -> dict[str, Any]:
    return {name: getattr(alert, name) for name in _ALERT_COLUMNS}


def live_ids(connection: Connection, rule_ids: Iterable[str], device_ids: Iterable[str]) -> list[str]:
    """Ids of the live alerts of any of these rules on any of these devices."""
    rules = sorted(set(rule_ids))
    statement = select(alerts.c.id).where(alerts.c.live, alerts.c.rule_id.in_(bindparam("rules", expanding=True)))
    statement = statement.where(alerts.c.device_id.in_(bindparam("devices", expanding=True)))
    found: list[str] = []
    for part in _chunks(sorted(set(device_ids))):
        found += connection.execute(statement, {"rules": rules, "devices": part}).scalars()
    return found


def locked(connection: Connection, ids: Iterable[str], *, skip_locked: bool = False) -> list[Alert]:
    """These alerts, their rows locked until the end of the transaction. Always in the order of ids: nobody deadlocks."""
    statement = select(alerts).where(alerts.c.id.in_(bindparam("ids", expanding=True))).order_by(alerts.c.id)
    statement = statement.with_for_update(key_share=True, skip_locked=skip_locked)
    found: list[Alert] = []
    for part in _chunks(sorted(set(ids))):
        found += map(alert_of, connection.execute(statement, {"ids": part}))
    return found


def episodes_by_id(connection: Connection, ids: Iterable[str]) -> dict[str, Episode]:
    statement = select(*_EPISODE).where(episodes.c.id.in_(bindparam("ids", expanding=True)))
    return {
        row.id: Episode(*row)
        for part in _chunks(sorted(set(ids)))
        for row in connection.execute(statement, {"ids": part})
    }


def open_episodes(connection: Connection, alert_ids: Iterable[str]) -> dict[str, Episode]:
    """Episodes of these alerts that have not cleared, by their own id."""
    statement = select(*_EPISODE).where(
        episodes.c.alert_id.in_(bindparam("ids", expanding=True)), episodes.c.cleared_at_ms.is_(None)
    )
    return {
        row.id: Episode(*row)
        for part in _chunks(sorted(set(alert_ids)))
        for row in connection.execute(statement, {"ids": part})
    }


def conditions(connection: Connection) -> list[tuple[str, str, int, str]]:
    """(rule, device, start of the episode, alarm state) of what holds now, and of live alerts whose condition is gone."""
    holding = connection.execute(
        select(episodes.c.rule_id, episodes.c.device_id, episodes.c.start_ms, alerts.c.alarm_state)
        .join(alerts, alerts.c.id == episodes.c.alert_id)
        .where(episodes.c.cleared_at_ms.is_(None))
        .order_by(episodes.c.raised_at_ms, episodes.c.id)
    )
    gone = connection.execute(
        select(alerts.c.rule_id, alerts.c.device_id, alerts.c.episode_start_ms, alerts.c.alarm_state)
        .where(alerts.c.live, alerts.c.alarm_state.not_in(("active_unacked", "active_acked")))
        .order_by(alerts.c.raised_at_ms, alerts.c.id)
    )
    return [(r, d, start, state) for r, d, start, state in (*holding, *gone)]


def due_timers(connection: Connection, now_ms: int, limit: int) -> list[tuple[int, str]]:
    """(id, alert) of pending timers that are due, the earliest first. Takes no lock."""
    statement = select(timers.c.id, timers.c.alert_id).where(timers.c.state == "pending", timers.c.due_at_ms <= now_ms)
    rows = connection.execute(statement.order_by(timers.c.due_at_ms, timers.c.id).limit(limit))
    return [(number, alert_id) for number, alert_id in rows]


def due_timers_of(connection: Connection, alert_ids: Iterable[str], now_ms: int) -> list[tuple[int, str, int]]:
    """(id, alert, step) of due timers of these alerts, whose rows the caller has locked."""
    statement = select(timers.c.id, timers.c.alert_id, timers.c.step).where(
        timers.c.alert_id.in_(bindparam("ids", expanding=True)),
        timers.c.state == "pending",
        timers.c.due_at_ms <= now_ms,
    )
    rows = connection.execute(statement.order_by(timers.c.due_at_ms, timers.c.step), {"ids": sorted(set(alert_ids))})
    return [(number, alert_id, step) for number, alert_id, step in rows]


def calls_for_help(connection: Connection, alert_id: str) -> list[tuple[int, str]]:
    """(at_ms, actor) of the calls for reinforcement so far, oldest first."""
    statement = select(audit.c.at_ms, audit.c.actor).where(audit.c.alert_id == alert_id, audit.c.action == "reinforce")
    return [(at_ms, actor) for at_ms, actor in connection.execute(statement.order_by(audit.c.id))]


def position_of(connection: Connection, consumer: str) -> tuple[int, str] | None:
    row = connection.execute(
        select(cursors.c.position, cursors.c.journal).where(cursors.c.consumer == consumer)
    ).first()
    return None if row is None else (row.position, row.journal)


def move_cursor(connection: Connection, consumer: str, journal: str, position: int, now_ms: int) -> None:
    values = {"position": position, "journal": journal, "updated_at_ms": now_ms}
    if connection.execute(_MOVE_CURSOR, {"key": consumer, **values}).rowcount == 0:
        connection.execute(insert(cursors), [{"consumer": consumer, **values}])


def write(ledger: Ledger, connection: Connection, sheet: Sheet, now_ms: int) -> int:
    """Writes `sheet`. Returns the highest audit number, which is the change number of what moved last; 0 if none."""
    over = [sheet.alerts[key] for key in sheet.changed if not sheet.alerts[key].live]
    ended = sorted({alert.incident_id for alert in over if alert.incident_id is not None})
    incident_rows.lock(connection, ended)
    change = _write_alerts(ledger, connection, sheet) if sheet.entries else 0
    shelving_rows.end(connection, sheet.ended_shelvings, now_ms)
    incident_rows.write(connection, sheet.incidents, new=sheet.new_incidents, changed=sheet.changed_incidents)
    incident_rows.close_ended(connection, ended, now_ms)
    _cancel_queued(connection, sheet.cancels)
    _write_timers(connection, sheet, now_ms)
    add_deliveries(connection, sheet.planned)
    return change


def _write_alerts(ledger: Ledger, connection: Connection, sheet: Sheet) -> int:
    first = ledger.number_audit(connection)
    changes = {
        entry.alert_id: number
        for number, entry in enumerate(sheet.entries, first)
        if entry.alert_id is not None and entry.moves
    }
    rows = {
        key: _plain({**_row_of(sheet.alerts[key]), "change": changes.get(key, sheet.alerts[key].change)})
        for key in sorted(sheet.new | sheet.changed)
    }
    _many(connection, insert(alerts), [row for key, row in rows.items() if key in sheet.new])
    _many(
        connection,
        _UPDATE_ALERT,
        [{**row, "key": row.pop("id")} for key, row in rows.items() if key not in sheet.new],
    )
    _many(connection, insert(episodes), [sheet.episodes[key]._asdict() for key in sorted(sheet.new_episodes)])
    ended = sorted(sheet.cleared_episodes - sheet.new_episodes)
    _many(
        connection,
        _CLEAR_EPISODE,
        [{"key": key, "cleared_at_ms": sheet.episodes[key].cleared_at_ms} for key in ended],
    )
    case_rows.write(connection, sheet.cases, sheet.new_cases, sheet.changed_cases)
    audit_log.append(connection, [_audit_row(number, entry) for number, entry in enumerate(sheet.entries, first)])
    about_cases = [(number, entry) for number, entry in enumerate(sheet.entries, first) if entry.alert_id is None]
    case_rows.link(connection, ((number, e.detail["case"]) for number, e in about_cases if "case" in e.detail))
    return first + len(sheet.entries) - 1


def _audit_row(number: int, entry: Entry) -> dict[str, Any]:
    row = {**entry._asdict(), "id": number, "detail": json.dumps(dict(entry.detail), ensure_ascii=False)}
    del row["moves"]
    return _plain(row)


def _cancel_queued(connection: Connection, cancels: list[Cancel]) -> None:
    alike: dict[tuple[Any, ...], list[str]] = {}
    for alert_id, *what in cancels:
        alike.setdefault(tuple(what), []).append(alert_id)
    for (needed_while, reason, keep_help), ids in alike.items():
        spared = [deliveries.c.transition.not_like(f"{HELP}%")] if keep_help else []
        for part in _chunks(sorted(set(ids))):
            connection.execute(
                update(deliveries)
                .where(deliveries.c.alert_id.in_(part), deliveries.c.state == "queued", *spared)
                .where(deliveries.c.needed_while.in_(needed_while))
                .values(state="cancelled", reason=reason, lease_owner=None, lease_until_ms=None)
            )


def add_deliveries(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """Queues deliveries; one that exists already (same alert, transition, recipient, channel) stays as it is."""
    _many(connection, upsert(connection, deliveries).on_conflict_do_nothing(), [_plain(row) for row in rows])


def _write_timers(connection: Connection, sheet: Sheet, now_ms: int) -> None:
    if sheet.done_timers:
        done = update(timers).where(timers.c.id.in_(sheet.done_timers), timers.c.state == "pending")
        connection.execute(done.values(state="done", done_at_ms=now_ms))
    for number, due_at_ms in sheet.later_timers:
        connection.execute(update(timers).where(timers.c.id == number).values(due_at_ms=due_at_ms))
    for part in _chunks(sorted(sheet.stopped_timers)):
        stop = update(timers).where(timers.c.alert_id.in_(part), timers.c.state == "pending")
        connection.execute(stop.values(state="cancelled", done_at_ms=now_ms))
    rows = [
        {"alert_id": timer.alert_id, "step": timer.step, "due_at_ms": timer.due_at_ms, "state": "pending"}
        for steps in sheet.timers.values()
        for timer in steps.values()
    ]
    statement = upsert(connection, timers)
    _many(
        connection,
        statement.on_conflict_do_update(
            index_elements=["alert_id", "step"],
            set_={"due_at_ms": statement.excluded.due_at_ms, "state": "pending", "done_at_ms": None},
        ),
        rows,
    )


def keep_rejected(connection: Connection, rows: Sequence[QuarantineRow]) -> None:
    """Adds to the quarantine. A row that is not newer than what is there has been counted before (a replay)."""
    statement = upsert(connection, quarantine)
    new, old = statement.excluded, quarantine.c
    newer = (new.last_at_ms > old.last_at_ms) | ((new.last_at_ms == old.last_at_ms) & (new.position > old.position))
    taken = ("codec", "detail", "address", "last_at_ms", "position", "payload")
    _many(
        connection,
        statement.on_conflict_do_update(
            index_elements=["topic", "reason"],
            set_={**{name: new[name] for name in taken}, "count": old.count + new["count"]},
            where=newer,
        ),
        [
            _plain(
                {
                    **asdict(row),
                    "topic": row.topic[:500],  # an index entry has its limit, a topic may have 64 KiB
                    "reason": row.reason[:200],
                    "detail": row.detail[:2_000],
                    "address": row.address[:500],
                    "payload": row.payload[:_PAYLOAD_BYTES],
                }
            )
            for row in sorted(rows, key=lambda row: (row.topic, row.reason))
        ],
    )


def shorten_quarantine(connection: Connection) -> None:
    """Forgets the oldest entries above the limit: whoever floods us with topics must not fill the disk."""
    if (connection.execute(select(func.count()).select_from(quarantine)).scalar_one()) <= _QUARANTINE_ROWS:
        return
    kept = select(quarantine.c.id).order_by(quarantine.c.last_at_ms.desc(), quarantine.c.id.desc())
    connection.execute(quarantine.delete().where(quarantine.c.id.not_in(kept.limit(_QUARANTINE_ROWS))))


def upsert(connection: Connection, table: Table) -> Any:
    """An INSERT that knows ON CONFLICT, in the connection's dialect."""
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


def _many(connection: Connection, statement: Any, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(statement, rows)


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """PostgreSQL takes neither NUL nor half a surrogate pair in a text; such a byte must not stop an alarm."""
    for key, value in row.items():
        if isinstance(value, str) and not value.isascii():
            row[key] = value.encode("utf-8", "replace").decode("utf-8")
        if isinstance(value, str) and "\x00" in value:
            row[key] = row[key].replace("\x00", "\ufffd")
    return row


def _chunks(values: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(values), CHUNK):
        yield values[start : start + CHUNK]
