"""Sirens and beacons on MQTT: a command in the native dialect on the topic that the station names."""

from __future__ import annotations

import json

from pydantic import Field

from hub.clock import Clock
from hub.dispatch.channels.channel import Channel, ChannelConfig, Tools
from hub.dispatch.pace import Limit
from hub.model.deliveries import Message, Outcome, Refused, Retry, Sent

_SILENT = ("cleared", "closed")


class Config(ChannelConfig):
    """`sound_s`: a siren stops by itself after this time; the ladder of a P1 sounds it again while nobody answers."""

    sound_s: int = Field(120, ge=5, le=1_800)

    def wrong_target(self, target: str) -> str:
        return "the siren's contact is not an MQTT topic" if not target or any(c in target for c in "+#\0") else ""


class Siren:
    """Publishes `{"v":1,"id":…,"cmd":"siren","on":true,"alert":…,"expires_ms":…}`.

    `expires_ms` also keeps a command that the broker held back from sounding hours later. The broker's word is not the
    siren's: the outcome is never `verified`. A test message is refused: a siren is not for tests.
    """

    name = "siren"
    idempotent = True
    limits: tuple[Limit, ...] = ()

    def __init__(self, config: Config, tools: Tools) -> None:
        self._config = config
        self._sound_ms = config.sound_s * 1_000
        self._publish = tools.publish
        self._clock: Clock = tools.clock

    def send(self, target: str, message: Message, *, timeout_s: float) -> Outcome:
        if message.test:
            return Refused("a test does not sound a siren")
        if wrong := self._config.wrong_target(target):
            return Refused(wrong)
        on = str(message.fields.get("transition", "")).split(":")[0] not in _SILENT
        payload = {
            "v": 1,
            "id": message.id,
            "cmd": "siren",
            "on": on,
            "alert": message.fields.get("alert", ""),
            "expires_ms": self._clock() + self._sound_ms,
        }
        try:
            taken = self._publish(target, json.dumps(payload, separators=(",", ":")).encode())
        except (OSError, RuntimeError, ValueError) as bad:
            return Retry(0.0, f"publishing failed: {type(bad).__name__}")
        return Sent(receipt="broker", verified=False) if taken else Retry(0.0, "the broker did not take the command")

    def close(self) -> None:
        pass


def open_channel(config: Config, tools: Tools) -> Channel:
    return Siren(config, tools)
