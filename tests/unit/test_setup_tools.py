"""The lock files and the tools behind `make setup` and `make test`."""

from __future__ import annotations

import importlib.util
import os
import re
import stat
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("requirements.lock", "requirements-run.lock")


def tool(name: str):
    spec = importlib.util.spec_from_file_location(f"tools_{name}", ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pins(lock: str) -> dict[str, str]:
    text = (ROOT / lock).read_text("utf-8")
    return {name.lower(): version for name, version in re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE)}


def wanted(extra: str | None) -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    asked = project["dependencies"] + (project["optional-dependencies"][extra] if extra else [])
    return {re.match(r"[\w.-]+", line)[0].lower() for line in asked}  # type: ignore[index]


@pytest.mark.parametrize(("lock", "extra"), [("requirements.lock", "dev"), ("requirements-run.lock", None)])
def test_every_dependency_is_pinned(lock, extra):
    assert wanted(extra) <= set(pins(lock))


def test_both_locks_agree():
    full, run = map(pins, LOCKS)
    assert run.items() <= full.items()
    assert not wanted("dev") - wanted(None) <= set(run), "the tests' tools are not for use"


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_pins_with_hashes_and_no_address(lock):
    text = (ROOT / lock).read_text("utf-8")
    assert not re.search(r"://|--(extra-)?index|--find-links|file:| @ ", text)
    for entry in re.split(r"\n(?=\S)", text.strip()):
        assert re.match(r"[\w.-]+(\[[\w,-]+\])?==\S+", entry), entry
        assert "--hash=sha256:" in entry, entry


def test_an_environment_is_made_once_for_each_state_of_the_files(tmp_path, monkeypatch):
    bootstrap = tool("bootstrap")
    monkeypatch.setattr(bootstrap, "HERE", tmp_path)
    monkeypatch.setattr(bootstrap, "VENV", tmp_path / ".venv")
    for name in (*LOCKS, "pyproject.toml"):
        (tmp_path / name).write_text("a==1\n")
    assert not bootstrap.is_made("run")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "gridhub").touch()
    bootstrap.stamp("dev").write_text(bootstrap.fingerprint("dev"))
    assert bootstrap.is_made("dev")
    assert bootstrap.is_made("run"), "what serves the tests serves for use too"
    (tmp_path / "requirements.lock").write_text("a==2\n")
    assert not bootstrap.is_made("dev")
    assert not bootstrap.is_made("run")


def test_when_no_way_leads_to_an_environment_all_are_named_with_a_remedy(monkeypatch):
    bootstrap = tool("bootstrap")
    for way in ("ensurepip", "uv", "virtualenv", "system_pip", "debian_wheel", "apt"):
        monkeypatch.setattr(bootstrap, f"with_{way}", lambda way=way: f"no {way}")
    with pytest.raises(bootstrap.CannotSetUp) as raised:
        bootstrap.make_environment()
    said = str(raised.value)
    assert all(f"no {way}" in said for way in ("ensurepip", "uv", "virtualenv", "system_pip", "debian_wheel", "apt"))
    assert "apt-get install python3" in said


def test_ways_are_tried_until_one_works(monkeypatch):
    bootstrap = tool("bootstrap")
    tried = []
    monkeypatch.setattr(bootstrap, "with_ensurepip", lambda: tried.append("ensurepip") or "ensurepip is missing")
    monkeypatch.setattr(bootstrap, "with_uv", lambda: tried.append("uv") or "")
    monkeypatch.setattr(bootstrap, "with_virtualenv", lambda: tried.append("virtualenv") or "")
    monkeypatch.setattr(bootstrap, "usable", lambda python: tried[-1] == "virtualenv")
    bootstrap.make_environment()
    assert tried == ["ensurepip", "uv", "virtualenv"]


def a_python(folder: Path, name: str, version: str) -> None:
    """A command that answers as a Python of `version` would to the question that setup.sh asks."""
    file = folder / name
    old = tuple(map(int, version.split("."))) < (3, 11)
    file.write_text(
        f'#!/bin/sh\nif [ "$1" = "-c" ]; then exit {int(old)}; fi\nif [ "$1" = "--version" ]; then echo "Python {version}"; exit 0; fi\necho "{name} $*"\n'
    )
    file.chmod(file.stat().st_mode | stat.S_IXUSR)


def setup_sh(tmp_path: Path, pythons: dict[str, str]) -> subprocess.CompletedProcess[str]:
    project, path = tmp_path / "project", tmp_path / "bin"
    (project / "tools").mkdir(parents=True)
    path.mkdir()
    (project / "tools" / "setup.sh").write_text((ROOT / "tools" / "setup.sh").read_text())
    for command in ("sh", "dirname", "cat"):
        (path / command).symlink_to(f"/bin/{command}" if Path(f"/bin/{command}").exists() else f"/usr/bin/{command}")
    for name, version in pythons.items():
        a_python(path, name, version)
    return subprocess.run(
        ["/bin/sh", str(project / "tools" / "setup.sh"), "run"], capture_output=True, text=True, env={"PATH": str(path)}
    )


def test_the_newest_python_on_the_path_is_taken(tmp_path):
    done = setup_sh(tmp_path, {"python3": "3.11", "python3.11": "3.11", "python3.13": "3.13"})
    assert done.stdout == "python3.13 tools/bootstrap.py run\n"


def test_a_broken_newer_python_is_passed_over(tmp_path):
    done = setup_sh(tmp_path, {"python3.13": "3.9", "python3.11": "3.11"})
    assert done.stdout == "python3.11 tools/bootstrap.py run\n"


def test_only_an_older_python_is_refused_with_the_remedy(tmp_path):
    done = setup_sh(tmp_path, {"python3": "3.9"})
    assert done.returncode == 1
    assert "needs Python 3.11" in done.stderr
    assert "Python 3.9" in done.stderr
    assert "apt-get install" in done.stderr


def test_missing_servers_are_named_and_fail_ci_only(monkeypatch, capsys):
    servers = tool("servers")
    monkeypatch.setattr(servers, "NEEDED", {"some-server": ("no-such-command-here",), "shell": ("sh",)})
    monkeypatch.setattr(servers.os, "geteuid", lambda: 1_000)
    monkeypatch.delenv("CI", raising=False)
    assert servers.main() == 0
    assert "as root: apt-get install some-server\n" in capsys.readouterr().err
    monkeypatch.setenv("CI", "true")
    assert servers.main() == 1


def test_installing_starts_no_service_and_leaves_no_policy_behind(tmp_path, monkeypatch):
    servers = tool("servers")
    monkeypatch.setattr(servers, "POLICY", tmp_path / "policy-rc.d")
    seen = []
    monkeypatch.setattr(
        servers,
        "apt",
        lambda *a: seen.append((a[0], servers.POLICY.exists() and os.access(servers.POLICY, os.X_OK))) or True,
    )
    servers.install(["some-server"])
    assert seen == [("update", False), ("install", True)]
    assert not servers.POLICY.exists()
    servers.POLICY.write_text("ours")
    servers.install(["some-server"])
    assert servers.POLICY.read_text() == "ours", "a policy that was there stays"


def test_make_help_names_every_target_for_people():
    done = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0
    for target in ("setup", "run", "test", "check", "bench", "messages", "lock", "clean"):
        assert f"make {target} " in done.stdout
