"""Which language a request wants: the reader's own choice (cookie), else the browser's, else the given default."""

from __future__ import annotations

from fastapi import Request

from hub.i18n import LOCALES

COOKIE = "gridhub_locale"


def locale_of(request: Request, default: str) -> str:
    """One of `LOCALES`, never anything that a client made up."""
    chosen = request.cookies.get(COOKIE, "")
    if chosen in LOCALES:
        return chosen
    return preferred(request.headers.get("accept-language", ""), default)


def preferred(accept_language: str, default: str) -> str:
    """The best of our locales for an Accept-Language header, else `default`. Never raises."""
    best, weight = default, 0.0
    for part in accept_language[:500].split(","):
        tag, _, parameter = part.strip().partition(";")
        q = _weight(parameter)
        locale = {"zh": "zh-CN", "en": "en"}.get(tag.strip().lower()[:2])
        if locale is not None and q > weight:
            best, weight = locale, q
    return best


def _weight(parameter: str) -> float:
    name, _, number = parameter.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        q = float(number)
    except ValueError:
        return 0.0
    return q if 0.0 <= q <= 1.0 else 0.0
