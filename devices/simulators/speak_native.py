"""Speaks the native contract `sc/v1/{site}/{node}/{device}/{channel}`."""

from __future__ import annotations

from collections.abc import Sequence

from devices.simulators.publisher import Message
from devices.simulators.speaking import Node, Spoken, Values, message
from hub.model.quantities import QUANTITIES

NODE_ITSELF = "-"


class Native:
    """Devices behind nodes; a node is one connection, named `site/node`."""

    codec = "native-v1"

    def __init__(self, root: str = "sc/v1") -> None:
        self.root = root

    def locate(self, address: str) -> tuple[str, str]:
        site, _, rest = address.partition("/")
        node, _, device = rest.partition("/")
        if not (site and node and device) or "/" in device:
            raise ValueError(f"native address {address!r} is not site/node/device")
        return f"{site}/{node}", device

    def will(self, node: Node) -> Message:
        # No ts: a will is written when the node connects, and would carry that time.
        return self._say(node, NODE_ITSELF, "online", {"online": False, "reason": "lwt"}, retain=True)

    def greet(self, node: Node, devices: Sequence[Spoken], stamp_ms: int) -> list[Message]:
        said = self.beat(node, stamp_ms)
        for spoken in devices:
            birth = {
                "v": 1,
                "kind": spoken.device.kind,
                "vendor": "GridHub simulator",
                "model": spoken.device.model or spoken.device.kind,
                "fw": "1.0.0",
                "interval_s": round(spoken.interval_s, 3),
                "metrics": list(spoken.quantities),
            }
            said.append(self._say(node, spoken.name, "birth", birth, retain=True))
        return said

    def report(self, spoken: Spoken, fast: Values, slow: Values, stamp_ms: int) -> list[Message]:
        node, said = spoken.node, []
        if fast:
            body = {"v": 1, "seq": node.next_seq(), "ts": stamp_ms, "m": fast}
            said.append(self._say(node, spoken.name, "tele", body))
        if slow:
            body = {"v": 1, "seq": node.next_seq(), "ts": stamp_ms, "m": slow}
            said.append(self._say(node, spoken.name, "state", body, retain=True))
        return said

    def messages_per_report(self, fast: bool, slow: bool) -> int:
        return fast + slow

    def edge(self, spoken: Spoken, changed: Sequence[str], fast: Values, slow: Values, stamp_ms: int) -> list[Message]:
        node, said = spoken.node, []
        for quantity in changed:
            alarm = QUANTITIES[quantity].alarm
            if not alarm or quantity not in slow:
                continue
            seq = node.next_seq()
            event = {
                "v": 1,
                "id": f"{node.boot:x}-{node.name.replace('/', '-')}-{seq:x}",
                "seq": seq,
                "ts": stamp_ms,
                "type": "alarm",
                "alarm": alarm,
                "active": bool(slow[quantity]),
                "test": False,
            }
            said.append(self._say(node, spoken.name, "event", event))
        return said + self.report(spoken, fast, slow, stamp_ms)

    def beat(self, node: Node, stamp_ms: int) -> list[Message]:
        body = {"online": True, "ts": stamp_ms, "boot": node.boot}
        return [self._say(node, NODE_ITSELF, "online", body, retain=True)]

    def leave(self, node: Node, devices: Sequence[Spoken], stamp_ms: int) -> list[Message]:
        body = {"online": False, "reason": "shutdown", "ts": stamp_ms}
        return [self._say(node, NODE_ITSELF, "online", body, retain=True)]

    def _say(self, node: Node, device: str, channel: str, body: object, *, retain: bool = False) -> Message:
        return message(f"{self.root}/{node.name}/{device}/{channel}", body, node, retain=retain)
