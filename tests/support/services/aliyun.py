"""An Aliyun that is not one: text messages and calls. Signatures are checked for real; business errors come with HTTP 200."""

from __future__ import annotations

import base64
import calendar
import hashlib
import hmac
import itertools
import json
import re
import time
from typing import Any
from urllib.parse import quote

from tests.support.services.server import Call, FakeService, Reply, Window


class FakeAliyun(FakeService):
    """One access key. `templates`: code → its variables. A number may get `per_minute`, `per_hour` and `per_day`."""

    action = ""
    number_key = ""
    template_key = ""
    params_key = ""
    receipt_key = ""

    def __init__(self, key_id: str, secret: str, templates: dict[str, tuple[str, ...]]) -> None:
        super().__init__()
        self.key_id, self.secret, self.templates = key_id, secret, templates
        self.per_minute, self.per_hour, self.per_day = 100, 1_000, 10_000
        self.most_characters = 35
        self.nonces: set[str] = set()
        self.numbers: dict[str, tuple[Window, Window, Window]] = {}
        self.ids = itertools.count(1)

    def refusal(self, words: str) -> Reply:
        return self.said("isv.AMOUNT_NOT_ENOUGH", words)

    def said(self, code: str, words: str, **more: Any) -> Reply:
        return Reply(
            {"RequestId": f"F655A8D5-B967-440B-8683-{next(self.ids):012d}", "Code": code, "Message": words, **more}
        )

    def gate(self, status: int, code: str, words: str) -> Reply:
        """What the gateway says, before the service itself."""
        return Reply(self.said(code, words).content, status)

    def answer(self, call: Call) -> Reply:
        if call.method != "POST" or call.path != "/":
            return self.gate(404, "InvalidAction.NotFound", "Specified api is not found")
        given = call.form
        refused = self._unsigned(given) or self._unknown(given)
        if refused is not None:
            return refused
        refused = self._wrong(given) or self._too_many(given[self.number_key])
        if refused is not None:
            return refused
        self.taken.append(given)
        receipt = f"{next(self.ids)}^0"
        return self.said("OK", "OK", **{self.receipt_key: receipt})

    def _unsigned(self, given: dict[str, str]) -> Reply | None:
        if given.get("AccessKeyId") != self.key_id:
            return self.gate(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found.")
        if given.get("SignatureMethod") != "HMAC-SHA1" or given.get("SignatureVersion") != "1.0":
            return self.gate(400, "InvalidParameter.SignatureMethod", "not supported")
        try:
            at_s = calendar.timegm(time.strptime(given.get("Timestamp", ""), "%Y-%m-%dT%H:%M:%SZ"))
        except ValueError:
            return self.gate(
                400, "InvalidTimeStamp.Format", "Specified time stamp or date value is not well formatted."
            )
        if abs(at_s - self.wall_s()) > 900:
            return self.gate(400, "InvalidTimeStamp.Expired", "Specified time stamp or date value is expired.")
        nonce = given.get("SignatureNonce", "")
        if not nonce or nonce in self.nonces:
            return self.gate(400, "SignatureNonceUsed", "Specified signature nonce was used already.")
        self.nonces.add(nonce)
        pairs = sorted((k, v) for k, v in given.items() if k != "Signature")
        text = "POST&%2F&" + quote("&".join(f"{quote(k, safe='~')}={quote(v, safe='~')}" for k, v in pairs), safe="~")
        digest = hmac.new((self.secret + "&").encode(), text.encode(), hashlib.sha1).digest()
        if given.get("Signature") != base64.b64encode(digest).decode():
            shown = text.replace("&", "%26")[:40]
            return self.gate(
                400,
                "SignatureDoesNotMatch",
                f"Specified signature is not matched with our calculation. server string to sign is:{shown}",
            )
        return None

    def _unknown(self, given: dict[str, str]) -> Reply | None:
        if given.get("Action") != self.action or given.get("Version") != "2017-05-25":
            return self.gate(404, "InvalidAction.NotFound", "Specified api is not found")
        return None

    def _wrong(self, given: dict[str, str]) -> Reply | None:
        if not re.fullmatch(r"1[0-9]{10}", given.get(self.number_key, "")):
            return self.said("isv.MOBILE_NUMBER_ILLEGAL", f"{given.get(self.number_key)}invalid mobile number")
        variables = self.templates.get(given.get(self.template_key, ""))
        if variables is None:
            return self.said("isv.SMS_TEMPLATE_ILLEGAL", "模板不合法(不存在或被拉黑)")
        try:
            values = json.loads(given.get(self.params_key, ""))
        except ValueError:
            return self.said("isv.INVALID_JSON_PARAM", "参数格式错误，请修改为字符串值")
        missing = [name for name in variables if not values.get(name)]
        if missing:
            return self.said("isv.TEMPLATE_MISSING_PARAMETERS", f"模板缺少变量{missing[0]}")
        for value in values.values():
            if len(value) > self.most_characters:
                return self.said("isv.PARAM_LENGTH_LIMIT", "变量长度受限")
            if "http" in value or "www." in value:
                return self.said("isv.PARAM_NOT_SUPPORT_URL", "不支持URL")
            if re.search(r"[【】\U00010000-\U0010ffff\x00-\x1f]", value):
                return self.said("isv.TEMPLATE_PARAMS_ILLEGAL", "模板变量里包含非法字符")
        return None

    def _too_many(self, number: str) -> Reply | None:
        windows = self.numbers.setdefault(
            number, (Window(self.per_minute, 60), Window(self.per_hour, 3_600), Window(self.per_day, 86_400))
        )
        for window, words in zip(windows, ("分钟级", "小时级", "天级"), strict=True):
            if window.full(self.now_s()):
                return self.said("isv.BUSINESS_LIMIT_CONTROL", f"触发{words}流控Permits:{window.most}")
        return None


class FakeSms(FakeAliyun):
    action, number_key, template_key, params_key, receipt_key = (
        "SendSms",
        "PhoneNumbers",
        "TemplateCode",
        "TemplateParam",
        "BizId",
    )

    def _wrong(self, given: dict[str, str]) -> Reply | None:
        if given.get("SignName") != "幸福里微站":
            return self.said("isv.SMS_SIGNATURE_ILLEGAL", "短信签名不合法")
        return super()._wrong(given)


class FakeVoice(FakeAliyun):
    action, number_key, template_key, params_key, receipt_key = (
        "SingleCallByTts",
        "CalledNumber",
        "TtsCode",
        "TtsParam",
        "CallId",
    )

    def __init__(self, key_id: str, secret: str, templates: dict[str, tuple[str, ...]]) -> None:
        super().__init__(key_id, secret, templates)
        self.shown_numbers: tuple[str, ...] = ()

    def _wrong(self, given: dict[str, str]) -> Reply | None:
        if given.get("CalledShowNumber", "") not in (*self.shown_numbers, *(() if self.shown_numbers else ("",))):
            return self.said("isv.DISPLAY_NUMBER_ILLEGAL", "号显不合法")
        if given.get("PlayTimes") not in ("1", "2", "3"):
            return self.said("isv.INVALID_PARAMETERS", "参数异常")
        return super()._wrong(given)
