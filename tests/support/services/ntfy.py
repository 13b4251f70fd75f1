"""An ntfy server that is not one: topics behind a token, 60 requests and then one more each 5 seconds."""

from __future__ import annotations

import json
import re
import secrets

from tests.support.services.server import Call, FakeService, Reply


def _refused(code: int, words: str) -> Reply:
    return Reply(
        {"code": code, "http": code // 100, "error": words, "link": "https://ntfy.sh/docs/publish/"}, code // 100
    )


class FakeNtfy(FakeService):
    def __init__(self, token: str) -> None:
        super().__init__()
        self.token = token
        self.left, self.at_s = 60.0, 0.0
        self.forbidden: set[str] = set()

    def refusal(self, words: str) -> Reply:
        return _refused(40301, words)

    def answer(self, call: Call) -> Reply:
        if call.path != "/" or call.method not in ("POST", "PUT"):
            return _refused(40401, "page not found")
        if call.headers.get("authorization") != f"Bearer {self.token}":
            return _refused(40101, "unauthorized")
        if not self._may_enter():
            return _refused(42901, "limit reached: too many requests")
        if len(call.body) > 2 * 4_096 + 4_096:
            return _refused(41303, "JSON body too large")
        try:
            body = json.loads(call.body)
        except ValueError:
            return _refused(40017, "invalid request: request body must be message JSON")
        if not re.fullmatch(r"[-_A-Za-z0-9]{1,64}", str(body.get("topic", ""))):
            return _refused(40009, "invalid request: topic invalid")
        if body["topic"] in self.forbidden:
            return _refused(40301, "forbidden")
        if len(body.get("actions", [])) > 3 or any(
            not a.get("label") or not a.get("url") for a in body.get("actions", [])
        ):
            return _refused(40018, "invalid request: actions invalid")
        if len(body.get("message", "").encode()) > 4_096:
            return _refused(40014, "invalid request: attachments not allowed")
        if len(body.get("title", "").encode()) > 1_024:
            return _refused(40057, "invalid request: title too long")
        self.taken.append(body)
        return Reply(
            {
                "id": secrets.token_urlsafe(9),
                "time": 1_704_081_785,
                "expires": 1_704_125_000,
                "event": "message",
                **body,
            }
        )

    def _may_enter(self) -> bool:
        now_s = self.now_s()
        self.left = min(60.0, self.left + (now_s - self.at_s) / 5.0) if self.at_s else 60.0
        self.at_s = now_s
        if self.left < 1:
            return False
        self.left -= 1
        return True
