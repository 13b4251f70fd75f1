"""The engine's state as bytes, by device and rule id, so that it fits a later registry and rule set."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np

from hub.rules.engine import Engine
from hub.rules.table import Cells

SCHEMA = 1


def dump(engine: Engine, about: dict[str, Any]) -> bytes:
    """State of `engine`; `about` is JSON-able and comes back from `restore` (journal identity, position, the screen's memory)."""
    arrays: dict[str, np.ndarray] = {"heard": engine.last_heard_ms}
    rules: dict[str, str] = {}
    for n, table in enumerate(engine.tables):
        cells = table.cells
        told = np.flatnonzero((cells.state != 0) | (cells.start_ms != 0) | (cells.count != 0))
        rules[table.spec.id] = f"{n}:{table.spec.version}"
        arrays[f"{n}.slot"] = table.slot[told]
        arrays[f"{n}.state"] = cells.state[told]
        arrays[f"{n}.since"] = cells.since_ms[told]
        arrays[f"{n}.start"] = cells.start_ms[told]
        arrays[f"{n}.count"] = cells.count[told]
    text = json.dumps(
        {
            "schema": SCHEMA,
            "rules": rules,
            "ids": engine.registry.ids,
            "about": about,
            "tick_ms": engine.last_tick_ms,
            "deaf": engine.deaf,
        }
    )
    arrays["text"] = np.frombuffer(text.encode(), np.uint8)
    out = io.BytesIO()
    np.savez(out, **arrays)  # type: ignore[arg-type]  # the stubs know only allow_pickle among the names
    return out.getvalue()


def restore(engine: Engine, body: bytes) -> dict[str, Any]:
    """Puts the state of `body` into `engine`, for the devices and rules that it still knows. Returns `about`.

    Raises ValueError when `body` is of another schema.
    """
    with np.load(io.BytesIO(body), allow_pickle=False) as arrays:
        text = json.loads(arrays["text"].tobytes())
        if text.get("schema") != SCHEMA:
            raise ValueError(f"rule state has schema {text.get('schema')}, this version reads {SCHEMA}")
        engine.last_tick_ms = text.get("tick_ms", engine.last_tick_ms)
        engine.deaf = text.get("deaf", False)
        slot_of = engine.registry.slot_of
        here = np.array([slot_of.get(device, -1) if device else -1 for device in text["ids"]], np.int64)
        known = np.flatnonzero(here >= 0)
        engine.last_heard_ms[here[known]] = arrays["heard"][known]
        for table in engine.tables:
            number, _, version = text["rules"].get(table.spec.id, "::").partition(":")
            if version != table.spec.version:
                continue
            slots = here[arrays[f"{number}.slot"]]
            cell = np.full(len(slots), -1, np.int64)
            alive = np.flatnonzero(slots >= 0)
            cell[alive] = table.cell_of(slots[alive].astype(np.int32))
            fits = np.flatnonzero(cell >= 0)
            table.write(
                cell[fits],
                Cells(
                    arrays[f"{number}.state"][fits],
                    arrays[f"{number}.since"][fits],
                    arrays[f"{number}.start"][fits],
                    arrays[f"{number}.count"][fits],
                ),
            )
        about: dict[str, Any] = text["about"]
        return about
