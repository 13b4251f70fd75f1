"""The rules: what runs, the files they stand in, trying and making changes, and the history with the way back."""

from __future__ import annotations

from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from hub.api import complaints, problems
from hub.api.auth import Parts, RulesKeeper, RulesReader, may_change_rules
from hub.api.language import locale_of
from hub.api.parts import ApiParts
from hub.api.present_rules import Reaches, difference_out, rule_detail, rule_out, version_out
from hub.api.wire import ComplaintOut, Page
from hub.api.wire_rules import (
    ChangeOut,
    CheckIn,
    CheckOut,
    RollbackIn,
    RuleDetail,
    RuleFileIn,
    RuleFileOut,
    RuleFileRef,
    RulesOut,
    VersionDetail,
    VersionOut,
    Why,
)
from hub.errors import Complaint, ConfigError
from hub.i18n import _
from hub.model.alerts import Actor
from hub.rulebook import Change, Loaded, NoSuchVersion, Proposal, unlike
from hub.rules.difference import difference
from hub.rules.schema import rules_schema
from hub.stores.rule_files import RulesConflict, RulesUnwritable
from hub.stores.rule_versions import RuleVersion

router = APIRouter(prefix="/rules", tags=["rules"])
public = APIRouter(tags=["rules"])

YAML = "text/yaml"
Name = Annotated[str, Path(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f/\\]+$")]
RuleId = Annotated[str, Path(min_length=1, max_length=64, pattern=r"^[a-z0-9][a-z0-9-]*$")]
Number = Annotated[int, Path(ge=1, le=2**53)]
IfMatch = Annotated[
    str | None, Header(alias="If-Match", description='The `version` (ETag) that the change starts from, e.g. "3f…"')
]
DryRun = Annotated[bool, Query(description="Only say what would change")]
WhyQuery = Annotated[Why | None, Query(description="Why; stays in the history. Needed unless dry_run")]
_CHANGING: dict[int | str, dict[str, Any]] = problems.described(404, 409, 412, 428)


@public.get(
    "/schema/rules.json",
    summary="JSON Schema of rule files, for editors; needs no token",
    response_class=Response,
    responses={200: {"content": {"application/schema+json": {"schema": {"type": "object"}}}}},
)
def schema() -> Response:
    from hub.json_schema import written

    return Response(
        written(rules_schema()), media_type="application/schema+json", headers={"Cache-Control": "max-age=3600"}
    )


@router.get("", response_model=RulesOut, summary="The rules in force, by id, and whether the files say the same")
def list_rules(request: Request, response: Response, parts: Parts, reader: RulesReader) -> RulesOut:
    book = parts.rules
    texts, running, shown = book.current(), book.running(), book.shown()
    response.headers["ETag"] = f'"{texts.version}"'
    counted = _reaches(request, parts, shown) if shown is not None else None
    return RulesOut(
        version=texts.version,
        running=running.texts.version if running is not None else None,
        may_edit=may_change_rules(reader),
        files=[RuleFileRef(name=name, bytes=len(body)) for name, body in texts.files.items()],
        complaints=_told(request, book.complaints(texts)),
        items=[rule_out(rule, counted) for rule in shown.rules.rules] if shown is not None and counted else [],
    )


@router.get(
    "/files/{name}",
    response_model=RuleFileOut,
    summary="One rule file as it is, as JSON or (Accept: text/yaml) as it stands",
    responses={200: {"content": {YAML: {"schema": {"type": "string"}}}}, **problems.described(404)},
)
def one_file(request: Request, parts: Parts, reader: RulesReader, name: Name) -> Response:
    texts = parts.rules.current()
    if name not in texts.files:
        raise _no_file()
    headers = {"ETag": f'"{texts.version}"'}
    if YAML in request.headers.get("accept", ""):
        return Response(texts.files[name], media_type=f"{YAML}; charset=utf-8", headers=headers)
    wrong = [complaint for complaint in parts.rules.complaints(texts) if complaint.file == name]
    body = RuleFileOut(name=name, text=texts.text(name), version=texts.version, complaints=_told(request, wrong))
    return Response(body.model_dump_json(), media_type="application/json", headers=headers)


async def sent_file(request: Request, why: WhyQuery = None) -> RuleFileIn:
    """The new text of a file: JSON with text and why, or the YAML itself with why as a query parameter."""
    body = await request.body()
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind == "application/json":
            sent = RuleFileIn.model_validate_json(body)
            return sent if sent.why is not None or why is None else RuleFileIn(text=sent.text, why=why)
        return RuleFileIn(text=body.decode("utf-8"), why=why)
    except ValidationError as wrong:
        raise RequestValidationError(
            [{**error, "loc": ("body", *error["loc"])} for error in wrong.errors(include_url=False)]
        ) from wrong
    except UnicodeDecodeError as wrong:
        raise RequestValidationError([{"loc": ("body",), "type": "string_unicode"}]) from wrong


_FILE_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": RuleFileIn.model_json_schema()},
            YAML: {"schema": {"type": "string", "description": "The file itself; give `why` as query parameter"}},
        },
    }
}


