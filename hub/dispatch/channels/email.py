"""E-mail by SMTP: always encrypted unless hub.yaml says otherwise, and the same Message-ID and Date for every try.

A target is one address. Sent means that the mail server has taken the mail, not that anybody has read it.
"""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as MAIL
from email.utils import parseaddr
from typing import Any, Literal

from pydantic import Field, model_validator

from hub.clock import Clock, monotonic_s
from hub.dispatch.answers import clip
from hub.dispatch.buttons import buttons, calls
from hub.dispatch.channels.channel import (
    Channel,
    ChannelConfig,
    Missing,
    Patience,
    Tools,
    missing_authorities,
    missing_secret,
    one_source,
    secret_of,
)
from hub.dispatch.exchange import CLOSING, Private, Watch
from hub.dispatch.fit import fitted, title_of
from hub.dispatch.pace import Limit
from hub.model.deliveries import Message, Outcome, Refused, Retry, Sent

MOST_TEXT_BYTES = 16_000
MOST_SUBJECT_BYTES = 200
_MOST_AT_ONCE = 4
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_PORTS = {"starttls": 587, "tls": 465, "none": 25}


class Config(ChannelConfig):
    """One mail server. `security: none` is for a relay on the same machine: nobody logs in over it."""

    host: str = Field(min_length=1)
    port: int = Field(0, ge=0, le=65_535)  # 0 = 587 for starttls, 465 for tls, 25 for none
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str = ""
    password_env: str = ""
    password_file: str = ""
    sender: str  # "GridHub <alarm@example.com>", or the address alone
    timeout_s: Patience = 8.0
    ca: str = ""

    @model_validator(mode="after")
    def _whole(self) -> Config:
        if not self.sender.isprintable() or not _ADDRESS.fullmatch(parseaddr(self.sender)[1]):
            raise ValueError("sender is no address: write alarm@example.com, or GridHub <alarm@example.com>")
        one_source(self, "password", needed=bool(self.username))
        if self.security == "none" and self.username:
            raise ValueError("no password over an open line: use security starttls or tls")
        return self

    def missing(self, environ: Mapping[str, str]) -> list[Missing]:
        return [*missing_secret(self, "password", environ), *missing_authorities(self.ca, ("ca",))]

    def wrong_target(self, target: str) -> str:
        return "" if _ADDRESS.fullmatch(target) else "a contact by e-mail is one address"


class Email:
    """One connection for each mail, few at once. The receipt is what the server said when it took the mail."""

    name = "email"
    idempotent = False
    limits: tuple[Limit, ...] = ()

    def __init__(self, config: Config, tools: Tools) -> None:
        self._config, self._clock = config, tools.clock
        self._password = secret_of(config, "password", tools.environ)
        self._tls = ssl.create_default_context(cafile=config.ca or None)
        self._room = threading.BoundedSemaphore(_MOST_AT_ONCE)
        self._lock = threading.Lock()
        self._watches: set[Watch] = set()
        self._closed = False

    def send(self, target: str, message: Message, *, timeout_s: float) -> Outcome:
        if wrong := self._config.wrong_target(target):
            return Refused(wrong)
        private = Private((self._password, target))
        allowed_s = min(timeout_s, self._config.timeout_s)
        until_s = monotonic_s() + allowed_s
        if not self._room.acquire(timeout=allowed_s):
            return Retry(0.0, "the mails before have not ended")
        try:
            with self._watched() as watch:
                try:
                    with watch.over(max(until_s - monotonic_s(), 0.05)):
                        return private.told(Sent(self._posted(target, message, watch, until_s)))
                except (smtplib.SMTPException, OSError, RuntimeError, ValueError) as bad:
                    ended = watch.ended and not isinstance(bad, smtplib.SMTPResponseException)
                    return private.told(Retry(0.0, watch.ended) if ended else _meaning(bad))
        finally:
            self._room.release()

    def _posted(self, target: str, message: Message, watch: Watch, until_s: float) -> str:
        """Hands the mail over. What the server said to it; raises what smtplib raises."""
        config = self._config
        left_s = max(until_s - monotonic_s(), 0.05)
        mail = mail_of(message, target, config.sender, self._clock).as_bytes()
        server = _Tls(self._tls, watch, left_s) if config.security == "tls" else _Plain(watch, left_s)
        try:
            _good(server.connect(config.host, config.port or _PORTS[config.security]))
            if config.security == "starttls":
                server.encrypt(self._tls, config.host)
            server.ehlo_or_helo_if_needed()
            if config.username:
                server.login(config.username, self._password)
            size = [f"size={len(mail)}"] if server.has_extn("size") else []
            _good(server.mail(parseaddr(config.sender)[1], size))
            _good(server.rcpt(target))
            code, said = _good(server.data(mail))
            with suppress(smtplib.SMTPException, OSError):
                server.quit()  # the mail is theirs already
            return clip(f"{code} {said.decode('utf-8', 'replace')}")
        finally:
            server.close()

    @contextmanager
    def _watched(self) -> Iterator[Watch]:
        watch = Watch()
        with self._lock:
            if self._closed:
                watch.end_for_good(CLOSING)
            self._watches.add(watch)
        try:
            yield watch
        finally:
            with self._lock:
                self._watches.discard(watch)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            watches = list(self._watches)
        for watch in watches:
            watch.end_for_good(CLOSING)


