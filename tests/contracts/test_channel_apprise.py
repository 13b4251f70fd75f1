"""Apprise: what it says is never taken for proof, it is bounded in time, and it is an extra that may be missing."""

from __future__ import annotations

import importlib
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from hub.dispatch.channels import Channel, Tools, open_channels
from hub.errors import ConfigError
from hub.model.deliveries import Line, Outcome, Refused, Retry, Sent
from tests.support.channels import a_message, hub_yaml, opened
from tests.support.pace import patient
from tests.support.services.server import Call, FakeService, Reply

KEY = "k-Zq8x1Yv3TnWm5Lr2yB"


class FakeReceiver(FakeService):
    """Takes the JSON that Apprise posts."""

    def answer(self, call: Call) -> Reply:
        self.taken.append(call.json)
        return Reply({"ok": True})


@contextmanager
def telling(**section: Any) -> Iterator[tuple[FakeReceiver, Channel]]:
    with FakeReceiver().running() as service:
        environ = {"U": f"json://{service.url.removeprefix('http://')}/{KEY}"}
        whole = {"addresses": {"crew": {"url_env": "U"}}, **section}
        with opened({"apprise": whole}, environ=environ) as channels:
            yield service, channels["apprise"]


def send(channel: Channel, *, timeout_s: float = 5, **changes: Any) -> Outcome:
    return channel.send("crew", a_message(**changes), timeout_s=timeout_s)


def test_what_apprise_sent_is_never_verified() -> None:
    with telling() as (service, channel):
        assert send(channel) == Sent(verified=False)
        (body,) = service.taken
    assert body["title"] == a_message().title
    assert "带灭火器到场" in body["message"]


def test_a_refusal_with_a_good_status_is_a_yes_to_apprise_and_therefore_no_proof() -> None:
    with telling() as (service, channel):
        service.always = Reply({"errcode": 93000, "errmsg": "invalid webhook url"})
        assert send(channel) == Sent(verified=False)


@pytest.mark.parametrize("how", ["answers 500", "hangs up", "resets", "talks nonsense"])
def test_a_failure_that_it_sees_is_tried_again(how: str) -> None:
    with telling() as (service, channel):
        service.always = how
        assert isinstance(send(channel), Retry)


def test_its_patience_is_ours_and_a_send_that_has_not_ended_bars_the_next() -> None:
    with telling() as (service, channel):
        service.always = "hangs"
        began_s = time.monotonic()
        assert isinstance(send(channel, timeout_s=0.4), Retry)
        assert time.monotonic() - began_s < patient(1.2)
        outcome = send(channel)
        assert isinstance(outcome, Retry)
        assert "has not ended" in outcome.reason


def test_closing_ends_the_waiting() -> None:
    with telling() as (service, channel):
        service.always = "hangs"
        outcomes: list[Outcome] = []
        thread = threading.Thread(target=lambda: outcomes.append(send(channel, timeout_s=9)))
        thread.start()
        service.wait_for(1)
        channel.close()
        channel.close()
        thread.join(2)
        assert outcomes == [Retry(0.0, "the hub is stopping")]
        assert isinstance(send(channel), Retry)


def test_a_plug_in_that_raises_costs_no_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    with telling() as (_, channel):
        library = importlib.import_module("apprise")

        def fails(*args: Any, **kwargs: Any) -> bool:
            raise KeyError(KEY)

        monkeypatch.setattr(library.Apprise, "notify", fails)
        outcome = send(channel)
    assert outcome == Retry(0.0, "Apprise failed: KeyError")


def test_strange_targets_and_texts_give_a_value() -> None:
    with telling() as (service, channel):
        for target in ("", "nobody", "\0"):
            assert isinstance(channel.send(target, a_message(), timeout_s=2), Refused)
        assert service.calls == []
        odd = tuple(Line(x.kind, "\ud800\0🔥" * 5_000, x.weight) for x in a_message().lines)
        assert isinstance(send(channel, lines=odd, title="\ud800"), Sent)


def test_no_key_is_logged_or_told(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    caplog.set_level(logging.DEBUG)
    with telling() as (service, channel):
        outcomes = [send(channel)]
        service.always = "answers 500"
        outcomes.append(send(channel))
    output = capsys.readouterr()
    assert KEY not in caplog.text + output.out + output.err + repr(outcomes)


def test_an_address_that_it_does_not_know_is_a_complaint_without_the_address() -> None:
    section = {"addresses": {"crew": {"url_env": "U"}}}
    with pytest.raises(ConfigError, match=r"channels.apprise.addresses.crew.url_env: Apprise does not know") as caught:
        open_channels({"apprise": section}, hub_yaml({"apprise": section}), Tools(environ={"U": f"nosuch://{KEY}"}))
    assert KEY not in str(caught.value)


def test_a_hub_without_the_extra_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr("hub.dispatch.channels.apprise.importlib.import_module", missing)
    section = {"addresses": {"crew": {"url_env": "U"}}}
    with pytest.raises(ConfigError, match=r"Apprise is not installed → pip install 'gridhub\[apprise\]'"):
        open_channels({"apprise": section}, hub_yaml({"apprise": section}), Tools(environ={"U": f"json://h/{KEY}"}))
    with opened({}, environ={}) as channels:
        assert "apprise" in channels, "and a hub that does not use it does not need it"
