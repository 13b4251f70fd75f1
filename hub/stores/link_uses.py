"""Which one-tap links were used. Of a link only its id is kept."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import select

from hub.stores.alert_rows import upsert
from hub.stores.ledger import Ledger
from hub.stores.schema import used_links


class Use(NamedTuple):
    """When a link was used."""

    used_at_ms: int


class LinkUses:
    """Thread-safe. Each method is one transaction and raises `Unavailable` while the ledger is away."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def of(self, link_id: str) -> Use | None:
        """When the link was used; None when it was not."""
        with self._ledger.read() as connection:
            at_ms = connection.execute(select(used_links.c.used_at_ms).where(used_links.c.id == link_id)).scalar()
        return None if at_ms is None else Use(at_ms)

    def note(self, link_id: str, *, alert_id: str, action: str, recipient: str, now_ms: int) -> None:
        """The link is used up. The first time counts."""
        row = {"id": link_id, "alert_id": alert_id, "action": action, "recipient": recipient, "used_at_ms": now_ms}
        with self._ledger.begin() as connection:
            connection.execute(upsert(connection, used_links).on_conflict_do_nothing(), [row])
