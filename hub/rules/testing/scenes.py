"""From a file of scenes to scenes that can be played: every complaint with file, line and key."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hub import documents
from hub.documents import Document
from hub.errors import Complaint, ConfigError
from hub.model.places import Level
from hub.model.quantities import CODE
from hub.model.readings import Quality
from hub.model.rules import EventKind
from hub.registry.snapshot import Registry
from hub.rules.kinds.kind import Context
from hub.rules.ruleset import RuleSet, as_set, load_rules
from hub.rules.testing import stage
from hub.rules.testing.scene_file import FLAGS, Expected, Quiet, SceneFile, SceneIn
from hub.rules.testing.stage import Extra
from hub.wrong_values import near

START = "2024-03-05T12:00:00"
"""When scenes begin that do not say it, on the wall of the site: a working Tuesday at noon, in a month without holidays."""
_AFTERWARDS_MS = 5_000


@dataclass(frozen=True, slots=True, order=True)
class Said:
    """One value that a device reports. Times are ms since the scene's start; `device_ms` is what the device's clock is off."""

    at_ms: int
    order: int
    device: str
    quantity: str
    value: float
    quality: int = 0
    device_ms: int = 0


@dataclass(frozen=True, slots=True)
class Mark:
    """One event that must come: between `at_ms` and `within_ms` after it."""

    at_ms: int
    within_ms: int
    kind: EventKind
    rule: str
    device: str
    severity: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A scene, ready to play. `rules` are those that are judged and `ruleset` holds those too that they refer to."""

    name: str
    file: str
    line: int
    start_ms: int
    lasts_ms: int
    ruleset: RuleSet
    rules: frozenset[str]
    registry: Registry
    said: tuple[Said, ...]
    restarts: tuple[int, ...] = ()
    away: tuple[tuple[int, int], ...] = ()
    marks: tuple[Mark, ...] = ()
    silent: tuple[tuple[str, tuple[str, ...]], ...] = ()
    heard_of: frozenset[tuple[str, str]] = field(default_factory=frozenset)  # (device, quantity) that it plays


def files_of(paths: Iterable[Path]) -> tuple[list[Path], list[Complaint]]:
    """The scene files that `paths` name: files, or every *.yaml of folders."""
    found: list[Path] = []
    wrong: list[Complaint] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(path.glob("*.yaml"))
            found += inside
            if not inside:
                wrong.append(_lost(path, "the folder holds no *.yaml file", "write a scene into it"))
        elif path.is_file():
            found.append(path)
        else:
            wrong.append(_lost(path, "no such file or folder", "name a scene file, or a folder of them"))
    return list(dict.fromkeys(found)), wrong


def _lost(path: Path, message: str, remedy: str) -> Complaint:
    return Complaint(file=str(path), line=None, key="", message=message, remedy=remedy)


def read(path: Path, ruleset: RuleSet) -> tuple[list[Scene], list[Complaint]]:
    """The scenes of the file at `path`, about rules of `ruleset`."""
    document, wrong = documents.read(path)
    if document is None:
        return [], wrong
    return of_document(document, ruleset, wrong)


def of_document(
    document: Document, ruleset: RuleSet, complaints: Sequence[Complaint] = ()
) -> tuple[list[Scene], list[Complaint]]:
    """As `read`, of a document that was parsed already."""
    file, wrong = documents.check(SceneFile, document)
    wrong = [*complaints, *wrong]
    if file is None:
        return [], wrong
    scenes = []
    names: dict[str, int] = {}
    for n, given in enumerate(file.scenes):
        maker = _Maker(document, file, given, n, ruleset)
        scene = maker.made()
        wrong += maker.wrong
        if given.name in names:
            first = document.line(("scenes", names[given.name], "name"))
            wrong.append(maker.complaint(("name",), "a scene with this name exists", f"rename it (see line {first})"))
        names.setdefault(given.name, n)
        if scene is not None:
            scenes.append(scene)
    return scenes, wrong


