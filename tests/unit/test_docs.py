"""Documents say what is true: links lead somewhere, commands, options, keys, paths and metrics exist, and drawings are of the code."""

from __future__ import annotations

import functools
import importlib.util
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
import typer
from prometheus_client import REGISTRY
from pydantic import BaseModel

from hub import documents
from hub.__main__ import app
from hub.dispatch.channels import CHANNELS
from hub.dispatch.policy import EscalationPolicy
from hub.drawings import redrawn
from hub.model.quantities import QUANTITIES
from hub.rules import diagram
from hub.rules.entries import On, RuleEntry
from hub.rules.kinds import KINDS
from hub.rules.kinds.kind import Context
from hub.rules.ruleset import _rules_of, load_rules
from hub.rules.testing import scenes
from hub.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "deploy/**/*.md", "grafana/**/*.md", "devices/**/*.md")
    for path in ROOT.glob(pattern)
)
every_document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
READMES = (ROOT / "README.md", ROOT / "README.zh-CN.md")

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)|<img[^>]* src=\"([^\"]+)\"|!\[[^\]\n]*\]\(([^)\s]+)\)")
_INLINE = re.compile(r"`([^`\n]+)`")
_IN_REPOSITORY = re.compile(r"(?:hub|devices|config|docs|tests|tools|deploy|grafana|\.ci)/[\w./-]*[\w/]")


def text_of(path: Path) -> str:
    return path.read_text("utf-8")


def blocks(path: Path, *languages: str) -> Iterator[str]:
    for _, language, body in _FENCE.findall(text_of(path)):
        if language in languages:
            yield body


def prose(path: Path) -> str:
    """The text without its fenced blocks."""
    return _FENCE.sub("", text_of(path))


# Links ---------------------------------------------------------------------------------------------------------------


@functools.cache
def anchors(path: Path) -> set[str]:
    """The anchors that GitHub makes for the headings of a document."""
    found: dict[str, int] = {}
    for heading in re.findall(r"^#{1,6} +(.+?) *$", prose(path), re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        found[slug] = found.get(slug, -1) + 1
        if found[slug]:
            found[f"{slug}-{found[slug]}"] = 0
    return set(found)


def broken_links(path: Path) -> list[str]:
    broken = []
    for groups in _LINK.findall(prose(path)):
        link = next(filter(None, groups))
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    return broken


@every_document
def test_every_link_leads_to_a_file_and_heading_that_is_there(path: Path) -> None:
    assert broken_links(path) == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# One `two` (three)\n[a](#one-two-three) [b](#four) [c](missing.md) ![d](no.png) [e](https://x.y/z)"
    )
    assert broken_links(page) == ["#four", "missing.md", "no.png"]


def test_every_document_is_linked_from_the_index_and_the_readme_leads_there() -> None:
    index = text_of(ROOT / "docs" / "README.md")
    for path in (ROOT / "docs").glob("*.md"):
        assert path.name == "README.md" or f"({path.name})" in index, f"docs/README.md does not name {path.name}"
    assert "docs/README.md" in text_of(READMES[0])


def test_the_index_of_decisions_is_complete_and_numbered_without_gaps() -> None:
    folder = ROOT / "docs" / "adr"
    index = text_of(folder / "README.md")
    files = sorted(p.name for p in folder.glob("[0-9]*.md"))
    assert [int(name[:4]) for name in files] == list(range(1, len(files) + 1))
    for name in files:
        title = text_of(folder / name).splitlines()[0]
        assert title.startswith(f"# {int(name[:4])}. "), name
        assert f"| [{int(name[:4])}]({name}) | {title.partition('. ')[2]} |" in index, name


# Commands ------------------------------------------------------------------------------------------------------------


def shell_lines(path: Path) -> Iterator[str]:
    """Lines of commands, continued ones joined, without what a here-document feeds to a command."""
    for body in blocks(path, "sh", "bash", "console"):
        until = ""
        for line in re.sub(r"\\\n\s*", " ", body).splitlines():
            if until:
                until = "" if line.strip() == until else until
                continue
            started = re.search(r"<<-?'?(\w+)'?", line)
            until = started[1] if started else ""
            yield line
    for line in re.findall(r"^    (\S.*)$", prose(path), re.MULTILINE):
        if line.startswith(("gridhub ", "make ")):
            yield line


