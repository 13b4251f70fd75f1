"""Errors as the client sees them: RFC 9457 problem documents, each with what is wrong and what to do about it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as made
from difflib import get_close_matches
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from hub.alerts import case_desk, casework, lifecycle, shelf, silences
from hub.api import complaints as files
from hub.api.headers import HEADERS
from hub.api.language import locale_of
from hub.dispatch.links import PATH
from hub.errors import Complaint, IllegalAction, Unavailable
from hub.i18n import _, text
from hub.stores import photo_cleaning
from hub.telemetry import log

MEDIA_TYPE = "application/problem+json"

Value = str | Mapping[str, str]
"""What fills a placeholder: the same in every language, or by locale."""


def _filled(message: str, values: Mapping[str, Value], locale: str) -> str:
    said = {name: value if isinstance(value, str) else value[locale] for name, value in values.items()}
    return text(locale)(message).format(**said)


@dataclass(frozen=True, slots=True)
class Wrong:
    """One field of a bad request, e.g. query.limit, and what is wrong with it: a message id and what fills it."""

    field: str
    message: str
    values: Mapping[str, Value] = made(default_factory=dict)


class Problem(HTTPException):
    """An answer other than the one asked for. `code` is stable for machines; `detail` and `remedy` are message ids.

    `values` fill the placeholders of both texts; `errors` names the fields of a bad request, `complaints` what is wrong in
    files. `reason` is the desk's own code for why it refuses.
    """

    def __init__(
        self,
        status: int,
        code: str,
        title: str,
        detail: str,
        remedy: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[Wrong] = (),
        complaints: Sequence[Complaint] = (),
        reason: str = "",
        **values: Value,
    ) -> None:
        super().__init__(status, detail)
        self.status, self.code = status, code
        self.title, self.detail, self.remedy = title, detail, remedy
        self.headers: dict[str, str] = dict(headers or {})
        self.errors = list(errors)
        self.complaints = list(complaints)
        self.reason = reason
        self.values = values

    def body(self, locale: str) -> dict[str, Any]:
        """The problem document in the reader's language."""
        say = text(locale)
        body: dict[str, Any] = {
            "type": f"urn:gridhub:problem:{self.code}",
            "title": say(self.title),
            "status": self.status,
            "code": self.code,
            "detail": _filled(self.detail, self.values, locale),
            "remedy": _filled(self.remedy, self.values, locale) if self.remedy else "",
        }
        if self.reason:
            body |= {
                "reason": self.reason,
                "detail": _sentence(body["detail"], locale),
                "remedy": _sentence(body["remedy"], locale),
            }
        if self.errors:
            body["errors"] = [
                {"field": wrong.field, "message": _filled(wrong.message, wrong.values, locale)} for wrong in self.errors
            ]
        if self.complaints:
            body["complaints"] = [one.model_dump() for one in files.told(self.complaints, locale)]
        return body

    def response(self, request: Request, more: Mapping[str, str] | None = None) -> JSONResponse:
        return JSONResponse(
            self.body(locale_of(request, "en")),
            self.status,
            headers={"Cache-Control": "no-store", **(more or {}), **(self.headers or {})},
            media_type=MEDIA_TYPE,
        )


def not_signed_in() -> Problem:
    return Problem(
        401,
        "not-signed-in",
        _("Not signed in"),
        _("No valid token or session came with the request."),
        _("Sign in on the page, or send the header “Authorization: Bearer gh_…”."),
        headers={"WWW-Authenticate": "Bearer"},
    )


def wrong_token() -> Problem:
    return Problem(
        401,
        "wrong-token",
        _("Token not accepted"),
        _("The token is unknown, expired or revoked."),
        _("Check that it was copied whole, or ask an administrator for a new one."),
        headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
    )


def wrong_role(role: str) -> Problem:
    return Problem(
        403,
        "wrong-role",
        _("Not allowed"),
        _("The role “{role}” may not do this."),
        _("Use a token with a role that may, or ask an administrator."),
        role=role,
    )