@router.put(
    "/files/{name}",
    response_model=ChangeOut,
    summary="Put a rule file in place of the old one, or add it; the whole set is checked first",
    responses=_CHANGING,
    openapi_extra=_FILE_BODY,
)
def put_file(
    request: Request,
    response: Response,
    parts: Parts,
    keeper: RulesKeeper,
    name: Name,
    sent: Annotated[RuleFileIn, Depends(sent_file)],
    if_match: IfMatch = None,
    dry_run: DryRun = False,
) -> ChangeOut:
    if sent.why is None and not dry_run:
        raise problems.why_missing("body.why")
    proposal = _proposal(parts, {name: sent.text}, if_match)
    return _made(request, response, parts, keeper, proposal, sent.why, dry_run)


@router.delete(
    "/files/{name}",
    response_model=ChangeOut,
    summary="Take a rule file away; the rest is checked first",
    responses=_CHANGING,
)
def delete_file(
    request: Request,
    response: Response,
    parts: Parts,
    keeper: RulesKeeper,
    name: Name,
    why: WhyQuery = None,
    if_match: IfMatch = None,
    dry_run: DryRun = False,
) -> ChangeOut:
    if why is None and not dry_run:
        raise problems.why_missing("query.why")
    if name not in parts.rules.current().files:
        raise _no_file()
    return _made(request, response, parts, keeper, _proposal(parts, {name: None}, if_match), why, dry_run)


@router.post("/check", response_model=CheckOut, summary="Whether files could run, and what would change")
def check(request: Request, parts: Parts, reader: RulesReader, body: CheckIn) -> CheckOut:
    version = parts.rules.current().version
    try:
        proposal = parts.rules.propose(dict(body.files))
    except ConfigError as wrong:
        return CheckOut(
            ok=False, version=version, complaints=_told(request, wrong.complaints), warnings=[], difference=None
        )
    return CheckOut(
        ok=True,
        version=proposal.base,
        complaints=[],
        warnings=_told(request, proposal.warnings),
        difference=difference_out(proposal.difference),
    )


@router.get("/history", response_model=Page[VersionOut], summary="Every change of the rules, newest first")
def history(
    request: Request,
    parts: Parts,
    reader: RulesReader,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    before: Annotated[
        str | None, Query(pattern=r"^[1-9][0-9]{0,15}$", description="The cursor `next` of the page before")
    ] = None,
) -> Page[VersionOut]:
    rows = parts.rules.versions.list(limit=limit + 1, before=int(before) if before else None)
    return Page[VersionOut](
        items=[_version(request, parts, row) for row in rows[:limit]],
        next=str(rows[limit - 1].id) if len(rows) > limit else None,
    )


@router.get(
    "/history/{number}",
    response_model=VersionDetail,
    summary="One entry of the history: its files, and what it changed",
    responses=problems.described(404),
)
def one_version(
    request: Request,
    parts: Parts,
    reader: RulesReader,
    number: Number,
    against: Annotated[int | None, Query(ge=1, le=2**53, description="Compare with this entry, not its parent")] = None,
) -> VersionDetail:
    book = parts.rules
    entry = book.versions.one(number)
    files = book.versions.files(number)
    other = against if against is not None else entry.parent if entry is not None else None
    before = {} if other is None else book.versions.files(other)
    if entry is None or files is None or before is None:
        raise problems.no_such(_("The history has no such entry."), _("Go back to the history."))
    return VersionDetail(
        **_version(request, parts, entry).model_dump(),
        files=files,
        against=other,
        lines=unlike(before, files),
        difference=_difference(parts, before, files),
    )


@router.post(
    "/rollback",
    response_model=ChangeOut,
    summary="Go back one step, or to an entry of the history",
    responses=_CHANGING,
)
def rollback(
    request: Request,
    response: Response,
    parts: Parts,
    keeper: RulesKeeper,
    body: RollbackIn,
    if_match: IfMatch = None,
    dry_run: DryRun = False,
) -> ChangeOut:
    if body.why is None and not dry_run:
        raise problems.why_missing("body.why")
    expected = _expected(parts, if_match)
    try:
        proposal, target = parts.rules.way_back(body.to, expected=expected)
    except NoSuchVersion as nowhere:
        raise problems.no_such(
            _("The history has no rules to go back to there."), _("Go back to the history.")
        ) from nowhere
    except RulesConflict as conflict:
        raise problems.changed_meanwhile(conflict.version) from conflict
    except ConfigError as wrong:
        raise problems.bad_rules(wrong.complaints) from wrong
    return _made(request, response, parts, keeper, proposal, body.why, dry_run, rolled_back_to=target.id)


