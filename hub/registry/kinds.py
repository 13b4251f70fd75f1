"""What kinds of device there are, and how soon the silence of each supervision class means that a device is lost."""

from __future__ import annotations

from typing import Final

HUB: Final = "hub"
"""Kind and id of the one device that stands for the hub itself."""
CANARY: Final = "canary"
"""Kind, id and tag of the hub's own test device."""

DEVICE_KINDS: Final[tuple[str, ...]] = (
    "smoke_alarm",
    "heat_detector",
    "co_alarm",
    "gas_detector",
    "charging_cabinet",
    "charging_socket",
    "gate",
    "door",
    "lock",
    "meter",
    "water_leak",
    "water_pressure",
    "fire_lane_camera",
    "gateway",
    "env",
    "siren",
    HUB,
    CANARY,
)

SILENCE_LIMIT_MS: Final[dict[str, int]] = {
    "mains": 100_000,  # GB 25506: state information within 100 s
    "radio": 2 * 3_600_000,  # BS 5839-1: loss of a radio-linked detector shown within 2 h
    "nbiot": 25 * 3_600_000,  # a daily heartbeat, and an hour of grace
    "none": 0,  # not supervised
}
"""Supervision class → milliseconds without a sign of life after which the device counts as lost; 0 = never."""
