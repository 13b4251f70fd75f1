"""`gridhub profile`: profiles of dialects, for integrators who write one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hub.clock import now_ms
from hub.errors import ConfigError
from hub.ingest.mapping import load, shipped_folder
from hub.ingest.mapping.trying import tried

group = typer.Typer(help="Profiles: dialects described in YAML, with sample messages inside.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="profile")


@group.command(name="test")
def try_samples(
    files: Annotated[list[Path] | None, typer.Argument(help="Profiles; those that come with the hub if none.")] = None,
    zone: Annotated[str, typer.Option("--zone", help="IANA zone of the site, for wall clocks without zone.")] = "",
) -> None:
    """Check profiles, and play the samples inside them: exit 1 on a difference, 2 for a file that cannot be used."""
    passed = failed = 0
    for file in files or sorted(shipped_folder().glob("*.yaml")):
        profile, document = load(file)
        if not profile.samples:
            print(f"{file}: no samples: nothing shows that it is right")
        for n, problems in enumerate(tried(profile, zone=zone, received_at_ms=now_ms())):
            passed, failed = passed + (not problems), failed + bool(problems)
            sample = profile.samples[n]
            for problem in problems:
                line = document.line(("samples", n))
                print(f"{file}:{line}: {sample.name or sample.topic}: {problem}")
    print(f"{passed} passed, {failed} failed")
    raise typer.Exit(1 if failed else 0)


@group.command(name="list")
def list_() -> None:
    """The profiles that come with the hub."""
    for file in sorted(shipped_folder().glob("*.yaml")):
        try:
            profile, _ = load(file)
        except ConfigError as wrong:
            print(f"{file.stem}: {wrong}")
            continue
        print(f"{profile.profile:20} {profile.root or '(own topics)':24} {', '.join(profile.kinds):30} {profile.title}")
