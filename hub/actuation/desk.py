"""What people may do about commands: approve, forbid, ask for one, try the way, and keep a device still for a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hub.actuation.machine import COMMAND, CommandEvent
from hub.actuation.planning import ground_of, ordered, reaches, rehearsal
from hub.actuation.table import Action, Table
from hub.clock import Clock
from hub.errors import IllegalAction, NotAllowed, NotFound
from hub.i18n import _
from hub.model.alerts import Actor, Alert, Role
from hub.model.commands import Ban, Command
from hub.model.places import Device
from hub.registry.snapshot import Registry
from hub.stores.commands import Around, Commands, Step

MOVING: Final[tuple[Role, ...]] = ("station", "officer", "admin")
LONGEST_BAN_MS: Final = 30 * 86_400_000


class CommandDesk:
    """Thread-safe; in any process that has the ledger: the actuator of the process that has the devices does the rest.

    Every word needs a reason, and stands in the audit with who said it. Raises `NotFound`, `NotAllowed` or `IllegalAction`.
    """

    def __init__(
        self,
        commands: Commands,
        table: Table,
        registry: Callable[[], Registry],
        alert_of: Callable[[str], Alert | None],
        clock: Clock,
        *,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self.commands, self.table = commands, table
        self._registry, self._alert_of, self._clock, self._on_change = registry, alert_of, clock, on_change

    def approve(self, command_id: str, actor: Actor, reason: str) -> Command:
        """Lets a command go that waits for a person: one trigger, and this word. It has its sending time from now."""
        command = self._seen(command_id, actor)
        action = self._action(command.action_id)
        now_ms = self._clock()
        changes = {
            "approved_by": actor.id,
            "approved_at_ms": now_ms,
            "expires_at_ms": now_ms + action.expires_s * 1_000,
        }
        return self._say(command, "approve", "command_approved", actor, reason, now_ms, changes)

    def forbid(self, command_id: str, actor: Actor, reason: str) -> Command:
        """Stops a command that has not left yet."""
        command = self._seen(command_id, actor)
        now_ms = self._clock()
        return self._say(command, "forbid", "command_refused", actor, reason, now_ms, {"done_at_ms": now_ms})

    def order(self, action_id: str, alert_id: str, actor: Actor, reason: str, *, device_id: str = "") -> list[Command]:
        """Asks for an action while `alert_id` holds, on one device or on all that it reaches: one trigger and a person."""
        alert = self._alert_of(alert_id)
        if alert is None or not actor.may_see(alert.grid, alert.station):
            raise NotFound(_("there is no such alert in your area"), remedy=_("look it up in the list of alerts"))
        _permitted(actor)
        action = self._action(action_id)
        _reasoned(reason)
        if not alert.live:
            raise IllegalAction(
                _("the alarm is over"), remedy=_("nothing moves without an alarm that holds"), code="command-alarm-over"
            )
        if ground_of(action, alert.rule_id) is None:
            raise IllegalAction(
                _("this action does not belong to this alarm"),
                remedy=_("choose one that names the alarm's rule"),
                code="command-other-alarm",
            )
        registry, now_ms = self._registry(), self._clock()
        devices = [registry.find(one) for one in action.devices if device_id in ("", one)]
        near = [one for one in devices if one is not None and reaches(action.area, alert, one, registry)]
        mine = [one for one in near if actor.may_see(one.grid, registry.station_of_grid.get(one.grid, ""))]
        if not mine:
            raise IllegalAction(
                _("this action moves no such device near this alarm"),
                remedy=_("choose a device that the action names, in the same area, and in yours"),
                code="command-no-device",
            )
        cause = f"{alert.id}:{alert.occurrences}:{actor.id}:{now_ms}"
        plan = [ordered(action, alert, one, registry, actor, now_ms, cause) for one in mine]
        self.commands.plan(plan, actor=actor.id, detail=_who(actor, reason))
        self._on_change()
        return plan

    def rehearse(self, action_id: str, device_id: str, actor: Actor, reason: str) -> Command:
        """Tries the way to a device: everything up to the broker, and further only where the action says so."""
        action, device, grid, station = self._named(action_id, device_id, actor)
        _reasoned(reason)
        plan = rehearsal(action, device, self._registry(), actor, self._clock(), grid=grid, station=station)
        self.commands.plan([plan], actor=actor.id, detail=_who(actor, reason))
        self._on_change()
        return plan

    def ban(self, action_id: str, device_id: str, until_ms: int, actor: Actor, reason: str) -> Ban:
        """Keeps an action ("" = every one) from a device ("" = every one) until then; at the longest for 30 days."""
        _permitted(actor)
        _reasoned(reason)
        now_ms, registry = self._clock(), self._registry()
        if action_id:
            self._action(action_id)
        device = registry.find(device_id) if device_id else None
        if device_id and device is None:
            raise NotFound(_("there is no such device in your area"), remedy=_("look it up in the list of devices"))
        grid = device.grid if device is not None else ""
        station = registry.station_of_grid.get(grid, "")
        everywhere = "*" in (*actor.grids, *actor.stations)
        if not (everywhere if device is None else actor.may_see(grid, station)):
            raise NotAllowed(
                _("this is not in your area"),
                remedy=_("name a device of your area, or ask somebody for the whole site"),
            )
        if not now_ms < until_ms <= now_ms + LONGEST_BAN_MS:
            raise IllegalAction(
                _("the end must lie ahead, at the longest 30 days"),
                remedy=_("give another time"),
                code="command-ban-time",
            )
        return self.commands.ban(
            Ban(
                id=0,
                action_id=action_id,
                device_id=device_id,
                grid=grid,
                station=station,
                since_ms=now_ms,
                until_ms=until_ms,
                actor=actor.id,
                actor_name=actor.name,
                reason=reason.strip(),
            )
        )

    def lift(self, ban_id: int, actor: Actor) -> Ban:
        """Ends a ban before its time."""
        now_ms = self._clock()
        found = next((ban for ban in self.commands.bans(now_ms) if ban.id == ban_id), None)
        everywhere = "*" in (*actor.grids, *actor.stations)
        if found is None or not (everywhere or (found.device_id and actor.may_see(found.grid, found.station))):
            raise NotFound(_("there is no such ban in your area"), remedy=_("look it up in the list of bans"))
        _permitted(actor)
        lifted = self.commands.lift(ban_id, actor.id, now_ms)
        if lifted is None:
            raise IllegalAction(
                _("the ban is over already"), remedy=_("nothing is left to do"), code="command-ban-over"
            )
        self._on_change()
        return lifted

    # -- parts --------------------------------------------------------------------------------------------------------

    def _say(
        self,
        command: Command,
        event: CommandEvent,
        audit: str,
        actor: Actor,
        reason: str,
        now_ms: int,
        changes: dict[str, object],
    ) -> Command:
        _permitted(actor)
        _reasoned(reason)

        def decide(now: Command, around: Around) -> Step | None:
            to = COMMAND[now.state][event]
            over = event == "approve" and (now.expires_at_ms <= now_ms or around.alert is None or not around.alert.live)
            if to is None or over or now.state != "planned":
                return None
            words = "" if event == "approve" else reason.strip()
            return Step(to, audit, words, actor=actor.id, changes=changes, detail=_who(actor, reason))

        done = self.commands.step(command.id, decide, at_ms=now_ms)
        if done is None:
            raise IllegalAction(
                _("the command has left, is over, or its alarm is"),
                remedy=_("look at its state; ask for a new one while the alarm holds"),
                code="command-too-late",
            )
        self._on_change()
        return done[0]

    def _seen(self, command_id: str, actor: Actor) -> Command:
        command = self.commands.one(command_id, scope=actor)
        if command is None:
            raise NotFound(_("there is no such command in your area"), remedy=_("look it up in the list of commands"))
        return command

    def _action(self, action_id: str) -> Action:
        action = self.table.find(action_id)
        if action is None:
            raise NotFound(_("there is no such action"), remedy=_("look it up in the list of actions"))
        return action

    def _named(self, action_id: str, device_id: str, actor: Actor) -> tuple[Action, Device, str, str]:
        action = self._action(action_id)
        registry = self._registry()
        device = registry.find(device_id) if device_id in action.devices else None
        station = registry.station_of_grid.get(device.grid, "") if device is not None else ""
        if device is None or not actor.may_see(device.grid, station):
            raise NotFound(
                _("the action names no such device in your area"), remedy=_("look it up in the list of actions")
            )
        _permitted(actor)
        return action, device, device.grid, station


def _permitted(actor: Actor) -> None:
    if actor.role not in MOVING:
        raise NotAllowed(
            f"the role {actor.role} moves nothing",
            remedy=f"use one of the roles {', '.join(MOVING)}",
            code="command-wrong-role",
        )


def _reasoned(reason: str) -> None:
    if not reason.strip():
        raise IllegalAction(
            _("a reason is needed"),
            remedy=_("say in a few words why; it stays in the record"),
            code="command-reason-missing",
        )


def _who(actor: Actor, reason: str) -> dict[str, str]:
    return {"name": actor.name, "role": actor.role, "via": actor.via, "words": reason.strip()}
