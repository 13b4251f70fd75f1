"""Sessions of signed-in browsers, on every ledger."""

from __future__ import annotations

from hub.stores.ledger import Ledger
from hub.stores.sessions import LIFETIME_MS, RENEW_AFTER_MS, Sessions
from hub.stores.tokens import Tokens

NOW = 1_767_225_600_000


def begun(ledger: Ledger, *, expires_at_ms: int | None = None) -> tuple[Sessions, Tokens, str]:
    tokens = Tokens(ledger)
    token = tokens.create(
        "tablet", "station", (), ("st-1",), person="li", expires_at_ms=expires_at_ms, now_ms=NOW, secret=None
    )
    sessions = Sessions(ledger, tokens)
    started = sessions.begin(token, NOW)
    assert started is not None
    secret, actor = started
    assert (actor.id, actor.via) == ("li", "console")
    assert secret != token
    return sessions, tokens, secret


def test_a_session_stands_for_its_token(ledger: Ledger) -> None:
    sessions, _, secret = begun(ledger)
    actor = sessions.actor_of(secret, NOW + 1)
    assert actor is not None
    assert (actor.id, actor.role, actor.stations) == ("li", "station", ("st-1",))


def test_a_made_up_secret_or_token_opens_nothing(ledger: Ledger) -> None:
    sessions, _, secret = begun(ledger)
    assert sessions.begin("gh_wrong", NOW) is None
    for wrong in ("", "x", secret[:-1], secret + "x", "\ud800"):
        assert sessions.actor_of(wrong, NOW) is None


def test_a_session_ends_by_hand_with_its_token_and_after_its_time(ledger: Ledger) -> None:
    sessions, _, secret = begun(ledger)
    sessions.end(secret, NOW)
    sessions.end(secret, NOW)
    assert sessions.actor_of(secret, NOW) is None

    sessions, tokens, secret = begun(ledger)
    for known in tokens.list():
        tokens.revoke(known.id, NOW)
    assert sessions.actor_of(secret, NOW) is None

    sessions, _, secret = begun(ledger)
    assert sessions.actor_of(secret, NOW + LIFETIME_MS) is None

    sessions, _, secret = begun(ledger, expires_at_ms=NOW + 1_000)
    assert sessions.actor_of(secret, NOW + 999) is not None
    assert sessions.actor_of(secret, NOW + 1_000) is None


def test_use_renews_a_session(ledger: Ledger) -> None:
    sessions, _, secret = begun(ledger)
    at_ms = NOW
    for _ in range(5):
        at_ms += LIFETIME_MS - RENEW_AFTER_MS
        assert sessions.actor_of(secret, at_ms) is not None
    assert at_ms > NOW + 4 * RENEW_AFTER_MS + LIFETIME_MS
