"""Makes .venv from the lock file and puts the `gridhub` command into it. Standard library only; run by tools/setup.sh.

A stamp in .venv holds the hash of what it was made from, so that a second call returns at once.
"""

from __future__ import annotations

import glob
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
VENV = HERE / ".venv"
PYTHON = VENV / "bin" / "python"
LOG = VENV / "setup.log"
LOCKS = {"run": "requirements-run.lock", "dev": "requirements.lock"}
BUILD = ("setuptools>=70", "wheel")
DEBIAN_PIP_WHEELS = "/usr/share/python-wheels/pip-*.whl"


class CannotSetUp(Exception):
    """The environment cannot be made; the text says why and what to do."""


def main() -> int:
    kind = sys.argv[1] if len(sys.argv) > 1 else "run"
    if kind not in LOCKS:
        print("usage: tools/setup.sh run|dev", file=sys.stderr)
        return 2
    if is_made(kind):
        return 0
    os.environ["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    try:
        make(kind)
    except CannotSetUp as why:
        print(f"\n{why}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; run it again to go on", file=sys.stderr)
        return 130
    return 0


def is_made(kind: str) -> bool:
    """Whether .venv is there already for `kind` ("dev" serves for "run" too) and made from today's files."""
    if not (VENV / "bin" / "gridhub").exists():
        return False
    return any(stamp(k).exists() and stamp(k).read_text() == fingerprint(k) for k in {kind, "dev"})


def stamp(kind: str) -> Path:
    return VENV / f".made-{kind}"


def fingerprint(kind: str) -> str:
    digest = hashlib.sha256()
    for name in (LOCKS[kind], "pyproject.toml"):
        digest.update((HERE / name).read_bytes())
    return f"{digest.hexdigest()} {HERE}\n"


def make(kind: str) -> None:
    began = time.monotonic()
    if not usable(PYTHON):
        say(1, f"environment .venv (Python {'.'.join(map(str, sys.version_info[:3]))})")
        make_environment()
    else:
        say(1, "environment .venv is there")
    lock = HERE / LOCKS[kind]
    packages = len(re.findall(r"^[a-zA-Z0-9_.-]+==", lock.read_text(), re.MULTILINE))
    say(2, f"{packages} packages from {lock.name}")
    pip(["install", "--require-hashes", "-r", str(lock)], expect=packages)
    say(3, "the command gridhub")
    pip(["install", *BUILD], expect=len(BUILD))
    pip(["install", "--no-deps", "--no-build-isolation", "-e", str(HERE)], expect=1)
    stamp(kind).write_text(fingerprint(kind))
    LOG.unlink(missing_ok=True)
    print(f"done in {time.monotonic() - began:.0f} s: .venv/bin/gridhub", flush=True)


def say(step: int, text: str) -> None:
    print(f"[{step}/3] {text}", flush=True)


def usable(python: Path) -> bool:
    """Whether `python` runs and has pip."""
    return python.exists() and run([str(python), "-m", "pip", "--version"]).returncode == 0


def run(command: list[str], **more: object) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, **more)  # type: ignore[call-overload, no-any-return]
    except OSError as error:
        return subprocess.CompletedProcess(command, 127, "", str(error))


# -- the environment: Debian and Ubuntu split ensurepip off, so there are several ways, the ordinary one first


def make_environment() -> None:
    tried: list[str] = []
    ways: list[tuple[str, Callable[[], str]]] = [
        ("python3 -m venv", with_ensurepip),
        ("uv", with_uv),
        ("virtualenv", with_virtualenv),
        ("the system's pip", with_system_pip),
        ("pip of the Debian package python3-pip-whl, unpacked aside", with_debian_wheel),
        ("apt-get install python3-venv", with_apt),
    ]
    for name, way in ways:
        trouble = way()
        if not trouble and usable(PYTHON):
            return
        tried.append(f"  {name}: {trouble or 'the environment does not work'}")
    version = ".".join(map(str, sys.version_info[:2]))
    raise CannotSetUp(
        f"Cannot make a Python environment with {sys.executable}. Tried:\n"
        + "\n".join(tried)
        + f"\nRemedy on Debian and Ubuntu: apt-get install python{version}-venv   (or: python3-venv)"
    )


