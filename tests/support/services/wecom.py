"""A WeCom that is not one: group robots, and the messages of an application. Everything is answered with HTTP 200."""

from __future__ import annotations

import itertools
import json
import secrets
from typing import Any

from tests.support.services.server import Call, FakeService, Reply, Window


def _said(code: int, words: str, **more: Any) -> Reply:
    return Reply({"errcode": code, "errmsg": words, **more})


class FakeWecomRobots(FakeService):
    """Robots by key: 20 messages a minute each, texts of 2,048 bytes, Markdown of 4,096."""

    def __init__(self, *keys: str) -> None:
        super().__init__()
        self.windows = {key: Window(20, 60.0) for key in keys}

    def refusal(self, words: str) -> Reply:
        return _said(93000, words)

    def answer(self, call: Call) -> Reply:
        if call.path != "/cgi-bin/webhook/send" or call.method != "POST":
            return Reply(b"404 page not found", 404)
        window = self.windows.get(call.query.get("key", ""))
        if window is None:
            return _said(
                93000,
                "invalid webhook url, hint: [1700000000_1_abcdef], more info at https://open.work.weixin.qq.com/devtool/query?e=93000",
            )
        try:
            body = json.loads(call.body)
        except ValueError:
            return _said(40035, "invalid json")
        kind = body.get("msgtype") if isinstance(body, dict) else None
        if kind not in ("text", "markdown"):
            return _said(40008, "invalid message type")
        content = body.get(kind, {}).get("content", "")
        if not content:
            return _said(44004, "empty content")
        most = {"text": 2_048, "markdown": 4_096}[kind]
        if len(content.encode()) > most:
            return _said(40058, f"{kind}.content exceed max length {most}. invalid Request Parameter")
        if window.full(self.now_s()):
            return _said(
                45009, "api freq out of limit, more info at https://open.work.weixin.qq.com/devtool/query?e=45009"
            )
        self.taken.append(body)
        return _said(0, "ok")


class FakeWecomApp(FakeService):
    """The messages of one application: a token that expires, 30 messages a minute for each member, the rest lost in silence."""

    def __init__(self, corp_id: str, secret: str, agent_id: int, *members: str) -> None:
        super().__init__()
        self.corp_id, self.secret, self.agent_id, self.members = corp_id, secret, agent_id, members
        self.tokens: dict[str, float] = {}
        self.expires_in = 7_200
        self.windows: dict[str, Window] = {}
        self.lost: list[Any] = []
        self.numbers = itertools.count(1)

    def refusal(self, words: str) -> Reply:
        return _said(60020, words)

    def forget_tokens(self) -> None:
        self.tokens.clear()

    @property
    def tokens_asked(self) -> int:
        return sum(call.path == "/cgi-bin/gettoken" for call in self.calls)

    def answer(self, call: Call) -> Reply:
        if call.path == "/cgi-bin/gettoken" and call.method == "GET":
            return self._token(call)
        if call.path == "/cgi-bin/message/send" and call.method == "POST":
            return self._send(call)
        return Reply(b"404 page not found", 404)

    def _token(self, call: Call) -> Reply:
        if call.query.get("corpid") != self.corp_id:
            return _said(40013, "invalid corpid")
        if call.query.get("corpsecret") != self.secret:
            return _said(40001, "invalid credential")
        token = secrets.token_urlsafe(48)
        self.tokens[token] = self.now_s() + self.expires_in
        return _said(0, "ok", access_token=token, expires_in=self.expires_in)

    def _send(self, call: Call) -> Reply:
        until_s = self.tokens.get(call.query.get("access_token", ""))
        if until_s is None:
            return _said(40014, "invalid access_token")
        if until_s <= self.now_s():
            return _said(42001, "access_token expired")
        body = call.json
        if body.get("agentid") != self.agent_id:
            return _said(40056, "invalid agentid")
        wrong = _wrong(body)
        if wrong is not None:
            return wrong
        users = [user for user in body.get("touser", "").split("|") if user]
        good = [user for user in users if user in self.members]
        if not good and not body.get("toparty") and not body.get("totag"):
            return _said(81013, "user & party & tag all invalid")
        for user in good:
            window = self.windows.setdefault(user, Window(30, 60.0))
            (self.lost if window.full(self.now_s()) else self.taken).append(body)
        if not users:
            self.taken.append(body)
        invalid = "|".join(user.lower() for user in users if user not in good)
        return _said(0, "ok", invaliduser=invalid, invalidparty="", invalidtag="", msgid=f"msg-{next(self.numbers)}")


def _wrong(body: dict[str, Any]) -> Reply | None:
    kind = body.get("msgtype", "")
    content = body.get(kind)
    if kind not in ("text", "textcard", "template_card") or not isinstance(content, dict):
        return _said(40008, "invalid message type")
    if kind == "text" and len(content.get("content", "").encode()) > 2_048:
        return _said(45002, "content size out of limit")
    if kind == "textcard":
        if not content.get("title") or not content.get("description") or not content.get("url"):
            return _said(40035, "invalid parameter")
        if len(content["title"].encode()) > 128 or len(content["description"].encode()) > 512:
            return _said(40058, "textcard exceed max length")
        if len(content["url"].encode()) > 2_048 or len(content.get("btntxt", "")) > 4:
            return _said(40058, "textcard exceed max length")
    if kind == "template_card":
        if content.get("card_type") != "text_notice" or content.get("card_action", {}).get("type") != 1:
            return _said(40058, "template_card is wrong")
        if not content.get("main_title", {}).get("title") and not content.get("sub_title_text"):
            return _said(40058, "template_card is wrong")
        if len(content.get("jump_list", [])) > 3 or len(content.get("horizontal_content_list", [])) > 6:
            return _said(40058, "template_card has too many parts")
    return None
