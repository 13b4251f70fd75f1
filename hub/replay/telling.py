"""An explanation as data, with its sentences in both languages: for the API and for programs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from hub.i18n import text
from hub.rules.testing.explaining import Explanation
from hub.rules.testing.sentences import Sentence, condition


def told(found: Explanation, zone: str) -> dict[str, Any]:
    """Plain data; instants inside sentences are shown in `zone`."""
    spec = found.rule.spec
    return {
        "device": found.device,
        "rule": {
            "id": spec.id,
            "name": {"zh": spec.name.zh, "en": spec.name.en},
            "severity": spec.severity,
            "kind": spec.kind,
            "version": spec.version,
            "origin": spec.origin,
            "condition": condition(found.rule),
            "threshold": found.rule.run.threshold,
            "hold_s": found.rule.run.hold_ms / 1_000,
            "clear_hold_s": found.rule.run.clear_hold_ms / 1_000,
            "samples": found.rule.run.samples,
            "text": found.text,
        },
        "at_ms": found.at_ms,
        "watches": found.watches,
        "fired": found.fired,
        "verdict": _sentence(found.verdict, zone),
        "because": _sentences(found.because, zone),
        "kept_quiet": _sentences(found.kept_quiet, zone),
        "notes": _sentences(found.notes, zone),
        "steps": [asdict(step) for step in found.steps],
        "state": found.standing.state if found.standing is not None else "",
        "evidence": dict(found.evidence),
        "played_from_ms": found.played_from_ms,
        "played_messages": found.played_messages,
    }


def _sentences(sentences: Iterable[Sentence], zone: str) -> list[dict[str, Any]]:
    return [_sentence(sentence, zone) for sentence in sentences]


def _sentence(sentence: Sentence, zone: str) -> dict[str, Any]:
    said = {"zh": sentence.said(text("zh-CN"), zone), "en": sentence.said(text("en"), zone)}
    return {"code": sentence.code, "text": said}
