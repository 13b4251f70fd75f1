"""One file per group of commands; add yours to GROUPS."""

from __future__ import annotations

import importlib.util as _u, importlib as _i
from typing import Any
GROUPS: tuple[Any, ...] = tuple(_i.import_module(f"hub.cli.{n}") for n in ("run","demo","check","simulate","decode","selftest","migrate","journal","token","registry") if _u.find_spec(f"hub.cli.{n}"))
