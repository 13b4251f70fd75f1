"""Silences, maintenance windows and drills as people make and end them: who may, for what, for how long. All is recorded.

An alarm that is raised inside is kept and shown like any other; see hub/alerts/silencing.py for what becomes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Final

from sqlalchemy import Connection

from hub.alerts.desk import Desk
from hub.alerts.drafting import Draft
from hub.errors import IllegalAction, NotAllowed, NotFound
from hub.i18n import _
from hub.model.alerts import Actor, Role
from hub.model.places import LADDER
from hub.model.silences import Silence, SilenceKind
from hub.registry.snapshot import Registry
from hub.stores import silence_rows
from hub.stores.alert_rows import Entry

MOST_S: Final[dict[SilenceKind, int]] = {"silence": 24 * 3_600, "maintenance": 7 * 86_400, "drill": 8 * 3_600}
"""For how long each may last. Who needs longer says so again."""
MOST_P1_S: Final = 4 * 3_600
AHEAD_S: Final = 60 * 86_400
MAKES: Final[tuple[Role, ...]] = ("station", "officer", "admin")
MAKES_GRAVE: Final[tuple[Role, ...]] = ("officer", "admin")
"""Who may silence a P1, and who may order a drill."""
_LONGEST_REASON = 500

REFUSALS: Final[dict[str, tuple[str, str]]] = {
    "silence-nothing": (
        _("it would cover everything"),
        _("name a place, kinds of device, or devices"),
    ),
    "silence-unknown": (_("{what} is not in the registry"), _("correct it, or add it to the registry")),
    "silence-place": (_("a drill needs a place"), _("name the compound, grid or building in which it is held")),
    "silence-list": (
        _("nobody would hear the drill"),
        _("name the people and stations of the drill"),
    ),
    "silence-list-none": (_("only a drill has a list of those who are told"), _("leave the list out")),
    "silence-time": (
        _("it may last {most} minutes at the longest, and one at the least, and must not be over already"),
        _("correct begin and end"),
    ),
    "silence-reason": (_("say why, in at most {most} characters"), _("give a reason")),
    "silence-over": (_("it is over already"), _("reload the list")),
}
"""Why somebody cannot silence something, by a code that stays the same; message ids."""


class Silences:
    """Thread-safe. Every method is one transaction and raises `Unavailable` while the ledger is away."""

    def __init__(self, desk: Desk, registry: Callable[[], Registry]) -> None:
        self._desk, self._registry = desk, registry

    def make(
        self,
        kind: SilenceKind,
        actor: Actor,
        now_ms: int,
        *,
        end_ms: int,
        reason: str,
        start_ms: int | None = None,
        place: str = "",
        device_kinds: Sequence[str] = (),
        devices: Sequence[str] = (),
        include_p1: bool = False,
        tell: Sequence[str] = (),
    ) -> Silence:
        """Begins one now, or at `start_ms`. Raises `NotAllowed`, `NotFound` or `IllegalAction`."""
        registry = self._registry()
        begin_ms = now_ms if start_ms is None else start_ms
        grave = include_p1 or kind == "drill"
        if actor.role not in (MAKES_GRAVE if grave else MAKES):
            raise NotAllowed(
                f"the role {actor.role} may not do this",
                remedy=f"use one of {', '.join(MAKES_GRAVE if grave else MAKES)}",
            )
        _check_what(registry, kind, place, device_kinds, devices, tell)
        covers = covered(registry, place)
        _check_area(registry, actor, covers, devices)
        most_s = min(MOST_S[kind], MOST_P1_S) if include_p1 and kind != "drill" else MOST_S[kind]
        if not (
            60_000 <= end_ms - begin_ms <= most_s * 1_000 and end_ms > now_ms and begin_ms <= now_ms + AHEAD_S * 1_000
        ):
            raise refused("silence-time", most=str(most_s // 60))
        if not reason.strip() or len(reason) > _LONGEST_REASON:
            raise refused("silence-reason", most=str(_LONGEST_REASON))
        row = {
            "kind": kind,
            "place": place,
            "covers": covers,
            "device_kinds": tuple(device_kinds),
            "devices": tuple(devices),
            "start_ms": begin_ms,
            "end_ms": end_ms,
            "include_p1": include_p1,
            "tell": tuple(tell),
            "actor": actor.id,
            "actor_name": actor.name,
            "reason": reason.strip(),
            "made_at_ms": now_ms,
        }

        def work(connection: Connection) -> tuple[Silence | None, int]:
            number = silence_rows.add(connection, row)
            shown = {key: list(value) if isinstance(value, tuple) else value for key, value in row.items() if value}
            for key in ("covers", "actor", "made_at_ms"):
                shown.pop(key, None)
            about = {**shown, "silence": number, "name": actor.name, "role": actor.role, "via": actor.via}
            change = self._note(connection, now_ms, actor, kind, about)
            return silence_rows.one(connection, number), change

        made, change = self._desk.ledger.transact(work)
        if made is None:
            raise AssertionError("it was written in the same transaction")
        self._desk.announce(change, 0)
        return made

    def end(self, silence_id: int, actor: Actor, now_ms: int) -> Silence:
        """Ends it before its time; what it has kept and still holds is told at once."""
        with self._desk.ledger.read() as connection:
            found = silence_rows.one(connection, silence_id)
        if found is None:
            raise NotFound(f"there is no silence {silence_id}", remedy="look it up in the list")
        if actor.role not in (MAKES_GRAVE if found.include_p1 or found.kind == "drill" else MAKES):
            raise NotAllowed(f"the role {actor.role} may not end it", remedy="ask the officer")
        _check_area(self._registry(), actor, found.covers, found.devices)

        def work(connection: Connection) -> int:
            if not silence_rows.end(connection, silence_id, actor.id, now_ms):
                raise refused("silence-over")
            about = {"silence": silence_id, "name": actor.name, "role": actor.role, "via": actor.via}
            return self._note(connection, now_ms, actor, f"{found.kind}_ended", about)

        self._desk.announce(self._desk.ledger.transact(work), 0)
        self._desk.wake_silenced(now_ms)
        with self._desk.ledger.read() as connection:
            after = silence_rows.one(connection, silence_id)
        return after or found

    def _note(self, connection: Connection, now_ms: int, actor: Actor, action: str, about: dict[str, object]) -> int:
        draft = Draft(self._desk.planner, now_ms)
        draft.sheet.entries.append(Entry(None, now_ms, actor.id, action, detail=about))
        return draft.write(self._desk.ledger, connection)


def refused(code: str, **values: str) -> IllegalAction:
    message, remedy = REFUSALS[code]
    return IllegalAction(message.format(**values), remedy=remedy.format(**values), code=code, values=values)


def covered(registry: Registry, place: str) -> tuple[str, ...]:
    """The codes that mean `place` and what lies under it: levels of the ladder one by one, for their codes do not all begin alike."""
    if not place:
        return ()
    under = {place}
    for code, found in registry.places.items():
        if found.level in LADDER and place in {p.code for p in registry.path(code)}:
            under.add(code)
    return (place, *sorted(under - {place}))


def reaches(registry: Registry, silence: Silence, actor: Actor) -> bool:
    """Whether it can keep quiet, or mark as a drill, an alarm that `actor` may see: whoever is in its area may know of it."""
    if "*" in actor.grids or "*" in actor.stations:
        return True
    grids = _grids_of_devices(registry, silence.devices) if silence.devices else _grids_of(registry, silence.covers)
    everywhere = not silence.devices and not silence.covers
    return everywhere or any(actor.may_see(grid, registry.station_of_grid.get(grid, "")) for grid in grids if grid)


def _check_what(
    registry: Registry, kind: SilenceKind, place: str, kinds: Iterable[str], devices: Iterable[str], tell: Sequence[str]
) -> None:
    if not place and not tuple(kinds) and not tuple(devices):
        raise refused("silence-nothing")
    if kind == "drill" and not place:
        raise refused("silence-place")
    if kind == "drill" and not tell:
        raise refused("silence-list")
    if kind != "drill" and tell:
        raise refused("silence-list-none")
    if place and place not in registry.places:
        raise refused("silence-unknown", what=place)
    for given, known in (
        (kinds, registry.kinds),
        (devices, registry.slot_of),
        (tell, {**registry.people, **registry.stations}),
    ):
        for one in given:
            if one not in known:
                raise refused("silence-unknown", what=one)


def _check_area(registry: Registry, actor: Actor, covers: Sequence[str], devices: Iterable[str]) -> None:
    """Whoever is limited to some grids may silence only what lies in them."""
    if "*" in actor.grids or "*" in actor.stations:
        return
    grids = _grids_of(registry, covers) + _grids_of_devices(registry, devices)
    if not grids or not all(actor.may_see(grid, registry.station_of_grid.get(grid, "")) for grid in grids):
        raise NotAllowed("this is not in your area", remedy="name a place or devices in your own grids")


def _grids_of(registry: Registry, covers: Sequence[str]) -> list[str]:
    grids = [code for code in covers if (p := registry.places.get(code)) is not None and p.level == "grid"]
    if grids or not covers:
        return grids
    return list(_grids_hanging_in(registry, covers[0]))


@lru_cache(maxsize=8)  # few, for each keeps its registry
def _grids_hanging_in(registry: Registry, place: str) -> tuple[str, ...]:
    """The grids of what hangs in a building or unit. Kept, because it walks all devices and lists are asked for often."""
    hanging = {registry.grid_code(d.slot) for d in registry.devices() if _in(registry, d.place, place)}
    return tuple(sorted(hanging - {""}))


def _grids_of_devices(registry: Registry, devices: Iterable[str]) -> list[str]:
    """The grid of each; "" for one that is not in the registry (any more)."""
    return [registry.grid_code(registry.slot_of[one]) if one in registry.slot_of else "" for one in devices]


def _in(registry: Registry, code: str, place: str) -> bool:
    return place in {p.code for p in registry.path(code)}
