#!/bin/sh
# Makes .venv with the `gridhub` command: `tools/setup.sh run` for use, `tools/setup.sh dev` for tests too.
# Finds a Python that is new enough and hands over to bootstrap.py; returns at once when nothing has changed.
set -eu
cd "$(dirname "$0")/.."

new_enough() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2])' >/dev/null 2>&1
}

if [ -x .venv/bin/python ] && new_enough .venv/bin/python; then
    exec .venv/bin/python tools/bootstrap.py "$@"
fi

for name in ${PYTHON:-} python3.14 python3.13 python3.12 python3.11 python3; do
    if command -v "$name" >/dev/null 2>&1 && new_enough "$name"; then
        exec "$name" tools/bootstrap.py "$@"
    fi
done

found=$(python3 --version 2>/dev/null || echo "no python3 at all")
cat >&2 <<TEXT
GridHub needs Python 3.11 or newer; on the PATH there is $found.
  Debian 12+, Ubuntu 24.04+:  apt-get install python3 python3-venv
  Ubuntu 22.04:               apt-get install python3.11 python3.11-venv
  elsewhere:                  install any Python 3.11+ and name it: make PYTHON=/path/to/python3.12 ...
TEXT
exit 1
