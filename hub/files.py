"""Changing a file that others read: one writer after another, and never half a file."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PATIENCE_S = 20.0


@contextmanager
def locked(folder: Path, *, patience_s: float = _PATIENCE_S) -> Iterator[None]:
    """Holds the writers' lock of `folder`, over threads and processes. Raises TimeoutError when another keeps it for too long.

    The lock is on the folder itself, so it leaves no file behind and ends with the process that held it.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        give_up = time.monotonic() + patience_s
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > give_up:
                    raise TimeoutError(f"somebody else is changing {folder} for {patience_s:g} s") from None
                time.sleep(0.02)
        yield
    finally:
        os.close(handle)


def replaced(path: Path, body: bytes, *, mode: int | None = None) -> None:
    """Replaces `path` by `body`, all or nothing, even through a power cut. Keeps its rights, or sets `mode`. Raises OSError."""
    handle, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            os.chmod(beside, mode)
        elif path.exists():
            shutil.copymode(path, beside)
            _same_owner(path, beside)
        else:
            os.chmod(beside, 0o644)
        os.replace(beside, path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _same_owner(path: Path, beside: str) -> None:
    """A file that root replaces must stay its owner's; others cannot give files away, and need not."""
    status = path.stat()
    try:
        os.chown(beside, status.st_uid, status.st_gid)
    except PermissionError:
        pass
