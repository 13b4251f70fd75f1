"""The loop that plans, sends and reads back. One owner thread; what the devices say is handed to it by the pipeline's.

The ledger is the queue: a command is marked as sent before it leaves, so a crash in between costs the command (somebody is
told that it is unconfirmed), and never sends it twice. A restart only looks for the read-back of what was sent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from hub.actuation.formats import Saying, Spoken, spoken
from hub.actuation.interlock import Situation, judge
from hub.actuation.machine import COMMAND, CommandEvent
from hub.actuation.planning import planned
from hub.actuation.table import READ_BACK, Action, Table
from hub.clock import Clock
from hub.errors import Unavailable
from hub.loops import Loop
from hub.model.commands import Command
from hub.model.quantities import BY_CODE, CODE, QUANTITIES, WANTED, coded
from hub.model.readings import Quality, ReadingBatch
from hub.registry.snapshot import Registry
from hub.stores.commands import Around, Commands, Step
from hub.telemetry import COMMAND_ANSWER, COMMANDS, log

LATE_MS: Final = 3_600_000
"""For so long after an unconfirmed command a read-back still counts; so old may an alarm be that is found at a start."""
_BUSY_S, _IDLE_S = 0.2, 1.0
_MOST_HEARD: Final = 10_000
_NO_PROOF: Final = int(
    Quality.UNKNOWN | Quality.IMPLAUSIBLE | Quality.HISTORY | Quality.TEST | Quality.SUSPECT | Quality.LATE
)
_REPEATED: Final = int(Quality.RETAINED | Quality.DUPLICATE)
_AUDIT: Final[Mapping[CommandEvent, str]] = {
    "send": "command_sent",
    "rehearse": "command_rehearsed",
    "read_back": "command_confirmed",
    "no_answer": "command_unconfirmed",
    "lapse": "command_expired",
    "forbid": "command_refused",
}


class Known(Protocol):
    """The newest value of one quantity of a device, as a history store gives it."""

    @property
    def quantity(self) -> str: ...
    @property
    def value(self) -> float | bool | str | None: ...
    @property
    def received_at_ms(self) -> int: ...


class Heard(NamedTuple):
    """What a device said of a quantity that was asked for."""

    device: str
    quantity: str
    value: float | bool | str | None
    observed_at_ms: int
    received_at_ms: int
    quality: int


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What the actuator needs of the rest of the hub. `publish` (topic, payload, seconds until nobody needs it any more) must
    not take long. `say` tells the rules what a device was asked for, where the hub cannot hear its own command.
    """

    registry: Callable[[], Registry]
    rule_kind: Callable[[str], str]
    ready: Callable[[], bool]
    publish: Callable[[str, bytes, float], bool]
    say: Callable[[str, str, float], None] = lambda device, quantity, value: None
    latest: Callable[[str], Sequence[Known]] = lambda device: ()
    roots: Mapping[str, Sequence[str]] = field(default_factory=dict)


