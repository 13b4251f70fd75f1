"""Cases: reports, work orders, steps, comments and photos."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from hub.alerts.case_desk import REPORTING, Report
from hub.alerts.spots import grid_named, spot_at
from hub.alerts.work_orders import Spot, masked, order_of
from hub.api import filters, problems, strings_cases
from hub.api.auth import ActingCaller, Caller, Parts
from hub.api.parts import ApiParts
from hub.api.present_cases import CasePresenter
from hub.api.routes_alerts import CURSOR, presenter_of
from hub.api.wire import Line, Page, ms_of
from hub.api.wire_cases import (
    CaseDetail,
    CaseOut,
    CommentIn,
    MoveIn,
    OrderResult,
    OrdersIn,
    OrdersOut,
    ReportIn,
)
from hub.errors import IllegalAction, NotAllowed, NotFound
from hub.i18n import LOCALES, _, text
from hub.model.alerts import Actor, Alert, Seen
from hub.model.cases import Case, Handling, Move, Photo, Source, Stage, Step, numbered_id
from hub.stores.photo_cleaning import EXTENSIONS, BadPhoto, clean
from hub.stores.photo_store import photo_id

router = APIRouter(prefix="/cases", tags=["cases"])

CaseId = Annotated[str, Path(pattern=r"^[0-9a-zA-Z_-]{1,32}$")]
PhotoId = Annotated[str, Path(pattern=r"^[0-9a-f]{1,32}$")]
MOVES: dict[str, Move] = {
    "accept": "accept",
    "dispatch": "dispatch",
    "arrive": "arrive",
    "handle": "handle",
    "feedback": "feed_back",
    "verify": "verify",
    "close": "close",
    "send-back": "send_back",
    "false-alarm": "false_alarm",
    "reopen": "reopen",
}
MoveVerb = Literal[
    "accept", "dispatch", "arrive", "handle", "feedback", "verify", "close", "send-back", "false-alarm", "reopen"
]
_AHEAD_MS = 300_000
_PHOTO: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in EXTENSIONS},
    }
}
_BYTES: dict[int | str, dict[str, Any]] = {
    200: {"content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in EXTENSIONS}}
}


def reporting(caller: Caller) -> Actor:
    """The caller, if its role may report; else 403."""
    if caller.role not in REPORTING:
        raise problems.wrong_role(caller.role)
    return caller


async def whole_body(request: Request) -> bytes:
    return await request.body()


Reporter = Annotated[Actor, Depends(reporting)]
Body = Annotated[bytes, Depends(whole_body)]


@router.get("", response_model=Page[CaseOut], summary="Cases, newest first")
def list_cases(
    parts: Parts,
    caller: Caller,
    open_only: Annotated[bool | None, Query(alias="open", description="Only open (true) or only closed ones")] = None,
    source: Annotated[
        list[Source] | None, Query(description="alert, report or hotline; may stand several times")
    ] = None,
    step: Annotated[Step | None, Query()] = None,
    handling: Annotated[Handling | None, Query(description="self (自行处置) or transferred (流转)")] = None,
    grid: Annotated[Line | None, Query()] = None,
    number: Annotated[Line | None, Query(description="The number that others know it by")] = None,
    text: Annotated[Line | None, Query(description="Part of title, text, place or number")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    before: Annotated[Line | None, Query(description="`next` of the page before", json_schema_extra=CURSOR)] = None,
) -> Page[CaseOut]:
    filters.check(parts, caller, grid=grid, stored=True)
    try:
        page = parts.cases.list(
            scope=caller,
            open_only=open_only,
            source=source,
            step=step,
            handling=handling,
            grid=grid,
            number=number,
            text=text,
            limit=limit,
            before=before,
        )
    except ValueError as wrong:
        raise problems.unknown_cursor() from wrong
    present = case_presenter(parts, caller)
    items = [present.case(row, _alert_of(parts, row)) for row in page.rows]
    return Page[CaseOut].model_construct(items=items, next=page.next)


@router.post(
    "",
    response_model=CaseDetail,
    status_code=201,
    summary="Report what you saw (随手拍)",
    responses={200: {"model": CaseDetail, "description": "The same number is known already"}},
)
def report(parts: Parts, caller: Reporter, body: ReportIn, response: Response) -> CaseDetail:
    spot = _spot(parts, body)
    if not caller.may_see(spot.grid, spot.station):
        raise _no_place("body.place" if body.place else "body.grid", body.place or body.grid)
    now_ms, place = parts.clock(), presenter_of(parts).place(body.place or spot.grid)
    asked_ms = ms_of(body.at)
    wanted = Report(
        source="report",
        number=None if body.number is None else f"{caller.id}/{body.number}",
        title=body.title,
        text=masked(body.text),
        category=body.category,
        severity=body.severity,
        place=body.place or spot.grid,
        place_zh=" ".join(filter(None, (place.zh, masked(body.where)))),
        place_en=", ".join(filter(None, (place.en, masked(body.where)))),
        where=masked(body.where),
        grid=spot.grid,
        station=spot.station,
        lat=body.lat,
        lon=body.lon,
        reporter=masked(body.reporter) or caller.name,
        at_ms=now_ms if asked_ms is None else min(asked_ms, now_ms),
    )
    with _refusals(parts):
        case, new = parts.case_desk.report(wanted, caller, now_ms)
    response.status_code = 201 if new else 200
    return detail_of_case(parts, caller, case)


@router.post("/orders", response_model=OrdersOut, summary="Take work orders of the 12345 line; the same number once")
def take_orders(parts: Parts, caller: Reporter, body: OrdersIn) -> OrdersOut:
    registry, now_ms = parts.registry(), parts.clock()

    def find(said: str) -> Spot | None:
        spot = grid_named(registry, said)
        return spot if spot is not None and caller.may_see(spot.grid, spot.station) else None

    results: list[OrderResult] = []
    for n, order in enumerate(body.orders, start=1):
        said = {key: str(value).strip() for key, value in order.model_dump().items()}
        row = order_of(n, said, find, parts.site.zone, now_ms)
        if row.report is None:
            results.append(OrderResult(number=row.number, result="refused", case=None, wrong=list(row.wrong)))
            continue
        if body.dry_run:
            known = parts.cases.one(numbered_id("hotline", row.number))
            mine = known is not None and caller.may_see(known.grid, known.station)
            results.append(
                OrderResult(
                    number=row.number,
                    result="new" if known is None else "known",
                    case=known.id if known is not None and mine else None,
                    wrong=[],
                )
            )
            continue
        try:
            case, new = parts.case_desk.report(row.report, caller, now_ms)
        except NotFound:
            wrong = ["this number is known already, in another area"]
            results.append(OrderResult(number=row.number, result="refused", case=None, wrong=wrong))
            continue
        results.append(OrderResult(number=row.number, result="new" if new else "known", case=case.id, wrong=[]))
    counts = {kind: sum(1 for one in results if one.result == kind) for kind in ("new", "known", "refused")}
    return OrdersOut(**counts, results=results)


@router.get(
    "/{case_id}",
    response_model=CaseDetail,
    summary="One case with its timeline, comments and photos",
    responses=problems.described(404),
)
def one_case(parts: Parts, caller: Caller, case_id: CaseId) -> CaseDetail:
    return detail_of_case(parts, caller, seen_case(parts, caller, case_id))


@router.post(
    "/{case_id}/comments",
    response_model=CaseDetail,
    status_code=201,
    summary="Write a comment",
    responses=problems.described(404, 409),
)
def comment(parts: Parts, caller: ActingCaller, case_id: CaseId, body: CommentIn) -> CaseDetail:
    seen_case(parts, caller, case_id)
    with _refusals(parts):
        parts.case_desk.comment(case_id, body.text, caller, parts.clock())
    return detail_of_case(parts, caller, seen_case(parts, caller, case_id))


@router.post(
    "/{case_id}/photos",
    response_model=CaseDetail,
    status_code=201,
    summary="Add a photo (JPEG, PNG or WebP, at most 10 MiB); its place and camera are taken out",
    responses=problems.described(404, 409),
    openapi_extra=_PHOTO,
)
def add_photo(parts: Parts, caller: ActingCaller, case_id: CaseId, body: Body, stage: Stage = "before") -> CaseDetail:
    seen_case(parts, caller, case_id)
    with _refusals(parts):
        parts.case_desk.may_add_photo(case_id, caller)
    try:
        cleaned = clean(body)
    except BadPhoto as bad:
        raise problems.bad_photo(bad.code) from bad
    photo = Photo(
        id=photo_id(case_id, stage, cleaned.data),
        case_id=case_id,
        stage=stage,
        media_type=cleaned.media_type,
        bytes=len(cleaned.data),
        width=cleaned.width,
        height=cleaned.height,
        at_ms=parts.clock(),
        author=caller.id,
        author_name=caller.name,
    )
    parts.photos.keep(photo, cleaned)
    try:
        with _refusals(parts):
            parts.case_desk.add_photo(photo, caller)
    except problems.Problem:
        parts.photos.drop(photo)
        raise
    return detail_of_case(parts, caller, seen_case(parts, caller, case_id))


@router.get(
    "/{case_id}/photos/{photo_id}",
    summary="The bytes of a photo",
    response_class=Response,
    responses={**_BYTES, **problems.described(404)},
)
def photo_bytes(parts: Parts, caller: Caller, case_id: CaseId, photo_id: PhotoId) -> Response:
    seen_case(parts, caller, case_id)
    photo = parts.cases.photo(case_id, photo_id)
    data = None if photo is None else parts.photos.read(photo)
    if photo is None or data is None:
        raise problems.no_such(_("There is no such photo, or its file is not on this hub."))
    headers = {"Cache-Control": "private, max-age=86400", "Content-Disposition": "inline"}
    return Response(data, media_type=photo.media_type, headers=headers)


@router.post(
    "/{case_id}/{verb}",
    response_model=CaseDetail,
    summary="Move the case: 受理, 派遣, 到场, 处置, 反馈, 核查, 结案, 退回, 误报, or open it again",
    responses=problems.described(404, 409),
)
def move(parts: Parts, caller: ActingCaller, case_id: CaseId, verb: MoveVerb, body: MoveIn | None = None) -> CaseDetail:
    seen_case(parts, caller, case_id)
    said = body or MoveIn()
    seen = None if said.occurrence is None else Seen(occurrence=said.occurrence, severity=said.severity)
    with _refusals(parts):
        case = parts.case_desk.move(
            case_id, MOVES[verb], caller, parts.clock(), words=said.reason, to=said.to, seen=seen
        )
    return detail_of_case(parts, caller, case)


def case_presenter(parts: ApiParts, caller: Actor) -> CasePresenter:
    return CasePresenter(presenter_of(parts), caller, parts.clock())


def seen_case(parts: ApiParts, caller: Actor, case_id: str) -> Case:
    """The case, if it exists and lies in the caller's grids; else 404, the same for both. An old alert's is made up."""
    case = parts.cases.one(case_id, scope=caller)
    if case is None:
        alert = parts.queries.one(case_id, scope=caller)
        if alert is None or alert.test or parts.cases.one(case_id) is not None:
            raise problems.no_such(_("There is no such case in your grids."), _("Go back to the list of cases."))
        from hub.alerts.casework import of_alert

        case = of_alert(alert)
    return case


def detail_of_case(parts: ApiParts, caller: Actor, case: Case) -> CaseDetail:
    queries = parts.cases
    return case_presenter(parts, caller).detail(
        case, _alert_of(parts, case), queries.entries(case), queries.comments(case.id), queries.photos(case.id)
    )


def _alert_of(parts: ApiParts, case: Case) -> Alert | None:
    return None if case.alert_id is None else parts.queries.one(case.alert_id)


def _spot(parts: ApiParts, body: ReportIn) -> Spot:
    registry = parts.registry()
    if not body.place and not body.grid:
        raise problems.bad_request([problems.Wrong("body.grid", _("is required where no place is named"))])
    spot = spot_at(registry, body.place) if body.place else grid_named(registry, body.grid)
    if spot is None:
        raise _no_place("body.place" if body.place else "body.grid", body.place or body.grid)
    if body.place and body.grid and body.grid != spot.grid:
        raise problems.bad_request([problems.Wrong("body.grid", _("is another grid than the one of the place"))])
    return spot


def _no_place(field: str, given: str) -> problems.Problem:
    return problems.bad_request([problems.Wrong(field, _("{given} is no place in your grids"), {"given": repr(given)})])


class _refusals:
    """Makes the desk's refusals problems, in words that the reader knows."""

    def __init__(self, parts: ApiParts) -> None:
        self._parts = parts

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        match error:
            case NotFound():
                raise problems.no_such(
                    _("There is no such case in your grids."), _("Go back to the list of cases.")
                ) from error
            case NotAllowed():
                raise problems.not_your_area() from error
            case IllegalAction():
                raise illegal(self._parts, error) from error


def illegal(parts: ApiParts, refused: IllegalAction) -> problems.Problem:
    """409 with names for ids, and the reader's words for steps."""
    named: dict[str, Any] = {}
    if by := refused.values.get("by"):
        named["by"] = presenter_of(parts).called(by)
    if step := refused.values.get("step"):
        named["step"] = {locale: text(locale)(strings_cases.STEPS[step]) for locale in LOCALES}
    return problems.illegal_action(refused, **named)
