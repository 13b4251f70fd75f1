"""What was set aside, for people to look at, and to be taken off the list once it is settled."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Row, select

from hub.model.readings import QuarantineRow
from hub.stores.ledger import Ledger
from hub.stores.schema import quarantine

_FIELDS = tuple(QuarantineRow.__dataclass_fields__)
_COLUMNS = (quarantine.c.id, *(quarantine.c[name] for name in _FIELDS))


class Kept(NamedTuple):
    """An entry of the quarantine with its number, which stays the same while the entry grows."""

    id: int
    row: QuarantineRow


class QuarantineQueries:
    """Thread-safe. Raises `Unavailable` while the ledger is away."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def list(self, limit: int) -> builtins.list[Kept]:
        """The entries in which something came last, newest first."""
        newest = select(*_COLUMNS).order_by(quarantine.c.last_at_ms.desc(), quarantine.c.id.desc())
        with self._ledger.read() as connection:
            return [_kept(row) for row in connection.execute(newest.limit(limit))]

    def of_reason(self, reason: str, limit: int) -> builtins.list[Kept]:
        """The entries that were set aside for `reason`, the latest first."""
        newest = select(*_COLUMNS).where(quarantine.c.reason == reason)
        newest = newest.order_by(quarantine.c.last_at_ms.desc(), quarantine.c.id.desc())
        with self._ledger.read() as connection:
            return [_kept(row) for row in connection.execute(newest.limit(limit))]

    def settle(self, numbers: Sequence[int]) -> int:
        """Takes entries off the list: their messages were read again and are understood now. Returns how many were there."""
        with self._ledger.begin() as connection:
            return sum(
                connection.execute(quarantine.delete().where(quarantine.c.id.in_(numbers[at : at + 500]))).rowcount
                for at in range(0, len(numbers), 500)
            )

    def one(self, number: int) -> Kept | None:
        with self._ledger.read() as connection:
            row = connection.execute(select(*_COLUMNS).where(quarantine.c.id == number)).first()
        return None if row is None else _kept(row)


def _kept(row: Row[tuple[object, ...]]) -> Kept:
    fields = dict(row._mapping)
    return Kept(int(fields.pop("id")), QuarantineRow(**fields))
