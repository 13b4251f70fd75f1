"""Promises of every channel, and the webhook against receivers that misbehave in every way that was seen in the field."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

import hub.dispatch.channels as package
from hub.dispatch.channels import CHANNELS, Channel, Tools, check_channels, open_channels
from hub.dispatch.exchange import MOST_BODY_BYTES
from hub.dispatch.messages import compose
from hub.documents import parse
from hub.errors import ConfigError
from hub.model.deliveries import Message, Outcome, Refused, Retry, Sent
from tests.support.channels import a_message, hub_yaml, opened
from tests.support.notices import NOW_MS, ZONE, a_delivery, an_alert
from tests.support.pace import patient
from tests.support.receivers import Receiver, certificate, drip, raw, receiver
from tests.support.registry import small_registry
from tests.support.services.stands import STANDS

SECRET = "a-secret-that-nobody-may-see"
WITHOUT_A_SERVICE = ("console", "webhook", "siren")
"""Their promises are here; those of the channels that talk to a service are in test_service_channels.py."""

TOPIC = "sc/v1/demo/north/siren-1/cmd"


@contextmanager
def webhook_to(
    url: str, *, timeout_s: float = 2.0, environ: Mapping[str, str] | None = None, **more: Any
) -> Iterator[Channel]:
    section = {"endpoints": {"crew": {"url": url, "timeout_s": timeout_s, **more}}}
    with opened({"webhook": section}, environ=environ or {}) as channels:
        yield channels["webhook"]


def send(channel: Channel, message: Message | None = None, *, timeout_s: float = 5.0) -> Outcome:
    return channel.send("crew", message or a_message(), timeout_s=timeout_s)


# Every row of the table ----------------------------------------------------------------------------------------------


@contextmanager
def every_channel() -> Iterator[tuple[dict[str, Channel], dict[str, str]]]:
    """The channels without a service, working, and a good target for each."""
    with ExitStack() as stack:
        crew = stack.enter_context(receiver())
        sections = {"webhook": {"endpoints": {"crew": {"url": crew.url}}}}
        channels = stack.enter_context(opened(sections, publish=lambda topic, payload: True, environ={}))
        yield channels, {"console": "", "webhook": "crew", "siren": TOPIC}


def test_every_file_of_a_channel_is_registered() -> None:
    folder = Path(package.__file__).parent
    files = {file.stem for file in folder.glob("*.py")} - {"__init__", "channel"}
    assert files == set(CHANNELS), "a channel is one file and one line in CHANNELS"


def test_every_row_has_a_target_in_these_tests() -> None:
    with every_channel() as (channels, targets):
        assert set(targets) == set(WITHOUT_A_SERVICE) <= set(channels)
        assert set(targets) | set(STANDS) | {"apprise"} == set(CHANNELS)


@pytest.mark.parametrize("name", WITHOUT_A_SERVICE)
def test_a_channel_knows_its_name_and_sends(name: str) -> None:
    with every_channel() as (channels, targets):
        assert channels[name].name == name
        assert isinstance(channels[name].send(targets[name], a_message(), timeout_s=5), Sent)


@pytest.mark.parametrize("name", WITHOUT_A_SERVICE)
@pytest.mark.parametrize("target", ["", "no such target", "a/#", "../../etc", "x" * 10_000, "\0"])
def test_a_strange_target_gives_a_value_and_never_raises(name: str, target: str) -> None:
    with every_channel() as (channels, _):
        outcome = channels[name].send(target, a_message(), timeout_s=2)
        assert isinstance(outcome, Sent | Retry | Refused)
        if name != "console" and (target in ("", "a/#", "\0") or name == "webhook"):
            assert isinstance(outcome, Refused)


@pytest.mark.parametrize("name", WITHOUT_A_SERVICE)
def test_closing_twice_is_fine_and_a_closed_channel_gives_a_value(name: str) -> None:
    with every_channel() as (channels, targets):
        channels[name].close()
        channels[name].close()
        assert isinstance(channels[name].send(targets[name], a_message(), timeout_s=2), Sent | Retry | Refused)


@pytest.mark.parametrize("name", CHANNELS)
def test_an_unknown_key_is_a_complaint_with_its_line(name: str) -> None:
    document, _ = parse(f"channels:\n  {name}:\n    colour: red\n", "hub.yaml")
    assert document is not None
    _, complaints = check_channels(document.data["channels"], document)
    assert f"hub.yaml:3: channels.{name}.colour: unknown key" in [str(c).split(" → ")[0] for c in complaints]


def test_a_channel_that_does_not_exist_is_a_complaint() -> None:
    document, _ = parse("channels:\n  fax: {}\n", "hub.yaml")
    assert document is not None
    with pytest.raises(ConfigError, match=r"hub.yaml:2: channels.fax: there is no such channel"):
        open_channels(document.data["channels"], document, Tools())


# Siren ---------------------------------------------------------------------------------------------------------------


def published(message: Message, *, taken: bool = True) -> tuple[Outcome, list[tuple[str, Any]]]:
    seen: list[tuple[str, Any]] = []

    def publish(topic: str, payload: bytes) -> bool:
        seen.append((topic, json.loads(payload)))
        return taken

    with opened({"siren": {"sound_s": 60}}, publish=publish, clock=lambda: NOW_MS) as channels:
        return channels["siren"].send(TOPIC, message, timeout_s=1), seen


def test_a_siren_is_told_to_sound_and_when_to_stop_by_itself() -> None:
    outcome, seen = published(a_message())
    assert outcome == Sent(receipt="broker", verified=False)
    assert seen == [
        (
            TOPIC,
            {
                "v": 1,
                "id": a_message().id,
                "cmd": "siren",
                "on": True,
                "alert": "a1b2c3",
                "expires_ms": NOW_MS + 60_000,
            },
        )
    ]


@pytest.mark.parametrize("transition", ["closed", "cleared", "closed:2"])
def test_a_siren_is_told_to_stop_when_it_is_over(transition: str) -> None:
    over = compose(an_alert(), a_delivery(transition=transition), small_registry(), NOW_MS, ZONE, "")
    assert published(over)[1][0][1]["on"] is False


def test_a_siren_without_a_broker_is_tried_again() -> None:
    assert isinstance(published(a_message(), taken=False)[0], Retry)


def test_a_test_never_sounds_a_siren() -> None:
    outcome, seen = published(a_message(test=True))
    assert isinstance(outcome, Refused)
    assert seen == []


# Webhook: the contract for receivers ---------------------------------------------------------------------------------


def test_a_receiver_gets_signed_json_with_an_idempotency_key() -> None:
    with receiver() as crew, webhook_to(crew.url, secret_env="HOOK_SECRET", environ={"HOOK_SECRET": SECRET}) as channel:
        assert send(channel) == Sent(receipt="", verified=True)
        (post,) = crew.wait_for(1)
    assert post.headers["content-type"] == "application/json; charset=utf-8"
    assert post.headers["idempotency-key"] == a_message().id
    timestamp = post.headers["x-gridhub-timestamp"]
    assert abs(int(timestamp) - time.time() * 1_000) < 60_000
    wanted = hmac.new(SECRET.encode(), timestamp.encode() + b"." + post.body, hashlib.sha256).hexdigest()
    assert post.headers["x-gridhub-signature"] == f"sha256={wanted}"
    assert "火警".encode() in post.body, "UTF-8, not escapes"
    assert post.json["alert"] == "a1b2c3"
    assert post.json["text"] == a_message().text
    assert post.json["v"] == 1


def test_a_repetition_carries_the_same_key() -> None:
    with receiver() as crew, webhook_to(crew.url) as channel:
        send(channel)
        send(channel)
        first, second = crew.wait_for(2)
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert "x-gridhub-signature" not in first.headers


ANSWERS: list[tuple[str, int, bytes, type[Outcome], str]] = [
    ("WeCom accepts", 200, b'{"errcode":0,"errmsg":"ok"}', Sent, ""),
    ("WeCom: too fast", 200, b'{"errcode":45009,"errmsg":"api freq out of limit"}', Retry, "45009"),
    ("WeCom: bad robot", 200, b'{"errcode":93000,"errmsg":"invalid webhook url"}', Refused, "93000"),
    ("WeCom: busy", 200, b'{"errcode":-1,"errmsg":"system busy"}', Retry, "-1"),
    ("DingTalk: too fast", 200, b'{"errcode":130101,"errmsg":"send too fast"}', Retry, "130101"),
    ("DingTalk: bad signature", 200, b'{"errcode":310000,"errmsg":"sign not match"}', Refused, "310000"),
    ("Feishu accepts", 200, b'{"StatusCode":0,"StatusMessage":"success","code":0,"msg":"success"}', Sent, ""),
    ("Feishu: too fast", 200, b'{"code":9499,"msg":"too many request"}', Retry, "9499"),
    ("Feishu: bad signature", 200, b'{"code":19024,"msg":"Key Words Not Found"}', Refused, "19024"),
    ("SMS gateway accepts", 200, b'{"Code":"OK","Message":"OK"}', Sent, ""),
    ("SMS gateway refuses", 200, b'{"Code":"isv.BUSINESS_LIMIT_CONTROL","Message":"out of reach"}', Refused, "isv."),
    ("Telegram refuses", 200, b'{"ok":false,"error_code":403,"description":"bot was blocked"}', Refused, "403"),
    ("said in words", 200, b'{"success":false,"message":"unknown user"}', Refused, "unknown user"),
    ("an error object", 200, b'{"error":"no such group"}', Refused, "no such group"),
    ("an error object, busy", 200, '{"error":"操作过于频繁，触发限流"}'.encode(), Retry, "限流"),
    ("a login page", 200, b"\n<!DOCTYPE html><title>Sign in</title>", Refused, "web page"),
    ("redirect", 302, b"", Refused, "redirects are not followed"),
    ("redirect for good", 308, b"", Refused, "redirects are not followed"),
    ("wrong token", 401, b'{"message":"bad token"}', Refused, "HTTP 401: bad token"),
    ("not found", 404, b"<html>nope</html>", Refused, "HTTP 404"),
    ("gone", 410, b"", Refused, "HTTP 410"),
    ("request timeout", 408, b"", Retry, "HTTP 408"),
    ("too early", 425, b"", Retry, "HTTP 425"),
    ("too many", 429, b"", Retry, "HTTP 429"),
    ("server error", 500, b"", Retry, "HTTP 500"),
    ("bad gateway", 502, b"", Retry, "HTTP 502"),
    ("unavailable", 503, b"", Retry, "HTTP 503"),
]  # fmt: skip


@pytest.mark.parametrize(("said", "status", "body", "kind", "words"), ANSWERS, ids=[row[0] for row in ANSWERS])
def test_an_answer_means_what_its_body_says(said: str, status: int, body: bytes, kind: type[Any], words: str) -> None:
    with receiver(status=status, body=body, headers={"Location": "http://127.0.0.1:9/other"}) as crew:
        with webhook_to(crew.url) as channel:
            outcome = send(channel)
        assert len(crew.posts) == 1
    assert isinstance(outcome, kind)
    if isinstance(outcome, Sent):
        assert outcome.verified
    else:
        assert words in outcome.reason


@pytest.mark.parametrize("body", [b"", b"ok", b"[1,2]", b'{"status":"queued"}', b"\xff\xfe", b"[" * 5_000])
def test_a_good_status_with_a_body_that_says_nothing_is_sent_but_not_verified(body: bytes) -> None:
    with receiver(body=body) as crew, webhook_to(crew.url) as channel:
        outcome = send(channel)
    assert isinstance(outcome, Sent)
    assert not outcome.verified


@pytest.mark.parametrize(
    ("accept", "body", "kind"),
    [
        ({"pointer": "/errcode", "equals": 0}, b'{"errcode":0}', Sent),
        ({"pointer": "/errcode", "equals": 0}, b'{"errcode":false}', Refused),
        ({"pointer": "/errcode", "equals": 0}, b'{"errcode":45009}', Retry),
        ({"pointer": "/errcode", "equals": 0}, b'{"result":"ok"}', Refused),
        ({"pointer": "/errcode", "equals": 0}, b"ok", Refused),
        ({"pointer": "/errcode", "equals": 0}, b"", Refused),
        ({"pointer": "/data/0/state", "equals": "queued"}, b'{"data":[{"state":"queued"}],"code":7}', Sent),
        ({"pointer": "/ok", "equals": True}, b'{"ok":1}', Refused),
        ({"pointer": "/ok", "equals": True}, b'{"ok":true}', Sent),
        ({"any_2xx": True}, b'{"code":1}', Sent),
        ({"any_2xx": True}, b"<html>thanks</html>", Sent),
    ],
)
def test_a_rule_of_its_own_decides_what_is_a_yes(accept: Any, body: bytes, kind: type[Any]) -> None:
    with receiver(body=body) as crew, webhook_to(crew.url, accept=accept) as channel:
        assert isinstance(send(channel), kind)


@pytest.mark.parametrize(
    ("header", "least_s", "most_s"),
    [("7", 7, 7), ("0", 0, 0), ("-3", 0, 0), ("soon", 0, 0), ("999999999999", 3_600, 3_600), ("date", 15, 21)],
)
def test_a_receiver_may_say_when_to_come_again(header: str, least_s: float, most_s: float) -> None:
    value = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 20)) if header == "date" else header
    with receiver(status=429, headers={"Retry-After": value}) as crew, webhook_to(crew.url) as channel:
        outcome = send(channel)
    assert isinstance(outcome, Retry)
    assert least_s <= outcome.after_s <= most_s


# Webhook: receivers that misbehave -----------------------------------------------------------------------------------


def hang(connection: socket.socket) -> None:
    time.sleep(10)


def hang_up(connection: socket.socket) -> None:
    pass


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def half_an_answer(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")


def nonsense(connection: socket.socket) -> None:
    connection.sendall(b"\x16\x03\x01 this is not HTTP\r\n\r\n")


def endless_headers(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X-More: " + b"x" * 1_000 + b"\r\n")


MISBEHAVIOURS: dict[str, Callable[[socket.socket], None]] = {
    "hangs": hang,
    "hangs up": hang_up,
    "resets": reset,
    "stops in the middle": half_an_answer,
    "talks nonsense": nonsense,
    "never ends its headers": endless_headers,
    "drips its headers": drip(b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 200),
    "drips its body": drip(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"errcode":0' + b" " * 500, every_s=0.05),
}


@pytest.mark.parametrize("how", MISBEHAVIOURS)
def test_a_receiver_that_misbehaves_costs_its_time_and_is_tried_again(how: str) -> None:
    with raw(MISBEHAVIOURS[how]) as url, webhook_to(url, timeout_s=0.6) as channel:
        began = time.monotonic()
        outcome = send(channel)
        took = time.monotonic() - began
        assert isinstance(outcome, Retry), outcome
        assert outcome.reason
        assert took < patient(1.5)
        again = send(channel)  # and the channel still works
        assert isinstance(again, Retry)


def test_the_callers_time_limit_counts_too() -> None:
    with raw(hang) as url, webhook_to(url, timeout_s=5) as channel:
        began = time.monotonic()
        assert isinstance(send(channel, timeout_s=0.3), Retry)
        assert time.monotonic() - began < patient(1.0)


def test_nobody_listening_is_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    with webhook_to(f"http://127.0.0.1:{port}/hook") as channel:
        outcome = send(channel)
    assert isinstance(outcome, Retry)
    assert "no connection" in outcome.reason


def test_a_host_that_does_not_exist_is_tried_again() -> None:
    with webhook_to("http://receiver.invalid/hook") as channel:
        assert isinstance(send(channel), Retry)


def test_an_answer_that_is_too_long_is_not_read_to_its_end() -> None:
    long = b'{"errcode":0,"x":"' + b"x" * (20 * MOST_BODY_BYTES) + b'"}'
    with receiver(body=long) as crew:
        with webhook_to(crew.url) as channel:
            assert send(channel) == Sent(verified=False)
        with webhook_to(crew.url, accept={"pointer": "/errcode", "equals": 0}) as channel:
            outcome = send(channel)
    assert isinstance(outcome, Refused)
    assert "cannot be read whole" in outcome.reason


def test_an_encoding_that_was_not_asked_for_is_not_unpacked() -> None:
    with (
        receiver(body=b"\x1f\x8b" + b"\0" * 50, headers={"Content-Encoding": "gzip"}) as crew,
        webhook_to(crew.url) as channel,
    ):
        assert send(channel) == Sent(verified=False)
        assert crew.posts[0].headers["accept-encoding"] == "identity"


def test_after_a_failure_the_same_receiver_is_reached_again() -> None:
    with receiver(delay_s=1.0) as crew, webhook_to(crew.url, timeout_s=0.3) as channel:
        assert isinstance(send(channel), Retry)
        crew.delay_s = 0
        assert isinstance(send(channel), Sent)


def test_a_closed_keep_alive_connection_is_opened_again() -> None:
    with receiver(headers={"Connection": "close"}) as crew, webhook_to(crew.url) as channel:
        assert all(isinstance(send(channel), Sent) for _ in range(3))


def test_a_slow_receiver_does_not_hold_up_another_one() -> None:
    with receiver(delay_s=1.5) as slow, receiver() as quick:
        section = {"endpoints": {"slow": {"url": slow.url}, "quick": {"url": quick.url}}}
        with opened({"webhook": section}, environ={}) as channels:
            thread = threading.Thread(target=lambda: channels["webhook"].send("slow", a_message(), timeout_s=5))
            thread.start()
            slow.wait_for(1)
            began = time.monotonic()
            assert isinstance(channels["webhook"].send("quick", a_message(), timeout_s=5), Sent)
            assert time.monotonic() - began < patient(0.5)
            thread.join()


def test_closing_ends_a_send_in_flight() -> None:
    with raw(hang) as url, webhook_to(url, timeout_s=8) as channel:
        outcomes: list[Outcome] = []
        thread = threading.Thread(target=lambda: outcomes.append(send(channel, timeout_s=8)))
        thread.start()
        time.sleep(0.3)
        began = time.monotonic()
        channel.close()
        thread.join(5)
        assert time.monotonic() - began < patient(1.0)
        assert outcomes == [Retry(0.0, "the hub is stopping")]


# Webhook: TLS --------------------------------------------------------------------------------------------------------


def test_a_certificate_that_nobody_vouches_for_is_not_trusted(tmp_path: Path) -> None:
    _, tls = certificate(tmp_path)
    with receiver(tls=tls) as crew, webhook_to(crew.url) as channel:
        outcome = send(channel)
        assert crew.posts == []
    assert isinstance(outcome, Retry)
    assert outcome.reason.startswith("TLS failed")


def test_a_certificate_for_another_host_is_not_trusted(tmp_path: Path) -> None:
    cert, tls = certificate(tmp_path, name="127.0.0.2")
    with receiver(tls=tls) as crew, webhook_to(crew.url, ca=str(cert)) as channel:
        assert isinstance(send(channel), Retry)
        assert crew.posts == []


def test_a_private_authority_can_be_named(tmp_path: Path) -> None:
    cert, tls = certificate(tmp_path)
    with receiver(tls=tls) as crew, webhook_to(crew.url, ca=str(cert)) as channel:
        assert send(channel) == Sent(verified=True)
        crew.delay_s = 5.0
        began = time.monotonic()
        assert isinstance(send(channel, timeout_s=0.5), Retry)
        assert time.monotonic() - began < patient(1.5)


def test_plain_text_where_tls_was_promised_is_tried_again() -> None:
    with receiver() as crew, webhook_to(crew.url.replace("http:", "https:")) as channel:
        assert isinstance(send(channel), Retry)


# Webhook: secrets and configuration ----------------------------------------------------------------------------------


def test_no_secret_is_logged_or_told_in_a_reason(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    body = json.dumps({"errcode": 93000, "errmsg": f"no robot {SECRET}"}).encode()
    with receiver(body=body) as crew:
        keyed = f"{crew.url}?key={SECRET}"
        environ = {"HOOK_URL": keyed, "HOOK_SECRET": SECRET}
        section = {"endpoints": {"crew": {"url_env": "HOOK_URL", "secret_env": "HOOK_SECRET"}}}
        with opened({"webhook": section}, environ=environ) as channels:
            outcomes = [channels["webhook"].send("crew", a_message(), timeout_s=2)]
            assert crew.posts[0].path == f"/hook?key={SECRET}"
    with opened(
        {"webhook": section}, environ={**environ, "HOOK_URL": f"http://{SECRET}.invalid/?{SECRET}"}
    ) as channels:
        outcomes.append(channels["webhook"].send("crew", a_message(), timeout_s=2))
    output = capsys.readouterr()
    assert SECRET not in caplog.text + output.out + output.err
    assert all(SECRET not in repr(outcome) for outcome in outcomes)
    assert "93000" in repr(outcomes[0])


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET + "\n", "utf-8")
    with receiver() as crew, webhook_to(crew.url, secret_file=str(tmp_path / "secret")) as channel:
        send(channel)
        post = crew.posts[0]
    wanted = hmac.new(SECRET.encode(), post.headers["x-gridhub-timestamp"].encode() + b"." + post.body, hashlib.sha256)
    assert post.headers["x-gridhub-signature"] == f"sha256={wanted.hexdigest()}"


@pytest.mark.parametrize(
    ("endpoint", "complaint"),
    [
        ({}, "give exactly one of url, url_env and url_file"),
        ({"url": "http://a/", "url_env": "B"}, "give exactly one of url, url_env and url_file"),
        ({"url": "ftp://a/"}, "an address begins with https://"),
        ({"url": "http://"}, "an address begins with https://"),
        ({"url": "http://me:pw@a/"}, "no user name or password in an address"),
        ({"url": "http://a:99999/"}, "this is not a web address"),
        ({"url_env": "UNSET_VARIABLE"}, "the variable UNSET_VARIABLE is not set"),
        ({"url": "http://a/", "secret_env": "UNSET_VARIABLE"}, "the variable UNSET_VARIABLE is not set"),
        ({"url": "http://a/", "secret_file": "/nonexistent/file"}, "/nonexistent/file cannot be read: No such file"),
        ({"url": "http://a/", "secret": "x"}, "unknown key"),
        ({"url": "http://a/", "timeout_s": 0}, "greater than 0"),
        ({"url": "http://a/", "accept": {}}, "give either pointer (with equals) or any_2xx"),
        ({"url": "http://a/", "accept": {"pointer": "errcode", "equals": 0}}, "a JSON pointer begins with '/'"),
    ],
)
def test_a_wrong_endpoint_is_refused_before_anything_starts(endpoint: Any, complaint: str) -> None:
    sections = {"webhook": {"endpoints": {"crew": endpoint}}}
    with pytest.raises(ConfigError) as caught:
        open_channels(sections, hub_yaml(sections), Tools(environ={}))
    (found,) = caught.value.complaints
    assert complaint in str(found)
    assert found.key.startswith("channels.webhook.endpoints.crew")
    assert found.line is not None


def test_all_receivers_are_remembered_by_name() -> None:
    with receiver() as one, receiver() as two:
        section = {"endpoints": {"one": {"url": one.url}, "two": {"url": two.url}}}
        with opened({"webhook": section}, environ={}) as channels:
            for name in ("one", "two", "one"):
                channels["webhook"].send(name, a_message(), timeout_s=2)
        assert (len(one.posts), len(two.posts)) == (2, 1)


def test_the_receiver_of_these_tests_really_answers_what_it_was_told() -> None:
    with receiver(status=503, body=b"x") as crew:
        assert isinstance(crew, Receiver)
        with webhook_to(crew.url) as channel:
            assert send(channel) == Retry(0.0, "HTTP 503")