@router.get(
    "/{rule_id}",
    response_model=RuleDetail,
    summary="One rule in force: its text, where it stands, and what it says",
    responses=problems.described(404),
)
def one_rule(request: Request, response: Response, parts: Parts, reader: RulesReader, rule_id: RuleId) -> RuleDetail:
    shown = parts.rules.shown()
    rule = shown.rules.find(rule_id) if shown is not None else None
    if shown is None or rule is None:
        raise problems.no_such(_("There is no such rule in force."), _("Go back to the list of rules."))
    response.headers["ETag"] = f'"{shown.texts.version}"'
    return rule_detail(rule, _reaches(request, parts, shown), shown)


# -- within -----------------------------------------------------------------------------------------------------------


def _expected(parts: ApiParts, if_match: str | None) -> str | None:
    """The version that a change starts from, None = any. Raises 428 when it is not said, 412 when it is another one."""
    if if_match is None:
        raise problems.version_missing()
    wanted = [one.strip().removeprefix("W/").strip('"') for one in if_match.split(",")]
    if "*" in wanted:
        return None
    version = parts.rules.current().version
    if version not in wanted:
        raise problems.changed_meanwhile(version)
    return version


def _proposal(parts: ApiParts, changes: dict[str, str | None], if_match: str | None) -> Proposal:
    expected = _expected(parts, if_match)
    try:
        return parts.rules.propose(changes, expected=expected)
    except RulesConflict as conflict:
        raise problems.changed_meanwhile(conflict.version) from conflict
    except ConfigError as wrong:
        raise problems.bad_rules(wrong.complaints) from wrong


def _made(
    request: Request,
    response: Response,
    parts: ApiParts,
    keeper: Actor,
    proposal: Proposal,
    why: str | None,
    dry_run: bool,
    rolled_back_to: int | None = None,
) -> ChangeOut:
    """Makes the change, unless it is only tried or changes nothing, and says what came of it."""
    before = parts.rules.current().texts()
    change: Change | None = None
    if not dry_run and proposal.changes:
        try:
            change = parts.rules.change(proposal, who=keeper.id, why=why or "", rolled_back_to=rolled_back_to)
        except RulesConflict as conflict:
            raise problems.changed_meanwhile(conflict.version) from conflict
        except RulesUnwritable as refused:
            raise problems.rules_not_writable(str(refused)) from refused
    after = proposal.after.texts
    response.headers["ETag"] = f'"{proposal.base if change is None else after.version}"'
    return ChangeOut(
        dry_run=dry_run,
        changed=bool(proposal.changes),
        applied=change is not None and change.entry.applied_at_ms is not None,
        base=proposal.base,
        version=after.version,
        entry=_version(request, parts, change.entry) if change is not None else None,
        difference=difference_out(proposal.difference),
        lines=unlike(
            {name: before[name] for name in proposal.changes if name in before},
            {name: text for name, text in proposal.changes.items() if text is not None},
        ),
        warnings=_told(request, proposal.warnings),
    )


def _version(request: Request, parts: ApiParts, entry: RuleVersion) -> VersionOut:
    running = parts.rules.running()
    return version_out(
        entry,
        parts.registry(),
        ZoneInfo(parts.site.zone),
        running=running.texts.version if running else None,
        locale=locale_of(request, "en"),
    )


def _difference(parts: ApiParts, before: dict[str, str], after: dict[str, str]) -> Any:
    """What differs between two sets of files; None when this hub does not understand one of them."""
    try:
        old, new = (parts.rules.rules_in(files) for files in (before, after))
    except ConfigError:
        return None
    return difference_out(difference(old, new, parts.registry()))


def _reaches(request: Request, parts: ApiParts, loaded: Loaded) -> Reaches:
    """Counted again only when rules or registry have changed."""
    registry = parts.registry()
    kept: Reaches | None = getattr(request.app.state, "reaches", None)
    if kept is None or kept.of_what[0] is not loaded.rules or kept.of_what[1] is not registry:
        kept = request.app.state.reaches = Reaches(loaded, registry)
    return kept


def _told(request: Request, found: tuple[Complaint, ...] | list[Complaint]) -> list[ComplaintOut]:
    return complaints.told(found, locale_of(request, "en"))


def _no_file() -> problems.Problem:
    return problems.no_such(_("There is no such rule file."), _("Go back to the list of rules."))
