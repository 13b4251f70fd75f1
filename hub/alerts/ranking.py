"""Ranks detectors, buildings or rules by their false alarms, against what fire practice takes for normal. Pure.

The levels are those of BS 5839-1 for one year: one false alarm for each 50 detectors is to be expected (green), one for
each 20 asks for an investigation (amber up to there, red above).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hub.model.alerts import Actor
from hub.registry.snapshot import Registry
from hub.stores.noise_queries import Times, Verdicts

By = Literal["device", "building", "rule"]
Level = Literal["green", "amber", "red"]
DETECTORS = ("smoke_alarm", "heat_detector", "co_alarm", "gas_detector")
GREEN, AMBER = 1 / 50, 1 / 20
_YEAR_MS = 365.25 * 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """One line: a device id, building code or rule id (`key`), what became of its alarms, and how it compares.

    `rate`: confirmed false fire alarms (P1 of a detector) for each detector and year; None where there is no detector.
    """

    key: str
    false: int
    real: int
    undecided: int
    test: int
    detectors: int
    rate: float | None
    level: Level | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """`rows`, the worst first, and all of them together."""

    since_ms: int
    years: float
    total: Ranked
    rows: tuple[Ranked, ...]


def ranking(
    verdicts: Sequence[Verdicts],
    tests: Sequence[Times],
    registry: Registry,
    *,
    by: By,
    since_ms: int,
    now_ms: int,
    scope: Actor | None = None,
) -> Ranking:
    """The ranking of what was raised from `since_ms` to `now_ms`. `scope` limits whose detectors and tests count."""
    years = max(now_ms - since_ms, 1) / _YEAR_MS
    seen = _Seen(registry, scope)
    key_of: dict[str, Callable[[str, str], str]] = {
        "device": lambda rule, device: device,
        "building": lambda rule, device: seen.building(device),
        "rule": lambda rule, device: rule,
    }
    key = key_of[by]
    own = [test for test in tests if seen.device(test.device_id)]
    kinds_of_rule: dict[str, set[str]] = {}
    for verdict in verdicts:
        kinds_of_rule.setdefault(verdict.rule_id, set()).add(verdict.device_kind)

    def detectors(of: str) -> int:
        if by == "device":
            return seen.is_detector(of)
        return seen.in_building(of) if by == "building" else seen.of_kinds(kinds_of_rule.get(of, ()))

    groups: dict[str, list[Verdicts]] = {}
    for verdict in verdicts:
        groups.setdefault(key(verdict.rule_id, verdict.device_id), []).append(verdict)
    pressed: dict[str, int] = {}
    for test in own:
        of = key(test.rule_id, test.device_id)
        pressed[of] = pressed.get(of, 0) + test.times
    rows = [
        _ranked(of, groups.get(of, ()), pressed.get(of, 0), detectors(of), years)
        for of in dict.fromkeys((*groups, *pressed))
    ]
    rows.sort(key=lambda row: (-row.false, -(row.rate or 0.0), -row.undecided - row.real, row.key))
    total = _ranked("", verdicts, sum(pressed.values()), seen.of_kinds(DETECTORS), years)
    return Ranking(since_ms=since_ms, years=years, total=total, rows=tuple(rows))


def level_of(rate: float) -> Level:
    """How `rate` (false fire alarms for each detector and year) compares with BS 5839-1."""
    return "green" if rate <= GREEN else "amber" if rate <= AMBER else "red"


def _ranked(key: str, verdicts: Iterable[Verdicts], test: int, detectors: int, years: float) -> Ranked:
    verdicts = tuple(verdicts)
    fires = sum(v.false for v in verdicts if v.severity == "P1" and v.device_kind in DETECTORS)
    rate = fires / (detectors * years) if detectors else None
    return Ranked(
        key=key,
        false=sum(v.false for v in verdicts),
        real=sum(v.real for v in verdicts),
        undecided=sum(v.undecided for v in verdicts),
        test=test,
        detectors=detectors,
        rate=rate,
        level=None if rate is None else level_of(rate),
    )


class _Seen:
    """The registry as `scope` may see it."""

    def __init__(self, registry: Registry, scope: Actor | None) -> None:
        self._registry = registry
        grids = [
            number
            for number, code in enumerate(registry.grids)
            if scope is None or scope.may_see(code, registry.station_of_grid.get(code, ""))
        ]
        self._mask = registry.active & (np.isin(registry.grid, np.array(grids, np.int32)) | (scope is None))
        codes = [number for number, kind in enumerate(registry.kinds) if kind in DETECTORS]
        self._detectors = self._mask & np.isin(registry.kind, np.array(codes, np.int16))
        where = registry.building[self._detectors]
        self._by_building = np.bincount(where[where >= 0], minlength=len(registry.buildings))
        self._number = {code: number for number, code in enumerate(registry.buildings)}

    def device(self, device_id: str) -> bool:
        slot = self._registry.slot_of.get(device_id)
        return slot is not None and bool(self._mask[slot])

    def is_detector(self, device_id: str) -> int:
        slot = self._registry.slot_of.get(device_id)
        return int(slot is not None and bool(self._detectors[slot]))

    def building(self, device_id: str) -> str:
        """Code of the building in which the device hangs; "" for none, and for a device that is no longer known."""
        slot = self._registry.slot_of.get(device_id)
        number = -1 if slot is None else int(self._registry.building[slot])
        return self._registry.buildings[number] if number >= 0 else ""

    def in_building(self, code: str) -> int:
        return int(self._by_building[self._number[code]]) if code in self._number else 0

    def of_kinds(self, kinds: Collection[str]) -> int:
        wanted = [n for n, kind in enumerate(self._registry.kinds) if kind in kinds and kind in DETECTORS]
        return int((self._detectors & np.isin(self._registry.kind, np.array(wanted, np.int16))).sum())
