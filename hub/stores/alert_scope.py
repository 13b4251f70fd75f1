"""What an actor may see, in SQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, ColumnElement, or_

from hub.model.alerts import Actor


def scoped(scope: Actor | None, grid: Column[Any], station: Column[Any]) -> tuple[ColumnElement[bool], ...]:
    """`Actor.may_see` for rows with these columns; None sees all."""
    if scope is None or "*" in scope.grids or "*" in scope.stations:
        return ()
    return (or_(grid.in_(scope.grids), station.in_(scope.stations)),)
