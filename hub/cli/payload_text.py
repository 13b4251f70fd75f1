"""What devices sent, as text for a terminal: it cannot move the cursor, colour, or hide anything."""

from __future__ import annotations

import base64


def visible(text: str) -> str:
    """`text` with every character escaped that would not be seen as itself."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def shown(payload: bytes, most: int | None = None) -> str:
    """`payload` as text, or as `base64 …` when it is none; cut after `most` characters, its size said then."""
    try:
        text = visible(payload.decode("utf-8"))
    except UnicodeDecodeError:
        text = "base64 " + base64.b64encode(payload).decode()
    if most is None or len(text) <= most:
        return text
    return f"{text[:most]}… ({len(payload):,} bytes)"
