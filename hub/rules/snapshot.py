"""The engine's state as bytes, by device and rule id, so that it fits a later registry and rule set."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from hub.rules.engine import Engine
from hub.rules.gathering import Gathering, Group
from hub.rules.kinds.kind import memory_at
from hub.rules.takeover import anything_in, refill

SCHEMA = 2
_READABLE = (1, 2)


def dump(engine: Engine, about: dict[str, Any]) -> bytes:
    """State of `engine`; `about` is JSON-able and comes back from `restore` (journal identity, position, the screen's memory)."""
    arrays: dict[str, np.ndarray] = {"heard": engine.last_heard_ms}
    rules: list[tuple[str, str]] = []
    flaps: dict[str, dict[str, tuple[int, ...]]] = {}
    chatters: dict[str, dict[str, int]] = {}
    ids = engine.registry.ids
    for n, table in enumerate(engine.tables):
        cells = table.cells
        told = (cells.state != 0) | (cells.start_ms != 0) | (cells.count != 0)
        if cells.memory is not None:
            told |= anything_in(cells.memory)
        cell = np.flatnonzero(told)
        rules.append((table.spec.id, table.spec.version))
        if cells.flaps:
            flaps[str(n)] = {ids[table.slot[one]]: times for one, times in cells.flaps.items()}
        if cells.chatters:
            chatters[str(n)] = {ids[table.slot[one]]: start for one, start in cells.chatters.items()}
        if not len(cell):
            continue
        arrays[f"{n}.slot"] = table.slot[cell]
        arrays[f"{n}.state"] = cells.state[cell]
        arrays[f"{n}.since"] = cells.since_ms[cell]
        arrays[f"{n}.start"] = cells.start_ms[cell]
        arrays[f"{n}.count"] = cells.count[cell]
        if cells.memory is not None:
            arrays[f"{n}.memory"] = memory_at(cells.memory, cell)
    text = json.dumps(
        {
            "schema": SCHEMA,
            "rules": rules,
            "flaps": flaps,
            "chatters": chatters,
            "groups": {name: _groups(engine, gathering) for name, gathering in _gatherings(engine)},
            "ids": ids,
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
        if text.get("schema") not in _READABLE:
            raise ValueError(f"rule state has schema {text.get('schema')}, this version reads {_READABLE}")
        engine.last_tick_ms = text.get("tick_ms", engine.last_tick_ms)
        engine.deaf = text.get("deaf", False)
        slot_of = engine.registry.slot_of
        here = np.array([slot_of.get(device, -1) if device else -1 for device in text["ids"]], np.int64)
        known = np.flatnonzero(here >= 0)
        engine.last_heard_ms[here[known]] = arrays["heard"][known]
        for number, rule_id, version in _rules_in(text):
            if f"{number}.slot" in arrays:
                _restore_table(engine, arrays, text, number, rule_id, version, here)
        for name, gathering in _gatherings(engine):
            _restore_groups(engine, gathering, text.get("groups", {}).get(name, {}))
        refill(engine)
        about: dict[str, Any] = text["about"]
        return about


def _rules_in(text: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """(number of the table, rule id, version)"""
    if text["schema"] == 1:
        for rule_id, said in text["rules"].items():
            number, _, version = said.partition(":")
            yield number, rule_id, version
    else:
        for n, (rule_id, version) in enumerate(text["rules"]):
            yield str(n), rule_id, version


def _restore_table(
    engine: Engine, arrays: Any, text: dict[str, Any], number: str, rule_id: str, version: str, here: np.ndarray
) -> None:
    slots = here[arrays[f"{number}.slot"]]
    alive = np.flatnonzero(slots >= 0)
    flaps = text.get("flaps", {}).get(number, {})
    chatters = text.get("chatters", {}).get(number, {})
    for table in engine.tables_of(rule_id):
        if table.spec.version != version:
            continue
        cell = np.full(len(slots), -1, np.int64)
        cell[alive] = table.cell_of(slots[alive].astype(np.int32))
        fits = np.flatnonzero(cell >= 0)
        cells = table.read(cell[fits])
        cells.state = arrays[f"{number}.state"][fits]
        cells.since_ms = arrays[f"{number}.since"][fits]
        cells.start_ms = arrays[f"{number}.start"][fits]
        cells.count = arrays[f"{number}.count"][fits]
        if f"{number}.memory" in arrays and cells.memory is not None:
            memory = arrays[f"{number}.memory"]
            if memory.dtype == cells.memory.dtype:
                cells.memory = memory_at(memory, fits)
        for device in flaps.keys() | chatters.keys():
            slot = engine.registry.slot_of.get(device)
            at = -1 if slot is None else int(table.cell_of(np.array([slot], np.int32))[0])
            if at >= 0 and device in flaps:
                cells.flaps[at] = tuple(flaps[device])
            if at >= 0 and device in chatters:
                cells.chatters[at] = chatters[device]
        table.write(cells)


def _gatherings(engine: Engine) -> Iterator[tuple[str, Gathering]]:
    """What counts or awaits conditions of others, each with a name that is the same after a restart."""
    for correlation in engine.correlations:
        yield correlation.spec.id, correlation.gathering
    for table in engine.tables:
        for n, gathering in enumerate(engine.gatherings_of(table)):
            yield f"{table.spec.id}/{table.spec.version}/{n}", gathering


def _groups(engine: Engine, gathering: Gathering) -> dict[str, Any]:
    ids = engine.registry.ids
    return {
        engine.areas.name(gathering.level, area): {
            "members": [(rule, ids[slot], began, ended) for (rule, slot), (began, ended) in group.members.items()],
            "active": group.active,
            "start_ms": group.start_ms,
            "holder": ids[group.holder] if group.holder >= 0 else "",
        }
        for area, group in gathering.groups.items()
    }


def _restore_groups(engine: Engine, gathering: Gathering, told: dict[str, Any]) -> None:
    slot_of = engine.registry.slot_of
    for name, said in told.items():
        area = engine.areas.number(gathering.level, name)
        if area < 0:
            continue
        members = {
            (rule, slot_of[device]): (began, ended)
            for rule, device, began, ended in said["members"]
            if device in slot_of and rule in gathering.rules
        }
        holder = slot_of.get(said["holder"], -1)
        gathering.commit({area: Group(members, said["active"] and holder >= 0, said["start_ms"], holder)})
