"""Apprise: some hundred services by their addresses, as an optional extra. Nothing that it says is proof: delivery not verified.

Apprise reports success for much that a service refused, because it looks at the HTTP status and these services answer 200. So a
Sent from here is never verified. Use it beside a channel that is, not instead. A target is the name of an address in hub.yaml.
"""

from __future__ import annotations

import importlib
import logging
import threading
from collections.abc import Mapping
from typing import Any

from pydantic import model_validator

from hub.dispatch.channels.channel import (
    Channel,
    ChannelConfig,
    Missing,
    Patience,
    Tools,
    missing_secret,
    one_source,
    secret_of,
)
from hub.dispatch.exchange import CLOSING
from hub.dispatch.fit import fitted, title_of
from hub.dispatch.pace import Limit
from hub.documents import Strict
from hub.model.deliveries import Message, Outcome, Refused, Retry, Sent

MOST_TEXT_BYTES = 2_048
MOST_TITLE_BYTES = 250


class Address(Strict):
    """An address in the form of Apprise. There are keys in it, so it comes from the environment or a file."""

    url_env: str = ""
    url_file: str = ""

    @model_validator(mode="after")
    def _one_address(self) -> Address:
        one_source(self, "url")
        return self


class Config(ChannelConfig):
    """Addresses by the name that contacts of people and stations use."""

    addresses: dict[str, Address] = {}
    timeout_s: Patience = 10.0

    def missing(self, environ: Mapping[str, str]) -> list[Missing]:
        library = _library() if self.addresses else None
        found: list[Missing] = []
        if self.addresses and library is None:
            found.append((("addresses",), "Apprise is not installed", "pip install 'gridhub[apprise]'"))
        for name, address in self.addresses.items():
            at = ("addresses", name)
            wrong = missing_secret(address, "url", environ, at)
            if not wrong and library is not None and not library.Apprise().add(secret_of(address, "url", environ)):
                key = "url_env" if address.url_env else "url_file"
                wrong = [((*at, key), "Apprise does not know this kind of address", "see the list of its services")]
            found += wrong
        return found

    def targets(self) -> frozenset[str]:
        return frozenset(self.addresses)


class Apprise:
    """Sent = Apprise says that nothing failed, and that is all that is known: never verified."""

    name = "apprise"
    idempotent = False
    limits: tuple[Limit, ...] = ()

    def __init__(self, config: Config, tools: Tools) -> None:
        self._config = config
        self._closed = threading.Event()
        self._ways = {name: _Way(secret_of(a, "url", tools.environ)) for name, a in config.addresses.items()}

    def send(self, target: str, message: Message, *, timeout_s: float) -> Outcome:
        way = self._ways.get(target)
        if way is None:
            return Refused("no Apprise address of this name is in hub.yaml")
        if self._closed.is_set():
            return Retry(0.0, CLOSING)
        return way.send(message, min(timeout_s, self._config.timeout_s), self._closed)

    def close(self) -> None:
        self._closed.set()
        for way in self._ways.values():
            way.changed()


class _Way:
    """One address. Apprise cannot be interrupted, so each send has a thread, and one that has not ended bars the next."""

    def __init__(self, url: str) -> None:
        self._sender: Any = None
        library = _library()
        if library is not None:
            self._sender = library.Apprise()
            self._sender.add(url)
        self._state = threading.Condition()
        self._running = False
        self._answer: Any = None

    def changed(self) -> None:
        with self._state:
            self._state.notify_all()

    def send(self, message: Message, within_s: float, closed: threading.Event) -> Outcome:
        with self._state:
            if self._running:
                return Retry(0.0, "the message before has not ended")
            self._running, self._answer = True, None
            title = title_of(message, MOST_TITLE_BYTES)
            body = fitted(message, MOST_TEXT_BYTES, without=("title",)) or title
            threading.Thread(target=self._notify, args=(title, body), name="apprise", daemon=True).start()
            ended = self._state.wait_for(lambda: not self._running or closed.is_set(), within_s)
            if not self._running:
                return self._outcome()
            return Retry(0.0, CLOSING if ended else f"Apprise has not ended within {within_s:.1f} s")

    def _notify(self, title: str, body: str) -> None:
        answer: Any = None
        try:
            answer = self._sender.notify(title=title, body=body)
        except Exception as error:  # a hundred plug-ins of others: whatever they do, the alarm is still owed
            answer = error
        finally:
            with self._state:
                self._running, self._answer = False, answer
                self._state.notify_all()

    def _outcome(self) -> Outcome:
        if not isinstance(self._answer, Exception) and self._answer:
            return Sent(verified=False)
        if isinstance(self._answer, Exception):
            return Retry(0.0, f"Apprise failed: {type(self._answer).__name__}")
        return Retry(0.0, "Apprise says that it failed, and not why")


def _library() -> Any:
    """Apprise, None where it is not installed. Imported late: it takes half a second and nobody else needs it."""
    try:
        library = importlib.import_module("apprise")
    except ImportError:
        return None
    for chatty in ("apprise", "urllib3"):
        logging.getLogger(chatty).setLevel(logging.CRITICAL + 1)  # they log addresses with their keys
    return library


def open_channel(config: Config, tools: Tools) -> Channel:
    return Apprise(config, tools)
