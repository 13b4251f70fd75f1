"""What is wrong (complaints) and what is merely incomplete (warnings), collected over all files before anybody is told."""

from __future__ import annotations

import difflib
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field

from hub import documents
from hub.documents import Document, Path_, Strict
from hub.errors import Complaint
from hub.model.places import Name

M = TypeVar("M", bound=Strict)


def _quoted(value: Any) -> Any:
    if isinstance(value, bool | int | float):
        raise ValueError("this is text and must stand in quotes")
    return value


def _printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError("holds a control character")
    return value


Text = Annotated[str, BeforeValidator(_quoted), AfterValidator(_printable)]
"""Text that YAML must not read as a number: a code of digits loses its leading zeros without quotes."""
Id = Annotated[Text, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$")]
Latitude = Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]
Longitude = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]


class Words(Strict):
    """A name in both languages."""

    zh: Text = Field(min_length=1)
    en: Text = Field(min_length=1)

    def name(self) -> Name:
        return Name(zh=self.zh, en=self.en)


@dataclass(slots=True)
class Findings:
    """The complaints and warnings so far. Loading goes on after either, so that all are told at once."""

    complaints: list[Complaint] = field(default_factory=list)
    warnings: list[Complaint] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)  # ids and codes of entries that were complained about
    _suggestions_left: int = 50

    def is_lost(self, word: str, known: Container[str] | None) -> bool:
        """Whether `word` is not among `known`, and nothing said before explains it (an unreadable file, a broken entry)."""
        if known is None or word in known or word in self.broken:
            return False
        return word.rpartition("-")[0] not in self.broken  # a unit of a broken building

    def near(self, word: str, known: Iterable[str], otherwise: str) -> str:
        """The remedy for an unknown `word`: the nearest known one, if any is near."""
        if self._suggestions_left > 0:  # searching costs: a file with everything wrong must not take minutes
            self._suggestions_left -= 1
            found = difflib.get_close_matches(word, known, n=1, cutoff=0.75)
            if found:
                return f"did you mean '{found[0]}'?"
        return otherwise

    def text(self, path: Path, instead: bytes | None = None) -> tuple[bytes, str | None]:
        """The bytes and text of `path`, or of what is given `instead`; text None (and a complaint) when it cannot be read or is not UTF-8."""
        remedy = "save it as UTF-8"
        try:
            raw = path.read_bytes() if instead is None else instead
            return raw, raw.decode("utf-8-sig")  # spreadsheets write a byte order mark
        except FileNotFoundError:
            raw, message, remedy = b"", "file not found", "create it; `gridhub check` on the shipped config/ shows one"
        except UnicodeDecodeError as bad:
            message = f"not UTF-8 at byte {bad.start} (line {raw[: bad.start].count(10) + 1})"
        except OSError as bad:
            raw, message, remedy = b"", f"cannot be read: {bad.strerror}", "check its permissions"
        self.complaints.append(Complaint(file=str(path), line=None, key="", message=message, remedy=remedy))
        return raw, None

    def document(self, text: str, file: str, key: str) -> Document | None:
        """The YAML file when it holds the list `key`, which is all that it may hold; None when it does not."""
        document, complaints = documents.parse(text, file)
        self.complaints += complaints
        if document is None:
            return None
        if not isinstance(document.data, dict):
            self.complaints.append(
                document.complain(
                    (),
                    f"expected the key '{key}' with a list",
                    f"begin the file with '{key}:' and each entry with '- '",
                )
            )
            return None
        for name in document.data:
            if name != key:
                self.complaints.append(document.complain((name,), "unknown key", f"the only key here is '{key}'"))
        if not isinstance(document.data.get(key), list):
            self.complaints.append(document.complain((key,), "expected a list", f"write '{key}:' and '- …' entries"))
            return None
        return document

    def entries(self, document: Document, key: str, model: type[M]) -> Iterator[tuple[Path_, M]]:
        """The valid entries of the list `key` with their paths; complains about the others and keeps them in `broken`."""
        for n, item in enumerate(document.data[key]):
            at: Path_ = (key, n)
            entry, wrong = documents.check(model, document, "nothing" if item is None else item, at)
            self.complaints += wrong
            if entry is not None:
                yield at, entry
            elif isinstance(item, dict):
                self.broken.update(str(item[name]) for name in ("id", "code") if name in item)
