"""Makes a notification short enough for its channel: whole lines go before parts of lines, the lightest first. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from hub.model.deliveries import Line, Message

_ESSENTIAL = 8
"""Lines from this weight on say what, where, what to do, or lead to the page: they are shortened last."""

_TITLE_BYTES = 150
"""What a title keeps before the link is given up: danger, severity and the begin of the place."""


def fit(lines: Sequence[Line], most_bytes: int) -> str:
    """The lines as one text of at most `most_bytes` bytes of UTF-8.

    Light lines are left out first; then the title is shortened, a link is left out whole (half of one leads nowhere), and
    the line that says what to do is only cut when nothing else is left.
    """
    kept = [Line(line.kind, text, line.weight) for line in lines if (text := sound(line.text))]
    while _size(kept) > most_bytes and (light := min(kept, key=lambda line: line.weight)).weight < _ESSENTIAL:
        kept.remove(light)
    kept = _shortened(kept, "title", _TITLE_BYTES, most_bytes)
    if _size(kept) > most_bytes:
        kept = [line for line in kept if line.kind != "link"] or kept
    for kind in [line.kind for line in sorted(kept, key=lambda line: line.weight)]:
        kept = _shortened(kept, kind, 0, most_bytes)
    return "\n".join(line.text for line in kept if line.text)


def fitted(message: Message, most_bytes: int, *, without: Collection[str] = ()) -> str:
    """The text of `message` in at most `most_bytes` bytes, without the kinds of lines that the channel shows elsewhere."""
    if not message.lines:
        return cut(message.text, most_bytes)
    return fit([line for line in message.lines if line.kind not in without], most_bytes)


def part(message: Message, kind: str) -> str:
    """The line of that kind, "" when the message has none."""
    return next((sound(line.text) for line in message.lines if line.kind == kind), "")


def with_keyword(text: str, keyword: str) -> str:
    """`text` with `keyword` in it: robots that want one refuse also the message that says all is well again."""
    return text if keyword in text else f"{text}\n{keyword}"


def title_of(message: Message, most_bytes: int) -> str:
    """The title on one line, in at most `most_bytes` bytes."""
    return cut(" ".join(message.title.split()), most_bytes)


def sound(text: str) -> str:
    """`text` as it can be sent: without control characters, and with "?" for what is half a character."""
    if text.isprintable():
        return text
    whole = text.encode("utf-8", "replace").decode()
    return "".join(c for c in whole if c == "\n" or (c >= " " and not "\x7f" <= c <= "\x9f"))


def cut(text: str, most_bytes: int) -> str:
    """`text` in at most `most_bytes` bytes of UTF-8, cut between characters and ended by "…"."""
    text = sound(text)
    whole = text.encode()
    if len(whole) <= most_bytes:
        return text
    room = most_bytes - len("…".encode())
    return whole[:room].decode("utf-8", "ignore").rstrip() + "…" if room > 0 else ""


def cut_characters(text: str, most: int) -> str:
    """`text` in at most `most` characters: for the services that count those, in UTF-16 as they do."""
    text = sound(text)
    if _utf16(text) <= most:
        return text
    while text and _utf16(text) > most - 1:
        text = text[: len(text) - max((_utf16(text) - most) // 2, 1)]
    return text.rstrip() + "…" if most > 0 else ""


def _utf16(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _shortened(lines: list[Line], kind: str, least_bytes: int, most_bytes: int) -> list[Line]:
    """`lines` with those of `kind` cut by what is too much, to not less than `least_bytes`."""
    result = list(lines)
    for n, line in enumerate(result):
        surplus = _size(result) - most_bytes
        if line.kind == kind and surplus > 0:
            room = max(len(line.text.encode()) - surplus, least_bytes, 0)
            result[n] = Line(line.kind, cut(line.text, room), line.weight)
    return [line for line in result if line.text] or result[:1]


def _size(lines: Sequence[Line]) -> int:
    return sum(len(line.text.encode()) + 1 for line in lines) - 1
