"""The name under which a hub claims work in a ledger that several may share: the same after a restart, and no other's.

Work that a crash left claimed is then taken up at once by the hub that comes back, and not when its lease ends.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
from contextlib import suppress
from pathlib import Path

FILE = "owner.name"


class OwnerName:
    """`name` belongs to `folder` and is held by one process at a time; the system takes it back when the process dies.

    So whoever has the name knows that its earlier bearer is dead. Who finds it taken, or finds a folder that keeps nothing, gets
    a name of its own for this life. A copy of the folder gets a new name: its original may be alive, on another machine.
    """

    def __init__(self, folder: Path) -> None:
        self._fd: int | None = None
        kept = None
        with suppress(OSError):
            self._fd = os.open(folder / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            kept = _kept(self._fd)
        if kept is None:
            self.release()
        # with the machine's name: where locks do not reach (some network disks), two machines must not share a name
        self.name = f"{socket.gethostname()}-{kept or f'{os.getpid()}-{secrets.token_hex(4)}'}"

    def release(self) -> None:
        """Lets go of the name. Idempotent."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)


def _kept(fd: int) -> str | None:
    """What the file says, or says from now on. None when another process has it. Raises OSError when it cannot be kept."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None
    token, _, inode = os.pread(fd, 64, 0).decode("ascii", "replace").strip().partition(" ")
    if inode == str(os.fstat(fd).st_ino) and len(token) == 16 and token.isalnum():
        return token
    token = secrets.token_hex(8)
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{token} {os.fstat(fd).st_ino}\n".encode(), 0)
    os.fsync(fd)
    return token
