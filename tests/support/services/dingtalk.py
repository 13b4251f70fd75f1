"""A DingTalk that is not one: group robots with signatures, 20 messages a minute, and ten minutes outside for more."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

from tests.support.services.server import Call, FakeService, Reply, Window


def _said(code: int, words: str) -> Reply:
    return Reply({"errcode": code, "errmsg": words})


class FakeDingtalk(FakeService):
    """`robots`: access_token → the key of its signature, "" = unsigned. `keyword`: every message must have it."""

    def __init__(self, **robots: str) -> None:
        super().__init__()
        self.robots = robots
        self.keyword = ""
        self.windows = {token: Window(20, 60.0) for token in robots}
        self.out_until_s: dict[str, float] = {}

    def refusal(self, words: str) -> Reply:
        return _said(400102, words)

    def answer(self, call: Call) -> Reply:
        if call.path != "/robot/send" or call.method != "POST":
            return Reply(b"<html>404</html>", 404, {"Content-Type": "text/html"})
        token = call.query.get("access_token", "")
        if not token:
            return _said(40035, "缺少参数 access_token")
        if token not in self.robots:
            return _said(300005, "token is not exist")
        if "application/json" not in call.headers.get("content-type", ""):
            return _said(43004, "无效的HTTP HEADER Content-Type")
        if self.out_until_s.get(token, 0.0) > self.now_s():
            return _said(130101, "send too fast, exceed 20 times per minute")
        refused = self._unsigned(call, self.robots[token]) if self.robots[token] else None
        if refused is not None:
            return refused
        if len(call.body) > 20_000:
            return _said(460101, "message too long, exceed 20000 bytes")
        body = json.loads(call.body)
        if body.get("msgtype") != "text":
            return _said(400105, "unsupported msgtype")
        content = body.get("text", {}).get("content", "")
        if not content.strip():
            return _said(40035, "缺少参数 text")
        if self.keyword and self.keyword not in content:
            return _said(
                310000, "keywords not in content, more: [https://ding-doc.dingtalk.com/doc#/serverapi2/qf2nxq]"
            )
        if self.windows[token].full(self.now_s()):
            self.out_until_s[token] = self.now_s() + 600
            return _said(130101, "send too fast, exceed 20 times per minute")
        self.taken.append(body)
        return _said(0, "ok")

    def _unsigned(self, call: Call, secret: str) -> Reply | None:
        timestamp = call.query.get("timestamp", "")
        if not timestamp.isdigit() or abs(int(timestamp) / 1_000 - self.wall_s()) > 3_600:
            return _said(310000, "invalid timestamp, more: [https://ding-doc.dingtalk.com/doc#/serverapi2/qf2nxq]")
        digest = hmac.new(secret.encode(), f"{timestamp}\n{secret}".encode(), hashlib.sha256).digest()
        if call.query.get("sign") != base64.b64encode(digest).decode():
            return _said(310000, "sign not match, more: [https://ding-doc.dingtalk.com/doc#/serverapi2/qf2nxq]")
        return None