class _Plain(smtplib.SMTP):
    """Tells `watch` of its socket before the first word: a server may drip its greeting for ever."""

    def __init__(self, watch: Watch, timeout_s: float) -> None:
        self._watch = watch
        super().__init__(timeout=timeout_s)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        found = socket.create_connection((host, port), timeout)
        self._watch.watch(found)
        return found

    def encrypt(self, context: ssl.SSLContext, host: str) -> None:
        """STARTTLS as smtplib does it, but with the handshake under watch too, and never without it."""
        self.ehlo_or_helo_if_needed()
        if not self.has_extn("starttls"):
            raise smtplib.SMTPNotSupportedError("it offers no STARTTLS")
        _good(self.docmd("STARTTLS"))
        assert self.sock is not None
        self.sock = _wrapped(self.sock, context, host, self._watch)
        self.file = None
        self.helo_resp = self.ehlo_resp = None  # what was said before in the open counts for nothing
        self.esmtp_features = {}
        self.does_esmtp = False


class _Tls(_Plain):
    def __init__(self, context: ssl.SSLContext, watch: Watch, timeout_s: float) -> None:
        self._context = context
        super().__init__(watch, timeout_s)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return _wrapped(super()._get_socket(host, port, timeout), self._context, host, self._watch)


def _wrapped(plain: socket.socket, context: ssl.SSLContext, host: str, watch: Watch) -> ssl.SSLSocket:
    found = context.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
    watch.watch(found)
    found.do_handshake()
    return found


def mail_of(message: Message, target: str, sender: str, clock: Clock) -> EmailMessage:
    """The mail. Its Message-ID and Date are those of the delivery, so that a second copy can be recognised as one."""
    name, address = parseaddr(sender)
    domain = address.partition("@")[2]
    local, _, at = address.rpartition("@")
    queued_ms = message.fields.get("queued_at_ms")
    at_ms = queued_ms if isinstance(queued_ms, int) else clock()
    mail = EmailMessage(policy=MAIL)
    mail["Subject"] = title_of(message, MOST_SUBJECT_BYTES)
    mail["From"] = Address(name, local, at)
    mail["To"] = target
    mail["Date"] = datetime.fromtimestamp(at_ms / 1_000, UTC)
    mail["Message-ID"] = f"<{message.id}@{domain}>"
    alert = re.sub(r"[^A-Za-z0-9._-]", "", str(message.fields.get("alert", "")))
    if alert:
        mail["References"] = f"<alert.{alert}@{domain}>"  # the mails of one alert stand together
    mail["Auto-Submitted"] = "auto-generated"
    if calls(message):
        mail["Importance"] = "high"
        mail["X-Priority"] = "1"
    text = fitted(message, MOST_TEXT_BYTES) or str(mail["Subject"])
    more = [f"{label}: {url}" for label, url in buttons(message, most=9) if url not in text]
    mail.set_content("\n".join([text, *more]) + "\n", charset="utf-8", cte="base64")  # not every server takes 8 bits
    return mail


def _good(answer: tuple[int, bytes]) -> tuple[int, bytes]:
    code, said = answer
    if not 200 <= code < 300:
        raise smtplib.SMTPResponseException(code, said)
    return code, said


def _meaning(bad: Exception) -> Outcome:
    match bad:
        case smtplib.SMTPNotSupportedError():
            return Refused(f"the server cannot do what is needed: {clip(str(bad))}")
        case smtplib.SMTPResponseException() if 500 <= bad.smtp_code < 600 and bad.smtp_error != "Line too long.":
            hint = _HINTS.get(bad.smtp_code, "")
            return Refused(f"SMTP {bad.smtp_code}: {_said(bad.smtp_error)}" + (f" ({hint})" if hint else ""))
        case smtplib.SMTPResponseException():
            return Retry(0.0, f"SMTP {bad.smtp_code}: {_said(bad.smtp_error)}")
        case ssl.SSLError():
            return Retry(0.0, f"TLS failed: {bad.reason or type(bad).__name__}")
        case TimeoutError():
            return Retry(0.0, "no complete answer in time")
    return Retry(0.0, clip(f"{type(bad).__name__}: {bad}"))


_HINTS = {
    523: "too long",
    530: "the server wants a login: set username and password",
    534: "the server wants another login",
    535: "the login is not accepted",
    550: "there is no such mailbox, or the sender may not write to it",
    552: "too long, or the mailbox is full",
    553: "the sender or the address is not allowed",
}


def _said(words: Any) -> str:
    return clip(words.decode("utf-8", "replace") if isinstance(words, bytes) else str(words))


def open_channel(config: Config, tools: Tools) -> Channel:
    return Email(config, tools)
