"""The SQL that writes cases: reads them under row locks, and writes what one transaction decided."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from hub.model.cases import Case, Photo
from hub.stores.schema import case_audit, case_comments, case_photos, cases

_COLUMNS = tuple(column.name for column in cases.columns)
_UPDATE = update(cases).where(cases.c.id == bindparam("key"))
_CHUNK = 500


def locked(connection: Connection, ids: Iterable[str]) -> dict[str, Case]:
    """These cases, their rows locked until the end of the transaction. Take alerts before cases, never after."""
    statement = select(cases).where(cases.c.id.in_(bindparam("ids", expanding=True))).order_by(cases.c.id)
    wanted = sorted(set(ids))
    found: dict[str, Case] = {}
    for start in range(0, len(wanted), _CHUNK):
        rows = connection.execute(statement.with_for_update(), {"ids": wanted[start : start + _CHUNK]})
        found |= {row.id: case_of(row) for row in rows}
    return found


def alert_of(connection: Connection, case_id: str) -> str | None:
    """The id of the alert that the case belongs to."""
    return connection.execute(select(cases.c.alert_id).where(cases.c.id == case_id)).scalar_one_or_none()


def write(connection: Connection, known: Mapping[str, Case], new: Iterable[str], changed: Iterable[str]) -> None:
    inserted = [row_of(known[key]) for key in sorted(new)]
    updated = [{"key": key, **row_of(known[key])} for key in sorted(set(changed) - set(new))]
    if inserted:  # one that is there already (from a ledger put back) must not stop an alarm
        dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
        connection.execute(dialect.insert(cases).on_conflict_do_nothing(), inserted)
    if updated:
        connection.execute(_UPDATE, updated)


def link(connection: Connection, links: Iterable[tuple[int, str]]) -> None:
    """Notes which audit entries are about cases without an alert."""
    rows = [{"audit_id": number, "case_id": case_id} for number, case_id in links]
    if rows:
        connection.execute(insert(case_audit), rows)


def add_comment(connection: Connection, case_id: str, at_ms: int, author: str, author_name: str, text: str) -> None:
    row = {"case_id": case_id, "at_ms": at_ms, "author": author, "author_name": author_name, "text": text}
    connection.execute(insert(case_comments), [_plain(row)])


def add_photo(connection: Connection, photo: Photo) -> None:
    names = (column.name for column in case_photos.columns)
    connection.execute(insert(case_photos), [_plain({name: getattr(photo, name) for name in names})])


def photos_of(connection: Connection, case_id: str) -> list[Photo]:
    rows = connection.execute(
        select(case_photos).where(case_photos.c.case_id == case_id).order_by(case_photos.c.at_ms, case_photos.c.id)
    )
    return [Photo(**row._mapping) for row in rows]


def case_of(row: Row[Any]) -> Case:
    return Case(**row._mapping)


def row_of(case: Case) -> dict[str, Any]:
    return _plain({name: getattr(case, name) for name in _COLUMNS})


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """PostgreSQL takes neither NUL nor half a surrogate pair in a text."""
    return {
        key: value.encode("utf-8", "replace").decode("utf-8").replace("\x00", "\ufffd")
        if isinstance(value, str) and (not value.isascii() or "\x00" in value)
        else value
        for key, value in row.items()
    }
