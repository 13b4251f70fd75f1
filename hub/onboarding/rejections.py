"""Tells native devices what was wrong with their message: an answer on their own topic `reject`, at a bounded rate.

Whoever commissions a device sees it there at once, without access to the hub. An answer is a help, not a record: it is
published once, not retained, and dropped when the broker is away.
"""

from __future__ import annotations

import json
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from hub.clock import Clock
from hub.ingest.codecs.native import NAME
from hub.ingest.topics import NativeTopic, parse_native
from hub.loops import Loop
from hub.model.readings import QuarantineRow, Reject

FRESH_MS: Final = 60_000
EVERY_MS: Final = 10_000
_MOST_WAITING: Final = 1_000
_REMEMBERED: Final = 10_000
_SAME: Final = ("seq", "id")

Publish = Callable[[str, bytes], bool]
FieldOf = Callable[[QuarantineRow], str]


def answer(row: QuarantineRow, root: str, field: str = "") -> tuple[str, bytes] | None:
    """Topic and body of the answer to a rejected message below `root`; None where it cannot be answered."""
    if row.codec != NAME or row.payload == b"":
        return None
    parsed = parse_native(row.topic, root)
    if isinstance(parsed, Reject):
        if not parsed.address:  # a level that breaks the grammar: no device listens there
            return None
        levels = row.topic[len(root) + 1 :].split("/")
        parsed = NativeTopic(*levels)
    if parsed.channel in ("reject", "ack", "cmd"):
        return None
    body: dict[str, Any] = {"v": 1, "channel": parsed.channel[:64], "reason": row.reason, "detail": row.detail[:300]}
    if field:
        body["field"] = field
    body |= _named(row.payload)
    body |= {"count": row.count, "ts": row.last_at_ms}
    return parsed._replace(channel="reject").under(root), json.dumps(
        body, ensure_ascii=False, separators=(",", ":")
    ).encode()


def _named(payload: bytes) -> dict[str, Any]:
    """What the device calls the message itself, where that can be read."""
    try:
        said = json.loads(payload[:65_536])
    except (ValueError, RecursionError):
        return {}
    if not isinstance(said, dict):
        return {}
    return {
        key: said[key]
        for key in _SAME
        if (isinstance(said.get(key), str) and len(said[key]) <= 128) or type(said.get(key)) is int
    }


class Rejections:
    """Answers rejected native messages below `roots`, from a thread of its own: the pipeline never waits for the broker.

    The same reason on the same topic is answered at most every ten seconds, with the number of messages since; old messages (a
    replay of the journal) are not answered.
    """

    def __init__(
        self, roots: Sequence[str], publish: Publish, clock: Clock, *, field_of: FieldOf = lambda row: ""
    ) -> None:
        self._roots, self._publish, self._clock, self._field_of = tuple(roots), publish, clock, field_of
        self._waiting: deque[QuarantineRow] = deque(maxlen=_MOST_WAITING)
        self._told: OrderedDict[tuple[str, str], int] = OrderedDict()
        self.sent = 0
        self.loop = Loop("rejections", self.step)

    def take(self, rows: Sequence[QuarantineRow]) -> None:
        """Takes what was set aside just now. Never blocks, never raises."""
        if not self._roots or not rows:
            return
        fresh = self._clock() - FRESH_MS
        native = [row for row in rows if row.codec == NAME and row.last_at_ms >= fresh]
        if native:
            self._waiting.extend(native)
            self.loop.wake()

    def step(self) -> float:
        """Answers what waits. Returns the seconds until the next look."""
        while self._waiting:
            row = self._waiting.popleft()
            key, now_ms = (row.topic, row.reason), self._clock()
            if now_ms - self._told.get(key, -EVERY_MS) < EVERY_MS:
                continue
            root = next((root for root in self._roots if row.topic.startswith(root + "/")), None)
            said = None if root is None else answer(row, root, self._field_of(row))
            if said is None:
                continue
            self._told[key] = now_ms
            self._told.move_to_end(key)
            if len(self._told) > _REMEMBERED:
                self._told.popitem(last=False)
            if self._publish(*said):
                self.sent += 1
        return 5.0
