"""What a command needs to read messages as the hub would: its sources, its registry, its zone."""

from __future__ import annotations

from hub.ingest.codecs.context import CodecContext
from hub.ingest.gb26875_listener import source
from hub.ingest.router import Router
from hub.ingest.sources import sources_of
from hub.registry.snapshot import Registry
from hub.settings import Settings, document_of


def router_for(settings: Settings, registry: Registry) -> Router:
    """A router over the sources of `settings`, of its own. Raises ConfigError with all that is wrong in them."""
    context = CodecContext(zone=settings.timezone, known=lambda address: address in registry.slot_of_address)
    sources = sources_of(settings.sources, settings.folder, document_of(settings.folder))
    if settings.gb26875 is not None:
        sources.append(source(sources))
    return Router(sources, context)
