"""A Telegram that is not one: one bot, its chats, and 20 messages a minute for each."""

from __future__ import annotations

import itertools
import json
from urllib.parse import urlsplit

from tests.support.services.server import Call, FakeService, Reply, Window


def _refused(code: int, words: str, **parameters: int) -> Reply:
    body = {"ok": False, "error_code": code, "description": words}
    return Reply(body | ({"parameters": parameters} if parameters else {}), code)


class FakeTelegram(FakeService):
    """`moved`: old chat → the supergroup that it became. `blocked`: chats of people who do not want the bot."""

    def __init__(self, token: str, *chats: str) -> None:
        super().__init__()
        self.token, self.chats = token, set(chats)
        self.moved: dict[str, int] = {}
        self.blocked: set[str] = set()
        self.windows: dict[str, Window] = {}
        self.ids = itertools.count(7)

    def refusal(self, words: str) -> Reply:
        return _refused(400, f"Bad Request: {words}")

    def answer(self, call: Call) -> Reply:
        if call.path != f"/bot{self.token}/sendMessage" or call.method != "POST":
            return _refused(404 if "/bot" not in call.path else 401, "Unauthorized")
        body = json.loads(call.body)
        chat, text = str(body.get("chat_id", "")), str(body.get("text", ""))
        if chat in self.moved:
            return _refused(
                400, "Bad Request: group chat was upgraded to a supergroup chat", migrate_to_chat_id=self.moved[chat]
            )
        if chat not in self.chats:
            return _refused(400, "Bad Request: chat not found")
        if chat in self.blocked:
            return _refused(403, "Forbidden: bot was blocked by the user")
        if not text.strip():
            return _refused(400, "Bad Request: message text is empty")
        if len(text.encode("utf-16-le")) // 2 > 4_096:
            return _refused(400, "Bad Request: message is too long")
        for row in body.get("reply_markup", {}).get("inline_keyboard", []):
            for button in row:
                host = urlsplit(button["url"]).hostname or ""
                if "." not in host or host.startswith("127."):
                    return _refused(
                        400, f"Bad Request: inline keyboard button URL '{button['url']}' is invalid: Wrong HTTP URL"
                    )
        if self.windows.setdefault(chat, Window(20, 60.0)).full(self.now_s()):
            return _refused(429, "Too Many Requests: retry after 34", retry_after=34)
        self.taken.append(body)
        return Reply(
            {
                "ok": True,
                "result": {"message_id": next(self.ids), "date": 1_704_081_785, "chat": {"id": chat}, "text": text},
            }
        )
