"""Telephone numbers, tokens and what messages say stand in no repr, no error of the database, and no metric."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import generate_latest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from hub.dispatch.exchange import Request
from hub.dispatch.links import Links
from hub.dispatch.messages import compose
from hub.model.deliveries import DeliveryRow, NewDelivery
from hub.model.places import Name, Person, Station
from hub.stores.ledger import Ledger
from tests.support.notices import NOW_MS, ZONE, a_delivery, an_alert
from tests.support.registry import small_registry

NUMBER = "13812345678"
NAME = Name(zh="某人", en="Somebody")


def made() -> list[Any]:
    delivery = replace(a_delivery(), target=NUMBER)
    links = Links(b"a key that nobody may see at all", "https://hub.example").of(an_alert(), delivery, NOW_MS)
    message = compose(an_alert(), delivery, small_registry(), NOW_MS, ZONE, "https://hub.example", answers=links)
    contacts = (("sms", NUMBER),)
    row = DeliveryRow(
        id=1, alert_id="a", transition="raised", recipient="li", channel="sms", target=NUMBER, locale="en", severity="P1",
        needed_while="live", state="queued", created_at_ms=0, due_at_ms=0, attempts=0,
    )  # fmt: skip
    new = NewDelivery(
        alert_id="a", transition="raised", recipient="li", channel="sms", target=NUMBER, locale="en", due_at_ms=0
    )
    return [
        delivery,
        row,
        new,
        message,
        Person(id="li", name=NAME, role="crew", phone=NUMBER, contacts=contacts),
        Station(id="st", name=NAME, grids=(), contacts=contacts),
        Links(b"a key that nobody may see at all", "https://hub.example"),
        Request(url=f"https://gateway.example/{NUMBER}", content=NUMBER.encode(), headers={"X": NUMBER}),
    ]


@pytest.mark.parametrize("thing", made(), ids=lambda thing: type(thing).__name__)
def test_no_repr_tells_a_number_a_key_or_a_text(thing: Any) -> None:
    said = repr(thing) + str(thing)
    assert NUMBER not in said
    assert "a key that nobody" not in said
    assert "/l/" not in said
    assert "灭火器" not in said


def test_an_error_of_the_database_tells_no_value() -> None:
    ledger = Ledger.open("sqlite://")
    with pytest.raises(DBAPIError) as failed, ledger.begin() as connection:
        connection.execute(text("INSERT INTO no_such_table (target) VALUES (:target)"), {"target": NUMBER})
    ledger.close()
    assert NUMBER not in str(failed.value)


def test_no_metric_has_a_number_among_its_labels() -> None:
    assert NUMBER not in generate_latest().decode()
    labels = {line.split("{")[1].split("}")[0] for line in generate_latest().decode().splitlines() if "{" in line}
    assert not any(word in label for label in labels for word in ("target=", "phone=", "recipient=", "token="))
