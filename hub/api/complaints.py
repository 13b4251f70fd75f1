"""What is wrong in a file, in the reader's words. The commonest mistakes are said in both languages, the others in English."""

from __future__ import annotations

import re
from collections.abc import Iterable

from hub.api.wire import ComplaintOut
from hub.errors import Complaint
from hub.i18n import _, text

MOST = 200

_SAID = (
    (r"unknown key", _("unknown key")),
    (r"this key is missing", _("this key is missing")),
    (r"the key is given twice", _("the key is given twice")),
    (r"(?P<given>.+) is not known here", _("{given} is not known here")),
    (r"expected keys and values, found (?P<found>.+)", _("expected keys and values, found {found}")),
    (r"expected a key 'rules' with a list", _("expected a key 'rules' with a list")),
    (r"not UTF-8 at byte (?P<at>\d+)", _("not UTF-8 at byte {at}")),
    (r"not valid YAML: (?P<why>.+)", _("not valid YAML: {why}")),
    (r"nested deeper than (?P<n>\d+) levels", _("nested deeper than {n} levels")),
    (r"unknown rule kind (?P<kind>'[^']*')", _("unknown rule kind {kind}")),
    (r"unknown device kind (?P<kind>'[^']*')", _("unknown device kind {kind}")),
    (r"unknown quantity (?P<quantity>'[^']*')", _("unknown quantity {quantity}")),
    (r"a rule of kind (?P<kind>\S+) takes no quantity", _("a rule of kind {kind} takes no quantity")),
    (r"a rule with this id exists already", _("a rule with this id exists already")),
    (r"refers to a rule that is not there: (?P<rule>.+)", _("refers to a rule that is not there: {rule}")),
    (r"refers to itself over other rules", _("refers to itself over other rules")),
    (r"a P1 can never be inhibited", _("a P1 can never be inhibited")),
    (r"a life-safety alarm never waits", _("a life-safety alarm never waits")),
    (
        r"(?P<kind>\S+) finds what is odd, not what is dangerous: it is P4 only",
        _("{kind} finds what is odd, not what is dangerous: it is P4 only"),
    ),
    (r"names no devices", _("names no devices")),
    (r"no such place in the registry: (?P<name>.+)", _("no such place in the registry: {name}")),
    (r"no such device in the registry: (?P<name>.+)", _("no such device in the registry: {name}")),
    (r"no such model in the registry: (?P<name>.+)", _("no such model in the registry: {name}")),
    (r"no such tag in the registry: (?P<name>.+)", _("no such tag in the registry: {name}")),
    (r"no rules: the folder has no \*\.yaml file", _("no rules: the folder has no *.yaml file")),
    (r"there is no such file", _("there is no such file")),
    (r"not a name for a rule file", _("not a name for a rule file")),
    (r"give exactly one of (?P<keys>.+) \(found (?P<found>.+)\)", _("give exactly one of {keys} (found {found})")),
    (r"expected a number, found (?P<found>.+)", _("expected a number, found {found}")),
    (r"expected a whole number, found (?P<found>.+)", _("expected a whole number, found {found}")),
    (r"expected true or false, found (?P<found>.+)", _("expected true or false, found {found}")),
    (r"expected a text, found (?P<found>.+)", _("expected a text, found {found}")),
    (r"expected a list, found (?P<found>.+)", _("expected a list, found {found}")),
    (r"expected a text or a list, found (?P<found>.+)", _("expected a text or a list, found {found}")),
    (
        r"'(?P<given>[-+0-9_]+)' has a zero in front: YAML reads it to the base of 8",
        _("'{given}' has a zero in front: YAML reads it to the base of 8"),
    ),
    (
        r"string should match pattern .+ \(found (?P<found>.+)\)",
        _("has a form or characters that are not allowed here (found {found})"),
    ),
    (
        r"clear_below goes with above/at_least and must not be higher than the limit",
        _("clear_below goes with above/at_least and must not be higher than the limit"),
    ),
    (
        r"clear_above goes with below/at_most and must not be lower than the limit",
        _("clear_above goes with below/at_most and must not be lower than the limit"),
    ),
    (
        r"input should be greater than or equal to (?P<least>\S+) \(found (?P<found>.+)\)",
        _("must be at least {least} (found {found})"),
    ),
    (
        r"input should be greater than (?P<least>\S+) \(found (?P<found>.+)\)",
        _("must be more than {least} (found {found})"),
    ),
    (
        r"input should be less than or equal to (?P<most>\S+) \(found (?P<found>.+)\)",
        _("must be at most {most} (found {found})"),
    ),
    (r"string should have at least 1 character \(found .*\)", _("must not be empty")),
    # remedies
    (r"did you mean (?P<near>'[^']*')\?", _("did you mean {near}?")),
    (r"add (?P<key>'[^']*')", _("add {key}")),
    (r"use (?P<known>.+)", _("use {known}")),
    (r"remove it", _("remove it")),
    (r"remove it, or see the schema for the known keys", _("remove it, or see the schema for the known keys")),
    (r"correct the value", _("correct the value")),
    (r"correct the limit", _("correct the limit")),
    (r"correct the scope, or add it to the registry", _("correct the scope, or add it to the registry")),
    (
        r"check indentation, quotes and colons at this line",
        _("check indentation, quotes and colons at this line"),
    ),
    (r"rename it \(the first is in (?P<where>.+)\)", _("rename it (the first is in {where})")),
    (r"keep one \(the first is at line (?P<line>\d+)\)", _("keep one (the first is at line {line})")),
    (
        r"keep one \(the first is at line (?P<line>\d+)\), or begin a new entry with (?P<entry>'.+')",
        _("keep one (the first is at line {line}), or begin a new entry with {entry}"),
    ),
    (
        r"begin each entry of the list with '- ' and indent them alike",
        _("begin each entry of the list with '- ' and indent them alike"),
    ),
    (r"name a rule of this folder", _("name a rule of this folder")),
    (r"break the circle", _("break the circle")),
    (r"save it as UTF-8", _("save it as UTF-8")),
    (r"start the file with 'rules:'", _("start the file with 'rules:'")),
    (r"only 'rules' stands at the top", _("only 'rules' stands at the top")),
    (r"see hub/model/quantities\.py for the table", _("see hub/model/quantities.py for the table")),
    (
        r"begin the file with (?P<key>'[^']*:') and each entry with '- '",
        _("begin the file with {key} and each entry with '- '"),
    ),
    (r"see docs/glossary\.md for the kinds of device", _("see docs/glossary.md for the kinds of device")),
    (r"write keys and values: (?P<keys>.+)", _("write keys and values: {keys}")),
    (
        r"write a number; without quotes, yes and on are read as true, no and off as false",
        _("write a number; without quotes, yes and on are read as true, no and off as false"),
    ),
    (r"put it in quotes: (?P<given>.+)", _("put it in quotes: {given}")),
    (
        r"write (?P<number>[-+0-9_]+), or (?P<given>\"[^\"]+\") in quotes if it is a text",
        _("write {number}, or {given} in quotes if it is a text"),
    ),
    (r"write it in milliseconds: (?P<number>\S+)", _("write it in milliseconds: {number}")),
    (r"write it in seconds: (?P<number>\S+)", _("write it in seconds: {number}")),
    (r"write it in minutes: (?P<number>\S+)", _("write it in minutes: {number}")),
    (r"write it in hours: (?P<number>\S+)", _("write it in hours: {number}")),
    (r"write it in days: (?P<number>\S+)", _("write it in days: {number}")),
    (r"begin each rule with '- id: …'", _("begin each rule with '- id: …'")),
    (r"give device, place, tag, model or device_kind", _("give device, place, tag, model or device_kind")),
)
_KNOWN = tuple((re.compile(pattern, re.S), message) for pattern, message in _SAID)


def said(words: str, locale: str) -> str:
    """`words` of a complaint in `locale`; as they are when they are of no known form."""
    for pattern, message in _KNOWN:
        if found := pattern.fullmatch(words):
            return text(locale)(message).format(**{key: value or "" for key, value in found.groupdict().items()})
    return words


def told(complaints: Iterable[Complaint], locale: str) -> list[ComplaintOut]:
    """The first complaints in `locale`; a file with thousands of the same mistake must not fill the page."""
    return [
        ComplaintOut(
            file=complaint.file,
            line=complaint.line,
            rule=complaint.rule,
            key=complaint.key,
            message=said(complaint.message, locale),
            remedy=said(complaint.remedy, locale),
        )
        for complaint, _n in zip(complaints, range(MOST), strict=False)
    ]
