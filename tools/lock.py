"""Writes requirements.lock (with the tests' tools) and requirements-run.lock (without) from pyproject.toml.

The files hold plain pins with hashes for every platform, and no address of an index.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
COMMON = (
    "--quiet", "--generate-hashes", "--universal", "--python-version=3.11",
    "--no-emit-index-url", "--no-emit-find-links", "--no-header", "--no-annotate",
)  # fmt: skip


def compile_(output: str, *more: str) -> None:
    command = [sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", *COMMON, *more, "--output-file", output]
    subprocess.run(command, check=True, cwd=HERE, stdin=subprocess.DEVNULL)
    text = (HERE / output).read_text("utf-8")
    foreign = re.findall(r"^.*(?:://|--index|--find-links|file:|@ ).*$", text, re.MULTILINE)
    if foreign:
        raise SystemExit(f"{output} would name where packages come from: {foreign[0]}")
    print(f"{output}: {len(re.findall(r'^[^ #]+==', text, re.MULTILINE))} packages")


def main() -> None:
    if subprocess.run([sys.executable, "-m", "uv", "--version"], capture_output=True).returncode != 0:
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "uv"], check=True)
    compile_("requirements.lock", "--extra", "dev", *sys.argv[1:])
    compile_("requirements-run.lock", "--constraint", "requirements.lock", *sys.argv[1:])


if __name__ == "__main__":
    main()