def calls(path: Path) -> list[list[str]]:
    """What is said of the command `gridhub`: its arguments, from blocks and from running text."""
    found = []
    for line in shell_lines(path):
        for part in re.split(r"&&|\|\||[;|]", re.sub(r"\s#.*", "", line)):
            match = re.match(r"\s*(?:\w+=\S+ )*(?:\S*/)?gridhub\s+(\S.*)", part)
            if match and not match[1].startswith("--help"):
                found.append(shlex.split(re.sub(r"\s+[<>].*", "", match[1])))
    for inline in _INLINE.findall(prose(path)):
        match = re.match(r"(?:\S*/)?gridhub ([a-z].*)", inline)
        if match:
            found.append(shlex.split(match[1].replace("…", "")))
    return found


def objection(arguments: list[str]) -> str:
    """Why there is no such command, or "" when there is."""
    command: Any = typer.main.get_command(app)
    rest = list(arguments)
    while hasattr(command, "commands"):
        name = rest.pop(0) if rest else ""
        if not name:
            return ""
        if name not in command.commands:
            return f"no command {name!r}"
        command = command.commands[name]
    options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    options |= {"--help", "-h"}
    unknown = [word for word in rest if re.match(r"--?[a-z]", word) and word.partition("=")[0] not in options]
    return f"no option {', '.join(unknown)}" if unknown else ""


@every_document
def test_every_gridhub_command_and_option_exists(path: Path) -> None:
    wrong = {" ".join(call): why for call in calls(path) if (why := objection(call))}
    assert wrong == {}


def test_a_command_that_does_not_exist_is_found() -> None:
    assert objection(["decode", "--check", "--jsonl", "x"]) == ""
    assert objection(["journal", "tail", "-n", "5"]) == ""
    assert objection(["rulse", "test"]) == "no command 'rulse'"
    assert objection(["token", "forget"]) == "no command 'forget'"
    assert objection(["run", "--fast"]) == "no option --fast"


def test_every_command_stands_in_the_readme() -> None:
    commands = typer.main.get_command(app)
    assert isinstance(commands, click.Group) or hasattr(commands, "commands")
    for readme in READMES:
        named = {call[0] for call in calls(readme)}
        assert set(commands.commands) <= named, f"{readme.name} does not name every command"


@every_document
def test_every_make_target_exists(path: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", text_of(ROOT / "Makefile"), re.MULTILINE))
    said = [line for line in shell_lines(path) if line.startswith("make ")]
    said += [inline for inline in _INLINE.findall(prose(path)) if inline.startswith("make ")]
    named = {match[1] for line in said if (match := re.match(r"make ([a-z]+)", line))}
    assert named <= targets


def test_modules_that_documents_tell_to_run_exist() -> None:
    for path in DOCUMENTS:
        for module in re.findall(r"python -m ((?:hub|devices|grafana|tests)[\w.]*)", text_of(path)):
            assert importlib.util.find_spec(module) is not None, f"{path.name}: {module}"


# Paths and places ----------------------------------------------------------------------------------------------------


@every_document
def test_every_path_of_the_repository_exists(path: Path) -> None:
    missing = []
    for inline in _INLINE.findall(prose(path)):
        if "<" in inline or "*" in inline or "…" in inline:
            continue
        word = inline.split()[0].split(":")[0] if inline.strip() else ""
        if _IN_REPOSITORY.fullmatch(word) and not (ROOT / word).exists():
            missing.append(word)
    made = {"deploy/secrets"}
    assert [word for word in missing if not any(word.startswith(m) for m in made)] == []


@every_document
def test_no_document_names_somebodys_own_machine_or_a_package_index(path: Path) -> None:
    text = text_of(path)
    assert re.findall(r"(?<![\w./:-])/(?:home|root|work|workspace|mnt|Users)/\S*", text) == []
    assert re.findall(r"\b[\w.-]*(?:pypi|pythonhosted|npmjs|artifactory|nexus)[\w.-]*\.\w+", text) == []


def test_no_document_names_the_number_of_an_issue() -> None:
    for path in DOCUMENTS:
        assert not re.search(r"\b(?:issue|ticket) #?\d+", text_of(path), re.IGNORECASE), path.name


# Configuration -------------------------------------------------------------------------------------------------------


def has_key(keys: list[str]) -> bool:
    """Whether `keys` lead to a place in hub.yaml."""
    model: Any = Settings
    for n, key in enumerate(keys):
        if keys[:1] == ["channels"] and n == 1:
            if key not in CHANNELS:
                return False
            model = CHANNELS[key].config
            continue
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return True  # below a table of free names
        if key not in model.model_fields:
            return False
        inner = str(model.model_fields[key].annotation)
        found = [m for m in _models(model.model_fields[key].annotation) if "dict" not in inner]
        model = found[0] if found else None
    return True


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in getattr(annotation, "__args__", ()) for model in _models(inner)]


