"""Photos of cases as files in the data folder, outside of the ledger, for their owner only."""

from __future__ import annotations

import os
from hashlib import blake2b
from pathlib import Path
from uuid import uuid4

from hub.errors import Unavailable
from hub.model.cases import Photo, Stage
from hub.stores.photo_cleaning import EXTENSIONS, Clean


def photo_id(case_id: str, stage: Stage, data: bytes) -> str:
    """The identity of a photo of a case: the same photo again is the same one."""
    return blake2b(f"{case_id}:{stage}:".encode() + data, digest_size=12).hexdigest()


class PhotoStore:
    """One file a photo: <folder>/<case>/<photo>.<kind>. Thread-safe. Raises `Unavailable` when the disk refuses."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, photo: Photo, photo_of: Clean) -> None:
        """Keeps the bytes durably; what is there already stays."""
        file = self._file(photo)
        unfinished = file.with_suffix(f".{uuid4().hex}.part")
        try:
            if file.is_file():
                return
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
                out.write(photo_of.data)
                out.flush()
                os.fsync(out.fileno())
            unfinished.replace(file)
        except OSError as refused:
            unfinished.unlink(missing_ok=True)
            raise Unavailable(f"a photo cannot be kept: {refused.strerror}", after_s=10.0) from refused

    def read(self, photo: Photo) -> bytes | None:
        """The bytes; None when the file is not there (another hub's disk, or somebody removed it)."""
        try:
            return self._file(photo).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as refused:
            raise Unavailable(f"a photo cannot be read: {refused.strerror}", after_s=10.0) from refused

    def drop(self, photo: Photo) -> None:
        """Removes the bytes of a photo that became nobody's."""
        self._file(photo).unlink(missing_ok=True)

    def _file(self, photo: Photo) -> Path:
        if not (photo.case_id.isalnum() and photo.id.isalnum()):
            raise ValueError("ids of cases and photos name files: letters and digits only")
        return self._folder / photo.case_id / f"{photo.id}.{EXTENSIONS[photo.media_type]}"
