"""E-mail: never in the open by accident, recognisable when it comes twice, and replies of the server taken at their word."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from hub.dispatch.channels import Channel, Tools, check_channels, open_channels
from hub.errors import ConfigError
from hub.model.deliveries import Outcome, Refused, Retry, Sent
from tests.support.channels import a_message, hub_yaml, opened
from tests.support.notices import NOW_MS
from tests.support.pace import patient
from tests.support.receivers import certificate
from tests.support.services.server import FAILURES, Reply
from tests.support.services.smtp import FakeSmtp

PASSWORD, SENDER, CREW = "mail-Zq8x1Yv3TnW", "alarm@example.com", "crew@example.com"


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    return certificate(tmp_path_factory.mktemp("tls"))


@contextmanager
def mailing(
    tls: tuple[Path, ssl.SSLContext], *, security: str = "starttls", password: str = PASSWORD, **section: Any
) -> Iterator[tuple[FakeSmtp, Channel]]:
    server = FakeSmtp(tls[1], username="" if security == "none" else SENDER, password=PASSWORD, security=security)
    with server.running():
        whole = {"host": "127.0.0.1", "port": server.port, "security": security, "sender": f"GridHub 微站 <{SENDER}>"}
        if security != "none":
            whole |= {"username": SENDER, "password_env": "P", "ca": str(tls[0])}
        with opened({"email": whole | section}, environ={"P": password}) as channels:
            yield server, channels["email"]


def send(channel: Channel, to: str = CREW, **changes: Any) -> Outcome:
    return channel.send(to, a_message(**changes), timeout_s=5)


@pytest.mark.parametrize(("security", "encrypted"), [("starttls", True), ("tls", True), ("none", False)])
def test_a_mail_goes_as_hub_yaml_says(tls: Any, security: str, encrypted: bool) -> None:
    with mailing(tls, security=security) as (server, channel):
        outcome = send(channel)
        assert outcome == Sent("250 2.0.0 Ok: queued as 00000001")
        assert server.encrypted == [encrypted]


def test_a_mail_reads_well_and_stands_with_the_others_of_its_alert(tls: Any) -> None:
    with mailing(tls) as (server, channel):
        send(channel)
        (mail,) = server.taken
    assert isinstance(mail, EmailMessage)
    assert mail["Subject"] == a_message().title
    assert mail["From"] == f"GridHub 微站 <{SENDER}>"
    assert mail["To"] == CREW
    assert mail["References"] == "<alert.a1b2c3@example.com>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Importance"] == "high"
    assert mail.get_content().replace("\r\n", "\n") == a_message().text + "\n"


def test_every_try_carries_the_same_id_and_date(tls: Any) -> None:
    with mailing(tls) as (server, channel):
        send(channel)
        time.sleep(1.1)
        send(channel)
        first, second = server.taken
    assert first["Message-ID"] == second["Message-ID"] == f"<{a_message().id}@example.com>"
    assert first["Date"] == second["Date"]
    assert first["Date"].datetime.timestamp() * 1_000 == NOW_MS


def test_other_links_are_named(tls: Any) -> None:
    with mailing(tls) as (server, channel):
        send(channel, links={"acknowledge": "https://hub.example/a/1"})
        assert "受理: https://hub.example/a/1" in server.taken[0].get_content()


def test_good_news_are_not_important(tls: Any) -> None:
    with mailing(tls) as (server, channel):
        send(channel, transition="closed")
        assert server.taken[0]["Importance"] is None


# What the server says ------------------------------------------------------------------------------------------------


def test_a_wrong_password_is_refused_and_not_told(tls: Any) -> None:
    with mailing(tls, password="another-password") as (_, channel):
        outcome = send(channel)
    assert isinstance(outcome, Refused)
    assert "535" in outcome.reason
    assert "login" in outcome.reason
    assert "another-password" not in repr(outcome)


def test_a_server_without_starttls_never_sees_the_password(tls: Any) -> None:
    with mailing(tls) as (server, channel):
        server.offers_starttls = False
        outcome = send(channel)
        assert server.calls == []
    assert isinstance(outcome, Refused)
    assert "STARTTLS" in outcome.reason


def test_a_certificate_that_nobody_vouches_for_is_not_trusted(tls: Any) -> None:
    for security in ("starttls", "tls"):
        with mailing(tls, security=security, ca="") as (server, channel):
            outcome = send(channel)
            assert server.calls == []
        assert isinstance(outcome, Retry)
        assert outcome.reason.startswith("TLS failed")


def test_a_mailbox_that_is_not_there_is_refused_without_its_name_in_the_reason(tls: Any) -> None:
    with mailing(tls) as (server, channel):
        server.mailboxes = {"other@example.com"}
        outcome = send(channel)
    assert isinstance(outcome, Refused)
    assert "550" in outcome.reason
    assert CREW not in outcome.reason


def test_greylisting_is_tried_again_and_then_good(tls: Any) -> None:
    with mailing(tls) as (server, channel):
        server.greylisted.add(CREW)
        outcome = send(channel)
        assert isinstance(outcome, Retry)
        assert "450" in outcome.reason
        assert isinstance(send(channel), Sent)


def test_a_mail_that_is_too_long_for_the_server_is_refused(tls: Any) -> None:
    with mailing(tls) as (server, channel):
        server.most_bytes = 100
        outcome = send(channel)
    assert isinstance(outcome, Refused)
    assert "552" in outcome.reason


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (250, Sent),
        (251, Sent),
        (421, Retry),
        (450, Retry),
        (451, Retry),
        (452, Retry),
        (454, Retry),
        (550, Refused),
        (552, Refused),
        (554, Refused),
        (199, Retry),
        (354, Retry),
    ],
)
def test_each_code_has_its_meaning(tls: Any, code: int, kind: type[Any]) -> None:
    with mailing(tls) as (server, channel):
        server.always = Reply(b"so it is", code)
        assert isinstance(send(channel), kind)


@pytest.mark.parametrize("how", FAILURES)
def test_a_bad_day_at_the_greeting_costs_its_time_and_is_tried_again(tls: Any, how: str) -> None:
    with mailing(tls, timeout_s=0.6) as (server, channel):
        server.stage, server.always = "greeting", how
        began_s = time.monotonic()
        outcome = send(channel)
        assert isinstance(outcome, Retry), outcome
        assert time.monotonic() - began_s < patient(1.6)
        server.always = None
        assert isinstance(send(channel), Sent)


def test_plain_text_where_tls_was_promised_is_tried_again(tls: Any) -> None:
    with mailing(tls, security="none") as (server, _):
        section = {"host": "127.0.0.1", "port": server.port, "security": "tls", "sender": SENDER, "timeout_s": 1}
        with opened({"email": section}, environ={}) as channels:
            assert isinstance(send(channels["email"]), Retry)


# Configuration -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"security": "none", "username": "a", "password_env": "P"}, "no password over an open line"),
        ({"username": "a"}, "give exactly one of password_env and password_file"),
        ({"sender": "nobody"}, "sender is no address"),
        ({"sender": "a@b.c\r\nBcc: x@y.z"}, "sender is no address"),
        ({"security": "ssl"}, "'ssl' is not known here"),
        ({"port": 99_999}, "less than or equal to 65535"),
        ({"host": ""}, "at least 1 character"),
        ({"password": "x"}, "unknown key"),
    ],
)
def test_what_is_wrong_is_said_before_anything_starts(changes: dict[str, Any], complaint: str) -> None:
    section = {"host": "mail.example.com", "sender": SENDER} | changes
    _, complaints = check_channels({"email": section}, hub_yaml({"email": section}))
    assert any(complaint in str(c) for c in complaints), complaints


def test_a_file_that_holds_no_certificate_is_a_complaint(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    section = {"host": "mail.example.com", "sender": SENDER, "ca": str(tmp_path / "ca.pem")}
    with pytest.raises(ConfigError, match="holds no certificate"):
        open_channels({"email": section}, hub_yaml({"email": section}), Tools(environ={}))
