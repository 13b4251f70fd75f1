"""Promises of every channel that talks to a service, against a fake of the service that answers as it does, and on bad days."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from hub.dispatch.channels import CHANNELS, Channel, Tools, check_channels, known_targets, open_channels
from hub.documents import parse
from hub.errors import ConfigError
from hub.model.deliveries import Line, Outcome, Refused, Retry, Sent
from tests.support.channels import a_message, hub_yaml, opened
from tests.support.pace import patient
from tests.support.services.server import FAILURES
from tests.support.services.stands import STANDS, Stand

WITHOUT_A_SERVICE = {
    "console",
    "siren",
    "webhook",
    "apprise",
}  # apprise cannot keep all of these: test_channel_apprise.py
NOT_BY_HTTP = {"email"}
every_service = pytest.mark.parametrize("name", STANDS)


@contextmanager
def standing(name: str, **section: Any) -> Iterator[tuple[Stand, Channel]]:
    with STANDS[name]() as stand, opened({name: {**stand.section, **section}}, environ=stand.environ) as channels:
        yield stand, channels[name]


def test_every_channel_has_its_fake_service() -> None:
    assert set(STANDS) | WITHOUT_A_SERVICE == set(CHANNELS)


@every_service
def test_what_the_service_took_is_sent_once_and_says_what_where_and_what_to_do(name: str) -> None:
    with standing(name) as (stand, channel):
        outcome = channel.send(stand.target, a_message(), timeout_s=5)
        assert isinstance(outcome, Sent), outcome
        assert outcome.verified
        assert bool(outcome.receipt) is stand.receipt
        (taken,) = stand.service.taken
        text = stand.texts(taken)
    for words in ("火警", "幸福里 3 栋 2 单元", "带灭火器到场"):
        assert words in text
    assert "\ufffd" not in text


@every_service
def test_an_english_reader_gets_english(name: str) -> None:
    with standing(name) as (stand, channel):
        assert isinstance(channel.send(stand.target, a_message(locale="en"), timeout_s=5), Sent)
        assert "Building 3" in stand.texts(stand.service.taken[0])


@every_service
@pytest.mark.parametrize("how", FAILURES)
def test_a_bad_day_of_the_service_costs_its_time_and_is_tried_again(name: str, how: str) -> None:
    with standing(name, timeout_s=0.6) as (stand, channel):
        stand.service.always = how
        began_s = time.monotonic()
        outcome = channel.send(stand.target, a_message(), timeout_s=5)
        assert isinstance(outcome, Retry), outcome
        assert outcome.reason
        assert time.monotonic() - began_s < patient(1.6)
        stand.service.always = None
        assert isinstance(channel.send(stand.target, a_message(), timeout_s=5), Sent), "and the channel still works"


@every_service
def test_the_callers_time_limit_counts_too(name: str) -> None:
    with standing(name) as (stand, channel):
        stand.service.always = "hangs"
        began_s = time.monotonic()
        assert isinstance(channel.send(stand.target, a_message(), timeout_s=0.3), Retry)
        assert time.monotonic() - began_s < patient(1.2)


@every_service
def test_a_service_that_is_not_there_is_tried_again(name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        gone = f"127.0.0.1:{reserved.getsockname()[1]}"
    with STANDS[name]() as stand:
        section = _elsewhere(stand, gone)
        with opened({name: section}, environ=stand.environ) as channels:
            outcome = channels[name].send(stand.target, a_message(), timeout_s=2)
    assert isinstance(outcome, Retry)
    assert outcome.reason


@every_service
def test_a_refusal_is_a_refusal_and_not_a_yes(name: str) -> None:
    with standing(name) as (stand, channel):
        stand.service.always = stand.service.refusal("so it is")
        outcome = channel.send(stand.target, a_message(), timeout_s=5)
        assert isinstance(outcome, Refused), outcome
        assert "so it is" in outcome.reason
        assert stand.service.taken == []


@every_service
def test_no_secret_is_logged_or_told_even_when_the_service_quotes_it(
    name: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    outcomes: list[Outcome] = []
    with standing(name, timeout_s=0.4) as (stand, channel):
        quoted = stand.service.refusal(" ".join(stand.secrets))
        for how in (quoted, "hangs", "talks nonsense", "answers 500"):
            stand.service.always = how
            outcomes.append(channel.send(stand.target, a_message(), timeout_s=5))
        shown = repr(channel) + repr(vars(channel).get("_config"))
    output = capsys.readouterr()
    for secret in stand.secrets:
        assert secret not in caplog.text + output.out + output.err + shown
        assert all(secret not in repr(outcome) for outcome in outcomes), outcomes
    assert isinstance(outcomes[0], Refused)


@every_service
def test_a_message_that_is_far_too_long_is_cut_between_characters_and_still_says_the_essential(name: str) -> None:
    long = "很长的说明🔥" * 3_000
    message = a_message()
    lines = tuple(
        Line(x.kind, f"{x.text}{long}" if x.kind in ("when", "measured", "responsible") else x.text, x.weight)
        for x in message.lines
    )
    with standing(name) as (stand, channel):
        outcome = channel.send(stand.target, a_message(text=f"{message.text}\n{long}", lines=lines), timeout_s=5)
        assert isinstance(outcome, Sent), outcome
        text = stand.texts(stand.service.taken[0])
    for words in ("火警", "幸福里 3 栋 2 单元", "带灭火器到场"):
        assert words in text
    assert "\ufffd" not in text


@every_service
def test_texts_without_end_in_every_line_are_sent_or_refused_and_never_raise(name: str) -> None:
    long = "🔥" * 20_000
    message = a_message(title=long, text=long, lines=tuple(Line(x.kind, long, x.weight) for x in a_message().lines))
    with standing(name) as (stand, channel):
        outcome = channel.send(stand.target, message, timeout_s=5)
        assert isinstance(outcome, Sent), outcome
        assert "\ufffd" not in stand.texts(stand.service.taken[0])


@every_service
@pytest.mark.parametrize(
    "text", ["", "\0\x07\r\n.\r\n", "\ud800 half a character", "</script>{{x}}${y}<at id=all></at>"]
)
def test_odd_texts_give_a_value(name: str, text: str) -> None:
    message = a_message(title=text, text=text, lines=tuple(Line(x.kind, text, x.weight) for x in a_message().lines))
    with standing(name) as (stand, channel):
        assert isinstance(channel.send(stand.target, message, timeout_s=5), Sent | Retry | Refused)


@every_service
def test_a_bare_message_without_fields_and_links_is_sent_too(name: str) -> None:
    with standing(name) as (stand, channel):
        outcome = channel.send(stand.target, a_message(fields={}, links={}, lines=()), timeout_s=5)
        assert isinstance(outcome, Sent), outcome


@every_service
def test_strange_targets_are_refused_without_asking_the_service(name: str) -> None:
    with standing(name) as (stand, channel):
        for target in stand.bad_targets:
            assert isinstance(channel.send(target, a_message(), timeout_s=2), Refused), target[:20]
        assert stand.service.calls == []


@every_service
def test_different_targets_are_told_at_the_same_time(name: str) -> None:
    with standing(name) as (stand, channel):
        targets = [stand.target, *stand.more_targets] * 2
        outcomes: list[Outcome] = []
        threads = [
            threading.Thread(target=lambda t=t: outcomes.append(channel.send(t, a_message(), timeout_s=5)))
            for t in targets
        ]  # type: ignore[misc]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert len(outcomes) == len(targets)
        assert all(isinstance(outcome, Sent) for outcome in outcomes), outcomes
        assert len(stand.service.taken) == len(targets)


@every_service
def test_closing_ends_a_send_in_flight_and_closing_twice_is_fine(name: str) -> None:
    with standing(name) as (stand, channel):
        stand.service.always = "hangs"
        outcomes: list[Outcome] = []
        thread = threading.Thread(target=lambda: outcomes.append(channel.send(stand.target, a_message(), timeout_s=8)))
        thread.start()
        stand.service.wait_for(1)
        began_s = time.monotonic()
        channel.close()
        channel.close()
        thread.join(5)
        assert time.monotonic() - began_s < patient(1.5)
        assert len(outcomes) == 1
        assert isinstance(outcomes[0], Retry)
        assert isinstance(channel.send(stand.target, a_message(), timeout_s=1), Retry)


# Configuration -------------------------------------------------------------------------------------------------------


@every_service
def test_a_channel_that_is_not_set_up_can_tell_nobody(name: str) -> None:
    document, _ = parse("channels: {}\n", "hub.yaml")
    assert document is not None
    configs, complaints = check_channels({}, document)
    assert complaints == []
    assert known_targets(configs)[name] == frozenset()


@every_service
def test_a_secret_that_is_not_there_is_a_complaint_with_its_line(name: str) -> None:
    with STANDS[name]() as stand:
        document = hub_yaml({name: stand.section})
        with pytest.raises(ConfigError) as caught:
            open_channels({name: stand.section}, document, Tools(environ={}))
    assert len(caught.value.complaints) == len(stand.environ)
    for complaint in caught.value.complaints:
        assert complaint.line is not None
        assert complaint.line > 1
        assert complaint.key.startswith(f"channels.{name}.")
        assert complaint.key.endswith("_env")
        assert "is not set" in complaint.message


@every_service
def test_a_secret_has_no_place_in_hub_yaml_itself(name: str) -> None:
    with STANDS[name]() as stand:
        pass
    text = repr(stand.section)
    assert not any(secret in text for secret in stand.environ.values())
    plain = {key.removesuffix("_env") for key in _keys(stand.section) if key.endswith("_env")}
    assert plain
    for key in plain:
        section = _with_plain(stand.section, key)
        _, complaints = check_channels({name: section}, hub_yaml({name: section}))
        assert any(c.message == "unknown key" and c.key.endswith(f".{key}") for c in complaints), complaints


@pytest.mark.parametrize("name", sorted(set(STANDS) - NOT_BY_HTTP))
def test_a_wrong_address_of_the_service_is_a_complaint(name: str) -> None:
    with STANDS[name]() as stand:
        pass
    for url in ("ftp://service", "https://me:secret@service", "not a url", "http://h:99999"):
        section = {**stand.section, "base_url": url}
        _, complaints = check_channels({name: section}, hub_yaml({name: section}))
        assert [c.key for c in complaints] == [f"channels.{name}.base_url"]


def _elsewhere(stand: Stand, host: str) -> dict[str, Any]:
    here = stand.service.url.split("//")[-1]
    address, _, port = host.partition(":")
    swapped = {
        key: value.replace(here, host) if isinstance(value, str) else value for key, value in stand.section.items()
    }
    return swapped | ({"host": address, "port": int(port)} if "port" in stand.section else {})


def _keys(section: Any) -> Iterator[str]:
    if isinstance(section, dict):
        for key, value in section.items():
            yield key
            yield from _keys(value)


def _with_plain(section: Any, key: str) -> Any:
    """`section` with the secret itself where its variable was named."""
    if not isinstance(section, dict):
        return section
    return {key if k == f"{key}_env" else k: _with_plain(v, key) for k, v in section.items()}