def forged() -> Problem:
    return Problem(
        403,
        "csrf",
        _("Not sent by this page"),
        _("The request carries a session but not the proof that the hub's own page sent it."),
        _("Reload the page and try again."),
    )


def no_such(what: str, remedy: str = "") -> Problem:
    """404, the same for a thing that does not exist and for one outside the caller's grids."""
    return Problem(404, "not-found", _("Not found"), what, remedy or _("Check the address."))


def no_such_alert() -> Problem:
    return no_such(_("There is no such alert in your grids."), _("Go back to the list of open alerts."))


_ACTIONS_REFUSED = {
    **lifecycle.REFUSALS,
    **casework.REFUSALS,
    **case_desk.REFUSALS,
    **shelf.REFUSALS,
    **silences.REFUSALS,
}


def not_your_area() -> Problem:
    return Problem(
        403,
        "not-your-area",
        _("Not allowed"),
        _("This place is not in your grids, or your role does not act there."),
        _("Use a token with a role that may, or ask an administrator."),
    )


def bad_photo(code: str) -> Problem:
    return Problem(
        422,
        "bad-photo",
        _("Photo not taken"),
        _("The file cannot be taken as a photo; see “errors”."),
        _("Take it again, or save it as JPEG and send that."),
        errors=[Wrong("body", photo_cleaning.REFUSALS[code])],
    )


def illegal_action(refusal: IllegalAction, **values: Value) -> Problem:
    """409 with the desk's own reason. `values` replace those of the refusal, e.g. an id by a name."""
    message, remedy = _ACTIONS_REFUSED.get(refusal.code, (refusal.message, refusal.remedy))
    problem = Problem(409, "illegal-action", _("Not possible now"), message, remedy, reason=refusal.code)
    problem.values = {**refusal.values, **values}
    return problem


def _sentence(said: str, locale: str) -> str:
    return f"{said[:1].upper()}{said[1:]}{'.' if locale == 'en' else '。'}" if said else ""


def reason_missing() -> Problem:
    return Problem(
        422,
        "reason-missing",
        _("Reason missing"),
        _("A false alarm needs a reason."),
        _("Say in a few words what set the device off."),
        errors=[Wrong("body.reason", _("must not be empty"))],
    )


def why_missing(where: str) -> Problem:
    return Problem(
        422,
        "reason-missing",
        _("Reason missing"),
        _("A change of the rules needs a reason."),
        _("Say in a few words why; it stays in the history."),
        errors=[Wrong(where, _("must not be empty"))],
    )


def not_everywhere() -> Problem:
    return Problem(
        403,
        "not-everywhere",
        _("Not allowed"),
        _("The rules hold for every grid, and this token only for some."),
        _("Use a token for all grids, or ask an administrator."),
    )


def bad_rules(complaints: Sequence[Complaint]) -> Problem:
    return Problem(
        422,
        "bad-rules",
        _("These rules cannot run"),
        _("The rules as they would be have mistakes; the first of {n}: {first}"),
        _("Correct what is named under “complaints”. Nothing was changed."),
        complaints=complaints,
        n=str(len(complaints)),
        first={locale: _short_of(complaints[0], locale) for locale in ("zh-CN", "en")},
    )


def _short_of(complaint: Complaint, locale: str) -> str:
    (told,) = files.told([complaint], locale)
    where = f"{told.file}:{told.line}" if told.line else told.file
    return " ".join(filter(None, (where, told.rule, told.key, told.message)))


def bad_claims(complaints: Sequence[Complaint]) -> Problem:
    return Problem(
        422,
        "bad-claims",
        _("These devices cannot be added"),
        _("The registry as it would be has mistakes; the first of {n}: {first}"),
        _("Correct what is named under “complaints”. Nothing was changed."),
        complaints=complaints,
        n=str(len(complaints)),
        first={locale: _short_of(complaints[0], locale) for locale in ("zh-CN", "en")},
    )


