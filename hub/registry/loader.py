"""Reads a folder of registry files strictly: everything that is wrong is said at once, and nothing is loaded by halves."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Final

from hub.errors import ConfigError
from hub.model.places import Person, Place, Station
from hub.registry.builder import Builder
from hub.registry.devicefile import read_devices
from hub.registry.findings import Findings
from hub.registry.outlinefile import read_outlines
from hub.registry.placefile import read_places
from hub.registry.snapshot import Geometry, Registry
from hub.registry.stationfile import read_people, read_stations

FILES: Final = ("places.yaml", "people.yaml", "stations.yaml", "devices.csv", "outlines.geojson")


def load(folder: Path, *, previous: Registry | None = None, instead: Mapping[str, bytes] | None = None) -> Registry:
    """The registry of the five files in `folder`. Raises ConfigError with every complaint of all of them.

    Known ids keep their slots of `previous`. `instead` holds what a file, by its name, is to be taken for: so a change can be
    tried before it is written. What is incomplete but usable stands in `Registry.warnings`.
    """
    with _no_collector():
        return _load(folder, previous, instead or {})


@contextmanager
def _no_collector() -> Iterator[None]:
    """Pauses the cycle collector: over a big place it would look through all that is being built, dozens of times, in vain."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _load(folder: Path, previous: Registry | None, instead: Mapping[str, bytes]) -> Registry:
    findings = Findings()
    content = blake2b(digest_size=16)
    texts: dict[str, str | None] = {}
    for name in FILES:
        raw, texts[name] = findings.text(folder / name, instead.get(name))
        content.update(len(raw).to_bytes(8, "big") + raw)

    def file(name: str) -> str:
        return str(folder / name)

    people: dict[str, Person] | None = None  # None = not known: what points there cannot be checked
    places: dict[str, Place] | None = None
    stations: dict[str, Station] = {}
    outlines: dict[str, Geometry] = {}
    if (text := texts["people.yaml"]) is not None:
        people = read_people(text, file("people.yaml"), findings)
    if (text := texts["places.yaml"]) is not None:
        places = read_places(text, file("places.yaml"), people, findings)
    if (text := texts["stations.yaml"]) is not None:
        stations = read_stations(text, file("stations.yaml"), places, people, findings)
    if (text := texts["outlines.geojson"]) is not None:
        outlines = read_outlines(text, file("outlines.geojson"), places, findings)
    builder = Builder(
        places=(places or {}).values(),
        people=(people or {}).values(),
        stations=stations.values(),
        outlines=outlines,
        previous=previous,
    )
    if (text := texts["devices.csv"]) is not None:
        read_devices(text, file("devices.csv"), places, builder, findings)
    if findings.complaints:
        raise ConfigError(findings.complaints)
    return builder.build(content.hexdigest(), warnings=tuple(findings.warnings))
