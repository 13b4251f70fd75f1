"""Cases and shelvings as the API shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hub.alerts import casework
from hub.api.present import Presenter
from hub.api.wire import ActorRef, Text, instant
from hub.api.wire_cases import CaseDetail, CaseEntryOut, CaseOut, CommentOut, PhotoOut, ShelvingOut
from hub.model.alerts import Actor, Alert, Shelving
from hub.model.cases import Case, CaseEntry, Comment, Photo, Step

_MOMENTS: tuple[tuple[Step, str], ...] = (
    ("reported", "opened_at_ms"),
    ("accepted", "accepted_at_ms"),
    ("dispatched", "dispatched_at_ms"),
    ("on_scene", "on_scene_at_ms"),
    ("handled", "handled_at_ms"),
    ("feedback", "feedback_at_ms"),
    ("verified", "verified_at_ms"),
)


class CasePresenter:
    """Writes cases out for one reader. Make one per request."""

    def __init__(self, present: Presenter, reader: Actor, now_ms: int) -> None:
        self._present, self._reader, self._now_ms = present, reader, now_ms

    def case(self, case: Case, alert: Alert | None) -> CaseOut:
        return CaseOut.model_construct(**self._fields(case, alert))

    def detail(
        self,
        case: Case,
        alert: Alert | None,
        entries: Sequence[CaseEntry],
        comments: Sequence[Comment],
        photos: Sequence[Photo],
    ) -> CaseDetail:
        zone = self._present.zone
        return CaseDetail.model_construct(
            **self._fields(case, alert),
            timeline=[
                CaseEntryOut.model_construct(
                    id=row.id,
                    at=instant(row.at_ms, zone),
                    at_ms=row.at_ms,
                    actor=self._actor(row.actor, str(row.detail.get("name", ""))),
                    action=row.action,
                    detail=dict(row.detail),
                )
                for row in entries
            ],
            comments=[
                CommentOut.model_construct(
                    id=row.id,
                    at=instant(row.at_ms, zone),
                    at_ms=row.at_ms,
                    author=self._actor(row.author, row.author_name),
                    text=row.text,
                )
                for row in comments
            ],
            photos=[self._photo(row) for row in photos],
        )

    def shelving(self, shelving: Shelving) -> ShelvingOut:
        return ShelvingOut.model_construct(
            id=shelving.id,
            kind=shelving.kind,
            rule_id=shelving.rule_id,
            device_id=shelving.device_id,
            device=self._present.device_name(shelving.device_id),
            grid=self._present.grid_ref(shelving.grid),
            since_ms=shelving.since_ms,
            until_ms=shelving.until_ms,
            by=self._actor(shelving.actor, shelving.actor_name),
            reason=shelving.reason,
            ended_at_ms=shelving.ended_at_ms,
            ended_by=None if shelving.ended_by is None else self._actor(shelving.ended_by),
        )

    def _photo(self, row: Photo) -> PhotoOut:
        return PhotoOut.model_construct(
            id=row.id,
            stage=row.stage,
            href=f"/api/v1/cases/{row.case_id}/photos/{row.id}",
            media_type=row.media_type,
            bytes=row.bytes,
            width=row.width,
            height=row.height,
            at=instant(row.at_ms, self._present.zone),
            at_ms=row.at_ms,
            author=self._actor(row.author, row.author_name),
        )

    def _fields(self, case: Case, alert: Alert | None) -> dict[str, Any]:
        if alert is not None:
            case = casework.agreed(case, alert)
        copied = (
            "id", "source", "number", "alert_id", "category", "severity", "text", "lat", "lon", "reporter", "step",
            "handling", "assignee", "opened_at_ms", "due_at_ms", "closed_at_ms", "close_reason", "sent_back", "reopened",
            "revision",
        )  # fmt: skip
        at = {step: getattr(case, name) for step, name in _MOMENTS}
        place = Text(zh=alert.place_zh, en=alert.place_en) if alert is not None else self._place(case)
        return {name: getattr(case, name) for name in copied} | {
            "title": Text(zh=case.title_zh, en=case.title_en),
            "place": place,
            "place_code": case.place,
            "grid": self._present.grid_ref(case.grid),
            "station": self._present.station_ref(case.station),
            "needs_check": casework.needs_check(case),
            "assignee_name": self._assignee(case.assignee),
            "opened_at": instant(case.opened_at_ms, self._present.zone),
            "overdue": case.due_at_ms is not None and (case.closed_at_ms or self._now_ms) > case.due_at_ms,
            "reached": {step: moment for step, moment in at.items() if moment is not None},
            "closed_by": None if case.closed_by is None else self._actor(case.closed_by),
            "moves": list(self._moves(case, alert)),
        }

    def _moves(self, case: Case, alert: Alert | None) -> Sequence[str]:
        from hub.api.auth import ACTING
        from hub.api.present import actions_of

        if self._reader.role not in ACTING:
            return ()
        moves = casework.possible(case, self._reader.role, alert)
        if alert is None or not alert.live:
            return moves
        actions = actions_of(
            alert
        )  # what the alert refuses, the case cannot do: a fire that still burns is not handled
        barred = {"handle": "close", "arrive": "on_scene", "false_alarm": "false_alarm"}
        return [move for move in moves if move not in barred or barred[move] in actions]

    def _place(self, case: Case) -> Text:
        place, where = self._present.place(case.place), case.place_text
        return Text(zh=f"{place.zh} {where}", en=f"{place.en}, {where}") if where else place

    def _assignee(self, assignee: str) -> Text:
        registry = self._present.registry
        known = registry.people.get(assignee) or registry.stations.get(assignee)
        return Text(zh=known.name.zh, en=known.name.en) if known else Text(zh=assignee, en=assignee)

    def _actor(self, who: str, called: str = "") -> ActorRef:
        return self._present.actor_ref(who, called)
