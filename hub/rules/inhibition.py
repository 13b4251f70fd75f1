"""Which conditions keep quiet because another one explains them: a lost gateway speaks for its children."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from hub.registry.snapshot import Registry
from hub.rules.areas import Areas
from hub.rules.condition import ACTIVE
from hub.rules.correlation import Correlation
from hub.rules.found import Found
from hub.rules.table import RuleTable, Slots


class Inhibition:
    """Looks at the conditions as they are at a tick, with what the tick itself has already found."""

    def __init__(
        self,
        registry: Registry,
        areas: Areas,
        tables_of: Callable[[str], Sequence[RuleTable]],
        correlations: Sequence[Correlation],
    ) -> None:
        self._registry, self._areas, self._tables_of, self._correlations = registry, areas, tables_of, correlations

    def of(self, table: RuleTable, slots: Slots, found: Found) -> NDArray[np.bool_] | None:
        """Which of `slots` keep quiet because a rule that explains them is active, or None when none do."""
        blocked: NDArray[np.bool_] | None = None
        for inhibitor in table.rule.inhibitors:
            active = self._active_slots(inhibitor.rule, found)
            if not len(active):
                continue
            if inhibitor.where == "parent":
                parent = self._registry.parent[slots]
                hit = np.isin(parent, active) & (parent >= 0)
            else:
                codes = self._areas.of(inhibitor.where)
                here = codes[active]
                hit = np.isin(codes[slots], here[here >= 0])
            blocked = hit if blocked is None else blocked | hit
        return None if blocked is None or not blocked.any() else blocked

    def _active_slots(self, rule_id: str, found: Found) -> NDArray[np.int64]:
        """Devices for which a rule is active, with what this tick has already found."""
        parts = []
        for table in self._tables_of(rule_id):
            changed = next((cells for one, cells in found.changes if one is table), None)
            if not table.awake and changed is None:
                continue
            state = table.cells.state
            if changed is not None:
                state = state.copy()
                state[changed.cell] = changed.state
            parts.append(table.slot[np.flatnonzero(state >= ACTIVE)].astype(np.int64))
        for correlation in self._correlations:
            if correlation.spec.id == rule_id:
                groups = dict(correlation.gathering.groups)
                for gathering, opened in found.gathered:
                    if gathering is correlation.gathering:
                        groups.update(opened)
                parts.append(np.array([g.holder for g in groups.values() if g.active], np.int64))
        return np.concatenate(parts) if parts else np.empty(0, np.int64)
