"""`gridhub rules test`: plays scenes on the live engine and says, in colour, where the rules did not do as expected."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from xml.etree import ElementTree

import typer

from hub.clock import monotonic_s
from hub.errors import Complaint, ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from hub.rules.ruleset import RuleSet
    from hub.rules.testing.scene_play import Outcome
    from hub.rules.testing.scenes import Said, Scene

_MOST_READINGS = 12
_ASKED = ("fires", "clears", "silent")

Paths = Annotated[
    list[Path] | None,
    typer.Argument(help="Scene files, or folders of them (default: config/rules/scenes).", metavar="FILE"),
]
Rules = Annotated[
    Path | None,
    typer.Option("--rules", help="Rules folder (default: the folder that the scenes lie in).", metavar="DIR"),
]
Junit = Annotated[Path | None, typer.Option("--junit", help="Write a JUnit report for CI to this file.", metavar="XML")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object instead of text.")]
Every = Annotated[
    bool,
    typer.Option("--every-rule", help="Fail when a rule of the folder has no scene that fires, clears and is silent."),
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show the timeline of scenes that pass too.")]


def register(group: typer.Typer) -> None:
    group.command("test")(play)


def play(
    paths: Paths = None,
    rules: Rules = None,
    junit: Junit = None,
    as_json: AsJson = False,
    every_rule: Every = False,
    verbose: Verbose = False,
) -> None:
    """Play scenes (readings over time, alerts and silence expected) on the live engine. Exit code 1 when one fails, 2 when a file is wrong.

    Each scene is played one reading at a time, in batches, and with restarts in between: all must tell the same.
    """
    from hub import telemetry

    telemetry.configure_logging(level="CRITICAL")
    loaded, rulesets = _load(paths or [Path("config/rules/scenes")], rules)
    outcomes = _play([scene for _, scenes in loaded for scene in scenes], quiet=as_json)
    bare = _bare(loaded, rulesets) if every_rule else []
    if junit is not None:
        _write(junit, outcomes, bare)
    if as_json:
        json.dump(_as_json(outcomes, bare), sys.stdout, ensure_ascii=False)
        sys.stdout.write("\n")
    else:
        _show(outcomes, bare, verbose=verbose)
    if bare or any(not outcome.passed for outcome, _ in outcomes):
        raise typer.Exit(1)


Loaded = list[tuple[Path, list["Scene"]]]
Timed = list[tuple["Outcome", float]]


def _load(paths: list[Path], rules: Path | None) -> tuple[Loaded, dict[Path, RuleSet]]:
    """Scenes by file, and the rule sets by folder. Raises ConfigError with all that is wrong in any file."""
    from hub.rules.ruleset import load_rules
    from hub.rules.testing import scenes

    files, wrong = scenes.files_of(paths)
    loaded: Loaded = []
    rulesets: dict[Path, RuleSet] = {}
    for file in files:
        folder = rules if rules is not None else folder_of(file)
        if folder not in rulesets:
            rulesets[folder] = load_rules(folder)
        found, complaints = scenes.read(file, rulesets[folder])
        loaded.append((file, found))
        wrong += complaints
    if wrong:
        raise ConfigError(wrong)
    return loaded, rulesets


def folder_of(file: Path) -> Path:
    """The rules folder that a scene file is about: the one above `scenes`, else config/rules."""
    return file.parent.parent if file.parent.name == "scenes" else Path("config/rules")


def _play(scenes: Sequence[Scene], *, quiet: bool) -> Timed:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from hub.ingest.screen import Limits, Screen
    from hub.rules.testing.scene_play import played

    console = Console(stderr=True)
    outcomes: Timed = []
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as progress:
        task = progress.add_task("", total=len(scenes))
        for scene in scenes:
            progress.update(task, description=scene.name)
            began = monotonic_s()
            outcomes.append((played(scene, lambda: Screen(Limits())), monotonic_s() - began))
            progress.advance(task)
    return outcomes


def _bare(loaded: Loaded, rulesets: dict[Path, RuleSet]) -> list[Complaint]:
    """Rules of the folders that lack a scene which fires, clears or is silent."""
    from hub.rules.testing.scene_play import coverage

    shown = coverage([scene for _, scenes in loaded for scene in scenes])
    return [
        Complaint(
            file=rule.spec.file,
            line=rule.spec.line,
            key=rule.spec.id,
            message=f"no scene in which it {' or '.join('is silent' if a == 'silent' else a for a in missing)}",
            remedy="write one, see docs/rule-tools.md",
        )
        for ruleset in rulesets.values()
        for rule in ruleset.rules
        if rule.spec.enabled and (missing := [a for a in _ASKED if a not in shown.get(rule.spec.id, ())])
    ]


# -- showing --------------------------------------------------------------------------------------------------------------


def _show(outcomes: Timed, bare: list[Complaint], *, verbose: bool) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(soft_wrap=True, highlight=False)
    for outcome, _ in outcomes:
        scene = outcome.scene
        if outcome.passed and not verbose:
            continue
        mark = Text("PASS ", style="bold green") if outcome.passed else Text("FAIL ", style="bold red")
        console.print(mark + Text(f"{scene.name}", style="bold") + Text(f"  {scene.file}:{scene.line}", style="dim"))
        _show_timeline(console, outcome)
        for failure in outcome.failures:
            console.print(Text(f"  {failure}", style="red"))
        console.print()
    for complaint in bare:
        console.print(Text("FAIL ", style="bold red") + Text(str(complaint)))
    failed = sum(not outcome.passed for outcome, _ in outcomes)
    spent = sum(seconds for _, seconds in outcomes)
    counts = f"{len(outcomes) - failed} passed, {failed} failed" + (
        f", {len(bare)} rules without scenes" if bare else ""
    )
    console.print(Text(f"{counts} in {spent:.1f} s", style="bold red" if failed or bare else "bold green"))


def _show_timeline(console: Console, outcome: Outcome) -> None:
    """Readings, what was expected and what came, on one timeline."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from hub.rules.testing import spans
    from hub.rules.testing.scene_play import readings_of

    styles = {
        "as expected": ("green", "✓"),
        "missing": ("red", "-"),
        "unexpected": ("yellow", "+"),
        "other severity": ("magenta", "≠"),
    }
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("", "time", "what", "expected", "got"):
        table.add_column(title, no_wrap=title in ("", "time"), overflow="fold")
    rows: list[tuple[int, int, list[Text]]] = []
    concerned = {line.device for line in outcome.lines}
    said = [(s, word) for s, word in readings_of(outcome.scene) if not concerned or s.device in concerned]
    near = _near_failures(said, outcome)
    for s, word in near:
        words = ("", f"+{spans.spoken(s.at_ms)}", f"{s.device}: {s.quantity} {word}", "", "")
        rows.append((s.at_ms, 0, [Text(cell, style="dim") for cell in words]))
    for line in outcome.lines:
        style, sign = styles[line.verdict]
        words = (sign, f"+{spans.spoken(line.at_ms)}", f"{line.rule} of {line.device}", line.expected, line.got)
        rows.append((line.at_ms, 1, [Text(word, style=style) for word in words]))
    for _, _, cells in sorted(rows, key=lambda row: row[:2]):
        table.add_row(*cells)
    console.print(table)
    if len(said) > len(near):
        console.print(Text(f"  … and {len(said) - len(near):,} more readings", style="dim"))


