"""Writes the dashboards as JSON: `python -m grafana.src.build`. The JSON is committed; a test compares."""

from __future__ import annotations

import json
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from grafana.src import safety

FOLDER = Path(__file__).resolve().parent.parent / "dashboards"
DASHBOARDS = {"safety.json": safety.build}


def text_of(name: str) -> str:
    """The JSON of one dashboard of `DASHBOARDS`, as it is committed."""
    return json.dumps(DASHBOARDS[name](), cls=JSONEncoder, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def main() -> None:
    for name in DASHBOARDS:
        file = FOLDER / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text_of(name), "utf-8")


if __name__ == "__main__":
    main()
