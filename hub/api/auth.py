"""Who is asking: a bearer token (machines) or a session cookie (people). Requests with a cookie prove that our page sent them."""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections import OrderedDict, deque
from typing import Annotated

from fastapi import Depends, Request, Response

from hub.api import problems
from hub.api.parts import ApiParts
from hub.model.alerts import Actor, Role
from hub.stores.sessions import LIFETIME_MS

COOKIE = "gridhub_session"
CSRF_HEADER = "X-GridHub-Csrf"
_SAFE = ("GET", "HEAD", "OPTIONS")
ACTING: tuple[Role, ...] = ("grid_worker", "station", "officer", "admin")
READS_QUARANTINE: tuple[Role, ...] = ("officer", "admin")
KEEPS_RULES: tuple[Role, ...] = ("officer", "admin")


def parts_of(request: Request) -> ApiParts:
    parts: ApiParts = request.app.state.parts
    return parts


Parts = Annotated[ApiParts, Depends(parts_of)]


def csrf_of(session: str) -> str:
    """The proof that belongs to a session: derived from its secret, so that nothing has to be stored or compared with a store."""
    return hmac.new(session.encode(), b"gridhub csrf 1", hashlib.sha256).hexdigest()


def actor_of(request: Request, parts: Parts) -> Actor:
    """The actor behind the request. Raises 401 without a good token or session, 403 for a forged use of a session."""
    header = request.headers.get("authorization", "")
    if header:
        scheme, _, secret = header.partition(" ")
        actor = parts.tokens.actor_of(secret.strip(), parts.clock()) if scheme.lower() == "bearer" else None
        if actor is None:
            raise problems.wrong_token()
        return actor
    session = request.cookies.get(COOKIE, "")
    if not session:
        raise problems.not_signed_in()
    actor = parts.sessions.actor_of(session, parts.clock())
    if actor is None:
        raise problems.not_signed_in()
    if request.method not in _SAFE and not hmac.compare_digest(
        request.headers.get(CSRF_HEADER, "").encode(), csrf_of(session).encode()
    ):
        raise problems.forged()
    return actor


Caller = Annotated[Actor, Depends(actor_of)]


def acting(caller: Caller) -> Actor:
    """The caller, if its role may act on alerts; else 403."""
    if caller.role not in ACTING:
        raise problems.wrong_role(caller.role)
    return caller


def reading_quarantine(caller: Caller) -> Actor:
    """The caller, if its role may read what devices sent wrongly; else 403."""
    if caller.role not in READS_QUARANTINE:
        raise problems.wrong_role(caller.role)
    return caller


def reading_rules(caller: Caller) -> Actor:
    """The caller, if its role may read the rules and their history; else 403."""
    if caller.role not in KEEPS_RULES:
        raise problems.wrong_role(caller.role)
    return caller


def may_change_rules(actor: Actor) -> bool:
    """Rules hold for every grid: whoever is limited to some may read them only."""
    return actor.role in KEEPS_RULES and "*" in (*actor.grids, *actor.stations)


def changing_rules(caller: Caller) -> Actor:
    """The caller, if it may change the rules; else 403."""
    if not may_change_rules(reading_rules(caller)):
        raise problems.not_everywhere()
    return caller


RulesReader = Annotated[Actor, Depends(reading_rules)]
RulesKeeper = Annotated[Actor, Depends(changing_rules)]
ActingCaller = Annotated[Actor, Depends(acting)]
QuarantineReader = Annotated[Actor, Depends(reading_quarantine)]


def set_session(response: Response, secret: str, *, secure: bool) -> None:
    """Puts the session into a cookie that scripts cannot read and other sites cannot send."""
    response.set_cookie(
        COOKIE, secret, max_age=LIFETIME_MS // 1_000, path="/", httponly=True, samesite="lax", secure=secure
    )


def from_elsewhere(request: Request) -> bool:
    """Whether a browser says that another site made it send this request."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is not None and origin.partition("://")[2] != request.headers.get("host", "")


class FailureLimit:
    """Counts failed sign-ins by address: after `most` within `window_ms`, `wait_ms` says how long to keep away. Thread-safe.

    The window is short: many crew members may sit behind one address, and a lock-out at night must not last.
    """

    def __init__(self, *, most: int = 10, window_ms: int = 60_000, addresses: int = 10_000) -> None:
        self._most, self._window_ms, self._addresses = most, window_ms, addresses
        self._failures: OrderedDict[str, deque[int]] = OrderedDict()
        self._lock = threading.Lock()

    def wait_ms(self, address: str, now_ms: int) -> int:
        """Milliseconds until the next try is allowed; 0 = now."""
        with self._lock:
            failures = self._recent(address, now_ms)
            return max(0, failures[0] + self._window_ms - now_ms) if len(failures) >= self._most else 0

    def failed(self, address: str, now_ms: int) -> None:
        with self._lock:
            failures = self._recent(address, now_ms)
            failures.append(now_ms)
            self._failures[address] = failures
            self._failures.move_to_end(address)
            while len(self._failures) > self._addresses:
                self._failures.popitem(last=False)

    def _recent(self, address: str, now_ms: int) -> deque[int]:
        failures = self._failures.get(address, deque(maxlen=self._most))
        while failures and failures[0] <= now_ms - self._window_ms:
            failures.popleft()
        return failures