class _Maker:
    """Makes one scene, collecting what is wrong with it."""

    def __init__(self, document: Document, file: SceneFile, given: SceneIn, n: int, ruleset: RuleSet) -> None:
        self.document, self.file, self.given, self.n, self.ruleset = document, file, given, n, ruleset
        self.wrong: list[Complaint] = []

    def complaint(self, key: documents.Path_, message: str, remedy: str) -> Complaint:
        return self.document.complain(("scenes", self.n, *key), message, remedy)

    def made(self) -> Scene | None:
        given = self.given
        start_ms = self._start(self._site())
        wanted = self._rules()
        said, restarts, away = self._story()
        marks = self._marks(wanted)
        silent = self._silent(wanted)
        registry = self._registry(said, marks, silent)
        lasts_ms = given.lasts
        if lasts_ms is None:
            ends = [s.at_ms for s in said] + [m.at_ms + m.within_ms for m in marks] + [end for _, end in away]
            lasts_ms = max([*ends, *restarts, 0]) + _AFTERWARDS_MS
        if self.wrong or registry is None:
            return None
        return Scene(
            name=given.name,
            file=self.document.file,
            line=self.document.line(("scenes", self.n)) or 0,
            start_ms=start_ms,
            lasts_ms=lasts_ms,
            ruleset=with_references(self.ruleset, wanted),
            rules=frozenset(wanted),
            registry=registry,
            said=tuple(s for s in said if s.at_ms <= lasts_ms),
            restarts=tuple(sorted(restarts)),
            away=tuple(sorted(away)),
            marks=tuple(marks),
            silent=tuple(silent),
            heard_of=frozenset((s.device, s.quantity) for s in said),
        )

    def _site(self) -> ZoneInfo:
        """The zone of the scene. Where it says zone or calendar, its rules are read anew for them."""
        given = {key: getattr(self.given, key) for key in ("timezone", "holidays", "workdays")}
        given = {key: value if value is not None else getattr(self.file, key) for key, value in given.items()}
        name = given["timezone"] or Context().zone
        try:
            zone = ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            own: documents.Path_ = ("scenes", self.n) if self.given.timezone else ()
            message, remedy = f"{name!r} is no time zone", "write an IANA name, e.g. Asia/Shanghai"
            self.wrong.append(self.document.complain((*own, "timezone"), message, remedy))
            return ZoneInfo("UTC")
        context = Context(
            zone=name, holidays=frozenset(given["holidays"] or ()), workdays=frozenset(given["workdays"] or ())
        )
        if context != Context() and self.ruleset.rules:
            folder = Path(self.ruleset.rules[0].spec.file).parent
            try:
                self.ruleset = _for_site(folder, context, self.ruleset.version)
            except ConfigError as wrong:
                self.wrong += wrong.complaints
        return zone

    def _start(self, zone: ZoneInfo) -> int:
        at: documents.Path_ = ("scenes", self.n, "start") if self.given.start else ("start",)
        text = self.given.start or self.file.start or START
        try:
            instant = datetime.fromisoformat(text)
        except ValueError:
            message, remedy = (
                f"{text!r} is no instant",
                f"write one such as {START}, with an offset or on the site's wall",
            )
            self.wrong.append(self.document.complain(at, message, remedy))
            return 0
        return int((instant if instant.tzinfo else instant.replace(tzinfo=zone)).timestamp() * 1_000)

    def _rules(self) -> list[str]:
        """Ids of the rules that the scene is about."""
        own = self.given.rules is not None
        names = self.given.rules if own else self.file.rules
        files = {Path(rule.spec.file).name for rule in self.ruleset.rules}
        if names is None:
            same = Path(self.document.file).name
            names = [same] if same in files else sorted(files)
        found: list[str] = []
        for n, name in enumerate(names):
            ids = [r.spec.id for r in self.ruleset.rules if name in (r.spec.id, Path(r.spec.file).name)]
            found += ids
            if not ids:
                path: documents.Path_ = ("scenes", self.n, "rules", n) if own else ("rules", n)
                known = [*files, *(r.spec.id for r in self.ruleset.rules)]
                self.wrong.append(self.document.complain(path, f"no rule or rule file {name!r}", _near(name, known)))
        return list(dict.fromkeys(found))

    def _story(self) -> tuple[list[Said], list[int], list[tuple[int, int]]]:
        said: list[Said] = []
        restarts: list[int] = []
        away: list[tuple[int, int]] = []
        for n, step in enumerate(self.given.readings):
            if step.restart:
                restarts.append(step.at)
            elif step.away is not None:
                away.append((step.at, step.at + step.away))
            else:
                said += _spoken(step, n, f"{self.given.name}:{n}", len(said))
        said.sort()
        for begin, end in away:
            lost = next((s for s in said if begin < s.at_ms < end), None)
            if lost is not None:
                message = f"{lost.device} reports while the hub is away ({lost.quantity})"
                self.wrong.append(self.complaint(("readings",), message, "move the reading before or behind it"))
        return said, restarts, away

    def _marks(self, wanted: Sequence[str]) -> list[Mark]:
        marks: list[Mark] = []
        for n, expected in enumerate(self.given.expect):
            self._check_rule(expected.rule, wanted, ("expect", n, "rule"))
            for device in _names(expected.device):
                marks += _marks_of(expected, device)
        return sorted(marks, key=lambda m: (m.at_ms, m.rule, m.device))

    def _silent(self, wanted: Sequence[str]) -> list[tuple[str, tuple[str, ...]]]:
        found = []
        for n, one in enumerate(self.given.silent):
            quiet = one if isinstance(one, Quiet) else Quiet(rule=one)
            self._check_rule(quiet.rule, wanted, ("silent", n))
            found.append((quiet.rule, tuple(_names(quiet.device))))
        return found

    def _check_rule(self, rule: str, wanted: Sequence[str], key: documents.Path_) -> None:
        if rule in wanted:
            return
        known = self.ruleset.find(rule)
        if known is not None:
            message = f"rule {rule!r} is not played in this scene"
            self.wrong.append(self.complaint(key, message, f"add {Path(known.spec.file).name} to 'rules'"))
        else:
            self.wrong.append(self.complaint(key, f"there is no rule {rule!r}", _near(rule, wanted)))

    def _registry(
        self, said: Sequence[Said], marks: Sequence[Mark], silent: Sequence[tuple[str, tuple[str, ...]]]
    ) -> Registry | None:
        given = {**self.file.devices, **self.given.devices}
        extras = {
            name: Extra(
                kind=one.kind,
                place=one.place,
                grid=one.grid,
                parent=one.parent,
                model=one.model,
                interval_s=None if one.interval is None else one.interval / 1_000,
                supervision=one.supervision,
                tags=tuple(one.tags),
            )
            for name, one in given.items()
        }
        named = [(s.device, ("readings",)) for s in said] + [(m.device, ("expect",)) for m in marks]
        named += [(device, ("silent",)) for _, devices in silent for device in devices]
        named += [(one.parent, ("devices",)) for one in given.values() if one.parent]
        lost = [
            (device, key)
            for device, key in dict(named).items()
            if device not in extras and not stage.kind_named(device)
        ]
        for device, key in lost:
            remedy = "describe it under 'devices', or name one that is there by itself, e.g. smoke-alarm-1"
            self.wrong.append(self.complaint(key, f"there is no device {device!r}", remedy))
        places: list[tuple[str, Level, str]] = [
            (code, one.level, one.parent) for code, one in {**self.file.places, **self.given.places}.items()
        ]
        own = list(self.given.devices) + [n for n in self.file.devices if n in dict(named)]
        return None if lost else stage.built([*dict(named), *own], extras, places)


