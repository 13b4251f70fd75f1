"""`gridhub credentials`: accounts of nodes at the broker. Secrets are shown once, and kept nowhere."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from hub.cli.migrate import ConfigFolder, complain
from hub.clock import now_ms
from hub.errors import Refusal

if TYPE_CHECKING:
    from hub.security.accounts import Role
    from hub.security.credentials import Credentials, Secret

group = typer.Typer(help="Accounts of nodes at the broker: mosquitto's password file and ACL.", no_args_is_help=True)
Names = Annotated[list[str], typer.Argument(metavar="NODE…", help="Names of nodes, as in their topics.")]
Folder = Annotated[Path | None, typer.Option("--folder", help="Folder of the broker's files; default: DATA/mqtt.")]
PidFile = Annotated[
    Path | None,
    typer.Option("--pid-file", help="mosquitto's pid_file: it is told to read again."),
]
Out = Annotated[
    Path | None, typer.Option("--out", help="Write name,password to this new file (0600), not to the terminal.")
]


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="credentials")


@group.command("create")
def create(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NODE…]", help="Names of nodes, as in their topics.")
    ] = None,
    missing: Annotated[bool, typer.Option("--missing", help="For every node of the registry that has none.")] = False,
    role: Annotated[str, typer.Option("--role", help="node, bridge (with --root) or hub.")] = "node",
    site: Annotated[
        list[str] | None, typer.Option("--site", help="Site of a node that the registry does not have yet.")
    ] = None,
    root: Annotated[str, typer.Option("--root", help="Topic root of a bridge, e.g. zigbee2mqtt.")] = "",
    out: Out = None,
    folder: Folder = None,
    pid_file: PidFile = None,
    config: ConfigFolder = Path("config"),
) -> None:
    """Make accounts, all or none. Their passwords go to standard output as name,password, once."""
    with _credentials(config, folder, pid_file) as credentials, _place(out) as hand_over:
        wanted = [*(names or ()), *(credentials.missing() if missing else ())]
        if not wanted:
            complain("every node of the registry has an account" if missing else "name a node, or give --missing")
        hand_over(credentials.create(wanted, cast("Role", role), sites=site or (), root=root))
        _tell(credentials)


@group.command("rotate")
def rotate(
    names: Names,
    out: Out = None,
    folder: Folder = None,
    pid_file: PidFile = None,
    config: ConfigFolder = Path("config"),
) -> None:
    """Give accounts new passwords; the old ones end at once."""
    with _credentials(config, folder, pid_file) as credentials, _place(out) as hand_over:
        hand_over(credentials.rotate(names))
        _tell(credentials)


@group.command("revoke")
def revoke(
    names: Names, folder: Folder = None, pid_file: PidFile = None, config: ConfigFolder = Path("config")
) -> None:
    """End accounts: the broker lets them in no more."""
    with _credentials(config, folder, pid_file) as credentials:
        credentials.revoke(names)
        print(f"{len(names)} revoked")
        _tell(credentials)


@group.command("write")
def write(folder: Folder = None, pid_file: PidFile = None, config: ConfigFolder = Path("config")) -> None:
    """Write password file and ACL anew from the accounts and the registry of now, e.g. after devices moved."""
    with _credentials(config, folder, pid_file) as credentials:
        credentials.write()
        print(f"written to {credentials.folder}")
        _tell(credentials)


@group.command("list")
def list_(folder: Folder = None, config: ConfigFolder = Path("config")) -> None:
    """Show every account, and the nodes of the registry that have none. No secret is shown: there is none to show."""
    from rich.console import Console
    from rich.table import Table

    with _credentials(config, folder, None) as credentials:
        table = Table("account", "role", "made", "password of", "state", box=None)
        for one in credentials.accounts():
            state = "good" if one.revoked_at_ms is None else f"revoked {_day(one.revoked_at_ms)}"
            of = one.rotated_at_ms or one.created_at_ms
            table.add_row(one.name, one.role, _day(one.created_at_ms), _day(of), state)
        Console().print(table)
        if missing := credentials.missing():
            print(f"without an account: {', '.join(missing[:20])}{' …' if len(missing) > 20 else ''}")


@contextmanager
def _credentials(config: Path, folder: Path | None, pid_file: Path | None) -> Iterator[Credentials]:
    from hub.ingest.codecs.native import NAME
    from hub.registry.loader import load
    from hub.security.credentials import Credentials
    from hub.settings import load_settings

    settings = load_settings(config)
    registry = load(config / "registry")
    credentials = Credentials(
        folder or settings.data / "mqtt",
        lambda: registry,
        now_ms,
        native_roots=[s.root for s in settings.sources if s.codec == NAME],
        other_roots=[s.root for s in settings.sources if s.codec != NAME and s.root],
        pid_file=pid_file,
    )
    try:
        yield credentials
    except Refusal as refused:
        remedy = f": {refused.remedy}" if refused.remedy else ""
        complain(
            f"{refused.message}{remedy}".format(**refused.values) if refused.values else f"{refused.message}{remedy}"
        )
    except OSError as bad:
        complain(f"{bad.filename or credentials.folder}: {bad.strerror or bad}; nothing was changed")


class _Hand:
    def __init__(self, file: int | None, out: Path | None) -> None:
        self._file, self._out = file, out

    def __call__(self, secrets: list[Secret]) -> None:
        text = "".join(f"{one.name},{one.password}\n" for one in secrets)
        if self._file is None:
            typer.echo("Keep it safe, it is not shown again:", err=True)
            print(text, end="")
        else:
            os.write(self._file, text.encode())
            typer.echo(f"{len(secrets)} passwords in {self._out}: hand them over, then delete the file", err=True)


@contextmanager
def _place(out: Path | None) -> Iterator[_Hand]:
    """Where secrets go; the file is made before anything is changed, so that none is lost for want of room or rights."""
    if out is None:
        yield _Hand(None, None)
        return
    try:
        file = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as bad:
        complain(f"{out}: {bad.strerror}; nothing was changed")
    try:
        yield _Hand(file, out)
    except BaseException:
        out.unlink(missing_ok=True)
        raise
    finally:
        os.close(file)


def _tell(credentials: Credentials) -> None:
    left = credentials.tell_broker()
    typer.echo(left or "the broker was told", err=True)


def _day(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1_000, UTC).date().isoformat()