def registry_not_writable(why: str) -> Problem:
    return Problem(
        409,
        "registry-not-writable",
        _("Devices cannot be added from here"),
        _("The hub could not write to its folder ({why}). Nothing was changed."),
        _("Change devices.csv where it is kept, or let the hub write to its folder."),
        why=why,
    )


def changed_meanwhile(version: str) -> Problem:
    return Problem(
        412,
        "changed-meanwhile",
        _("Changed by somebody else"),
        _("The rules have changed since they were read; they are at version {version} now."),
        _("Read them again and make the change on top."),
        headers={"ETag": f'"{version}"'},
        version=version,
    )


def version_missing() -> Problem:
    return Problem(
        428,
        "version-missing",
        _("Version missing"),
        _("A change must say which version of the rules it starts from."),
        _("Send the ETag of the rules that you have read as If-Match."),
    )


def rules_not_writable(why: str) -> Problem:
    return Problem(
        409,
        "rules-not-writable",
        _("The rules cannot be changed from here"),
        _("The rule files could not be written ({why}). Nothing was changed."),
        _("Change them where they are kept, or let the hub write to their folder."),
        why=why,
    )


def unknown_cursor() -> Problem:
    return Problem(
        422,
        "unknown-cursor",
        _("Unknown page"),
        _("The page cursor was not given out by this hub."),
        _("Start again without it."),
        errors=[Wrong("query.before", _("is not a cursor of this list"))],
    )


def bad_request(errors: Sequence[Wrong]) -> Problem:
    return Problem(
        422,
        "bad-request",
        _("Request not understood"),
        _("Some of the given values are not valid."),
        _("Correct the fields named under “errors”."),
        errors=errors,
    )


def unknown(where: str, given: str, known: Iterable[str]) -> Wrong:
    """`given` is none of `known`; the nearest one is named."""
    near = get_close_matches(given, list(known), n=1)
    if near:
        return Wrong(where, _("{given} is not known; did you mean {near}?"), {"given": _short(given), "near": near[0]})
    return Wrong(where, _("{given} is not known"), {"given": _short(given)})


def _short(given: str) -> str:
    return repr(given if len(given) <= 40 else f"{given[:40]}…")


_WRONG = {
    "missing": _("is required"),
    "extra_forbidden": _("is not known here"),
    "int_parsing": _("must be a whole number"),
    "int_type": _("must be a whole number"),
    "bool_parsing": _("must be true or false"),
    "bool_type": _("must be true or false"),
    "string_type": _("must be a text"),
    "string_unicode": _("must be a text"),
    "literal_error": _("must be one of: {expected}"),
    "greater_than_equal": _("must be at least {ge}"),
    "less_than_equal": _("must be at most {le}"),
    "string_too_long": _("must have at most {max_length} characters"),
    "string_too_short": _("must have at least {min_length} characters"),
    "string_pattern_mismatch": _("has a form or characters that are not allowed here"),
    "json_invalid": _("is not valid JSON"),
    "model_attributes_type": _("must be a JSON object"),
}
_INSTANT = _("must be a date and time with zone (ISO 8601), or milliseconds since 1970 UTC")
_OTHERWISE = _("is not valid")


def wrongs_of(errors: Iterable[Mapping[str, Any]]) -> list[Wrong]:
    """The fields that a validation found wrong, each once, in words that say nothing about how the check is made."""
    found: dict[str, Wrong] = {}
    for error in errors:
        where = error["loc"][:2]
        name = ".".join(str(part) for part in where if isinstance(part, str)) or "body"
        values = {key: str(value) for key, value in (error.get("ctx") or {}).items()}
        if "expected" in values:
            values["expected"] = ", ".join(re.findall(r"'([^']*)'", values["expected"]))
        message = _WRONG.get(error["type"], _OTHERWISE)
        if len(error["loc"]) > 2 and where[0] == "query":  # one of several ways to write it: only instants have them
            message = _INSTANT
        found.setdefault(name, Wrong(name, message, values))
    return list(found.values())


