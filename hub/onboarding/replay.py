"""Kept messages once more: what a device said before it was claimed, or before its mapping was mended, is not lost.

A message that comes again says at which time it came first (topic `$hub/replay/{ms}/{topic}`). What is older than the
screen's limit for lateness is stored and raises nothing: an alarm of yesterday is shown to a person, it rings no bell today.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, Protocol
from uuid import uuid4

from hub.clock import Clock
from hub.files import replaced
from hub.ingest.reader import REPLAY_TOPIC
from hub.loops import Loop
from hub.model.quantities import ALARM_QUANTITY
from hub.model.readings import Decoded, Envelope, QuarantineRow, Reject
from hub.registry.snapshot import Registry
from hub.stores.journal import MESSAGE, Record, Trimmed
from hub.telemetry import log

MOST: Final = 200_000
"""Messages that one replay takes at most; the oldest are left out."""
_AT_ONCE: Final = 2_000
_BATCH: Final = 5_000
_EVERY_S: Final = 1.0
_ALARMS: Final = frozenset(ALARM_QUANTITY.values())


class Again(NamedTuple):
    """A message to be read once more, and when it came."""

    at_ms: int
    topic: str
    payload: bytes


class Decode(Protocol):
    def __call__(
        self, topic: str, payload: bytes, *, received_at_ms: int, retained: bool
    ) -> tuple[Decoded, ...] | Reject: ...


class Kept(Protocol):
    """A journal, as far as it is needed here."""

    @property
    def tail(self) -> int: ...
    def position_at(self, at_ms: int) -> int: ...
    def read(self, position: int, *, limit: int) -> list[Record]: ...


@dataclass(slots=True)
class Outcome:
    """What reading again comes to: `understood` messages with `readings`, `devices` that said them, and `alarms` among them."""

    understood: list[Again]
    still_unknown: int = 0
    readings: int = 0
    devices: frozenset[str] = frozenset()
    alarms: tuple[tuple[int, str, str], ...] = ()  # when, device id, quantity
    missing: bool = False  # the journal no longer has all of them


def messages_of(rows: Sequence[QuarantineRow], journal: Kept | None) -> tuple[list[Again], bool]:
    """Every message behind `rows`, oldest first, from `journal`; what it no longer has is missing (True), but for the latest."""
    latest = {(row.last_at_ms, row.topic, row.payload): None for row in rows}
    if journal is None or not rows:
        return sorted(Again(*key) for key in latest), bool(rows) and sum(row.count for row in rows) > len(rows)
    topics = {row.topic for row in rows}
    first_ms = min(row.first_at_ms for row in rows)
    at, end, missing = journal.position_at(first_ms), max(row.position for row in rows) + 1, False
    found: list[Again] = []
    if at < journal.tail:
        at, missing = journal.tail, True
    while at < end:
        try:
            records = journal.read(at, limit=min(_BATCH, end - at))
        except Trimmed as gone:
            at, missing = gone.first_kept, True
            continue
        if not records:
            break
        found += (Again(r.at_ms, r.topic, r.payload) for r in records if r.kind == MESSAGE and r.topic in topics)
        at = records[-1].position + 1
        if len(found) > MOST + _BATCH:
            found, missing = found[-MOST:], True
    there = {(one.at_ms, one.topic, one.payload[:65_536]) for one in found}
    found += (Again(*key) for key in latest if key not in there)
    return sorted(found)[-MOST:], missing


def read_again(messages: Iterable[Again], decode: Decode, registry: Registry) -> Outcome:
    """Which of `messages` are understood now, and come from devices that are known now."""
    outcome = Outcome(understood=[])
    devices: set[str] = set()
    alarms: list[tuple[int, str, str]] = []
    for one in messages:
        said = decode(one.topic, one.payload, received_at_ms=one.at_ms, retained=False)
        known = (
            []
            if isinstance(said, Reject)
            else [d for d in said if d.address in registry.slot_of_address and not d.ignored]
        )
        if not known:
            outcome.still_unknown += 1
            continue
        outcome.understood.append(one)
        for device in known:
            name = registry.ids[registry.slot_of_address[device.address]]
            devices.add(name)
            outcome.readings += len(device.readings) + len(device.history)
            alarms += [
                (one.at_ms, name, r.quantity) for r in device.readings if r.value is True and r.quantity in _ALARMS
            ]
    outcome.devices, outcome.alarms = frozenset(devices), tuple(alarms)
    return outcome


class Spool:
    """Messages on their way to the running hub: files in a folder of the data folder, for their owner only.

    So a command, or a process that serves the API alone, can hand them over, and none is lost while the hub is away.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, messages: Sequence[Again]) -> Path:
        """Hands `messages` over, all or nothing. Raises OSError when there is no room."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lines = (json.dumps([m.at_ms, m.topic, base64.b64encode(m.payload).decode()]) for m in messages)
        path = self.folder / f"{messages[0].at_ms if messages else 0:015d}-{uuid4().hex[:12]}.jsonl"
        replaced(path, "\n".join(lines).encode(), mode=0o600)
        return path

    def files(self) -> list[Path]:
        return sorted(self.folder.glob("*.jsonl")) if self.folder.is_dir() else []

    @staticmethod
    def read(path: Path) -> Iterator[Again]:
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                if line.strip():
                    at_ms, topic, payload = json.loads(line)
                    yield Again(int(at_ms), str(topic), base64.b64decode(payload))


class Replays:
    """Takes what lies in the spool into the journal, some at a time, so that live messages need not wait for it.

    `take` must accept it or raise. A file is removed once all of it was taken; after a crash in between it is taken again,
    which stores the same readings at the same times once more.
    """

    def __init__(self, spool: Spool, take: Callable[[Envelope], None], clock: Clock) -> None:
        self._spool, self._take, self._clock = spool, take, clock
        self._open: tuple[Path, Iterator[Again]] | None = None
        self.loop = Loop("replays", self.step)

    def step(self) -> float:
        """Takes the next messages. Returns the seconds to wait."""
        if self._open is None:
            files = self._spool.files()
            if not files:
                return _EVERY_S
            self._open = files[0], self._spool.read(files[0])
            log.info("replay.begun", file=files[0].name)
        path, messages = self._open
        now_ms = self._clock()
        try:
            for _ in range(_AT_ONCE):
                one = next(messages, None)
                if one is None:
                    self._open = None
                    path.unlink(missing_ok=True)
                    log.info("replay.done", file=path.name)
                    return 0.0
                self._take(Envelope(f"{REPLAY_TOPIC}{one.at_ms}/{one.topic}", one.payload, now_ms))
        except (ValueError, TypeError) as damaged:  # somebody else's file: set aside, not tried for ever
            self._open = None
            path.rename(path.with_suffix(".damaged"))
            log.error("replay.damaged", file=path.name, reason=str(damaged))
        return 0.05
