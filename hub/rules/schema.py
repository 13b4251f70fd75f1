"""The JSON Schema of rule files: what each key may be, and for each kind of rule what its `when` may say."""

from __future__ import annotations

import copy
import inspect
import sys
from typing import Any, Final

from hub.json_schema import Schema, described, of_model, one_or_several, whole
from hub.model.quantities import QUANTITIES
from hub.registry.kinds import DEVICE_KINDS
from hub.rules.entries import RuleEntry
from hub.rules.kinds import KINDS
from hub.rules.kinds.kind import Kind

FILE: Final = "rules.schema.json"
_WORDS: Final = {
    "id": "规则编号，也是告警身份的一部分。Part of the identity of its alerts: renaming it starts afresh.",
    "kind": "规则种类，决定 when 可以写什么。Decides what `when` may say.",
    "name": "告警标题，中英文。Title of the alert, in both languages.",
    "on": "监视哪些设备的哪个量。Which devices, and which of their quantities.",
    "when": "触发条件。The condition.",
    "severity": "P1 危及生命，立即 life, at once · P2 失去保护或危险临近 protection lost or danger near · "
    "P3 故障，当日 fault, same day · P4 提示 advice. Decides who is told and when (escalation.yaml).",
    "latch": "true：条件消失后仍保持，直到有人查看。Stays until a person has looked.",
    "enabled": "false：只检查，不运行。Checked and not run.",
    "alert": "false：只供其他规则引用，不通知任何人。A condition for other rules to refer to; nobody is told.",
    "inhibited_by": "这些规则成立时保持安静；P1 不可。Keeps quiet while these hold; never on a P1.",
    "overrides": "对部分设备使用不同数值，最具体者生效。Other numbers for some devices; the most specific wins.",
    "cause": "可能的原因。What has probably happened.",
    "consequence": "无人处理的后果。What it leads to if nobody comes.",
    "action": "怎么做，一句祈使句，写进通知。What to do, one imperative line; it stands in the notification.",
    "respond_within_s": "应在多少秒内响应。Seconds in which somebody should have answered.",
    "responder": "由谁处置。Who can mend it.",
    "source": "数值出处：条款，或“自定”。Where the number comes from: a clause, or “chosen here”.",
    "certainty": "A 读过条文 clause read · B 二手资料 secondary source · C 本项目选定 choice of this project · "
    "M 凭记忆 from memory · A/C 前者指条文，后者指数值 the clause, and the number.",
}


def rules_schema() -> Schema:
    """The schema of a file in `config/rules/`. What it refuses the hub refuses; the hub also checks what no schema can say."""
    definitions: Schema = {}
    rule = of_model(RuleEntry, definitions, name="rule")
    entry = definitions["rule"]
    described(entry, _WORDS)
    entry["properties"]["kind"] = {
        "enum": list(KINDS),
        "description": _WORDS["kind"],
        "enumDescriptions": [_about(kind) for kind in KINDS.values()],
    }
    kinds = [*DEVICE_KINDS, "*"]
    for part in ("On", "Narrower"):
        definitions[part]["properties"]["device_kind"] |= one_or_several(kinds)
    definitions["On"]["properties"]["quantity"] = {
        "enum": list(QUANTITIES),
        "enumDescriptions": [f"{q.kind}{f', {q.unit}' if q.unit else ''}" for q in QUANTITIES.values()],
    }
    definitions["Narrower"]["minProperties"] = 1
    entry["allOf"] = [
        *(_for_kind(kind, definitions) for kind in KINDS.values()),
        {
            "if": {"properties": {"severity": {"const": "P1"}}, "required": ["severity"]},
            "then": {"properties": {"inhibited_by": {"maxItems": 0, "description": "a P1 can never be inhibited"}}},
        },
    ]
    body = {
        "type": "object",
        "properties": {"rules": {"type": "array", "items": rule}},
        "required": ["rules"],
        "additionalProperties": False,
    }
    return whole("GridHub rules", body, definitions)


def _for_kind(kind: Kind, definitions: Schema) -> Schema:
    """What holds for rules of this kind: the shape of `when`, in overrides too, and whether there is a quantity."""
    when = of_model(kind.When, definitions, name=f"when-{kind.name}", prefix=f"{kind.name}-")
    own = definitions[f"when-{kind.name}"]
    own["description"] = inspect.getdoc(kind.When) or _about(kind)
    partial = copy.deepcopy(own)  # an override says only what differs
    for key in ("required", "oneOf", "anyOf", "allOf", "not", "if", "then", "else", "minProperties"):
        partial.pop(key, None)
    definitions[f"when-{kind.name}-override"] = partial
    override = {"properties": {"when": {"$ref": f"#/definitions/when-{kind.name}-override"}}}
    on: Schema = {"required": ["quantity"]} if kind.needs_quantity else {"not": {"required": ["quantity"]}}
    properties: dict[str, Any] = {"when": when, "on": on, "overrides": {"items": override}}
    then: Schema = {"properties": properties}
    if own.get("required"):
        then["required"] = ["when"]
    if kind.advisory:
        properties["severity"] = {"const": "P4", "description": "finds what is odd, not what is dangerous: P4 only"}
    return {"if": {"properties": {"kind": {"const": kind.name}}, "required": ["kind"]}, "then": then}


def _about(kind: Kind) -> str:
    """What the file of the kind says of it in its first line."""
    module = sys.modules[kind.When.__module__]
    return (inspect.getdoc(module) or "").partition("\n\n")[0].replace("\n", " ")
