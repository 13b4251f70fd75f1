"""What stands around every answer: headers that confine the browser, and a limit on what a request may carry."""

from __future__ import annotations

from fastapi import FastAPI, Request
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub.api import problems
from hub.api.headers import HEADERS

MOST_BYTES = 64 * 1_024


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

        taken = 0

        async def limited() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > MOST_BYTES:
                raise problems.too_large(MOST_BYTES)
            return message

        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > MOST_BYTES:
            await problems.too_large(MOST_BYTES).response(Request(scope))(scope, receive, shielded)
        else:
            await self._app(scope, limited, shielded)


def install(app: FastAPI) -> None:
    app.add_middleware(Shield)
