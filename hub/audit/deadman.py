"""The outside heartbeat: a request to a watcher elsewhere, sent only while everything is accounted for.

When it stops, the watcher raises the alarm: the hub died, was cut off, or found something that it cannot account for. Its
address is a secret: whoever knows it could keep the watcher quiet.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Literal

from pydantic import Field, model_validator

from hub.audit.self_audit import Audited
from hub.clock import Clock
from hub.dispatch.answers import Accept, judge
from hub.dispatch.channels.channel import Missing, missing_authorities, missing_secret, one_source, secret_of
from hub.dispatch.exchange import Lines, Private, Request, private_parts, wrong_address
from hub.documents import Strict
from hub.model.deliveries import Retry, Sent
from hub.telemetry import HEARTBEATS_SENT, log

STALE_MS = 120_000
"""A look that is older proves nothing any more."""


class HeartbeatSettings(Strict):
    """Where the heartbeat goes. GET for plain dead-man services; POST tells also what was looked at."""

    url_env: str = ""
    url_file: str = ""
    method: Literal["GET", "POST"] = "GET"
    every_s: float = Field(60, ge=10, le=3_600)
    timeout_s: float = Field(5, gt=0, le=30)
    ca: str = ""

    @model_validator(mode="after")
    def _one_address(self) -> HeartbeatSettings:
        one_source(self, "url", needed=False)
        return self

    @property
    def wanted(self) -> bool:
        return bool(self.url_env or self.url_file)

    def missing(self, environ: Mapping[str, str]) -> list[Missing]:
        """What the machine does not have of what is named here, and an address that is none."""
        if not self.wanted:
            return []
        found = [*missing_secret(self, "url", environ), *missing_authorities(self.ca, ("ca",))]
        if not found and (wrong := wrong_address(secret_of(self, "url", environ))):
            found.append(
                (("url_env" if self.url_env else "url_file",), wrong, "give the address that the watcher showed")
            )
        return found


class Deadman:
    """`after(audited)` is called in the self-audit's thread after every look; at most one heartbeat each `every_s`.

    A failure is logged and tried at the next look: one that is missed is no alarm yet, for watchers wait a while.
    """

    def __init__(
        self,
        settings: HeartbeatSettings,
        url: str,
        site: str,
        clock: Clock,
        *,
        ready: Callable[[], bool] = lambda: True,
    ) -> None:
        self._settings, self._url, self._site, self._clock, self._ready = settings, url, site, clock, ready
        self._lines = Lines(url, most=1, ca=settings.ca)
        self._private = Private(private_parts(url))
        self._sent_at_ms: int | None = None
        self.trouble = ""

    def after(self, audited: Audited | None) -> None:
        now_ms = self._clock()
        due = self._sent_at_ms is None or not 0 <= now_ms - self._sent_at_ms < self._settings.every_s * 1_000 - 1_000
        if not due:
            return
        if audited is None or not audited.good or now_ms - audited.at_ms > STALE_MS or not self._ready():
            HEARTBEATS_SENT.labels(outcome="withheld").inc()
            return
        self._send(audited, now_ms)

    def _send(self, audited: Audited, now_ms: int) -> None:
        post = self._settings.method == "POST"
        body = json.dumps(said(self._site, audited)).encode() if post else b""
        headers = {"Content-Type": "application/json"} if post else {}
        request = Request(url=self._url, content=body, headers=headers, method=self._settings.method)
        answer = self._lines.ask(request, within_s=self._settings.timeout_s)
        outcome = answer if isinstance(answer, Retry) else judge(answer, Accept(any_2xx=True), now_ms)
        if isinstance(outcome, Sent):
            self._sent_at_ms, self.trouble = now_ms, ""
            HEARTBEATS_SENT.labels(outcome="sent").inc()
            return
        self.trouble = self._private.cut_from(outcome.reason)
        HEARTBEATS_SENT.labels(outcome="failed").inc()
        log.warning("deadman.failed", reason=self.trouble)

    def close(self) -> None:
        self._lines.close()


def said(site: str, audited: Audited) -> dict[str, object]:
    """The body of a POST: with the head of the audit log, kept by somebody else, nobody can rewrite what came before it."""
    head = None if audited.head is None else {"number": audited.head.number, "hash": audited.head.hash}
    return {"site": site, "at_ms": audited.at_ms, "checked": dict(audited.checked), "audit_head": head}