@lru_cache(maxsize=16)
def _for_site(folder: Path, context: Context, version: str) -> RuleSet:
    """The rules of `folder` (whose content `version` names) as they are for another zone or calendar."""
    return load_rules(folder, context=context)


def with_references(ruleset: RuleSet, wanted: Iterable[str]) -> RuleSet:
    """The `wanted` rules of `ruleset` and all that they refer to."""
    waiting, kept = list(wanted), {}
    while waiting:
        rule = ruleset.find(waiting.pop())
        if rule is not None and rule.spec.id not in kept:
            kept[rule.spec.id] = rule
            waiting += [other for one in (rule, *rule.overrides) for other in one.refers_to]
    return as_set(list(kept.values()))


def _marks_of(expected: Expected, device: str) -> list[Mark]:
    named: tuple[tuple[EventKind, int | None], ...] = (
        ("raised", expected.raised),
        ("cleared", expected.cleared),
        ("test", expected.tested),
        ("chatter", expected.chatter),
        ("withdrawn", expected.withdrawn),
    )
    return [
        Mark(at_ms, expected.within, kind, expected.rule, device, expected.severity if kind == "raised" else None)
        for kind, at_ms in named
        if at_ms is not None
    ]


def _spoken(step: Any, n: int, seed: str, order: int) -> list[Said]:
    """The readings of one step; a repeated one from `at` to `at + for`, both included."""
    every, for_ms = step.every or 1, step.for_ or 0
    turns = for_ms // every + 1
    quality = 0
    for flag in step.flags:
        quality |= int(FLAGS[flag])
    said: list[Said] = []
    for turn in range(turns):
        at_ms = step.at + turn * (step.every or 0)
        for device in _names(step.device):
            for quantity, given in step.values.items():
                value = _value_at(given, turn, turns, f"{seed}:{device}:{quantity}:{turn}")
                unknown = int(Quality.UNKNOWN) if math.isnan(value) else 0
                said.append(
                    Said(at_ms, order + len(said), device, quantity, value, quality | unknown, step.device_time or 0)
                )
    assert all(one.quantity in CODE for one in said)
    return said


def _value_at(given: Any, turn: int, turns: int, seed: str) -> float:
    if not isinstance(given, dict):
        return float(given)
    ((pattern, values),) = given.items()
    if pattern == "ramp":
        return float(values[0] + (values[1] - values[0]) * turn / max(1, turns - 1))
    if pattern == "cycle":
        return float(values[turn % len(values)])
    return float(values[0] + values[1] * (2 * random.Random(seed).random() - 1))  # the same each time it is played


def _names(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _near(name: str, known: Iterable[str]) -> str:
    return near(name, known, "see the rules folder for what there is")
