"""The key that signs one-tap links: given by the operator, else made once and kept in the data folder, for its owner only."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from hub.errors import ConfigError

FILE = "links.key"
_BYTES = 32
_LEAST = 16


def link_key(folder: Path, given: str = "") -> bytes:
    """The key; `given` (hubs that share a ledger need the same one) stands before the file. Raises ConfigError for a weak one.

    Where the folder keeps nothing, the key lives as long as the process: links from before a restart are then refused.
    """
    if given:
        if len(given) < _LEAST:
            message = f"the key for links is shorter than {_LEAST} characters"
            raise ConfigError.one(
                "GRIDHUB_LINKS_KEY", message, remedy="give a long random one, e.g. openssl rand -hex 32"
            )
        return given.encode()
    path = folder / FILE
    with suppress(OSError):
        _make(path)
    try:
        found = path.read_bytes()
    except OSError:
        return secrets.token_bytes(_BYTES)
    if len(found) < _LEAST:
        raise ConfigError.one(
            str(path), "the key for links is damaged", remedy="delete the file: old links end, a new key is made"
        )
    return found


def _make(path: Path) -> None:
    """Puts a new key at `path`, whole or not at all; an older one stays. Two hubs that start at once take the same."""
    beside = path.with_suffix(f".{os.getpid()}.new")
    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, secrets.token_bytes(_BYTES))
        os.fsync(fd)
        with suppress(FileExistsError):
            os.link(beside, path)  # fails where there is one, unlike a rename
    finally:
        os.close(fd)
        beside.unlink(missing_ok=True)
