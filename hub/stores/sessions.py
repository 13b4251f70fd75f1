"""Signed-in browsers: a random secret in a cookie, its hash here, and the token that it stands for."""

from __future__ import annotations

import secrets
from dataclasses import replace

from sqlalchemy import delete, insert, select, update

from hub.model.alerts import Actor
from hub.stores.ledger import Ledger
from hub.stores.schema import sessions, tokens
from hub.stores.tokens import Tokens, hash_of

LIFETIME_MS = 30 * 24 * 3_600_000
RENEW_AFTER_MS = 24 * 3_600_000


class Sessions:
    """Browser sessions. One lives 30 days after its last use and never longer than its token: revoking that ends it.

    Thread-safe. Raises `Unavailable` while the ledger is away.
    """

    def __init__(self, ledger: Ledger, known: Tokens) -> None:
        self._ledger = ledger
        self._tokens = known

    def begin(self, token: str, now_ms: int) -> tuple[str, Actor] | None:
        """Exchanges a token for the secret of a new session; None when the token is not, or no longer, good."""
        actor = self._tokens.actor_of(token, now_ms)
        if actor is None:
            return None
        secret = secrets.token_urlsafe(32)
        with self._ledger.begin() as connection:
            token_id = connection.execute(select(tokens.c.id).where(tokens.c.hash == hash_of(token))).scalar_one()
            connection.execute(delete(sessions).where(sessions.c.expires_at_ms <= now_ms))
            connection.execute(
                insert(sessions),
                [
                    {
                        "hash": hash_of(secret),
                        "token_id": token_id,
                        "created_at_ms": now_ms,
                        "expires_at_ms": now_ms + LIFETIME_MS,
                    }
                ],
            )
        return secret, _in_the_console(actor)

    def actor_of(self, secret: str, now_ms: int) -> Actor | None:
        """Who uses the session; None when it ended or expired, or its token did. Use renews it, at most once a day."""
        key = hash_of(secret)
        with self._ledger.read() as connection:
            row = connection.execute(select(sessions).where(sessions.c.hash == key)).first()
        if row is None or row.ended_at_ms is not None or row.expires_at_ms <= now_ms:
            return None
        token = self._tokens.one(row.token_id)
        if token is None or not token.is_good(now_ms):
            return None
        if row.expires_at_ms < now_ms + LIFETIME_MS - RENEW_AFTER_MS:
            with self._ledger.begin() as connection:
                connection.execute(
                    update(sessions)
                    .where(sessions.c.hash == key, sessions.c.ended_at_ms.is_(None))
                    .values(expires_at_ms=now_ms + LIFETIME_MS)
                )
        return _in_the_console(token.actor())

    def end(self, secret: str, now_ms: int) -> None:
        """Ends the session for good. Idempotent."""
        with self._ledger.begin() as connection:
            connection.execute(
                update(sessions)
                .where(sessions.c.hash == hash_of(secret), sessions.c.ended_at_ms.is_(None))
                .values(ended_at_ms=now_ms)
            )


def _in_the_console(actor: Actor) -> Actor:
    return replace(actor, via="console")
