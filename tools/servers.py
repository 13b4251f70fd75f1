"""Sees to the servers and the browser that the tests use: installs the Debian packages as root, else says what is missing.

No service is started by installing: tests start their own on free ports.
"""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

POLICY = Path("/usr/sbin/policy-rc.d")
PLACES = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])

NEEDED: dict[str, tuple[str, ...]] = {
    "mosquitto": ("mosquitto",),
    "mosquitto-clients": ("mosquitto_pub", "mosquitto_sub"),
    "postgresql": ("/usr/lib/postgresql/*/bin/postgres",),
    "influxdb": ("influxd",),
    "chromium": ("chromium",),
    "chromium-driver": ("chromedriver",),
    "fonts-noto-cjk": ("/usr/share/fonts/opentype/noto/NotoSansCJK*",),
}
"""Debian package → what it brings: commands, or file patterns."""


def missing() -> list[str]:
    return [package for package, brings in NEEDED.items() if not all(map(there, brings))]


def there(what: str) -> bool:
    if what.startswith("/"):
        return bool(glob.glob(what)) or shutil.which(os.path.basename(what), path=PLACES) is not None
    return shutil.which(what, path=PLACES) is not None


@contextmanager
def no_service_starts() -> Iterator[None]:
    """While this lasts, Debian's packages do not start what they install. A policy that is there already stays."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)


def apt(*arguments: str) -> bool:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_MODE": "l"}
    command = ["apt-get", "-y", "-q", "-o", "Dpkg::Use-Pty=0", *arguments]
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        print("\n".join((done.stdout + done.stderr).strip().splitlines()[-5:]), file=sys.stderr)
    return done.returncode == 0


def install(packages: list[str]) -> None:
    print(f"installing Debian packages for the tests: {' '.join(packages)}", flush=True)
    apt("update")
    with no_service_starts():
        if not apt("install", "--no-install-recommends", *packages):
            for package in packages:  # one that is not to be had must not keep the others out
                apt("install", "--no-install-recommends", package)


def main() -> int:
    wanted = missing()
    if not wanted:
        return 0
    can = os.geteuid() == 0 and shutil.which("apt-get") is not None
    if can:
        install(wanted)
        wanted = missing()
        if not wanted:
            return 0
    remedy = "" if can else f"\n  as root: apt-get install {' '.join(wanted)}"
    print(f"missing for the tests: {' '.join(wanted)}{remedy}", file=sys.stderr)
    if os.environ.get("CI"):
        return 1
    print("  the tests that need them are skipped, each with its reason", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