@functools.cache
def log_events() -> frozenset[str]:
    """What the hub writes into its log: names with a dot, as keys of hub.yaml have."""
    source = "".join(file.read_text("utf-8") for file in (ROOT / "hub").rglob("*.py"))
    return frozenset(re.findall(r"log\.\w+\(\s*\"([\w.]+)\"", source))


@every_document
def test_every_key_of_hub_yaml_and_every_log_event_that_is_named_exists(path: Path) -> None:
    sections = set(Settings.model_fields) | {event.partition(".")[0] for event in log_events()}
    files = {"json", "jsonl", "py", "md", "db", "yaml", "csv", "log", "lock", "cursor", "reserve"}
    for inline in _INLINE.findall(prose(path)):
        if re.fullmatch(r"[a-z_]+(?:\.[a-z_]+)+", inline):
            keys = inline.split(".")
            if keys[0] in sections and keys[-1] not in files:
                assert inline in log_events() or has_key(keys), f"neither a key of hub.yaml nor a log event: {inline}"


@every_document
def test_every_variable_of_the_hub_that_is_named_is_read(path: Path) -> None:
    secrets = {"GRIDHUB_MQTT_PASSWORD", "GRIDHUB_HISTORY_TOKEN", "GRIDHUB_LINKS_KEY"}
    for variable in set(re.findall(r"\bGRIDHUB_[A-Z_]+\b", text_of(path))) - secrets:
        keys = variable.removeprefix("GRIDHUB_").lower().split("__")
        in_compose = variable in text_of(ROOT / "docker-compose.yml")
        assert has_key(keys) or in_compose, f"no setting for {variable}"


@every_document
def test_every_yaml_block_is_one_that_the_hub_would_read(path: Path) -> None:
    for block in blocks(path, "yaml"):
        document, complaints = documents.parse(block, path.name)
        assert document is not None, complaints
        assert complaints == []
        data = document.data
        if isinstance(data, dict) and set(data) <= set(Settings.model_fields):
            _, wrong = documents.check(Settings, document, data)
            assert wrong == []
            for name, section in (data.get("channels") or {}).items():
                documents_wrong = documents.check(CHANNELS[name].config, document, section, ("channels", name))[1]
                assert documents_wrong == []
        elif isinstance(data, dict) and set(data) == {"rules"}:
            assert _rules_of(document)[1] == []
        elif isinstance(data, dict) and "scenes" in data:
            assert scenes.of_document(document, load_rules(ROOT / "config" / "rules"))[1] == []
        elif isinstance(data, dict) and "severities" in data and {"P1", "P2", "P3", "P4"} <= set(data["severities"]):
            assert documents.check(EscalationPolicy, document, data)[1] == []


def test_a_key_that_does_not_exist_is_found() -> None:
    assert has_key(["mqtt", "receive_maximum"])
    assert has_key(["channels", "webhook", "endpoints"])
    assert not has_key(["mqtt", "recieve_maximum"])
    assert not has_key(["channels", "fax"])


# Rules ---------------------------------------------------------------------------------------------------------------

RULES_PAGE = ROOT / "docs" / "rules.md"


def test_the_drawings_of_the_rules_are_those_of_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    text = text_of(RULES_PAGE)
    assert redrawn(text, diagram.drawings()) == text, "run: python -m hub.rules.diagram docs/rules.md"


def test_a_page_without_the_place_for_a_drawing_is_refused() -> None:
    with pytest.raises(ValueError, match="no block"):
        redrawn("<!-- drawn: condition -->\nnothing ends it", {"condition": "a drawing"})


