"""A guard before the journal: one device gone mad must not fill the disk, nor keep the others waiting.

Each device has a bucket of tokens; who stays below its rate never notices. What comes beyond it is dropped, except alarms:
the fire lane is never asked, and of the rest a message that says another alarm state than the one before always passes. What is
dropped is counted and said, never silent: an entry in the quarantine, and the fact `flooding` about the device.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass
from typing import Final

from hub.clock import Clock
from hub.ingest.reader import FLOOD_TOPIC
from hub.loops import Loop
from hub.model.quantities import ALARM_QUANTITY
from hub.model.readings import Decoded, Envelope, Reject
from hub.telemetry import log

RATE_PER_S: Final = 200.0
"""More than any device needs: the native contract has one message a second, cameras and meters some ten."""
BURST: Final = 3_000.0
"""What a device may send at once, after an outage for example."""
CALM_MS: Final = 60_000
"""A flood is over when nothing was dropped for so long."""
_ALARM_EVERY_MS: Final = 1_000
_MOST_KEYS: Final = 200_000
_ALARMS: Final = frozenset(ALARM_QUANTITY.values())

Decode = Callable[[Envelope], Sequence[Decoded] | Reject]


@dataclass(slots=True)
class Flood:
    """Messages of one device that were dropped. `untold`: since they were said last."""

    topic: str
    since_ms: int
    last_ms: int
    dropped: int = 0
    untold: int = 0
    address: str = ""
    device: str = ""  # its id, once that was said


class FloodGuard:
    """`admits` is asked by the session that receives telemetry; `step` tells, in a thread of its own.

    The bucket is kept as the one time at which it would be full again (GCRA), so a message costs two look-ups.
    """

    def __init__(
        self,
        decode: Decode,
        tell: Callable[[Envelope], None],
        say: Callable[[str, bool], None],
        clock: Clock,
        *,
        device_of: Callable[[str], str] = lambda address: "",
        standing: Callable[[], Collection[str]] = lambda: (),
        native_roots: Sequence[str] = (),
        rate_per_s: float = RATE_PER_S,
        burst: float = BURST,
    ) -> None:
        """`tell` takes a record for the quarantine, `say` whether a device floods us, by its id.

        `device_of` gives the id behind an address, "" if nobody knows it; `standing` the devices of which an earlier life has said it.
        """
        self._decode, self._tell, self._say, self._clock = decode, tell, say, clock
        self._device_of, self._standing = device_of, standing
        self._began = False
        self._native = tuple(root + "/" for root in native_roots)
        self._each_ms = 1_000 / rate_per_s
        self._slack_ms = burst * self._each_ms
        self._full_at: dict[str, float] = {}
        self._alarms: dict[str, tuple[Hashable, int]] = {}  # of floods: what was said last, and when that passed
        self._floods: dict[str, Flood] = {}
        self._lock = threading.Lock()  # over _floods
        self.dropped = 0
        self.loop = Loop("flood", self.step)

    def admits(self, envelope: Envelope) -> bool:
        """Whether the message may go on. Never raises; one thread."""
        topic, _, now_ms, retained, _ = envelope
        if retained:  # the broker's own copies, once for each subscription
            return True
        key = topic.rpartition("/")[0] if self._native and topic.startswith(self._native) else topic
        full_at = self._full_at.get(key, 0.0)
        if full_at < now_ms:
            full_at = now_ms
            if len(self._full_at) >= _MOST_KEYS:
                self._forget(now_ms)
        full_at += self._each_ms
        if full_at - now_ms <= self._slack_ms:
            self._full_at[key] = full_at
            if self._alarms:
                self._alarms.pop(key, None)  # it may have said anything: the next alarm is news again
            return True
        return self._beyond(key, envelope)

    def _beyond(self, key: str, envelope: Envelope) -> bool:
        """A message beyond the rate: passes if it says another alarm state, or the same a second later."""
        now_ms, address = envelope.received_at_ms, ""
        try:
            said = self._decode(envelope)
        except (
            Exception
        ) as fault:  # as in the reader: no codec raises; should one do so, its message is looked at there
            log.error("flood.codec_failed", topic=envelope.topic[:200], reason=repr(fault))
            return True
        if not isinstance(said, Reject):
            address = said[0].address if said else ""
            state = _alarm_state(said)
            if state:
                before, at_ms = self._alarms.get(key, (None, 0))
                if state != before or now_ms - at_ms >= _ALARM_EVERY_MS:
                    self._alarms[key] = (state, now_ms)
                    return True
        self.dropped += 1
        with self._lock:
            flood = self._floods.get(key)
            if flood is None:
                flood = self._floods[key] = Flood(topic=envelope.topic, since_ms=now_ms, last_ms=now_ms)
                log.warning("flood.begun", topic=envelope.topic[:200], effect="messages beyond the rate are dropped")
            flood.last_ms, flood.address = now_ms, address or flood.address
            flood.dropped += 1
            flood.untold += 1
        return False

    def _forget(self, now_ms: int) -> None:
        """Gives up buckets that are full, which is what no entry means; all of them when that is not enough."""
        self._full_at = {key: at for key, at in self._full_at.items() if at > now_ms}
        if len(self._full_at) >= _MOST_KEYS // 2:
            self._full_at.clear()

    # -- telling --------------------------------------------------------------------------------------------------------

    def step(self) -> float:
        """Says what was dropped since the last look. Returns the seconds to wait; raises Unavailable while the ledger is away."""
        now_ms = self._clock()
        with self._lock:
            floods = list(self._floods.items())
            told = [(flood, flood.untold) for _, flood in floods]
            for flood, _ in told:
                flood.untold = 0
            over = [key for key, flood in floods if now_ms - flood.last_ms >= CALM_MS]
            ended = [self._floods.pop(key) for key in over]
        for flood, count in told:
            if count:
                self._tell(Envelope(f"{FLOOD_TOPIC}{count}/{flood.topic}", flood.address.encode(), now_ms))
            if not flood.device and flood.address and (device := self._device_of(flood.address)):
                flood.device = device
                self._say(device, True)
        for flood in ended:
            log.info("flood.over", topic=flood.topic[:200], dropped=flood.dropped)
            if flood.device and flood.device not in {one.device for one in self._floods.values()}:
                self._say(flood.device, False)
        if not self._began:
            for device in set(self._standing()) - {flood.device for flood, _ in told}:
                self._say(device, False)  # whoever floods us still is found again
            self._began = True
        return 2.0


def _alarm_state(said: Sequence[Decoded]) -> tuple[Hashable, ...]:
    """What the message says of alarms, on and off alike; () when it says nothing of any."""
    found: list[Hashable] = []
    for one in said:
        found += [(one.address, r.quantity, r.value) for r in one.readings if r.quantity in _ALARMS]
        found += [(one.address, e.type, e.alarm, e.active) for e in one.events if e.alarm or e.type.startswith("alarm")]
        if one.availability is not None:
            found.append((one.address, "online", one.availability))
    return tuple(found)
