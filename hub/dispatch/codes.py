"""What a service's own codes mean. Pure.

Each channel has a table of the codes that its service documents; what is not in it is a refusal, unless it says in words
that it is busy. An answer without a code is never a yes: a page of a proxy, half an answer, an empty one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hub.dispatch.answers import AGAIN, Answer, clip, is_busy, is_web_page, json_of, quoted, said_in, seconds
from hub.model.deliveries import Outcome, Refused, Retry, Sent


@dataclass(frozen=True, slots=True)
class Again:
    """Not now. `after_s`: how long the service wants to be left alone, 0 when it does not say."""

    after_s: float = 0.0
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Never:
    """Refused for good. `hint`: what the operator can do about it."""

    hint: str = ""


Code = int | str
Meaning = Again | Never


@dataclass(frozen=True, slots=True, kw_only=True)
class Codes:
    """How a service answers: where its code stands, which one is a yes, and what the others mean.

    `keys`: the first of these that is in the body has the code. `receipt`: the service's own id of what it took.
    `refine`: a second look at a known code whose meaning depends on the words beside it; None = as the table says.
    """

    keys: tuple[str, ...]
    good: frozenset[Code]
    meanings: Mapping[Code, Meaning]
    receipt: Callable[[Mapping[str, Any]], Any] = lambda body: ""
    refine: Callable[[Code, str], Meaning | None] = lambda code, said: None

    def judge(self, answer: Answer, now_ms: int) -> Outcome:
        """Sent only for a code that says yes."""
        body = json_of(answer)
        code = self._code(body)
        said = said_in(body)
        status = answer.status
        told = f"{f'{self.keys[0]} {clip(str(code))}' if code is not None else f'HTTP {status}'}{quoted(said)}"
        meaning = self._meaning(code, said)
        if status in AGAIN or status >= 500:
            after_s = meaning.after_s if isinstance(meaning, Again) else 0.0
            return Retry(max(seconds(answer.retry_after, now_ms), after_s), told)
        if 300 <= status < 400:
            return Refused(f"HTTP {status}: redirects are not followed, correct base_url")
        if code is None:
            return self._without_code(answer, told)
        if 200 <= status < 300 and any(code == good and type(code) is type(good) for good in self.good):
            receipt = self.receipt(body)
            return Sent(str(receipt)[:128] if isinstance(receipt, str | int) else "")
        match meaning:
            case Again(after_s, hint):
                return Retry(after_s, _hinted(told, hint))
            case Never(hint):
                return Refused(_hinted(told, hint))
        return Retry(0.0, told) if is_busy(code, body) else Refused(told)

    def _code(self, body: Any) -> Code | None:
        if not isinstance(body, dict):
            return None
        for key in self.keys:
            value = body.get(key)
            if isinstance(value, str) and value:
                return int(value) if _is_number(value) and not any(isinstance(c, str) for c in self.good) else value
            if isinstance(value, int):
                return value
        return None

    def _meaning(self, code: Code | None, said: str) -> Meaning | None:
        if code is None or isinstance(code, bool):
            return None
        return self.refine(code, said) or self.meanings.get(code)

    def _without_code(self, answer: Answer, told: str) -> Outcome:
        if not 200 <= answer.status < 300:
            return Refused(told)
        if not answer.whole:
            return Retry(0.0, "the answer cannot be read whole, so nobody knows whether it is a yes")
        if is_web_page(answer.body):
            return Retry(0.0, "answered with a web page: something stands between the hub and the service")
        return Retry(0.0, f"the answer has no {self.keys[0]}, so nobody knows whether it is a yes")


def _is_number(text: str) -> bool:
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdigit() and len(digits) < 12


def _hinted(told: str, hint: str) -> str:
    return f"{told} ({hint})" if hint else told
