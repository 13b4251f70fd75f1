"""What people and machines ask about cases. Reads only."""

from __future__ import annotations

import builtins
import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, func, or_, select

from hub.model.alerts import Actor
from hub.model.cases import Case, CaseEntry, CasePage, Comment, Photo
from hub.stores import case_rows
from hub.stores.alert_queries import MOST_ROWS, mark_of
from hub.stores.alert_scope import scoped
from hub.stores.ledger import Ledger
from hub.stores.schema import audit, case_audit, case_comments, case_photos, cases

_OVER = ("closed", "false_alarm")


class CaseQueries:
    """Thread-safe. Each method is one read transaction, and raises `Unavailable` while the ledger is away.

    `scope` limits what is seen to the grids and stations of an actor; None sees all.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def list(
        self,
        *,
        scope: Actor | None,
        open_only: bool | None = None,
        source: Sequence[str] | None = None,
        step: str | None = None,
        grid: str | None = None,
        handling: str | None = None,
        number: str | None = None,
        text: str | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> CasePage:
        """Cases by the time of their opening, newest first. Raises ValueError for a `before` that no page gave."""
        limit = max(1, min(limit, MOST_ROWS))
        wanted = [*scoped(scope, cases.c.grid, cases.c.station)]
        for name, value in (("step", step), ("handling", handling), ("number", number)):
            if value is not None:
                wanted.append(cases.c[name] == value)
        if source is not None:
            wanted.append(cases.c.source.in_(source))
        if open_only is not None:
            wanted.append(cases.c.step.not_in(_OVER) if open_only else cases.c.step.in_(_OVER))
        if grid is not None:
            wanted.append(cases.c.grid.startswith(grid, autoescape=True))
        if text is not None and text.strip():
            columns = ("title_zh", "title_en", "text", "place_text", "number")
            said = text.strip().lower()
            wanted.append(or_(*(func.lower(cases.c[name]).contains(said, autoescape=True) for name in columns)))
        if before is not None:
            at_ms, case_id = mark_of(before)
            earlier = (cases.c.opened_at_ms == at_ms) & (cases.c.id < case_id)
            wanted.append(or_(cases.c.opened_at_ms < at_ms, earlier))
        statement = select(cases).where(*wanted).order_by(cases.c.opened_at_ms.desc(), cases.c.id.desc())
        rows = self._cases(statement.limit(limit + 1))
        last = rows[limit - 1] if len(rows) > limit else None
        return CasePage(rows=rows[:limit], next=f"{last.opened_at_ms}-{last.id}" if last else None)

    def one(self, case_id: str, *, scope: Actor | None = None) -> Case | None:
        """The case, or None when there is none (or none that `scope` may see)."""
        wanted = (cases.c.id == case_id, *scoped(scope, cases.c.grid, cases.c.station))
        found = self._cases(select(cases).where(*wanted))
        return found[0] if found else None

    def entries(self, case: Case) -> builtins.list[CaseEntry]:
        """What happened to the case, oldest first; of an alert's case what happened to the alert as well."""
        linked = select(case_audit.c.audit_id).where(case_audit.c.case_id == case.id)
        mine = (
            or_(audit.c.id.in_(linked), audit.c.alert_id == case.alert_id) if case.alert_id else audit.c.id.in_(linked)
        )
        columns = (audit.c.id, audit.c.at_ms, audit.c.actor, audit.c.action, audit.c.detail)
        with self._ledger.read() as connection:
            rows = connection.execute(select(*columns).where(mine).order_by(audit.c.id))
            return [CaseEntry(**{**row._mapping, "detail": json.loads(row.detail)}) for row in rows]

    def comments(self, case_id: str) -> builtins.list[Comment]:
        """What people wrote, oldest first."""
        statement = select(case_comments).where(case_comments.c.case_id == case_id).order_by(case_comments.c.id)
        with self._ledger.read() as connection:
            return [Comment(**row._mapping) for row in connection.execute(statement)]

    def photos(self, case_id: str) -> builtins.list[Photo]:
        """The photos of the case, oldest first."""
        with self._ledger.read() as connection:
            return case_rows.photos_of(connection, case_id)

    def photo(self, case_id: str, photo_id: str) -> Photo | None:
        statement = select(case_photos).where(case_photos.c.case_id == case_id, case_photos.c.id == photo_id)
        with self._ledger.read() as connection:
            row = connection.execute(statement).first()
        return None if row is None else Photo(**row._mapping)

    def _cases(self, statement: Select[Any]) -> builtins.list[Case]:
        with self._ledger.read() as connection:
            return [case_rows.case_of(row) for row in connection.execute(statement)]
