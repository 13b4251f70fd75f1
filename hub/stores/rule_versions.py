"""The history of the rules: every set of files that ran or was asked for, who wanted it and why. Entries only ever come on top."""

from __future__ import annotations

import builtins
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, and_, insert, or_, select, update

from hub.stores import audit_log
from hub.stores.ledger import Ledger
from hub.stores.record_queries import RecordQueries
from hub.stores.schema import rule_versions

FILE = "file"
"""Who changed the rules when somebody edited the files by hand: the hub cannot know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleVersion:
    """One entry. `version` names the content of the files; `summary` says what it changed in its `parent`.

    `applied_at_ms` is when the rules that run became these: None = not yet, or never. `failed` says why the files could not
    be written: such an entry changed nothing.
    """

    id: int
    at_ms: int
    who: str
    why: str
    version: str
    summary: Mapping[str, Any]
    parent: int | None
    rolled_back_to: int | None
    applied_at_ms: int | None
    failed: str | None


_ROW = tuple(rule_versions.c[name] for name in RuleVersion.__dataclass_fields__)


class RuleVersions:
    """Thread-safe. Raises `Unavailable` while the ledger is away."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.record_queries = RecordQueries(ledger)

    def applied_between(self, after_ms: int, until_ms: int) -> builtins.list[RuleVersion]:
        """Entries that came into force in (after_ms, until_ms], oldest first."""
        at = rule_versions.c.applied_at_ms
        wanted = select(*_ROW).where(at > after_ms, at <= until_ms).order_by(at, rule_versions.c.id)
        with self._ledger.read() as connection:
            return [_version(row) for row in connection.execute(wanted)]

    def record(
        self,
        *,
        at_ms: int,
        who: str,
        why: str,
        version: str,
        files: Mapping[str, str],
        summary: Mapping[str, Any],
        rolled_back_to: int | None = None,
    ) -> RuleVersion:
        """Adds an entry on top of the present head, and says so in the audit, both or neither."""

        def work(connection: Connection) -> RuleVersion:
            number = self._ledger.number_audit(connection)  # takes the lock: two hubs cannot add to the same head
            head = _head(connection)
            row: dict[str, Any] = {
                "at_ms": at_ms,
                "who": who,
                "why": why,
                "version": version,
                "files": _json(dict(files)),
                "summary": _json(dict(summary)),
                "parent": None if head is None else head.id,
                "rolled_back_to": rolled_back_to,
            }
            added = connection.execute(insert(rule_versions).returning(rule_versions.c.id), row).scalar_one()
            detail = {"id": added, "version": version, "why": why, "rolled_back_to": rolled_back_to, **summary}
            action = (
                "rules_found" if who == FILE else "rules_changed" if rolled_back_to is None else "rules_rolled_back"
            )
            entry = {"id": number, "at_ms": at_ms, "actor": who, "action": action, "detail": _json(detail)}
            audit_log.append(connection, [entry])
            return _version(connection.execute(select(*_ROW).where(rule_versions.c.id == added)).one())

        return self._ledger.transact(work)

    def applied(self, number: int, at_ms: int) -> None:
        """The rules that run are those of entry `number` now. The first time counts."""
        unset = and_(rule_versions.c.id == number, rule_versions.c.applied_at_ms.is_(None))
        with self._ledger.begin() as connection:
            connection.execute(update(rule_versions).where(unset).values(applied_at_ms=at_ms))

    def failed(self, number: int, at_ms: int, reason: str) -> None:
        """The files of entry `number` could not be written: it counts no longer, and the audit says so."""

        def work(connection: Connection) -> None:
            audited = self._ledger.number_audit(connection)
            connection.execute(update(rule_versions).where(rule_versions.c.id == number).values(failed=reason))
            entry = {"id": audited, "at_ms": at_ms, "actor": "hub", "action": "rules_not_written"}
            audit_log.append(connection, [{**entry, "detail": _json({"id": number, "reason": reason})}])

        self._ledger.transact(work)

    def head(self) -> RuleVersion | None:
        """The newest entry that did not fail."""
        with self._ledger.read() as connection:
            return _head(connection)

    def one(self, number: int) -> RuleVersion | None:
        with self._ledger.read() as connection:
            row = connection.execute(select(*_ROW).where(rule_versions.c.id == number)).first()
        return None if row is None else _version(row)

    def files(self, number: int) -> dict[str, str] | None:
        """The files of entry `number`, name → text."""
        with self._ledger.read() as connection:
            found = connection.execute(select(rule_versions.c.files).where(rule_versions.c.id == number)).scalar()
        return None if found is None else dict(json.loads(found))

    def list(self, *, limit: int, before: int | None = None) -> builtins.list[RuleVersion]:
        """Entries below number `before`, newest first."""
        older = [] if before is None else [rule_versions.c.id < before]
        with self._ledger.read() as connection:
            rows = connection.execute(select(*_ROW).where(*older).order_by(rule_versions.c.id.desc()).limit(limit))
            return [_version(row) for row in rows]

    def of_content(self, version: str) -> RuleVersion | None:
        """The entry that stands for files with content `version` found running now: the newest with that content, if nothing
        else has run or been found since. Entries on top of it that are yet to be applied do not count."""
        same = rule_versions.c.version == version
        run = or_(same, rule_versions.c.applied_at_ms.is_not(None))
        newest = select(*_ROW).where(run, rule_versions.c.failed.is_(None)).order_by(rule_versions.c.id.desc()).limit(1)
        with self._ledger.read() as connection:
            row = connection.execute(newest).first()
        return _version(row) if row is not None and row.version == version else None

    def before(self, entry: RuleVersion) -> RuleVersion | None:
        """What stood before `entry`; for one that went back to an older entry, what stood before that."""
        with self._ledger.read() as connection:
            read = _reader(connection)
            while entry.rolled_back_to is not None and (older := read(entry.rolled_back_to)) is not None:
                entry = older
            return None if entry.parent is None else read(entry.parent)


def _reader(connection: Connection) -> Callable[[int], RuleVersion | None]:
    def read(number: int) -> RuleVersion | None:
        row = connection.execute(select(*_ROW).where(rule_versions.c.id == number)).first()
        return None if row is None else _version(row)

    return read


def _head(connection: Connection) -> RuleVersion | None:
    good = select(*_ROW).where(rule_versions.c.failed.is_(None))
    row = connection.execute(good.order_by(rule_versions.c.id.desc()).limit(1)).first()
    return None if row is None else _version(row)


def _version(row: Row[Any]) -> RuleVersion:
    return RuleVersion(**{**row._mapping, "summary": json.loads(row.summary)})


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
