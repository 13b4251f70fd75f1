"""Texts for people, by gettext: zh-CN and en. `text("en")("Smoke")` translates; message ids are English."""

from __future__ import annotations

import gettext
from collections.abc import Callable
from functools import cache
from pathlib import Path

LOCALES = ("zh-CN", "en")
DEFAULT_LOCALE = "zh-CN"
_FOLDER = Path(__file__).parent / "locales"


def _(message: str) -> str:
    """Marks a message for extraction; translation happens where the reader's locale is known."""
    return message


@cache
def text(locale: str) -> Callable[[str], str]:
    """The translating function of `locale` (one of LOCALES); an unknown locale gives the default one."""
    chosen = locale if locale in LOCALES else DEFAULT_LOCALE
    return gettext.translation(
        "gridhub", _FOLDER, languages=[chosen.replace("-", "_")], fallback=chosen == "en"
    ).gettext
