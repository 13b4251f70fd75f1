"""The audit log: rows are only ever added, each with a hash over itself and the hash of the row before it.

Who changes, removes or slips in a row breaks the chain from there on, and `verify` names the first row that does not fit.
Whoever may write to the database could still compute all later hashes anew: keep the head (number and hash) of now and then
somewhere else, as the outside heartbeat does, and compare.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, insert, select

from hub.stores.ledger import Ledger
from hub.stores.schema import alerts, audit

_FIELDS = ("id", "alert_id", "at_ms", "actor", "action", "from_state", "to_state", "detail")
_DEFAULTS: Mapping[str, Any] = {"alert_id": None, "from_state": "", "to_state": "", "detail": "{}"}
_CHUNK = 2_000


class Head(NamedTuple):
    """The newest row of the log: whoever keeps it can tell later whether anything up to it was changed."""

    number: int
    hash: str

    def __str__(self) -> str:
        return f"{self.number}:{self.hash}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """The first row that does not fit, and why."""

    number: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What a look at the whole log found. `unchained`: rows from before there was a chain, which nothing protects."""

    rows: int
    unchained: int
    head: Head | None
    broken: Broken | None

    @property
    def good(self) -> bool:
        return self.broken is None


def append(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Adds `rows`, numbered by `Ledger.number_audit` in this transaction without a gap: so no other writer is in between."""
    if not rows:
        return
    first = rows[0]["id"]
    before = connection.execute(select(audit.c.hash).where(audit.c.id == first - 1)).scalar()
    connection.execute(insert(audit), list(_linked(before or "", rows)))


def _linked(before: str, rows: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for row in rows:
        whole = {**_DEFAULTS, **row}
        before = hash_of(before, whole)
        yield {**whole, "hash": before}


def hash_of(before: str, row: Mapping[str, Any]) -> str:
    """The hash of a row after one with the hash `before` ("" = the chain begins here)."""
    text = json.dumps([before, *(row[name] for name in _FIELDS)], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class AuditLog:
    """Looks at the log as a whole. Thread-safe; raises `Unavailable` while the ledger is away."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def add(
        self, *, at_ms: int, actor: str, action: str, detail: Mapping[str, Any], alert_id: str | None = None
    ) -> None:
        """One row by itself, for what changes no alert."""
        text = json.dumps(dict(detail), ensure_ascii=False).replace("\\u0000", "�").encode("utf-8", "replace").decode()

        def work(connection: Connection) -> None:
            number = self._ledger.number_audit(connection)
            row = {"id": number, "alert_id": alert_id, "at_ms": at_ms, "actor": actor, "action": action, "detail": text}
            append(connection, [row])

        self._ledger.transact(work)

    def head(self) -> Head | None:
        """The newest row; None in an empty log, and where the newest row has no hash."""
        with self._ledger.read() as connection:
            row = connection.execute(select(audit.c.id, audit.c.hash).order_by(audit.c.id.desc()).limit(1)).first()
        return None if row is None or row.hash is None else Head(row.id, row.hash)

    def verify(self, *, kept: Head | None = None, since: Head | None = None) -> Verified:
        """Computes every hash again, from the first row on. Reads in pieces, so that nobody waits for it.

        `kept`: a head that somebody wrote down earlier. `since`: a head up to which all was found good before; only what came
        after it is looked at, so that this may be asked every half minute.
        """
        rows, unchained = 0, 0
        number, before, chained = (since.number, since.hash, True) if since is not None else (0, "", False)
        if since is not None and (found := self._hash(number)) != before:
            why = "its hash is another one than before" if found else "it is missing"
            return Verified(rows=0, unchained=0, head=None, broken=Broken(number=number, why=why))
        while piece := self._after(number):
            for row in piece:
                wrong = ""
                if row["id"] != number + 1:
                    return self._told(rows, unchained, number, before, Broken(number=number + 1, why="it is missing"))
                if row["hash"] is None:
                    wrong = "it has no hash: not written by a hub of this version" if chained else ""
                    unchained += 1
                elif row["hash"] != hash_of(before if chained else "", row):
                    wrong = "its content or the row before it was changed"
                if wrong:
                    return self._told(rows, unchained, number, before, Broken(number=row["id"], why=wrong))
                number, rows = row["id"], rows + 1
                if row["hash"] is not None:
                    before, chained = row["hash"], True
                if kept is not None and kept.number == number and kept.hash != row["hash"]:
                    why = "its hash is not the one that was kept: the log was written anew"
                    return self._told(rows, unchained, number, before, Broken(number=number, why=why))
        if kept is not None and kept.number > number:
            why = "it is missing: the end of the log was cut off"
            return self._told(rows, unchained, number, before, Broken(number=number + 1, why=why))
        broken = None
        if (wanted := self._newest_change()) > number and self._last() <= number:
            broken = Broken(number=number + 1, why=f"it is missing: an alert refers to row {wanted}")
        return self._told(rows, unchained, number, before, broken)

    def _told(self, rows: int, unchained: int, number: int, before: str, broken: Broken | None) -> Verified:
        head = Head(number, before) if number and before else None
        return Verified(rows=rows, unchained=unchained, head=head, broken=broken)

    def _after(self, number: int) -> list[Mapping[str, Any]]:
        statement = select(audit).where(audit.c.id > number).order_by(audit.c.id).limit(_CHUNK)
        with self._ledger.read() as connection:
            return [dict(row._mapping) for row in connection.execute(statement)]

    def _hash(self, number: int) -> str | None:
        with self._ledger.read() as connection:
            return connection.execute(select(audit.c.hash).where(audit.c.id == number)).scalar()

    def _newest_change(self) -> int:
        with self._ledger.read() as connection:
            return int(connection.execute(select(func.coalesce(func.max(alerts.c.change), 0))).scalar_one())

    def _last(self) -> int:
        with self._ledger.read() as connection:
            return int(connection.execute(select(func.coalesce(func.max(audit.c.id), 0))).scalar_one())
