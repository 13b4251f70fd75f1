"""One file per group of commands, with a `register(app)`; add yours to GROUPS."""

from __future__ import annotations

from collections.abc import Callable

import typer

from hub.cli import (
    actions,
    alerts,
    audit,
    cases,
    check,
    credentials,
    decode,
    demo,
    devices,
    doctor,
    explain,
    figures,
    journal,
    migrate,
    people,
    profile,
    quarantine,
    quarantine_replay,
    registry,
    routes,
    rules,
    run,
    selftest,
    simulate,
    token,
)

GROUPS: tuple[Callable[[typer.Typer], None], ...] = (
    run.register,
    demo.register,
    check.register,
    simulate.register,
    decode.register,
    profile.register,
    selftest.register,
    migrate.register,
    journal.register,
    quarantine.register,
    quarantine_replay.register,
    devices.register,
    doctor.register,
    credentials.register,
    alerts.register,
    actions.register,
    figures.register,
    cases.register,
    audit.register,
    token.register,
    registry.register,
    people.register,
    routes.register,
    rules.register,
    explain.register,
)