def test_a_condition_within_a_condition_is_drawn_in_the_words_of_the_file() -> None:
    when = {"from": "closed", "outside": {"days": "workdays", "to": "22:00"}, "for_s": 2.5}
    rule = SimpleNamespace(
        spec=SimpleNamespace(when=KINDS["state_change"].When.model_validate(when)),
        run=SimpleNamespace(driven_by="values"),
    )
    assert diagram._condition(rule) == "from closed, outside (days workdays, to 22:00), for_s 2.5"  # type: ignore[arg-type]


def test_every_key_of_a_rule_is_explained() -> None:
    text = text_of(RULES_PAGE)
    rows = set(re.findall(r"^\| ((?:`[^`]+`(?:, )?)+) \|", text, re.MULTILINE))
    explained = {key for row in rows for key in _INLINE.findall(row)}
    keys = (set(RuleEntry.model_fields) - {"on"}) | {f"on.{key}" for key in On.model_fields}
    assert keys <= explained
    for name, kind in KINDS.items():
        section = text.split(f"### Kind `{name}`")[1].split("\n## ")[0].split("### Kind")[0]
        keys_of_kind = {field.alias or key for key, field in kind.When.model_fields.items()}
        assert keys_of_kind <= set(_INLINE.findall(section)), name


def test_every_condition_that_is_shown_is_one_that_a_rule_can_have() -> None:
    shown = []
    for block in blocks(RULES_PAGE, "yaml"):
        document, _ = documents.parse(block, "rules.md")
        assert document is not None
        listed = document.data if isinstance(document.data, list) else [document.data]
        shown += [one for one in listed if "kind" in one and "when" in one]
    for one in shown:
        kind = KINDS[one["kind"]]
        kind.compile(kind.When.model_validate(one["when"]), QUANTITIES.get(one["on"].get("quantity", "")), Context())
    assert {"schedule", "state_change", "absence"} <= {one["kind"] for one in shown}


def test_every_key_that_is_explained_is_one_of_a_rule() -> None:
    table = text_of(RULES_PAGE).split("## A rule")[1].split("### Kind")[0]
    explained = set(re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE))
    assert explained == (set(RuleEntry.model_fields) - {"on"}) | {f"on.{key}" for key in On.model_fields}


# Figures and versions ------------------------------------------------------------------------------------------------


def test_both_readmes_show_the_same_commands_links_and_numbers() -> None:
    english, chinese = READMES
    assert list(blocks(english, "sh")) == list(blocks(chinese, "sh"))
    both = [
        {link for groups in _LINK.findall(prose(p)) for link in groups if link and "README" not in link}
        for p in READMES
    ]
    assert both[0] == both[1]
    numbers = [set(re.findall(r"\d+(?:\.\d+)+|\d{2,}", prose(p))) for p in READMES]
    assert numbers[0] - {"119"} == numbers[1] - {"119"}


def test_the_figures_of_the_example_place_are_those_of_its_files() -> None:
    from hub.registry.loader import load

    registry = load(ROOT / "config" / "registry")
    levels = [place.level for place in registry.places.values()]
    counted = tuple(levels.count(level) for level in ("street", "community", "grid"))
    assert counted == (1, 2, 12)
    assert len(registry.stations) == 3
    assert "one street, two communities, twelve grids, three stations" in text_of(READMES[0])
    assert "一个街道、两个社区、十二个网格、三个微站" in text_of(READMES[1])
    assert abs(len(registry.slot_of) - 300) < 25, "the README says: some 300 devices"
    rules = len(load_rules(ROOT / "config" / "rules").rules)
    assert f" {rules} rules for" in text_of(ROOT / "CHANGELOG.md")


def test_the_version_is_the_same_everywhere() -> None:
    version = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]["version"]
    assert re.search(rf"^## (?:Unreleased: |\[?){re.escape(version)}\b", text_of(ROOT / "CHANGELOG.md"), re.MULTILINE)
    assert all(version in text_of(readme) for readme in READMES)


@every_document
def test_every_metric_that_is_named_is_measured(path: Path) -> None:
    import hub.app  # noqa: F401  # whoever has metrics of its own has registered them now

    known = {name for collector in REGISTRY._collector_to_names for name in REGISTRY._collector_to_names[collector]}
    named = set(re.findall(r"\bgridhub_[a-z_]+[a-z]\b", text_of(path))) - {"gridhub_session", "gridhub_theme"}
    assert named <= known


def test_the_licence_is_whole() -> None:
    text = text_of(ROOT / "LICENSE")
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]["license"] == "Apache-2.0"
