"""The command line `gridhub`. Each group of commands has one file under hub/cli/."""

from __future__ import annotations

import os
import sys

import typer

from hub.cli import GROUPS
from hub.errors import ConfigError

app = typer.Typer(
    name="gridhub",
    help="Safety hub for residential communities: from the sensor to the station crew's phone.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for register in GROUPS:
    register(app)


def main() -> None:
    os.umask(os.umask(0o077) | 0o077)  # ledger, journal and history name people: what we write is its owner's only
    try:
        app()
    except ConfigError as wrong:
        for complaint in wrong.complaints:
            print(complaint, file=sys.stderr)
        print(f"{len(wrong.complaints)} complaint(s): nothing was started.", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
