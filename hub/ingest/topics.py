"""The native topic grammar: `{root}/{site}/{node}/{device}/{channel}`, fixed depth."""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

from hub.model.readings import Reject

NATIVE_ROOT: Final = "sc/v1"
NODE_ITSELF: Final = "-"
CHANNELS: Final = ("birth", "online", "state", "tele", "event", "batch", "senml", "cmd", "ack", "reject")
Lane = Literal["fire", "main"]
_LEVEL: Final = re.compile(r"[a-z0-9_-]{1,64}\Z")


class Filter(NamedTuple):
    """An MQTT subscription. The fire lane has a session and a queue of its own, so that no telemetry stands before alarms."""

    topic: str
    lane: Lane = "main"


def matches(wanted: str, topic: str) -> bool:
    """Whether the filter `wanted` takes `topic`. Wildcards at the beginning take no topic that begins with $ (MQTT 4.7.2)."""
    if topic.startswith("$") and wanted[:1] in ("+", "#"):
        return False
    filters, levels = wanted.split("/"), topic.split("/")
    for n, level in enumerate(filters):
        if level == "#":
            return True
        if n >= len(levels) or level not in ("+", levels[n]):
            return False
    return len(filters) == len(levels)


class NativeTopic(NamedTuple):
    """A parsed native topic. `device` "-" is the node itself."""

    site: str
    node: str
    device: str
    channel: str

    @property
    def address(self) -> str:
        return f"native-v1:{self.site}/{self.node}/{self.device}"

    def under(self, root: str = NATIVE_ROOT) -> str:
        """The MQTT topic below `root`."""
        return f"{root}/{self.site}/{self.node}/{self.device}/{self.channel}"


def parse_native(topic: str, root: str = NATIVE_ROOT) -> NativeTopic | Reject:
    """`topic` by the native grammar; a Reject names the level that breaks it."""
    if not topic.startswith(root + "/"):
        return Reject(codec="native-v1", reason="unknown topic", detail=f"not under {root}/")
    levels = topic[len(root) + 1 :].split("/")
    if len(levels) != 4:
        return Reject(
            codec="native-v1",
            reason="bad topic",
            detail=f"{len(levels)} levels after {root}, expected site/node/device/channel",
        )
    parsed = NativeTopic(*levels)
    for name, level in zip(("site", "node", "device"), levels, strict=False):
        if not _LEVEL.match(level):
            return Reject(
                codec="native-v1",
                reason="bad topic",
                field=name,
                detail=f"{name} {level[:80]!r}: use 1 to 64 of a-z 0-9 _ -",
            )
    if parsed.channel not in CHANNELS:
        return Reject(
            codec="native-v1",
            reason="unknown channel",
            field="channel",
            detail=f"{parsed.channel[:80]!r} is none of {' '.join(CHANNELS)}",
            device=parsed.node if parsed.device == NODE_ITSELF else parsed.device,
            address=parsed.address,
        )
    return parsed
