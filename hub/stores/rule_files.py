"""The rule files of a folder: read as one moment, replaced all or nothing, also over a crash in the middle."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import secrets
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hub.errors import GridHubError
from hub.telemetry import log

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}\.yaml")
MOST_FILE_BYTES = 256 * 1024
MOST_FILES = 200
MOST_BYTES = 4 * 1024 * 1024
_INTENT = ".change"

Changes = Mapping[str, str | None]
"""What is to become of files: name → new text, None = the file goes."""


class RulesConflict(GridHubError):
    """The files are no longer those that a change was made from."""

    def __init__(self, version: str) -> None:
        super().__init__(f"the rule files have changed: they are at version {version} now")
        self.version = version


class RulesUnwritable(GridHubError):
    """The folder cannot be changed from here; nothing was changed."""


@dataclass(frozen=True, slots=True)
class RuleTexts:
    """Rule files at one moment. `version` names exactly this content of exactly these files."""

    files: Mapping[str, bytes]
    version: str

    @classmethod
    def of(cls, files: Mapping[str, bytes]) -> RuleTexts:
        digest = hashlib.sha256()
        for name in sorted(files):
            digest.update(f"{name}\0{len(files[name])}\0".encode() + files[name])
        return cls(dict(sorted(files.items())), digest.hexdigest()[:16])

    def text(self, name: str) -> str:
        """The text of a file; bytes that are not UTF-8 are shown as �."""
        return self.files[name].decode("utf-8", "replace")

    def texts(self) -> dict[str, str]:
        return {name: self.text(name) for name in self.files}

    def after(self, changes: Changes) -> RuleTexts:
        """As they would be with `changes`."""
        files = {name: body for name, body in self.files.items() if name not in changes}
        return RuleTexts.of(files | {name: text.encode() for name, text in changes.items() if text is not None})

    def changes_to(self, wanted: Mapping[str, str]) -> dict[str, str | None]:
        """What makes these files those of `wanted`."""
        changes: dict[str, str | None] = {name: None for name in self.files if name not in wanted}
        changes |= {name: text for name, text in wanted.items() if self.files.get(name) != text.encode()}
        return dict(sorted(changes.items()))


class RuleFiles:
    """The `*.yaml` files of a folder. Safe from several threads and processes, as far as they all come through here.

    Whoever edits the files by hand takes no part in the lock; `version` tells that they did.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self) -> RuleTexts:
        """The files as they are, none of them in the middle of a change. Raises OSError when the folder cannot be read."""
        with self._locked(fcntl.LOCK_SH):
            if not (self.folder / _INTENT).exists():
                return self._read()
        with self._locked(fcntl.LOCK_EX):
            self._finish()
            return self._read()

    def write(self, changes: Changes, *, expected: str) -> RuleTexts:
        """Makes `changes`, all of them or none, and returns the files afterwards.

        Raises `RulesConflict` when the files are not (or no longer) at version `expected`, `RulesUnwritable` when they cannot
        be changed.
        """
        with self._locked(fcntl.LOCK_EX):
            self._finish()
            before = self._read()
            if before.version != expected:
                raise RulesConflict(before.version)
            try:
                self._sweep()
                self._replace(before, changes)
            except OSError as bad:
                raise RulesUnwritable(f"{self.folder}: {bad.strerror or bad}") from bad
            return self._read()

    def check_writable(self) -> None:
        """Raises `RulesUnwritable` when a change would surely fail."""
        if not os.access(self.folder, os.W_OK | os.X_OK):
            raise RulesUnwritable(f"{self.folder}: the hub may not write there")

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            try:
                fcntl.flock(folder, how)
            except OSError as bad:  # some network file systems have no locks: then only one hub should write there
                log.warning("rules.no_lock", folder=str(self.folder), reason=bad.strerror)
            yield
        finally:
            os.close(folder)

    def _read(self) -> RuleTexts:
        return RuleTexts.of({path.name: path.read_bytes() for path in self.folder.glob("*.yaml") if path.is_file()})

    def _replace(self, before: RuleTexts, changes: Changes) -> None:
        for name in changes:
            if (self.folder / name).is_symlink():
                raise OSError(0, f"{name} is a link: change it where it is kept")
        put: dict[str, str] = {}
        try:
            for name, text in changes.items():
                if text is not None:
                    put[name] = self._beside(name, text.encode())
            remove = [name for name, text in changes.items() if text is None]
            if len(changes) > 1:  # from here on a crash is followed by all of it
                beside = self._beside(_INTENT, json.dumps({"put": put, "remove": remove}).encode())
                os.replace(self.folder / beside, self.folder / _INTENT)
                self._sync()
            self._carry_out(put, remove)
        except BaseException:
            self._undo(before, changes)
            for beside in put.values():
                (self.folder / beside).unlink(missing_ok=True)
            raise

    def _carry_out(self, put: Mapping[str, str], remove: Sequence[str]) -> None:
        """Puts what was written beside into place. May be done again from the start."""
        for name, beside in put.items():
            if (self.folder / beside).exists():
                os.replace(self.folder / beside, self.folder / name)
        for name in remove:
            (self.folder / name).unlink(missing_ok=True)
        self._sync()
        (self.folder / _INTENT).unlink(missing_ok=True)
        self._sync()

    def _finish(self) -> None:
        """Ends what a crash interrupted: everything had been written beside, so it goes forward."""
        try:
            intent = json.loads((self.folder / _INTENT).read_text("utf-8"))
        except FileNotFoundError:
            return
        self._carry_out(intent["put"], intent["remove"])
        log.warning("rules.change_finished", files=[*intent["put"], *intent["remove"]])

    def _sweep(self) -> None:
        """Removes what a crash left beside the files before anything was decided."""
        for left in self.folder.glob(".*.new"):
            left.unlink(missing_ok=True)

    def _undo(self, before: RuleTexts, changes: Changes) -> None:
        for name in changes:
            body = before.files.get(name)
            if body is None:
                (self.folder / name).unlink(missing_ok=True)
            elif not (self.folder / name).is_file() or (self.folder / name).read_bytes() != body:
                os.replace(self.folder / self._beside(name, body), self.folder / name)
        (self.folder / _INTENT).unlink(missing_ok=True)
        self._sync()

    def _beside(self, name: str, body: bytes) -> str:
        """Writes `body` to a new file next to `name`, with the rights that `name` has or its neighbours have; returns its name."""
        beside = f".{name.lstrip('.')}.{secrets.token_hex(4)}.new"
        like = next((p for p in (self.folder / name, *sorted(self.folder.glob("*.yaml"))) if p.is_file()), None)
        try:
            with (self.folder / beside).open("xb") as file:
                if like is not None:
                    _make_alike(file.fileno(), like.stat())
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            (self.folder / beside).unlink(missing_ok=True)
            raise
        return beside

    def _sync(self) -> None:
        folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _make_alike(file: int, like: os.stat_result) -> None:
    os.fchmod(file, stat.S_IMODE(like.st_mode))
    if like.st_uid != os.geteuid() or like.st_gid != os.getegid():
        try:
            os.fchown(file, like.st_uid, like.st_gid)
        except PermissionError:
            pass  # only root may give files away; who can read it matters, and that is kept


def objection(texts: RuleTexts, changes: Changes) -> tuple[str, str, str] | None:
    """Why `changes` of `texts` are not to be had, as (file, message, remedy): a name that leads elsewhere, or too much."""
    for name, text in changes.items():
        if name not in texts.files and not NAME.fullmatch(name):
            return name, "not a name for a rule file", "use a-z, 0-9, - and _, and end in .yaml, e.g. cabinet.yaml"
        if text is None and name not in texts.files:
            return name, "there is no such file", f"there are {', '.join(texts.files) or 'none'}"
        if text is not None and not _is_text(text):
            return name, "holds characters that cannot be written as UTF-8", "write it anew"
        if text is not None and len(text.encode()) > MOST_FILE_BYTES:
            return name, f"larger than {MOST_FILE_BYTES // 1024} KiB", "split it into several files"
    after = texts.after(changes)
    if len(after.files) > MOST_FILES:
        return "", f"more than {MOST_FILES} files", "put several rules into one file"
    if sum(map(len, after.files.values())) > MOST_BYTES:
        return "", f"more than {MOST_BYTES // 1024} KiB in all files", "remove rules that are not used"
    return None


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