def with_ensurepip() -> str:
    return last_line(run([sys.executable, "-m", "venv", "--clear", str(VENV)]))


def with_uv() -> str:
    uv = shutil.which("uv")
    if uv is None:
        return "not installed"
    return last_line(run([uv, "venv", "--quiet", "--clear", "--seed", "--python", sys.executable, str(VENV)]))


def with_virtualenv() -> str:
    return last_line(run([sys.executable, "-m", "virtualenv", "--clear", "--no-download", str(VENV)]))


def with_system_pip() -> str:
    trouble = bare_environment()
    return trouble or last_line(run([sys.executable, "-m", "pip", "--python", str(PYTHON), "install", "pip"]))


def with_debian_wheel() -> str:
    """pip from Debian's own package: needs no root, because the package is only unpacked."""
    trouble = bare_environment()
    if trouble:
        return trouble
    with tempfile.TemporaryDirectory(prefix="gridhub-pip-") as folder:
        wheels = sorted(glob.glob(DEBIAN_PIP_WHEELS))
        if not wheels:
            trouble = last_line(run(["apt-get", "download", "python3-pip-whl"], cwd=folder))
            packages = glob.glob(f"{folder}/*.deb")
            if not packages:
                return trouble or "apt-get downloaded nothing"
            run(["dpkg-deb", "-x", packages[0], folder])
            wheels = sorted(glob.glob(folder + DEBIAN_PIP_WHEELS))
        if not wheels:
            return "no pip in it"
        return last_line(run([str(PYTHON), f"{wheels[-1]}/pip", "install", "pip"]))


def with_apt() -> str:
    if shutil.which("apt-get") is None:
        return "this system has no apt-get"
    if os.geteuid() != 0:
        return "needs root"
    version = ".".join(map(str, sys.version_info[:2]))
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "update"], env=environment)
    trouble = ""
    for package in (f"python{version}-venv", "python3-venv"):
        trouble = last_line(run(["apt-get", "install", "-y", "--no-install-recommends", package], env=environment))
        if not trouble and not with_ensurepip():
            return ""
    return trouble or "installed, and still no ensurepip"


def bare_environment() -> str:
    return last_line(run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(VENV)]))


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    """Empty when it went well, else the last thing it said."""
    if done.returncode == 0:
        return ""
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return lines[-1] if lines else f"exit code {done.returncode}"


# -- packages


def pip(arguments: list[str], *, expect: int) -> None:
    """Runs pip with its talk in a log file; shows a running count on a terminal, the end of the log when it fails."""
    command = [str(PYTHON), "-m", "pip", "--no-input", *arguments, "--progress-bar", "off"]
    seen = 0
    with LOG.open("a", encoding="utf-8") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert process.stdout is not None
        for line in process.stdout:
            log.write(line)
            if line.startswith(("Collecting", "Requirement already", "Obtaining")):
                seen += 1
                show(f"      {min(seen, expect)} of {expect}: {line.split()[1] if len(line.split()) > 1 else ''}")
            elif line.startswith("Installing collected"):
                show("      installing …")
        code = process.wait()
    show("")
    if code != 0:
        tail = LOG.read_text("utf-8", "replace").splitlines()[-15:]
        raise CannotSetUp(
            "pip could not install the packages. The end of its log (.venv/setup.log):\n  "
            + "\n  ".join(tail)
            + "\nIs the package index reachable? Behind a proxy set HTTPS_PROXY, or PIP_INDEX_URL for a mirror."
        )


def show(text: str) -> None:
    if sys.stdout.isatty():
        print(f"\r\033[K{text[:100]}", end="", flush=True)


if __name__ == "__main__":
    sys.exit(main())
