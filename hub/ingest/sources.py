"""From the `sources` of hub.yaml to what the router takes: dialects of the table, and profiles of the operator's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from hub.documents import Document
from hub.errors import Complaint, ConfigError
from hub.ingest.codecs import CODECS, Profiled
from hub.ingest.router import Source
from hub.wrong_values import near


class Entry(Protocol):
    """A row of `sources`."""

    @property
    def codec(self) -> str: ...
    @property
    def root(self) -> str: ...
    @property
    def also(self) -> tuple[str, ...]: ...


def sources_of(entries: Sequence[Entry], folder: Path, document: Document | None = None) -> list[Source]:
    """The sources of a configuration in `folder`. Raises ConfigError with all that is wrong in them and in their profiles."""
    document = document or Document("hub.yaml", None)
    wrong: list[Complaint] = []
    found: list[Source] = []
    for n, entry in enumerate(entries):
        if entry.codec.endswith((".yaml", ".yml")):
            kind = _own(entry.codec, folder, wrong)
            if kind is not None:
                found.append(Source(codec=kind.name, root=entry.root or kind.usual_root, also=entry.also, kind=kind))
        elif entry.codec not in CODECS:
            every = f"use {', '.join(CODECS)}, or a profile of your own: profiles/mine.yaml"
            remedy = near(entry.codec, CODECS, every)
            wrong.append(document.complain(("sources", n, "codec"), f"unknown codec {entry.codec!r}", remedy))
        else:
            root = entry.root or CODECS[entry.codec].usual_root
            found.append(Source(codec=entry.codec, root=root, also=entry.also))
    if wrong:
        raise ConfigError(wrong)
    return found


def _own(name: str, folder: Path, wrong: list[Complaint]) -> Profiled | None:
    from hub.ingest.mapping import load

    try:
        profile, document = load(folder / name, name)
    except ConfigError as bad:
        wrong += bad.complaints
        return None
    if profile.profile in CODECS:
        remedy = "give it a name of its own: addresses of devices begin with it"
        wrong.append(
            document.complain(("profile",), f"the name {profile.profile!r} is that of a dialect of the hub", remedy)
        )
        return None
    return Profiled(profile.profile, profile)
