"""Access tokens for people and machines. The secret is shown once; the ledger keeps its SHA-256."""

from __future__ import annotations

import builtins
import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

from sqlalchemy import Row, insert, select, update

from hub.errors import IllegalAction
from hub.model.alerts import Actor, Role
from hub.stores.ledger import Ledger
from hub.stores.schema import tokens

ROLES: tuple[Role, ...] = get_args(Role)
PREFIX = "gh_"
_MIN_SECRET = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token without its secret."""

    id: str
    name: str
    role: Role
    grids: tuple[str, ...]
    stations: tuple[str, ...]
    person: str
    created_at_ms: int
    expires_at_ms: int | None
    revoked_at_ms: int | None

    def is_good(self, now_ms: int) -> bool:
        return self.revoked_at_ms is None and (self.expires_at_ms is None or now_ms < self.expires_at_ms)

    def actor(self) -> Actor:
        """Who acts with it: the person it was given to, else the token itself."""
        return Actor(
            id=self.person or f"token:{self.name}",
            name=self.name,
            role=self.role,
            grids=self.grids,
            stations=self.stations,
        )


class Tokens:
    """Thread-safe. Raises `Unavailable` while the ledger is away."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def create(
        self,
        name: str,
        role: Role,
        grids: Sequence[str],
        stations: Sequence[str],
        *,
        person: str = "",
        expires_at_ms: int | None = None,
        now_ms: int,
        secret: str | None = None,
    ) -> str:
        """Makes a token and returns its secret, which cannot be read again. A given `secret` needs at least 20 characters.

        Raises `IllegalAction` when it would be useless or weak.
        """
        if role not in ROLES:
            raise IllegalAction(f"there is no role {role!r}", remedy=f"use one of: {', '.join(ROLES)}")
        if not name.strip():
            raise IllegalAction("a token needs a name", remedy="name the person or machine that will use it")
        if secret is not None and len(secret) < _MIN_SECRET:
            raise IllegalAction(
                f"the secret is shorter than {_MIN_SECRET} characters", remedy="leave it out to get a random one"
            )
        made = secret or PREFIX + secrets.token_urlsafe(32)
        row = {
            "id": secrets.token_hex(6),
            "name": name.strip(),
            "role": role,
            "hash": hash_of(made),
            "grids": json.dumps(list(grids), ensure_ascii=False),
            "stations": json.dumps(list(stations), ensure_ascii=False),
            "person": person,
            "created_at_ms": now_ms,
            "expires_at_ms": expires_at_ms,
        }
        with self._ledger.begin() as connection:
            if connection.execute(select(tokens.c.id).where(tokens.c.hash == row["hash"])).first() is not None:
                raise IllegalAction("this secret is in use already", remedy="leave it out to get a random one")
            connection.execute(insert(tokens), [row])
        return made

    def actor_of(self, secret: str, now_ms: int) -> Actor | None:
        """Who acts with `secret`; None when there is no such token, or it was revoked or has expired."""
        with self._ledger.read() as connection:
            row = connection.execute(select(tokens).where(tokens.c.hash == hash_of(secret))).first()
        if row is None:
            return None
        token = _token(row)
        return token.actor() if token.is_good(now_ms) else None

    def one(self, token_id: str) -> Token | None:
        with self._ledger.read() as connection:
            row = connection.execute(select(tokens).where(tokens.c.id == token_id)).first()
        return None if row is None else _token(row)

    def list(self) -> builtins.list[Token]:
        """Every token that was ever made, the newest first."""
        with self._ledger.read() as connection:
            rows = connection.execute(select(tokens).order_by(tokens.c.created_at_ms.desc(), tokens.c.id))
            return [_token(row) for row in rows]

    def revoke(self, token_id: str, now_ms: int) -> bool:
        """Ends a token at once. False when there is none with this id. The first revocation counts."""
        with self._ledger.begin() as connection:
            known = connection.execute(select(tokens.c.revoked_at_ms).where(tokens.c.id == token_id)).first()
            if known is not None and known.revoked_at_ms is None:
                connection.execute(update(tokens).where(tokens.c.id == token_id).values(revoked_at_ms=now_ms))
            return known is not None


def hash_of(secret: str) -> str:
    """What is stored of a secret: enough to recognise it, useless to whoever reads the database."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _token(row: Row[Any]) -> Token:
    return Token(
        id=row.id,
        name=row.name,
        role=row.role,
        grids=tuple(json.loads(row.grids)),
        stations=tuple(json.loads(row.stations)),
        person=row.person,
        created_at_ms=row.created_at_ms,
        expires_at_ms=row.expires_at_ms,
        revoked_at_ms=row.revoked_at_ms,
    )
