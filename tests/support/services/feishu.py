"""A Feishu that is not one: group robots with signatures, 5 messages a second and 100 a minute."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

from tests.support.services.server import Call, FakeService, Reply, Window


def _said(code: int, words: str, status: int = 200) -> Reply:
    return Reply({"code": code, "data": {}, "msg": words}, status)


class FakeFeishu(FakeService):
    """`robots`: token → the key of its signature, "" = unsigned. `keyword`: every message must have it."""

    def __init__(self, **robots: str) -> None:
        super().__init__()
        self.robots = robots
        self.keyword = ""
        self.windows = {token: (Window(100, 60.0), Window(5, 1.0)) for token in robots}

    def refusal(self, words: str) -> Reply:
        return _said(19022, words)

    def answer(self, call: Call) -> Reply:
        folder, _, token = call.path.rpartition("/")
        if folder != "/open-apis/bot/v2/hook" or call.method != "POST":
            return Reply(b"404 page not found", 404, {"Content-Type": "text/plain"})
        if token not in self.robots:
            return _said(19001, "param invalid: incoming webhook access token invalid")
        if len(call.body) > 20 * 1_024:
            return _said(9499, "Bad Request", 400)
        try:
            body = json.loads(call.body)
        except ValueError:
            return _said(9499, "Bad Request", 400)
        secret = self.robots[token]
        if secret and not self._is_signed(body, secret):
            return _said(19021, "sign match fail or timestamp is not within one hour from current time")
        if body.get("msg_type") != "text" or not body.get("content", {}).get("text", "").strip():
            return _said(9499, "Bad Request", 400)
        if self.keyword and self.keyword not in body["content"]["text"]:
            return _said(19024, "Key Words Not Found")
        minute, second = self.windows[token]
        if minute.full(self.now_s()) or second.full(self.now_s()):
            return _said(11232, "frequency limited psm[lark.oapi.app_platform_runtime]appID[1500]")
        self.taken.append(body)
        return Reply({"StatusCode": 0, "StatusMessage": "success", "code": 0, "data": {}, "msg": "success"})

    def _is_signed(self, body: dict[str, str], secret: str) -> bool:
        timestamp = str(body.get("timestamp", ""))
        if not timestamp.isdigit() or abs(int(timestamp) - self.wall_s()) > 3_600:
            return False
        digest = hmac.new(f"{timestamp}\n{secret}".encode(), b"", hashlib.sha256).digest()
        return body.get("sign") == base64.b64encode(digest).decode()
