"""Tests of contacts: which were sent, and which were answered. Addresses and codes are kept as digests only."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from hashlib import blake2b
from typing import Any

from sqlalchemy import Row, insert, select, update

from hub.stores.ledger import Ledger
from hub.stores.schema import audit, contact_checks

MOST_TRIES = 5
"""Wrong answers after which a code is worth nothing any more."""


def digest(text: str) -> str:
    """What is kept of an address or code."""
    return blake2b(text.encode(), digest_size=16, person=b"gridhub contact").hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactCheck:
    """One test of one contact. `address` and `code` are digests."""

    id: int
    person: str
    channel: str
    address: str
    code: str
    alert_id: str
    asked_at_ms: int
    expires_at_ms: int
    asked_by: str
    verified_at_ms: int | None = None
    verified_by: str | None = None
    tries: int = 0


class ContactChecks:
    """Thread-safe; raises `Unavailable` while the ledger is away."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._known: frozenset[tuple[str, str, str]] = frozenset()

    def known(self) -> frozenset[tuple[str, str, str]]:
        """`proven` as it was at the last `refresh`: asks no ledger."""
        return self._known

    def refresh(self) -> None:
        self._known = self.proven()

    def add(self, **row: Any) -> None:
        with self._ledger.begin() as connection:
            connection.execute(insert(contact_checks).values(**row))

    def of(self, person: str = "") -> list[ContactCheck]:
        """The tests of `person` (of everybody), the latest first."""
        statement = select(contact_checks).order_by(contact_checks.c.id.desc())
        with self._ledger.read() as connection:
            rows = connection.execute(statement.where(contact_checks.c.person == person) if person else statement)
            return [_check(row) for row in rows]

    def pending(self) -> list[ContactCheck]:
        """Those that nobody has answered yet and whose time may be over; the oldest first."""
        statement = select(contact_checks).where(contact_checks.c.verified_at_ms.is_(None))
        with self._ledger.read() as connection:
            return [_check(row) for row in connection.execute(statement.order_by(contact_checks.c.id))]

    def proven(self) -> frozenset[tuple[str, str, str]]:
        """(person, channel, digest of the address) of every contact by which a test was answered."""
        table = contact_checks.c
        statement = select(table.person, table.channel, table.address).where(table.verified_at_ms.is_not(None))
        with self._ledger.read() as connection:
            return frozenset((person, channel, address) for person, channel, address in connection.execute(statement))

    def verify(self, check_id: int, who: str, now_ms: int) -> bool:
        """Notes that the test was answered, once. Whether it was news."""
        statement = update(contact_checks).where(
            contact_checks.c.id == check_id, contact_checks.c.verified_at_ms.is_(None)
        )
        with self._ledger.begin() as connection:
            news = bool(connection.execute(statement.values(verified_at_ms=now_ms, verified_by=who)).rowcount)
        self.refresh()
        return news

    def wrong(self, person: str, now_ms: int) -> None:
        """Counts a wrong answer against every open test of `person`."""
        table = contact_checks.c
        statement = update(contact_checks).where(
            table.person == person, table.verified_at_ms.is_(None), table.expires_at_ms > now_ms
        )
        with self._ledger.begin() as connection:
            connection.execute(statement.values(tries=table.tries + 1))

    def answered_by(self, alert_id: str) -> tuple[int, str, str] | None:
        """(at_ms, who, via) of the acknowledgement of the test's alert; None while there is none."""
        statement = select(audit).where(audit.c.alert_id == alert_id, audit.c.action == "acknowledge")
        with self._ledger.read() as connection:
            row = connection.execute(statement.order_by(audit.c.id).limit(1)).first()
        if row is None:
            return None
        return row.at_ms, row.actor, str(json.loads(row.detail).get("via", ""))


def _check(row: Row[Any]) -> ContactCheck:
    return ContactCheck(**{field.name: row._mapping[field.name] for field in fields(ContactCheck)})
