"""`gridhub rules`: try rules before they go live, and look at what is in force."""

from __future__ import annotations

import typer

from hub.cli import rules_backtest, rules_manage, rules_scenes, rules_shadow

group = typer.Typer(
    help="Try rules on the engine that runs live: scenes, recorded data, shadow mode.", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    rules_manage.register(group)
    rules_scenes.register(group)
    rules_backtest.register(group)
    rules_shadow.register(group)
    app.add_typer(group, name="rules")
