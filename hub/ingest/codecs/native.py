"""The hub's own dialect: `{root}/{site}/{node}/{device}/{channel}`. See docs/integrators.md for the contract.

What is exactly as the contract writes it takes a quick path (typed msgspec structs); everything else the careful one, which
says what is odd.
"""

from __future__ import annotations

from sys import intern
from typing import Annotated, Final, Literal

import msgspec

from hub.ingest.codecs import native_careful
from hub.ingest.codecs.context import CodecContext
from hub.ingest.codecs.native_careful import CarefulReader, Where
from hub.ingest.instants import AHEAD_MS, EARLIEST_MS
from hub.ingest.payload import STRICT_ERRORS
from hub.ingest.plain import Plain, codes_of
from hub.ingest.topics import CHANNELS, NATIVE_ROOT, NODE_ITSELF, Filter, NativeTopic, parse_native
from hub.model.quantities import ALARM_QUANTITY, BY_CODE
from hub.model.readings import Decoded, Event, Quality, Reading, Reject

NAME: Final = native_careful.NAME
_CLOCK: Final = int(Quality.CLOCK)
_TEST: Final = int(Quality.TEST)
_REMEMBERED: Final = 32_768  # devices; about 350 bytes each
_MEASURED: Final = frozenset(q.name for q in BY_CODE if q.kind in ("gauge", "counter"))
_new: Final = tuple.__new__  # Reading(...) without the cost of its keyword handling


_SWITCHES: Final = frozenset(q.name for q in BY_CODE if q.kind == "switch")
_STATES: Final = {q.name: frozenset(q.states) for q in BY_CODE if q.kind == "state"}
_QUICK_BYTES: Final = 4_096
_LEVELS, _EVENT, _CAREFUL = range(3)  # which quick path a channel has
_QUICK: Final = {"tele": _LEVELS, "state": _LEVELS, "event": _EVENT}
_PLAIN_CHANNEL: Final = "/tele"
_SHAPES: Final = 4_096  # sets of metrics in their order


class _Known(msgspec.Struct, gc=False):
    """What a topic says, kept ready for the next message below it. `plain`: whether a glance at it is worth while."""

    address: str
    gateway: str  # "" for a node itself
    site: str
    plain: bool = True

    @property
    def device(self) -> str:
        """Not kept: it is a part of the address."""
        return self.address.split("/")[-1 if self.gateway else -2]


class _Numbers(msgspec.Struct, gc=False):
    """Everyday telemetry. Whatever does not fit, `hist` and `test` among it, is for the paths that look closer."""

    m: dict[str, float]
    seq: int | None = None
    ts: Annotated[int, msgspec.Meta(ge=EARLIEST_MS)] | None = None
    v: Literal[1] = 1
    hist: None = None
    test: None = None


class _Levels(msgspec.Struct, gc=False):
    m: dict[str, bool | float | str | None]
    seq: int | None = None
    ts: int | None = None
    v: int = 1
    hist: bool = False
    test: bool = False


