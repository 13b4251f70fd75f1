"""The states of a command as a total table. Pure; drawn in docs/actuation.md.

Every state answers every event; None means that the event is refused there. Nothing leads back to `planned`: a command
goes to the broker once.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

from hub.model.commands import CommandState

CommandEvent = Literal["approve", "send", "rehearse", "read_back", "no_answer", "lapse", "forbid"]
EVENTS: tuple[CommandEvent, ...] = get_args(CommandEvent)

COMMAND: Final[dict[CommandState, dict[CommandEvent, CommandState | None]]] = {
    "planned": {
        "approve": "planned",
        "send": "sent",
        "rehearse": "rehearsed",
        "read_back": "planned",  # whatever the device says before it was told proves nothing
        "no_answer": None,
        "lapse": "expired",
        "forbid": "refused",
    },
    "sent": {
        "approve": None,
        "send": None,  # never blindly again: the device may have done it
        "rehearse": None,
        "read_back": "confirmed",
        "no_answer": "unconfirmed",
        "lapse": "sent",  # it is out: only the read-back tells
        "forbid": None,
    },
    "unconfirmed": {
        "approve": None,
        "send": None,
        "rehearse": None,
        "read_back": "confirmed",  # late, and true all the same
        "no_answer": "unconfirmed",
        "lapse": "unconfirmed",
        "forbid": None,
    },
    "confirmed": {
        "approve": None,
        "send": None,
        "rehearse": None,
        "read_back": "confirmed",
        "no_answer": "confirmed",
        "lapse": "confirmed",
        "forbid": None,
    },
    "refused": {
        "approve": None,
        "send": None,
        "rehearse": None,
        "read_back": "refused",
        "no_answer": "refused",
        "lapse": "refused",
        "forbid": "refused",
    },
    "expired": {
        "approve": None,
        "send": None,
        "rehearse": None,
        "read_back": "expired",
        "no_answer": "expired",
        "lapse": "expired",
        "forbid": "expired",
    },
    "rehearsed": {
        "approve": None,
        "send": None,
        "rehearse": "rehearsed",
        "read_back": "rehearsed",
        "no_answer": "rehearsed",
        "lapse": "rehearsed",
        "forbid": "rehearsed",
    },
}
FINAL: Final[tuple[CommandState, ...]] = ("confirmed", "unconfirmed", "refused", "expired", "rehearsed")
