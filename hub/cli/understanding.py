"""What a command needs to read messages as the hub would: its sources, its registry, its zone."""

from __future__ import annotations

from hub.errors import ConfigError
from hub.ingest.codecs.context import CodecContext
from hub.ingest.router import Router, Source
from hub.registry.snapshot import Registry
from hub.settings import Settings


def router_for(settings: Settings, registry: Registry) -> Router:
    """A router over the sources of `settings`, of its own. Raises ConfigError for a codec that is not known."""
    context = CodecContext(zone=settings.timezone, known=lambda address: address in registry.slot_of_address)
    try:
        return Router([Source(codec=s.codec, root=s.root) for s in settings.sources], context)
    except KeyError as unknown:
        raise ConfigError.one(
            str(settings.folder / "hub.yaml"), f"unknown codec {unknown}", key="sources", remedy="see `gridhub check`"
        ) from None
