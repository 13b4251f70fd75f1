"""The unknown devices among what stands in the quarantine: one for each address, with its latest messages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from hub.ingest.router import Router
from hub.model.quantities import ALARM_QUANTITY
from hub.model.readings import Decoded, QuarantineRow, Reject
from hub.onboarding.guess import Guess, guess
from hub.registry.snapshot import Registry

UNKNOWN_DEVICE: Final = "unknown device"
_ALARMS: Final = frozenset(ALARM_QUANTITY.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownDevice:
    """An address that nobody has claimed. `rows`: the latest message of each of its topics, the newest first."""

    address: str
    codec: str
    count: int
    first_at_ms: int
    last_at_ms: int
    guess: Guess
    behind: str  # id of the gateway in the registry that it speaks through, "" = not known
    rows: tuple[QuarantineRow, ...]
    alarms: tuple[str, ...]  # quantities of alarms that stand in its latest messages


def unknown_devices(
    rows: Iterable[QuarantineRow], registry: Registry, decode: Callable[[QuarantineRow], Sequence[Decoded]]
) -> list[UnknownDevice]:
    """The devices behind `rows` that `registry` does not know, the one heard latest first."""
    by_address: dict[str, list[QuarantineRow]] = {}
    for row in rows:
        if row.reason == UNKNOWN_DEVICE and row.address and row.address not in registry.slot_of_address:
            by_address.setdefault(row.address, []).append(row)
    found = [_one(address, several, registry, decode) for address, several in by_address.items()]
    return sorted(found, key=lambda one: (-one.last_at_ms, one.address))


def _one(
    address: str,
    rows: list[QuarantineRow],
    registry: Registry,
    decode: Callable[[QuarantineRow], Sequence[Decoded]],
) -> UnknownDevice:
    rows.sort(key=lambda row: -row.last_at_ms)
    said = [one for row in rows for one in decode(row) if one.address == address]
    return UnknownDevice(
        address=address,
        codec=rows[0].codec,
        count=sum(row.count for row in rows),
        first_at_ms=min(row.first_at_ms for row in rows),
        last_at_ms=rows[0].last_at_ms,
        guess=guess(address, said),
        behind=_gateway_of(address, registry),
        rows=tuple(rows),
        alarms=tuple(sorted({name for one in said for name in _alarms(one)})),
    )


def _alarms(one: Decoded) -> Iterable[str]:
    return (reading.quantity for reading in one.readings if reading.value is True and reading.quantity in _ALARMS)


def _gateway_of(address: str, registry: Registry) -> str:
    """The node that a native address names, or the bridge below whose base a Zigbee2MQTT address lies."""
    codec, _, said = address.partition(":")
    levels = said.split("/")
    last = "-" if codec == "native-v1" else "bridge"
    for count in range(len(levels) - 1, 0, -1):
        gateway = f"{codec}:{'/'.join((*levels[:count], last))}"
        if gateway != address and (slot := registry.slot_of_address.get(gateway)) is not None:
            return registry.ids[slot]
    return ""


def decoder(router: Router) -> Callable[[QuarantineRow], Sequence[Decoded]]:
    """Reads a kept message again, as the configuration understands it now; nothing where it does not."""

    def decode(row: QuarantineRow) -> Sequence[Decoded]:
        said = router.decode(row.topic, row.payload, received_at_ms=row.last_at_ms, retained=False)
        return () if isinstance(said, Reject) else said

    return decode
