"""What stands around every answer: headers that confine the browser, and a limit on what a request may carry."""

from __future__ import annotations

from fastapi import FastAPI, Request
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub.api import problems
from hub.api.headers import HEADERS
from hub.stores import photo_cleaning

MOST_BYTES = 64 * 1_024
MOST_BYTES_OF_RULES = 1_024 * 1_024
MOST_BYTES_OF_PHOTO = photo_cleaning.MOST_BYTES


class Shield:
    """ASGI middleware; passes streams through untouched."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def shielded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        taken, most = 0, _most(scope["path"])

        async def limited() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > most:
                raise problems.too_large(most)
            return message

        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > most:
            await problems.too_large(most).response(Request(scope))(scope, receive, shielded)
        else:
            await self._app(scope, limited, shielded)


def _most(path: str) -> int:
    """Bytes that a request to `path` may carry: photos and rule files are larger than anything else that people send."""
    if path.startswith("/api/v1/cases/") and path.endswith("/photos"):
        return MOST_BYTES_OF_PHOTO
    large = path.startswith("/api/v1/rules/") or path == "/api/v1/cases/orders"
    return MOST_BYTES_OF_RULES if large else MOST_BYTES


def install(app: FastAPI) -> None:
    app.add_middleware(Shield)
