"""Where gateways of text messages and calls report what was delivered, answered and pressed."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request

from hub.api import problems
from hub.api.auth import FailureLimit, Parts
from hub.api.parts import ApiParts
from hub.dispatch import replies
from hub.i18n import _

router = APIRouter(prefix="/api/v1/replies", include_in_schema=False)
Gateway = Literal["sms", "voice"]
Secret = Annotated[str, Path(pattern=r"^[0-9A-Za-z_.~-]{16,200}$")]


@router.post("/{channel}")
async def signed(request: Request, parts: Parts, channel: Gateway) -> dict[str, Any]:
    """A callback that carries a signature, as the hub's own webhooks do."""
    body = await request.body()
    timestamp = request.headers.get("x-gridhub-timestamp", "")
    signature = request.headers.get("x-gridhub-signature", "")
    secret, now_ms = _secret(request, parts, channel), parts.clock()
    good = bool(secret) and replies.is_signed(secret, timestamp, signature, body, now_ms)
    return await _taken(request, parts, channel, body, good)


@router.post("/{channel}/{secret}")
async def known(request: Request, parts: Parts, channel: Gateway, secret: Secret) -> dict[str, Any]:
    """A callback of a service that signs nothing and only knows an address: its last part is the secret."""
    wanted = _secret(request, parts, channel)
    good = len(wanted) >= replies.LEAST_SECRET and replies.is_secret(wanted, secret)
    return await _taken(request, parts, channel, await request.body(), good)


def _secret(request: Request, parts: ApiParts, channel: Gateway) -> str:
    wait_ms = _limit(request).wait_ms(_address(request), parts.clock())
    if wait_ms:
        raise problems.too_many_failures(wait_ms / 1_000)
    return parts.answering.secret_of(channel) if parts.answering is not None else ""


async def _taken(request: Request, parts: ApiParts, channel: Gateway, body: bytes, good: bool) -> dict[str, Any]:
    from starlette.concurrency import run_in_threadpool

    if not good or parts.answering is None:
        _limit(request).failed(_address(request), parts.clock())
        raise problems.no_such(_("There is nothing here."))
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    understood = await run_in_threadpool(parts.answering.heard, channel, said, parts.clock())
    return {"code": 0, "msg": "ok", "understood": understood}


def _limit(request: Request) -> FailureLimit:
    limit: FailureLimit = request.app.state.failures
    return limit


def _address(request: Request) -> str:
    return f"reply {request.client.host if request.client else '-'}"
