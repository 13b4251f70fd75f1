"""Accounts at the broker, and the two files that mosquitto reads: who may enter, and who may say and hear what."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from hub.ingest.topics import NATIVE_ROOT, parse_native
from hub.model.readings import Reject
from hub.registry.snapshot import Registry

Role = Literal["node", "bridge", "hub"]
ROLES: Final[tuple[Role, ...]] = ("node", "bridge", "hub")
_PREFIX: Final = "native-v1:"
_NODE: Final = re.compile(r"[a-z0-9_-]{1,64}\Z")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_TOPIC: Final = re.compile(r"[^+#\x00-\x1f\x7f\s][^+#\x00-\x1f\x7f]*\Z")

MARK: Final = "# Made by `gridhub credentials`. Changes by hand are lost; the accounts stand in accounts.json."


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who may enter the broker as `name`. `sites`: of a node that the registry does not have yet; `root`: of a bridge."""

    name: str
    role: Role
    hash: str
    created_at_ms: int
    rotated_at_ms: int | None = None
    revoked_at_ms: int | None = None
    sites: tuple[str, ...] = ()
    root: str = ""

    @property
    def live(self) -> bool:
        return self.revoked_at_ms is None

    def rotated(self, hash_: str, now_ms: int) -> Account:
        return replace(self, hash=hash_, rotated_at_ms=now_ms, revoked_at_ms=None)

    def revoked(self, now_ms: int) -> Account:
        return replace(self, revoked_at_ms=now_ms)


def objection(name: str, role: str, *, sites: Sequence[str] = (), root: str = "") -> str:
    """Why there can be no such account, "" when there can. A name that could mean more in an ACL is refused."""
    if role not in ROLES:
        return f"unknown role {role!r}: use {', '.join(ROLES)}"
    if role == "node" and not _NODE.match(name):
        return f"{name!r} is no node: use 1 to 64 of a-z 0-9 _ -"
    if not _NAME.match(name):
        return f"{name!r} is no account name: use letters, digits and . _ -"
    for site in sites:
        if not _NODE.match(site):
            return f"{site!r} is no site: use 1 to 64 of a-z 0-9 _ -"
    if role == "bridge" and not (_TOPIC.match(root) and not root.startswith("$") and not root.endswith("/")):
        return "a bridge needs the root of its topics, without wildcards, e.g. zigbee2mqtt"
    return ""


def nodes_of(registry: Registry, slots: Iterable[int] | None = None) -> dict[str, set[str]]:
    """Node → its sites, of every native address in `registry`, or only of devices with `slots`."""
    chosen = None if slots is None else set(slots)
    found: dict[str, set[str]] = {}
    for address, slot in registry.slot_of_address.items():
        if address.startswith(_PREFIX) and (chosen is None or slot in chosen):
            levels = address.removeprefix(_PREFIX).split("/")
            if len(levels) == 3 and not isinstance(parse_native(f"{NATIVE_ROOT}/{'/'.join(levels)}/tele"), Reject):
                found.setdefault(levels[1], set()).add(levels[0])
    return found


def slots_by_node(registry: Registry) -> dict[str, set[int]]:
    """Node → slots of the devices that speak through it."""
    found: dict[str, set[int]] = {}
    for address, slot in registry.slot_of_address.items():
        levels = address.removeprefix(_PREFIX).split("/")
        if address.startswith(_PREFIX) and len(levels) == 3:
            found.setdefault(levels[1], set()).add(slot)
    return found


def password_file(accounts: Iterable[Account], others: Iterable[str] = ()) -> str:
    """The lines of live accounts, behind `others`: lines of accounts that are kept elsewhere."""
    lines = [*others, *(f"{one.name}:{one.hash}" for one in sorted(accounts, key=lambda a: a.name) if one.live)]
    return "\n".join(lines) + "\n" if lines else ""


def acl_file(
    accounts: Iterable[Account],
    nodes: Mapping[str, Iterable[str]],
    *,
    native_roots: Sequence[str] = (NATIVE_ROOT,),
    other_roots: Sequence[str] = (),
    tail: str = "",
) -> str:
    """Who may say and hear what. A node speaks below its own name, at its own sites, and hears its own commands and rejections.

    Everything that is not allowed here is refused. `tail`: lines of an operator's own, kept at the end.
    """
    lines = [MARK]
    for one in sorted(accounts, key=lambda a: a.name):
        if not one.live:
            continue
        lines += ["", f"user {one.name}"]
        sites = sorted({*one.sites, *nodes.get(one.name, ())})
        for root in native_roots:
            for site in sites:
                own = f"{root}/{site}/{one.name}"
                lines += [f"topic write {own}/#", f"topic read {own}/+/cmd", f"topic read {own}/+/reject"]
        if one.role == "bridge":
            lines.append(f"topic readwrite {one.root}/#")
        elif one.role == "hub":
            lines += [f"topic read {root}/#" for root in (*native_roots, *other_roots)]
            lines += [f"topic write {root}/+/+/+/{channel}" for root in native_roots for channel in ("cmd", "reject")]
            lines += [f"topic write {root}/+/set" for root in other_roots]
            lines.append("topic read $SYS/broker/#")
    return "\n".join(lines) + "\n" + (f"\n{tail.rstrip()}\n" if tail.strip() else "")