class _Alarm(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    id: str
    type: str
    alarm: str
    active: bool
    test: bool = False
    seq: int | None = None
    ts: int | None = None
    v: int = 1


_numbers: Final = msgspec.json.Decoder(_Numbers).decode
_levels: Final = msgspec.json.Decoder(_Levels).decode
_event: Final = msgspec.json.Decoder(_Alarm).decode


class NativeCodec:
    """Decodes native-v1 below `root`. `decode` never raises and never takes more than milliseconds."""

    name = NAME

    def __init__(self, root: str = NATIVE_ROOT, context: CodecContext | None = None) -> None:
        self.root = root
        context = context or CodecContext()
        self._careful = CarefulReader(context.zone)
        self._own_text = context.own_text
        self._known: dict[str, _Known] = {}  # by topic less its channel
        self._shapes: dict[tuple[str, ...], bytes] = {}  # metrics, all of them measured → their codes

    def plain(self, topic: str, payload: bytes, received_at_ms: int) -> Plain | None:
        """The message if it is everyday telemetry of a device that was heard before; None says nothing of it."""
        prefix = topic.removesuffix(_PLAIN_CHANNEL)  # a whole topic is no prefix, so other channels are not found
        known = self._known.get(prefix)
        if known is None or not known.plain or len(payload) > _QUICK_BYTES:
            return None
        try:
            said = _numbers(payload)
        except STRICT_ERRORS:
            known.plain = (
                False  # the like will most likely come again: no glance until this device has sent something plain
            )
            return None
        ts, m = said.ts, said.m
        names = tuple(m)
        codes = self._shapes.get(names) or self._shape(names)
        if not codes or (ts is not None and ts > received_at_ms + AHEAD_MS):
            known.plain = (
                False  # the like will most likely come again: no glance until this device has sent something plain
            )
            return None
        return known.address, ts, said.seq, codes, m.values()

    def _shape(self, names: tuple[str, ...]) -> bytes:
        if not names or not _MEASURED.issuperset(names):
            return b""
        if len(self._shapes) >= _SHAPES:
            self._shapes.clear()
        found = self._shapes[names] = codes_of(names)
        return found

    def decode(
        self, topic: str, payload: bytes, *, received_at_ms: int, retained: bool
    ) -> tuple[Decoded, ...] | Reject:
        prefix, _, channel = topic.rpartition("/")
        known = self._known.get(prefix)
        quick = _QUICK.get(channel, _CAREFUL)
        if known is None or (quick == _CAREFUL and channel not in CHANNELS):
            located = self._locate(topic, prefix)
            if isinstance(located, Reject):
                return located
            known = located
        found: tuple[Decoded, ...] | None = None
        if len(payload) <= _QUICK_BYTES:
            if quick == _LEVELS:
                found = self._quick_levels(known, channel == "state", payload, received_at_ms)
                if found is not None and channel == "tele" and not known.plain:
                    known.plain = all(type(reading[1]) is float for reading in found[0].readings)
            elif quick == _EVENT:
                found = self._quick_event(known, payload, received_at_ms)
        if found is not None:
            return found
        address, device, gateway, site = known.address, known.device, known.gateway, known.site
        node = gateway or device
        parsed = NativeTopic(site, node, device if gateway else NODE_ITSELF, channel)
        where = Where(parsed, address, device, gateway, site, channel == "state", quick)
        return self._careful.read(where, payload, received_at_ms)

    def _quick_levels(
        self, known: _Known, is_state: bool, payload: bytes, received_at_ms: int
    ) -> tuple[Decoded, ...] | None:
        """Values of any kind that need no care, or None."""
        try:
            said = _levels(payload)
        except STRICT_ERRORS:
            return None
        ts = said.ts
        if said.v != 1 or said.hist or said.test or not (ts is None or EARLIEST_MS <= ts <= received_at_ms + AHEAD_MS):
            return None
        quality = _CLOCK if ts is None else 0
        readings: list[Reading] = []
        for name, value in said.m.items():
            fits = type(value)
            if fits is bool:
                if name not in _SWITCHES or (value and name == "test"):
                    return None
            elif fits is float:
                if name not in _MEASURED:
                    return None
            elif fits is not str or name not in _STATES or value not in _STATES[name]:
                return None
            readings.append(_new(Reading, (name, value, ts, quality, "", None)))
        return (
            Decoded(
                codec=NAME,
                address=known.address,
                device=known.device,
                readings=tuple(readings),
                seq=said.seq,
                gateway=known.gateway,
                site=known.site,
                observed_at_ms=ts,
                retained_state=is_state,
            ),
        )

    def _quick_event(self, known: _Known, payload: bytes, received_at_ms: int) -> tuple[Decoded, ...] | None:
        """A plain alarm as the contract writes it, or None."""
        try:
            said = _event(payload)
        except STRICT_ERRORS:
            return None
        ts, quantity = said.ts, ALARM_QUANTITY.get(said.alarm)
        if (
            quantity is None
            or said.v != 1
            or said.type != "alarm"
            or not said.id
            or len(said.id) > 128
            or not (ts is None or EARLIEST_MS <= ts <= received_at_ms + AHEAD_MS)
        ):
            return None
        quality = (_CLOCK if ts is None else 0) | (_TEST if said.test else 0)
        return (
            Decoded(
                codec=NAME,
                address=known.address,
                device=known.device,
                readings=(_new(Reading, (quantity, said.active, ts, quality, "", None)),),
                events=(Event("alarm", said.alarm, said.active, said.test),),
                dedupe_key=said.id,
                seq=said.seq,
                gateway=known.gateway,
                site=known.site,
                observed_at_ms=ts,
            ),
        )

    def _locate(self, topic: str, prefix: str) -> _Known | Reject:
        parsed = parse_native(topic, self.root)
        if isinstance(parsed, Reject):
            return parsed
        itself = parsed.device == NODE_ITSELF
        found = _Known(
            self._own_text(parsed.address),
            "" if itself else intern(parsed.node),
            intern(parsed.site),
        )
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[prefix] = found
        return found


def filters(root: str) -> tuple[Filter, ...]:
    """Alarm channels on the fire lane, the rest on the main one; answers to commands are not received."""
    alarms = tuple(Filter(f"{root}/+/+/+/{channel}", "fire") for channel in ("event", "state"))
    return alarms + tuple(
        Filter(f"{root}/+/+/+/{channel}") for channel in ("tele", "birth", "online", "batch", "senml", "cmd")
    )


def root_of(topic: str) -> str:
    """Everything before the four levels of the grammar."""
    return "/".join(topic.split("/")[:-4]) or NATIVE_ROOT