def _near_failures(said: list[tuple[Said, str]], outcome: Outcome) -> list[tuple[Said, str]]:
    """The readings to show: those around the lines that are wrong (of a scene that is right, around all lines), else the first."""
    wrong = {line.at_ms for line in outcome.lines if line.verdict != "as expected"}
    times = sorted(wrong or {line.at_ms for line in outcome.lines})
    if len(said) <= _MOST_READINGS or not times:
        return said[:_MOST_READINGS]
    around: dict[int, None] = {}  # numbers of readings; each time in turn gives the one that is next nearest to it
    by_time = [sorted(range(len(said)), key=lambda n, at=at: abs(said[n][0].at_ms - at)) for at in times]  # type: ignore[misc]
    for ranks in zip(*by_time, strict=True):
        for n in ranks:
            if len(around) < _MOST_READINGS:
                around.setdefault(n)
    return [said[n] for n in sorted(around)]


def _as_json(outcomes: Timed, bare: list[Complaint]) -> dict[str, Any]:
    return {
        "passed": sum(outcome.passed for outcome, _ in outcomes),
        "failed": sum(not outcome.passed for outcome, _ in outcomes),
        "without_scenes": [str(complaint) for complaint in bare],
        "scenes": [
            {
                "name": outcome.scene.name,
                "file": outcome.scene.file,
                "line": outcome.scene.line,
                "passed": outcome.passed,
                "seconds": round(seconds, 4),
                "failures": list(outcome.failures),
                "timeline": [
                    {
                        "at_ms": line.at_ms,
                        "rule": line.rule,
                        "device": line.device,
                        "verdict": line.verdict,
                        "expected": line.expected,
                        "got": line.got,
                    }
                    for line in outcome.lines
                ],
            }
            for outcome, seconds in outcomes
        ],
    }


def _write(path: Path, outcomes: Timed, bare: list[Complaint]) -> None:
    """A JUnit report: one suite for each file, one case for each scene."""
    root = ElementTree.Element("testsuites")
    by_file: dict[str, Timed] = {}
    for outcome, seconds in outcomes:
        by_file.setdefault(outcome.scene.file, []).append((outcome, seconds))
    for file, several in by_file.items():
        suite = _suite(root, file, len(several), sum(not o.passed for o, _ in several), sum(s for _, s in several))
        for outcome, seconds in several:
            case = ElementTree.SubElement(
                suite,
                "testcase",
                name=outcome.scene.name,
                classname=file,
                file=file,
                line=str(outcome.scene.line),
                time=f"{seconds:.4f}",
            )
            if not outcome.passed:
                failure = ElementTree.SubElement(case, "failure", message=outcome.failures[0], type="scene")
                failure.text = "\n".join(outcome.failures)
    if bare:
        suite = _suite(root, "rules without scenes", len(bare), len(bare), 0.0)
        for complaint in bare:
            case = ElementTree.SubElement(suite, "testcase", name=complaint.key, classname=complaint.file, time="0")
            ElementTree.SubElement(case, "failure", message=str(complaint), type="coverage")
    ElementTree.indent(root)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)
    except OSError as error:
        typer.echo(f"{path} cannot be written: {error.strerror or error}", err=True)
        raise typer.Exit(2) from error


def _suite(root: ElementTree.Element, name: str, tests: int, failures: int, seconds: float) -> ElementTree.Element:
    return ElementTree.SubElement(
        root, "testsuite", name=name, tests=str(tests), failures=str(failures), errors="0", time=f"{seconds:.4f}"
    )
