"""The journal's claim on its folder (a lock file) and on the disk (a reserve that is given up when the disk is full)."""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import suppress
from pathlib import Path

from hub.errors import ConfigError

_LOCK = "journal.lock"
_RESERVE = "journal.reserve"
_SPARE = 256 << 10


class FolderLock:
    """Held by the one process that appends to the journal; the system takes it back when the process dies."""

    def __init__(self, folder: Path) -> None:
        """Raises ConfigError when another process has it, OSError when the folder cannot be used."""
        self._path = folder / _LOCK
        try:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            if error.errno not in (errno.EROFS, errno.EACCES):
                raise
            self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(self._fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._fd)
            raise ConfigError.one(
                str(folder),
                f"the journal is in use by process {owner}",
                remedy="stop that hub first, or give this one a data_dir of its own",
            ) from None
        except OSError:
            os.close(self._fd)
            raise
        with suppress(OSError):  # only says who; a full disk must not keep the hub from starting
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def in_place(self) -> bool:
        """Whether the locked file is still the one in the folder. Raises FileNotFoundError if the folder is gone."""
        with suppress(FileNotFoundError):
            return os.stat(self._path).st_ino == os.fstat(self._fd).st_ino
        self._path.parent.stat()
        return False

    def release(self) -> None:
        os.close(self._fd)


class Reserve:
    """Disk room held by a file of no content. Given up when the disk is full, so that cursors, alerts and clean-up still work."""

    def __init__(self, folder: Path, size: int) -> None:
        self._folder, self._path = folder, folder / _RESERVE
        self._size = size
        self.given_up = False

    def hold(self) -> None:
        """Takes the room; if the disk has not that much, the journal counts as full until it has."""
        self.given_up = False
        with suppress(OSError):
            disk = os.statvfs(self._folder)
            self._size = min(self._size, disk.f_blocks * disk.f_frsize // 16)
            if not self._size or (self._path.exists() and self._path.stat().st_size >= self._size):
                return
            if disk.f_bavail * disk.f_frsize < self._size + _SPARE:
                self.given_up = True
                return
            fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                os.posix_fallocate(fd, 0, self._size)
            except OSError:
                self._path.unlink(missing_ok=True)
                raise
            finally:
                os.close(fd)

    def give_up(self) -> None:
        """Frees the room for others; until `hold`, `enough_for` keeps the journal itself from using it."""
        with suppress(OSError):
            self._path.unlink()
            self.given_up = True

    def enough_for(self, size: int) -> bool:
        """Whether the journal may try to write `size` bytes again without eating what was given up."""
        if not self.given_up:
            return True
        try:
            disk = os.statvfs(self._folder)
        except OSError:
            return False
        return disk.f_bavail * disk.f_frsize >= self._size + 3 * size + _SPARE
