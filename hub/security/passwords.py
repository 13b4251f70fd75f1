"""Passwords as mosquitto 2 keeps them: `$7$iterations$salt$hash`, PBKDF2 with SHA-512. No secret is ever kept itself."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Final

ITERATIONS: Final = 101
"""As mosquitto_passwd has it. Enough for secrets of 192 random bits, which nobody guesses; passwords that people choose need more,
and the broker pays for each at every connection."""
_SALT_BYTES: Final = 12
_HASH_BYTES: Final = 64


def fresh() -> str:
    """A new secret of 192 random bits, safe in a shell, a URL and a C string."""
    return secrets.token_urlsafe(24)


def hashed(password: str, *, iterations: int = ITERATIONS, salt: bytes | None = None) -> str:
    """What stands in the password file for `password`."""
    salt = secrets.token_bytes(_SALT_BYTES) if salt is None else salt
    return f"$7${iterations}${_text(salt)}${_text(_derived(password, salt, iterations, _HASH_BYTES))}"


def verifies(password: str, stored: str) -> bool:
    """Whether `password` is the one behind `stored`; False for anything that is no such hash."""
    parts = stored.split("$")
    if len(parts) != 5 or parts[:2] != ["", "7"] or not (parts[2].isascii() and parts[2].isdecimal()):
        return False
    try:
        salt, known = base64.b64decode(parts[3], validate=True), base64.b64decode(parts[4], validate=True)
    except ValueError:
        return False
    rounds = int(parts[2][:8])
    if not known or not 0 < rounds <= 10_000_000:
        return False
    return hmac.compare_digest(_derived(password, salt, rounds, len(known)), known)


def _derived(password: str, salt: bytes, iterations: int, length: int) -> bytes:
    return hashlib.pbkdf2_hmac("sha512", password.encode(), salt, iterations, length)


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
