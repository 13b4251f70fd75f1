"""Which devices a rule watches, and which of its overrides applies to which device: the most specific wins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hub.errors import Complaint
from hub.registry.snapshot import Registry
from hub.rules.ruleset import Rule, RuleSet, Scope
from hub.wrong_values import near

Slots = NDArray[np.int32]

_DEVICE, _TAG, _MODEL, _KIND = 10_000, 50, 20, 10


@dataclass(frozen=True, slots=True)
class Effective:
    """A rule as it stands for one device. `origin`: "" = as the rule itself says, else the override that won; `beaten`: the
    less specific ones that would apply too."""

    rule: Rule
    origin: str
    beaten: tuple[str, ...] = ()


class Members:
    """Devices of a registry by kind, model, tag and place, as ascending slots. Made once per registry; asked for every rule."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        alive = np.flatnonzero(registry.active).astype(np.int32)
        order = np.argsort(registry.kind[alive], kind="stable")
        codes = registry.kind[alive][order]
        ends = np.searchsorted(codes, np.arange(len(registry.kinds) + 1))
        self.by_kind: dict[str, Slots] = {
            name: alive[order[ends[code] : ends[code + 1]]] for code, name in enumerate(registry.kinds)
        }
        self._alive = alive
        self._depth: dict[str, NDArray[np.int32]] = {}
        self._below: dict[str, list[str]] | None = None
        self._by_grid: tuple[Slots, NDArray[np.int64]] | None = None

    def of_kinds(self, kinds: tuple[str, ...]) -> Slots:
        if "*" in kinds or not kinds:
            return self._alive
        if len(kinds) == 1:
            return self.by_kind.get(kinds[0], self._alive[:0])
        return np.sort(np.concatenate([self.by_kind.get(kind, self._alive[:0]) for kind in kinds]))

    def of(self, scope: Scope) -> Slots:
        """Slots that every word of `scope` fits."""
        registry, details = self.registry, self.registry.details
        if scope.devices:
            named = [registry.slot_of[d] for d in scope.devices if d in registry.slot_of]
            slots = np.array(sorted(named), np.int32)
            if scope.kinds and "*" not in scope.kinds:
                wanted = [code for code, kind in enumerate(registry.kinds) if kind in scope.kinds]
                slots = slots[np.isin(registry.kind[slots], wanted)]
        else:
            slots = self.of_kinds(scope.kinds)
        if scope.places and len(slots):
            slots = slots[self.place_depth(scope.places, slots) >= 0]
        if scope.models and len(slots):
            wanted = [n for n, model in enumerate(details.models) if model in scope.models]
            slots = slots[np.isin(details.model[slots], wanted)]
        if scope.tags and len(slots):
            wanted = [n for n, tags in enumerate(details.tag_sets) if any(tag in tags for tag in scope.tags)]
            slots = slots[np.isin(details.tag_set[slots], wanted)]
        return slots

    def place_depth(self, places: tuple[str, ...], slots: Slots) -> NDArray[np.int32]:
        """How deep in the place tree the deepest of `places` above each device lies, -1 where none does. A device lies in the
        places above its own and in those above its grid."""
        details = self.registry.details
        by_place = np.full(len(details.place_codes) + 1, -1, np.int32)
        by_grid = np.full(len(self.registry.grids) + 1, -1, np.int32)
        for code in places:
            below, depth = self._subtree(code)
            for n, place in enumerate(details.place_codes):
                if place in below:
                    by_place[n] = max(by_place[n], depth)
            for n, grid in enumerate(self.registry.grids):
                if grid in below:
                    by_grid[n] = max(by_grid[n], depth)
        result: NDArray[np.int32] = np.maximum(by_place[details.place[slots]], by_grid[self.registry.grid[slots]])
        return result

    def _subtree(self, code: str) -> tuple[set[str], int]:
        """Every place at or below `code`, and how deep `code` lies."""
        if self._below is None:
            self._below = {}
            for place in self.registry.places.values():
                self._below.setdefault(place.parent, []).append(place.code)
        found, waiting = {code}, [code]
        while waiting:
            for child in self._below.get(waiting.pop(), ()):
                if child not in found:
                    found.add(child)
                    waiting.append(child)
        return found, len(self.registry.path(code))

    def specificity(self, scope: Scope, slots: Slots) -> NDArray[np.int32]:
        """How narrowly `scope` speaks of each device: device > place, deeper first > tag > model > kind."""
        score = np.zeros(len(slots), np.int32)
        if scope.places:
            score += 100 * (1 + np.maximum(self.place_depth(scope.places, slots), 0))
        score += _DEVICE * bool(scope.devices) + _TAG * bool(scope.tags) + _MODEL * bool(scope.models)
        score += _KIND * bool(scope.kinds and "*" not in scope.kinds)
        return score


def shared_out(rule: Rule, members: Members) -> list[tuple[Rule, Slots]]:
    """`rule` and its overrides, each with the slots that it decides for; a device belongs to one of them at most."""
    slots = members.of(rule.scope)
    if not rule.overrides or not len(slots):
        return [(rule, slots)]
    best = np.zeros(len(slots), np.int32)
    winner = np.zeros(len(slots), np.int32)  # 0 = the rule itself
    for number, override in enumerate(rule.overrides, 1):
        here = np.flatnonzero(np.isin(slots, members.of(override.scope), assume_unique=True))
        score = members.specificity(override.scope, slots[here])
        better = here[score >= best[here]]  # of two that are equally specific the later one counts
        best[better] = score[score >= best[here]]
        winner[better] = number
    return [(one, slots[winner == number]) for number, one in enumerate((rule, *rule.overrides))]


def effective(ruleset: RuleSet, registry: Registry, slot: int) -> list[Effective]:
    """The rules that watch the device in `slot`, as they stand for it; switched-off ones too (`rule.spec.enabled`)."""
    members = Members(registry)
    found = []
    for rule in ruleset.rules:
        for one, slots in shared_out(rule, members):
            if slot in slots:
                fits = [o.spec.origin for o in rule.overrides if slot in members.of(o.scope)]
                beaten = tuple(origin for origin in fits if origin != one.spec.origin)
                found.append(Effective(one, one.spec.origin, beaten))
    return found


def strangers(ruleset: RuleSet, registry: Registry) -> Iterator[Complaint]:
    """Names in scopes that the registry does not know: places, devices, models, tags."""
    details = registry.details
    known: dict[str, set[str]] = {
        "places": set(registry.places),
        "devices": set(registry.slot_of),
        "models": set(details.models),
        "tags": {tag for tags in details.tag_sets for tag in tags},
    }
    for rule in ruleset.rules:
        for one in (rule, *rule.overrides):
            for word, names in known.items():
                for name in getattr(one.scope, word):
                    if name not in names:
                        yield Complaint(
                            file=one.spec.file,
                            line=one.spec.line,
                            key=one.spec.id,
                            message=f"no such {word[:-1]} in the registry: {name!r}",
                            remedy=near(name, names, "correct the scope, or add it to the registry"),
                        )
