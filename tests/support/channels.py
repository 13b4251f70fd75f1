"""Channels for tests: opened from a section of hub.yaml as the application does it, and a message for them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from hub.dispatch.channels import Channel, Tools, open_channels
from hub.dispatch.messages import compose
from hub.documents import Document, parse
from hub.model.deliveries import Message
from tests.support.notices import NOW_MS, ZONE, a_delivery, an_alert
from tests.support.registry import small_registry


def a_message(
    transition: str = "raised", locale: str = "zh-CN", alert: Mapping[str, Any] | None = None, **changes: Any
) -> Message:
    """The smoke alarm of `notices`, composed; `alert` changes the alert, `changes` the message."""
    delivery = a_delivery(transition=transition, locale=locale)
    message = compose(an_alert(**(alert or {})), delivery, small_registry(), NOW_MS, ZONE, "https://hub.example")
    return replace(message, **changes)


def hub_yaml(sections: Mapping[str, Any]) -> Document:
    document, complaints = parse(json.dumps({"channels": sections}, indent=1), "hub.yaml")
    assert document is not None
    assert not complaints
    return document


@contextmanager
def opened(sections: Mapping[str, Any], **tools: Any) -> Iterator[dict[str, Channel]]:
    channels = open_channels(sections, hub_yaml(sections), Tools(**tools))
    try:
        yield channels
    finally:
        for channel in channels.values():
            channel.close()