class Actuator:
    """`loop` calls `step`; `observe` is for the pipeline's thread, `wake` for any."""

    def __init__(self, commands: Commands, table: Table, world: World, clock: Clock) -> None:
        self._commands, self._table, self._world, self._clock = commands, table, world, clock
        self._after = 0
        self._heard: deque[Heard] = deque(maxlen=_MOST_HEARD)
        self._watch: tuple[NDArray[np.int32], NDArray[np.int16]] | None = None
        self._looked = False
        self.loop = Loop("actuation", self.step)

    def wake(self, change: int = 0) -> None:
        self.loop.wake()

    def observe(self, batch: ReadingBatch) -> None:
        """Takes from a batch what devices say that were told something. Cheap when none was."""
        watch = self._watch
        if watch is None or not len(batch):
            return
        slots, codes = watch
        rows = np.flatnonzero(np.isin(batch.slot, slots) & np.isin(batch.quantity, codes))
        if not len(rows):
            return
        ids = self._world.registry().ids
        for row in rows.tolist():
            heard = Heard(
                ids[int(batch.slot[row])],
                BY_CODE[int(batch.quantity[row])].name,
                batch.spoken(row),
                int(batch.observed_at_ms[row]),
                int(batch.received_at_ms[row]),
                int(batch.quality[row]),
            )
            self._heard.append(heard)
        self.loop.wake()

    def step(self) -> float:
        """One look at everything. Returns the seconds to wait; raises Unavailable while the ledger is away."""
        now_ms = self._clock()
        self._plan(now_ms)
        unsettled = self._commands.unsettled(decided_since_ms=now_ms - LATE_MS)
        waiting = [one for one in unsettled if one.state != "planned"]
        self._watch_for(waiting)
        self._read_back(waiting, now_ms)
        for command in sorted((one for one in unsettled if one.state == "planned"), key=self._turn):
            sent = self._go_on(command, now_ms)
            waiting += [sent] if sent is not None else []
        self._watch_for(waiting)
        return _BUSY_S if any(one.is_open for one in unsettled) else _IDLE_S

    # -- planning -----------------------------------------------------------------------------------------------------

    def _plan(self, now_ms: int) -> None:
        if not self._table.rules:
            return
        found, upto = self._commands.triggers(self._table.rules, self._after)
        registry = self._world.registry()
        wanted: list[Command] = []
        for alert in found:
            if now_ms - alert.received_at_ms > LATE_MS:
                continue
            try:
                wanted += planned(self._table, alert, registry, now_ms)
            except Exception:  # one alarm that cannot be planned must not keep the others from it
                log.exception("actuation.planning_failed", alert=alert.id)
        self._commands.plan(wanted)
        self._after = upto

    # -- sending ------------------------------------------------------------------------------------------------------

    def _turn(self, command: Command) -> tuple[int, int, int]:
        """The earlier alarm first, then the order in which the operator has named actions and devices."""
        for n, action in enumerate(self._table.actions):
            if action.id == command.action_id and command.device_id in action.devices:
                return command.planned_at_ms, n, action.devices.index(command.device_id)
        return command.planned_at_ms, len(self._table.actions), 0

    def _go_on(self, command: Command, now_ms: int) -> Command | None:
        """What is to be done with a planned command; the command if it was sent."""
        if command.needs_a_person and now_ms < command.expires_at_ms:
            return None
        ready = self._world.ready()
        if not ready and command.mode == "live" and now_ms < command.expires_at_ms:
            return None
        action = self._table.find(command.action_id)
        said = self._spoken(command, action, now_ms)
        decide = partial(self._decide, action=action, said=said, now_ms=now_ms, ready=ready)
        done = self._commands.step(command.id, decide, at_ms=now_ms)
        if done is None:
            return None
        after = done[0]
        COMMANDS.labels(action=after.action_id, state=after.state).inc()
        log.info("actuation.step", command=after.id, action=after.action_id, device=after.device_id, state=after.state)
        if after.state != "sent" or said is None or action is None:
            return None
        self._watch_for([after], also=True)  # before it leaves: the answer may come at once
        taken = self._world.publish(said.topic, said.payload, max((after.expires_at_ms - now_ms) / 1_000, 1.0))
        self._commands.note(after, "command_handed_over", {"taken": taken}, at_ms=self._clock())
        if after.mode == "live" and not said.echoed and after.quantity in WANTED:
            self._tell_the_rules(after)
        if after.answer_by_ms is None:
            why = "a test: nothing is to be read back" if after.mode == "test" else "it reports nothing to read back"
            self._settle(after, "no_answer", self._clock(), why)
            return None
        return after

    def _decide(
        self, command: Command, around: Around, *, action: Action | None, said: Spoken | None, now_ms: int, ready: bool
    ) -> Step | None:
        if command.state != "planned":
            return None  # another hub was quicker
        alert = around.alert
        situation = Situation(
            now_ms=now_ms,
            action=action,
            alert=alert,
            rule_kind=self._world.rule_kind(alert.rule_id) if alert is not None else "",
            evidence=around.evidence,
            bans=around.bans,
            here=said is not None,
            ready=ready,
        )
        judgement = judge(command, situation)
        if judgement.verdict == "wait":
            return None
        to = COMMAND[command.state][judgement.verdict]
        assert to is not None  # a planned command takes every verdict
        changes: dict[str, object] = {"done_at_ms": now_ms}
        detail: dict[str, object] = {}
        if judgement.verdict in ("send", "rehearse") and said is not None:
            changes["topic"] = said.topic
            detail = {"topic": said.topic, "payload": said.payload.decode()}
        if judgement.verdict == "send":
            read_back = action is not None and action.can_be_read_back and command.mode == "live"
            limit_ms = action.read_back_s * 1_000 if action is not None else 0
            changes |= {
                "done_at_ms": None,
                "sent_at_ms": now_ms,
                "answer_by_ms": now_ms + limit_ms if read_back else None,
            }
        return Step(to, _AUDIT[judgement.verdict], judgement.reason, changes=changes, detail=detail)

    def _spoken(self, command: Command, action: Action | None, now_ms: int) -> Spoken | None:
        device = self._world.registry().find(command.device_id)
        if device is None or action is None:
            return None
        test = command.mode == "test"
        saying = Saying(
            id=command.id,
            quantity=command.quantity,
            wanted=command.wanted,
            at_ms=now_ms,
            expires_at_ms=command.expires_at_ms,
            alert=command.alert_id or "",
            sound_s=action.sound_s,
            test=test and action.tests_reach_devices,
        )
        return spoken(self._world.roots, device.addresses, saying)

    def _tell_the_rules(self, command: Command) -> None:
        name = WANTED[command.quantity]
        value = coded(QUANTITIES[name], command.wanted)
        if value is not None:
            self._world.say(command.device_id, name, value)

    # -- reading back -------------------------------------------------------------------------------------------------

    def _watch_for(self, waiting: Sequence[Command], *, also: bool = False) -> None:
        slot_of = self._world.registry().slot_of
        slots = {slot_of[one.device_id] for one in waiting if one.device_id in slot_of}
        codes = {CODE[one.quantity] for one in waiting if one.quantity in CODE}
        if also and self._watch is not None:
            slots |= set(self._watch[0].tolist())
            codes |= set(self._watch[1].tolist())
        self._watch = (
            (np.array(sorted(slots), np.int32), np.array(sorted(codes), np.int16)) if slots and codes else None
        )

    def _read_back(self, waiting: Sequence[Command], now_ms: int) -> None:
        heard: list[Heard] = []
        while self._heard:
            heard.append(self._heard.popleft())
        for command in waiting:
            proof = next((one for one in heard if proves(command, one)), None)
            if proof is not None:
                self._confirmed(command, proof.received_at_ms, now_ms)
            elif command.state == "sent" and (not self._looked or self._over(command, now_ms)):
                self._look(command, now_ms)
        self._looked = True

    @staticmethod
    def _over(command: Command, now_ms: int) -> bool:
        return command.answer_by_ms is None or now_ms >= command.answer_by_ms

    def _look(self, command: Command, now_ms: int) -> None:
        """Looks into what is known of the device: after a restart, and when the limit for its read-back has passed."""
        said = self._last_word(command)
        fits = said is not None and said.value in READ_BACK.get(command.quantity, ())
        if said is not None and fits and said.received_at_ms >= (command.sent_at_ms or now_ms):
            self._confirmed(command, said.received_at_ms, now_ms)
        elif not self._over(command, now_ms):
            return
        elif said is not None and fits and self._is_fresh(command, said, now_ms):
            self._settle(command, "read_back", now_ms, "it was so before, and has said nothing else")
        else:
            if command.answer_by_ms is None:  # a crash came between sending and settling
                why = "it reports nothing to read back"
            else:
                limit_s = (command.answer_by_ms - (command.sent_at_ms or command.answer_by_ms)) / 1_000
                why = f"no read-back within {limit_s:g} s"
            self._settle(command, "no_answer", now_ms, why)

    def _last_word(self, command: Command) -> Known | None:
        try:
            return next(
                (one for one in self._world.latest(command.device_id) if one.quantity == command.quantity), None
            )
        except Unavailable:
            return None

    def _is_fresh(self, command: Command, said: Known, now_ms: int) -> bool:
        registry = self._world.registry()
        slot = registry.slot_of.get(command.device_id)
        limit_ms = int(registry.silence_limit_ms[slot]) if slot is not None else 0
        return now_ms - said.received_at_ms < limit_ms

    def _confirmed(self, command: Command, received_at_ms: int, now_ms: int) -> None:
        after_ms = received_at_ms - (command.sent_at_ms or received_at_ms)
        late = "late: " if command.state == "unconfirmed" else ""
        if self._settle(command, "read_back", now_ms, f"{late}read back after {after_ms / 1_000:.1f} s"):
            COMMAND_ANSWER.labels(action=command.action_id).observe(after_ms / 1_000)

    def _settle(self, command: Command, event: CommandEvent, now_ms: int, why: str) -> bool:
        def decide(now: Command, around: Around) -> Step | None:
            to = COMMAND[now.state][event]
            return None if to in (None, now.state) else Step(to, _AUDIT[event], why, changes={"done_at_ms": now_ms})

        done = self._commands.step(command.id, decide, at_ms=now_ms)
        if done is not None:
            COMMANDS.labels(action=command.action_id, state=done[0].state).inc()
            log.info("actuation.step", command=command.id, device=command.device_id, state=done[0].state, reason=why)
        return done is not None


def proves(command: Command, heard: Heard) -> bool:
    """Whether `heard` shows that the device has done it: said after it was told, by the device itself, and no repetition."""
    if (heard.device, heard.quantity) != (command.device_id, command.quantity) or command.sent_at_ms is None:
        return False
    if heard.value not in READ_BACK.get(command.quantity, ()) or heard.quality & _NO_PROOF:
        return False
    since = heard.observed_at_ms if heard.quality & _REPEATED else heard.received_at_ms
    if heard.quality & _REPEATED and heard.quality & int(Quality.CLOCK):
        return False  # an old copy without a time of its own
    return since >= command.sent_at_ms