def too_many_failures(after_s: float) -> Problem:
    seconds = str(max(1, math.ceil(after_s)))
    return Problem(
        429,
        "too-many-failures",
        _("Too many failed attempts"),
        _("Too many wrong tokens came from this address."),
        _("Wait {seconds} s, then try again."),
        headers={"Retry-After": seconds},
        seconds=seconds,
    )


def too_large(most_bytes: int) -> Problem:
    return Problem(
        413,
        "too-large",
        _("Request too large"),
        _("The request is larger than {bytes} bytes."),
        _("Send less."),
        bytes=str(most_bytes),
    )


def store_away(away: Unavailable) -> Problem:
    seconds = str(max(1, math.ceil(away.after_s)))
    return Problem(
        503,
        "store-away",
        _("The hub's store does not answer"),
        _("The hub cannot reach its ledger right now. Alarms are still received; this page may be out of date."),
        _("Try again in {seconds} s. If it lasts, call the operator."),
        headers={"Retry-After": seconds},
        seconds=seconds,
    )


def failed() -> Problem:
    return Problem(
        500,
        "internal",
        _("The hub made a mistake"),
        _("The request could not be carried out because of a fault in the hub."),
        _("Try again; if it happens again, tell the operator the time. The hub's log has the details."),
    )


_HTTP = {
    404: (_("Not found"), _("There is nothing at this address."), _("Check the address.")),
    405: (_("Method not allowed"), _("This address does not take this method."), _("See the API description.")),
}


def of_http(error: HTTPException) -> Problem:
    """The problem for what the web framework itself refuses."""
    title, detail, remedy = _HTTP.get(
        error.status_code,
        (_("Request refused"), _("The request could not be read."), _("See the API description.")),
    )
    return Problem(error.status_code, f"http-{error.status_code}", title, detail, remedy, headers=error.headers)


_REFUSALS = {
    401: "Not signed in, or the token is not accepted",
    403: "The role may not do this",
    404: "There is no such thing in your grids",
    409: "The present state of the alert does not allow it",
    412: "Somebody else has changed it meanwhile",
    413: "The request is too large",
    422: "The request was not understood; `errors` names the fields",
    428: "The request does not say which version it starts from",
    429: "Too many failures; see Retry-After",
    503: "The hub's store does not answer; see Retry-After",
}


def described(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """These refusals for a route's description."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemOut"}}}
    return {status: {"description": _REFUSALS[status], "content": content} for status in statuses}


def _without_secrets(path: str) -> str:
    """A path as it may stand in a log: a one-tap link is all that its holder needs to act, and so is the address of a reply."""
    return "".join(f"{start}…" for start in _SECRET if path.startswith(start)) or path


_SECRET = (f"{PATH}/", "/api/v1/replies/")

Page = Callable[[Request, Problem], Response | None]


def install(app: FastAPI, page: Page) -> None:
    """Makes every error of `app` a problem document, or what `page` makes of it for a reader who wants a page."""

    @app.exception_handler(Problem)
    async def on_problem(request: Request, problem: Problem) -> Response:
        return page(request, problem) or problem.response(request)

    @app.exception_handler(Unavailable)
    async def on_unavailable(request: Request, away: Unavailable) -> Response:
        log.warning("api.store_away", path=_without_secrets(request.url.path), reason=str(away))
        return await on_problem(request, store_away(away))

    @app.exception_handler(RequestValidationError)
    async def on_invalid(request: Request, invalid: RequestValidationError) -> Response:
        return await on_problem(request, bad_request(wrongs_of(invalid.errors())))

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: HTTPException) -> Response:
        return await on_problem(request, of_http(error))

    @app.exception_handler(Exception)
    async def on_fault(request: Request, fault: Exception) -> JSONResponse:
        log.error("api.failed", path=_without_secrets(request.url.path), exc_info=fault)
        return failed().response(request, HEADERS)  # this one is sent outside of the shield
