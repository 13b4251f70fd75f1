"""Keeps the catalogues of texts: `extract` collects the messages of code and pages, `compile` makes what the program reads.

Run `make messages` after any change of a text; translations are written in hub/locales/<locale>/LC_MESSAGES/gridhub.po.
"""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent
LOCALES = ROOT / "hub" / "locales"
TEMPLATE = LOCALES / "gridhub.pot"
SOURCE_LOCALE = "en"
METHODS = [("**.py", "python"), ("web/templates/**.html", "jinja2")]
KEYWORDS = {"_": None, "mark": None, "say": None, "gettext": None, "ngettext": (1, 2)}

_CHANGING = tuple(f'"{name}' for name in (
    "POT-Creation-Date", "PO-Revision-Date", "Generated-By", "Report-Msgid-Bugs-To", "Last-Translator", "Language-Team"
))  # fmt: skip
"""Header lines that would change the file at every run, or say nothing."""


def extracted() -> Catalog:
    """Every message of the hub's code and pages, in the order of the files."""
    catalog = Catalog(project="gridhub", version="", charset="utf-8", fuzzy=False)
    found = extract_from_dir(ROOT / "hub", METHODS, keywords=KEYWORDS, options_map={"**.html": {"silent": "false"}})
    for file, line, message, comments, context in sorted(found, key=lambda m: (m[0], m[1])):
        catalog.add(message, locations=[(f"hub/{file}", line)], auto_comments=comments, context=context)
    return catalog


def catalogues() -> list[Path]:
    return sorted(LOCALES.glob("*/LC_MESSAGES/gridhub.po"))


def written(catalog: Catalog) -> bytes:
    buffer = BytesIO()
    write_po(buffer, catalog, width=120, include_lineno=False, omit_header=False)
    lines = buffer.getvalue().decode().splitlines()
    kept = [line for line in lines if not line.startswith(_CHANGING)]
    return ("\n".join(kept).strip() + "\n").encode()


def extract() -> None:
    template = extracted()
    TEMPLATE.write_bytes(written(template))
    for path in catalogues():
        with path.open("rb") as file:
            catalog = read_po(file, locale=path.parent.parent.name)
        catalog.update(template, no_fuzzy_matching=True, update_header_comment=False)
        catalog.obsolete.clear()
        path.write_bytes(written(catalog))
        missing = [message.id for message in catalog if message.id and not message.string]
        if catalog.locale_identifier != SOURCE_LOCALE and missing:
            print(f"{path.relative_to(ROOT)}: {len(missing)} message(s) without a translation:", file=sys.stderr)
            for message in missing:
                print(f"  {message}", file=sys.stderr)


def compile_() -> None:
    for path in catalogues():
        with path.open("rb") as source:
            catalog = read_po(source, locale=path.parent.parent.name)
        with path.with_suffix(".mo").open("wb") as file:
            write_mo(file, catalog)


def main() -> None:
    commands = {"extract": extract, "compile": compile_}
    wanted = sys.argv[1:] or list(commands)
    for name in wanted:
        if name not in commands:
            sys.exit(f"messages.py: unknown command {name!r}; use {', '.join(commands)}")
        commands[name]()


if __name__ == "__main__":
    main()
