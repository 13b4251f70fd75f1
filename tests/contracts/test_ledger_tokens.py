"""What the access tokens promise, on an SQLite file and on a real PostgreSQL; and the commands that make them."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from hub.__main__ import app
from hub.errors import IllegalAction
from hub.model.alerts import Actor
from hub.stores import migrating
from hub.stores.ledger import Ledger
from hub.stores.schema import tokens as table
from hub.stores.tokens import Tokens
from tests.support.alerts import T0


@pytest.fixture
def tokens(ledger: Ledger) -> Tokens:
    return Tokens(ledger)


def test_a_token_stands_for_an_actor_with_its_role_and_area(tokens):
    secret = tokens.create("North desk", "station", ["g1"], ["north"], now_ms=T0)
    assert re.fullmatch(r"gh_[\w-]{43}", secret)
    expected = Actor(id="token:North desk", name="North desk", role="station", grids=("g1",), stations=("north",))
    assert tokens.actor_of(secret, T0) == expected
    person = tokens.create("Li's phone", "grid_worker", ["g1"], [], person="li", now_ms=T0)
    assert (tokens.actor_of(person, T0) or expected).id == "li"


def test_the_ledger_never_holds_the_secret(tokens, ledger):
    secret = tokens.create("x", "viewer", ["*"], [], now_ms=T0)
    with ledger.read() as connection:
        stored = str(connection.execute(select(table)).all())
    assert secret not in stored
    assert secret[3:] not in stored


@pytest.mark.parametrize("wrong", ["", "gh_", "gh_" + "x" * 43, "\x00", "\ud800", "长", "' OR 1=1 --"])
def test_a_wrong_secret_is_nobody(tokens, wrong):
    tokens.create("x", "viewer", ["*"], [], now_ms=T0)
    assert tokens.actor_of(wrong, T0) is None


def test_a_token_ends_when_it_expires_or_is_revoked(tokens):
    short = tokens.create("short", "viewer", ["*"], [], now_ms=T0, expires_at_ms=T0 + 10)
    assert tokens.actor_of(short, T0 + 9) is not None
    assert tokens.actor_of(short, T0 + 10) is None
    long = tokens.create("long", "viewer", ["*"], [], now_ms=T0 + 1)
    newest = tokens.list()[0]
    assert (newest.name, newest.is_good(T0 + 5)) == ("long", True)
    assert tokens.revoke(newest.id, T0 + 5)
    assert tokens.revoke(newest.id, T0 + 9)
    assert tokens.actor_of(long, T0 + 6) is None
    assert (tokens.one(newest.id) or newest).revoked_at_ms == T0 + 5
    assert not tokens.revoke("nope", T0)


def test_a_token_that_would_be_useless_or_weak_is_refused(tokens):
    for wrong, match in (
        ({"role": "boss"}, "no role 'boss'"),
        ({"name": " "}, "needs a name"),
        ({"secret": "short"}, "shorter than 20"),
    ):
        given = {"name": "x", "role": "viewer", "secret": None, **wrong}
        with pytest.raises(IllegalAction, match=match):
            tokens.create(given["name"], given["role"], ["*"], [], now_ms=T0, secret=given["secret"])
    given = tokens.create("x", "viewer", ["*"], [], now_ms=T0, secret="s" * 20)
    assert given == "s" * 20
    with pytest.raises(IllegalAction, match="in use already"):
        tokens.create("y", "viewer", ["*"], [], now_ms=T0, secret="s" * 20)


def test_the_commands_make_list_and_revoke_tokens(ledger_url):
    run = CliRunner().invoke
    made = run(app, ["token", "create", "Screen", "--role", "viewer", "--all", "--days", "2", "--url", ledger_url])
    assert made.exit_code == 0, made.output
    secret = made.stdout.strip()
    ledger = Ledger.open(ledger_url)
    (made_token,) = Tokens(ledger).list()
    actor = Tokens(ledger).actor_of(secret, made_token.created_at_ms)
    assert actor is not None
    assert actor == made_token.actor()
    token_id = made_token.id
    listed = run(app, ["token", "list", "--url", ledger_url])
    assert "Screen" in listed.stdout
    assert "good until" in listed.stdout
    assert secret not in listed.stdout
    assert run(app, ["token", "revoke", token_id, "--url", ledger_url]).exit_code == 0
    assert Tokens(ledger).list()[0].revoked_at_ms is not None
    assert "see `gridhub token list`" in run(app, ["token", "revoke", "nope", "--url", ledger_url]).output
    ledger.close()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--role", "viewer"], "could see nothing"),
        (["--role", "boss", "--all"], "no role 'boss'"),
    ],
)
def test_a_wrong_command_says_what_to_do(tmp_path, options, message):
    url = f"sqlite:///{tmp_path}/l.db"
    done = CliRunner().invoke(app, ["token", "create", "x", *options, "--url", url])
    assert done.exit_code == 1
    assert message in done.output


def test_migrating_says_from_where_to_where(tmp_path):
    url = f"sqlite:///{tmp_path}/l.db"
    assert f"revision none → {migrating.newest()}" in CliRunner().invoke(app, ["migrate", "--url", url]).stdout
    assert f"up to date at revision {migrating.newest()}" in CliRunner().invoke(app, ["migrate", "--url", url]).stdout
    away = CliRunner().invoke(app, ["migrate", "--url", "postgresql://u:s3cret@127.0.0.1:1/x"])
    assert away.exit_code == 1
    assert "the ledger is away" in away.output
    assert "s3cret" not in away.output
