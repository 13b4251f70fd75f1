"""Credentials of nodes: made, rotated, revoked, one or many; each change writes the broker's files anew, all or nothing."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from hub.clock import Clock
from hub.errors import Refusal
from hub.files import locked, replaced
from hub.i18n import _
from hub.registry.snapshot import Registry
from hub.security import passwords
from hub.security.accounts import Account, Role, acl_file, nodes_of, objection, password_file

ACCOUNTS: Final = "accounts.json"
PASSWORDS: Final = "passwords"
ACL: Final = "acl"
OWN_ACL: Final = "acl.own"
"""Lines that the operator adds to the ACL, in a file of that name beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """A new password, which is shown once and kept nowhere. Its text never shows it."""

    name: str
    password: str

    def __repr__(self) -> str:
        return f"Secret(name={self.name!r})"


class Credentials:
    """Accounts in `folder`, which only its owner can read. Safe from several threads and processes. Raises OSError, Refusal."""

    def __init__(
        self,
        folder: Path,
        registry: Callable[[], Registry],
        clock: Clock,
        *,
        native_roots: Sequence[str] = ("sc/v1",),
        other_roots: Sequence[str] = (),
        pid_file: Path | None = None,
    ) -> None:
        self.folder, self._registry, self._clock = folder, registry, clock
        self._native, self._other, self._pid_file = tuple(native_roots), tuple(other_roots), pid_file

    def accounts(self) -> list[Account]:
        return sorted(self._read().values(), key=lambda one: one.name)

    def missing(self) -> list[str]:
        """Nodes of the registry that have no live account."""
        live = {one.name for one in self.accounts() if one.live}
        return sorted(nodes_of(self._registry()).keys() - live)

    def create(
        self, names: Iterable[str], role: Role = "node", *, sites: Sequence[str] = (), root: str = ""
    ) -> list[Secret]:
        """New accounts: all of them, or none. Their secrets are returned once. A node must be in the registry, or name its site."""
        wanted, nodes = list(dict.fromkeys(names)), nodes_of(self._registry())
        for name in wanted:
            if wrong := objection(name, role, sites=sites, root=root):
                raise Refusal(wrong)
            if role == "node" and name not in nodes and not sites:
                raise Refusal(
                    _("The registry has no device of the node {name}."),
                    remedy=_("Correct the name, claim a device of it first, or name the site that it belongs to."),
                    values={"name": name},
                )
        made = [Secret(name=name, password=passwords.fresh()) for name in wanted]
        with self._changing() as accounts:
            for secret in made:
                if (known := accounts.get(secret.name)) is not None and known.live:
                    raise Refusal(
                        _("There is an account {name} already."),
                        remedy=_("Rotate it to get a new password."),
                        values={"name": secret.name},
                    )
                accounts[secret.name] = Account(
                    name=secret.name,
                    role=role,
                    hash=passwords.hashed(secret.password),
                    created_at_ms=self._clock(),
                    sites=tuple(sites),
                    root=root,
                )
        return made

    def rotate(self, names: Iterable[str]) -> list[Secret]:
        """New passwords for accounts that there are; the old ones end with the broker's next look at its files."""
        made = [Secret(name=name, password=passwords.fresh()) for name in dict.fromkeys(names)]
        with self._changing() as accounts:
            for secret in made:
                accounts[secret.name] = _known(accounts, secret.name).rotated(
                    passwords.hashed(secret.password), self._clock()
                )
        return made

    def revoke(self, names: Iterable[str]) -> None:
        """Ends accounts. They stay on the list, so that it can be seen when."""
        wanted = list(dict.fromkeys(names))
        with self._changing() as accounts:
            for name in wanted:
                accounts[name] = _known(accounts, name).revoked(self._clock())

    def write(self) -> None:
        """Writes the broker's files anew: after the registry, or the operator's own lines, have changed."""
        with self._changing():
            pass

    def tell_broker(self) -> str:
        """Has mosquitto read its files again (SIGHUP). Returns "" when it was told, else what is left to do by hand."""
        by_hand = "tell the broker to read its files again: kill -HUP <pid of mosquitto>"
        if self._pid_file is None:
            return by_hand
        try:
            pid = int(self._pid_file.read_text("ascii").strip())
            if pid < 2 or not _is_broker(pid):
                return f"{self._pid_file} does not name a running mosquitto; {by_hand}"
            os.kill(pid, signal.SIGHUP)
        except (OSError, ValueError) as bad:
            return f"{self._pid_file}: {bad}; {by_hand}"
        return ""

    # -- the files ----------------------------------------------------------------------------------------------------

    def _changing(self) -> _Change:
        return _Change(self)

    def _read(self) -> dict[str, Account]:
        try:
            rows = json.loads((self.folder / ACCOUNTS).read_text("utf-8"))
            return {row["name"]: Account(**{**row, "sites": tuple(row["sites"])}) for row in rows}
        except FileNotFoundError:
            return {}
        except (ValueError, TypeError, KeyError) as damaged:
            raise Refusal(
                f"{self.folder / ACCOUNTS} cannot be read: {damaged}", remedy="bring it back from a backup"
            ) from None

    def _write(self, before: Mapping[str, Account], accounts: Mapping[str, Account]) -> None:
        """accounts.json first: the other two can be made from it again at any time."""
        others = self._others(before)
        own = self.folder / OWN_ACL
        tail = own.read_text("utf-8") if own.exists() else ""
        acl = acl_file(
            accounts.values(),
            nodes_of(self._registry()),
            native_roots=self._native,
            other_roots=self._other,
            tail=tail,
        )
        rows = [asdict(accounts[name]) for name in sorted(accounts)]
        replaced(self.folder / ACCOUNTS, json.dumps(rows, indent=1).encode(), mode=0o600)
        replaced(self.folder / PASSWORDS, password_file(accounts.values(), others).encode(), mode=self._mode(PASSWORDS))
        replaced(self.folder / ACL, acl.encode(), mode=self._mode(ACL))

    def _mode(self, name: str) -> int | None:
        """0600 for a new file; who gave the broker's group a right to read keeps it."""
        return None if (self.folder / name).exists() else 0o600

    def _others(self, before: Mapping[str, Account]) -> list[str]:
        """Lines of the password file that are none of ours: accounts that somebody else keeps there."""
        try:
            lines = (self.folder / PASSWORDS).read_text("utf-8").splitlines()
        except FileNotFoundError:
            return []
        return [line for line in lines if line.strip() and line.partition(":")[0] not in before]


class _Change:
    """Holds the lock over reading, changing and writing; nothing is written when the change fails."""

    def __init__(self, owner: Credentials) -> None:
        self._owner = owner
        owner.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = locked(owner.folder)
        self._before: dict[str, Account] = {}
        self._now: dict[str, Account] = {}

    def __enter__(self) -> dict[str, Account]:
        self._lock.__enter__()
        try:
            self._before = self._owner._read()
        except BaseException:
            self._lock.__exit__(None, None, None)
            raise
        self._now = dict(self._before)
        return self._now

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        try:
            if kind is None:
                self._owner._write(self._before | self._now, self._now)
        finally:
            self._lock.__exit__(None, None, None)


def _known(accounts: Mapping[str, Account], name: str) -> Account:
    found = accounts.get(name)
    if found is None:
        raise Refusal(
            _("There is no account {name}."), remedy=_("Look it up in the list of accounts."), values={"name": name}
        )
    return found


def _is_broker(pid: int) -> bool:
    """Whether the process is a mosquitto: a pid file that was left behind may name somebody else by now."""
    try:
        return "mosquitto" in Path(f"/proc/{pid}/comm").read_text("utf-8")
    except OSError:
        return not Path("/proc").is_dir()
