"""Signing in and out, and who one is."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from hub.api import problems
from hub.api.auth import COOKIE, Caller, FailureLimit, Parts, from_elsewhere, set_session
from hub.api.present import me
from hub.api.wire import Me, SignIn
from hub.telemetry import log

router = APIRouter(tags=["session"])


@router.get("/me", response_model=Me, summary="Who you are and what you may do")
def who(caller: Caller) -> Me:
    return me(caller)


@router.post(
    "/session",
    response_model=Me,
    summary="Exchange a token for a session cookie (for people; machines send the token itself)",
    responses=problems.described(429),
)
def sign_in(request: Request, response: Response, parts: Parts, body: SignIn) -> Me:
    if from_elsewhere(request):
        raise problems.forged()
    limit: FailureLimit = request.app.state.failures
    address = request.client.host if request.client else "-"
    now_ms = parts.clock()
    wait_ms = limit.wait_ms(address, now_ms)
    if wait_ms:
        raise problems.too_many_failures(wait_ms / 1_000)
    begun = parts.sessions.begin(body.token, now_ms)
    if begun is None:
        limit.failed(address, now_ms)
        log.warning("api.sign_in_failed", address=address)
        raise problems.wrong_token()
    secret, actor = begun
    set_session(response, secret, secure=is_secure(request, parts.site.public_url))
    log.info("api.signed_in", actor=actor.id, role=actor.role)
    return me(actor)


@router.delete("/session", status_code=204, summary="Sign out")
def sign_out(request: Request, response: Response, parts: Parts, caller: Caller) -> None:
    secret = request.cookies.get(COOKIE, "")
    if secret:
        parts.sessions.end(secret, parts.clock())
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax")


def is_secure(request: Request, public_url: str) -> bool:
    """Whether the browser reaches the hub over TLS, so that the cookie may be confined to it."""
    return request.url.scheme == "https" or (
        public_url.startswith("https://") and request.headers.get("host", "") == public_url.partition("://")[2]
    )
