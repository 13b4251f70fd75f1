"""Says which rule a complaint is about: people know rules by their id, not by their number in the file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from hub.documents import Document
from hub.errors import Complaint

_NO_LIST = "expected a key 'rules' with a list"
_DASHES = "begin each rule with '- id: …'"
"""What is missing where the key is there and holds no list."""
_IN_A_RULE = re.compile(r"rules\.(\d+)(?:\.(.*))?", re.S)


def named(complaints: Iterable[Complaint], read: Iterable[Document]) -> list[Complaint]:
    """The complaints, those about a rule of `read` with its id; their keys are then those within the rule."""
    known = list(read)
    ids = {document.file: _ids(document) for document in known}
    undashed = {d.file for d in known if isinstance(d.data, dict) and "rules" in d.data and not ids[d.file]}
    return [
        replace(complaint, remedy=_DASHES)
        if complaint.message == _NO_LIST and complaint.file in undashed
        else _named(complaint, ids.get(complaint.file, []))
        for complaint in complaints
    ]


def _named(complaint: Complaint, ids: list[str]) -> Complaint:
    if complaint.rule:
        return complaint
    if complaint.key in ids:
        return replace(complaint, rule=complaint.key, key="")
    found = _IN_A_RULE.fullmatch(complaint.key)
    if found is None or int(found[1]) >= len(ids) or not ids[int(found[1])]:
        return complaint
    return replace(complaint, rule=ids[int(found[1])], key=found[2] or "")


def _ids(document: Document) -> list[str]:
    """The ids of the entries in their order; "" for one that has none."""
    entries = document.data.get("rules") if isinstance(document.data, dict) else None
    if not isinstance(entries, list):
        return []
    given = (entry.get("id") if isinstance(entry, dict) else None for entry in entries)
    return [one if isinstance(one, str) else "" for one in given]
