"""Unknown devices, claims and replays for the running hub: what API and page work on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from hub.ingest.router import Router
from hub.model.alerts import Actor
from hub.onboarding.claims import Claim, Claimed, claim
from hub.onboarding.replay import Kept, Outcome, Spool, messages_of, read_again
from hub.onboarding.unknown import UNKNOWN_DEVICE, UnknownDevice, decoder, unknown_devices
from hub.registry.snapshot import Registry
from hub.stores.quarantine_queries import Kept as Entry
from hub.stores.quarantine_queries import QuarantineQueries
from hub.telemetry import log

MOST = 2_000


class OutOfReach(Exception):
    """The actor may not have this: it is of another grid, or nobody knows whose it is. `what` names it."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class Onboarding:
    """Thread-safe. Raises `Unavailable` while the ledger is away.

    An unknown device hangs nowhere yet: whoever is limited to some grids sees those that speak through a gateway of theirs,
    and can claim them into their own grids only.
    """

    def __init__(
        self,
        folder: Path,
        queries: QuarantineQueries,
        router: Router,
        registry: Callable[[], Registry],
        *,
        spool: Spool,
        journal: Callable[[], Kept | None] = lambda: None,
        reload: Callable[[], None] = lambda: None,
        skews: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        """`folder`: of the registry. `router` is this object's own. `reload` has the running hub read the registry again.

        `skews`: device id → milliseconds that its clock is behind, for those whose clock is off now.
        """
        self._folder, self._queries, self._router, self._registry = folder, queries, router, registry
        self._spool, self._journal, self._reload, self._skews = spool, journal, reload, skews
        self._decode = decoder(router)
        self._reading = threading.Lock()  # codecs remember what they have read

    def unknown(self, actor: Actor, limit: int = MOST) -> list[UnknownDevice]:
        """Who speaks without being known, as far as `actor` may see it, the one heard latest first."""
        rows = [kept.row for kept in self._queries.of_reason(UNKNOWN_DEVICE, MOST)]
        registry = self._registry()
        with self._reading:
            found = unknown_devices(rows, registry, self._decode)
        return [one for one in found if _sees(actor, one, registry)][:limit]

    def claim(self, actor: Actor, claims: Sequence[Claim], *, dry_run: bool = False) -> Claimed:
        """Makes devices of `claims`, all or none. Raises OutOfReach, ConfigError and OSError; then nothing has changed."""
        registry = self._registry()
        if not _everywhere(actor):
            self._check_reach(actor, claims)
        done = claim(self._folder, claims, dry_run=dry_run)
        if not dry_run:
            new = len(done.registry.slot_of) - len(registry.slot_of)
            log.info("onboarding.claimed", devices=[one.id for one in done.claims][:50], more=new, by=actor.id)
            self._reload()
        return done

    def _check_reach(self, actor: Actor, claims: Sequence[Claim]) -> None:
        """An actor with limits claims what it sees, into what it sees: checked on what would be written, before it is."""
        seen = {one.address for one in self.unknown(actor)}
        tried = claim(self._folder, claims, dry_run=True)
        for one in tried.claims:
            if not actor.may_see(one.grid, tried.registry.station_of_grid.get(one.grid, "")):
                raise OutOfReach(one.grid)
            for address in filter(None, (part.strip() for part in one.addresses.split(";"))):
                if address not in seen:
                    raise OutOfReach(address)

    def clocks(self, actor: Actor) -> list[tuple[str, int]]:
        """Devices that `actor` may see whose clock is off now, with the milliseconds that it is behind, the worst first."""
        registry = self._registry()
        found: list[tuple[str, int]] = []
        for device_id, lag_ms in self._skews().items():
            device = registry.find(device_id)
            if device is not None and actor.may_see(device.grid, registry.station_of_grid.get(device.grid, "")):
                found.append((device_id, lag_ms))
        return sorted(found, key=lambda one: (-abs(one[1]), one[0]))

    def replay(self, actor: Actor, *, addresses: Collection[str] = (), dry_run: bool = False) -> tuple[Outcome, bool]:
        """Reads kept messages again, of `addresses` or all that `actor` may see; hands those that are understood now over.

        The second value: whether some of them are gone from the journal. Raises OSError when they cannot be handed over.
        """
        registry = self._registry()
        entries = [e for e in self._queries.list(10_000) if not addresses or e.row.address in addresses]
        entries = [e for e in entries if _may_replay(actor, e, registry)]
        with self._reading:
            entries = [e for e in entries if self._understood(e, registry)]
            messages, missing = messages_of([e.row for e in entries], self._journal())
            outcome = read_again(messages, self._router.decode, registry)
        if not dry_run and outcome.understood:
            self._spool.put(outcome.understood)
            self._queries.settle([e.id for e in entries])
            log.info("onboarding.replayed", messages=len(outcome.understood), by=actor.id)
        return outcome, missing

    def _understood(self, entry: Entry, registry: Registry) -> bool:
        return is_understood(self._decode, entry, registry)


def is_understood(decode: Callable[..., Sequence[object]], entry: Entry, registry: Registry) -> bool:
    """Whether the latest message of an entry says something of a known device now."""
    return any(getattr(one, "address", "") in registry.slot_of_address for one in decode(entry.row))


def _everywhere(actor: Actor) -> bool:
    return "*" in (*actor.grids, *actor.stations)


def _sees(actor: Actor, one: UnknownDevice, registry: Registry) -> bool:
    if _everywhere(actor):
        return True
    gateway = registry.find(one.behind) if one.behind else None
    return gateway is not None and actor.may_see(gateway.grid, registry.station_of_grid.get(gateway.grid, ""))


def _may_replay(actor: Actor, entry: Entry, registry: Registry) -> bool:
    slot = registry.slot_of_address.get(entry.row.address)
    if slot is None:
        return _everywhere(actor)
    grid = registry.grid_code(slot)
    return actor.may_see(grid, registry.station_of_grid.get(grid, ""))
