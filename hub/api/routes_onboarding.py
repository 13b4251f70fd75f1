"""Unknown devices: who they are, claiming them to a place, and reading again what they said before."""

from __future__ import annotations

import base64
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query

from hub.api import problems
from hub.api.auth import Parts, QuarantineReader
from hub.api.parts import ApiParts
from hub.api.present import SHOWN_PAYLOAD_BYTES
from hub.api.wire import instant
from hub.api.wire_onboarding import (
    ClaimedOut,
    ClaimIn,
    ClaimsIn,
    ClockOut,
    PastAlarm,
    ReplayIn,
    ReplayOut,
    UnknownDeviceOut,
    UnknownMessage,
)
from hub.errors import ConfigError
from hub.i18n import _
from hub.ingest.clocks import MEANING, behind, policy_of
from hub.ingest.screen import Limits
from hub.onboarding.claims import Claim, id_from
from hub.onboarding.service import Onboarding, OutOfReach
from hub.onboarding.unknown import UnknownDevice

router = APIRouter(prefix="/onboarding", tags=["onboarding"])
_MOST_ALARMS = 200


@router.get(
    "/devices",
    response_model=list[UnknownDeviceOut],
    summary="Who speaks without being in the registry, the one heard latest first",
    responses=problems.described(404),
)
def unknown_devices(
    parts: Parts, reader: QuarantineReader, limit: Annotated[int, Query(ge=1, le=500)] = 100
) -> list[UnknownDeviceOut]:
    return [_out(one, ZoneInfo(parts.site.zone)) for one in _of(parts).unknown(reader, limit)]


@router.post(
    "/claims",
    response_model=ClaimedOut,
    summary="Make unknown devices devices of a place: all of them, or none",
    responses=problems.described(404, 409),
)
def claim(parts: Parts, actor: QuarantineReader, body: ClaimsIn) -> ClaimedOut:
    claims = [
        Claim(addresses=one.address, source="claims", line=n, **one.model_dump(exclude={"address"}))
        for n, one in enumerate(body.claims, 1)
    ]
    try:
        done = _of(parts).claim(actor, claims, dry_run=body.dry_run)
    except OutOfReach as beyond:
        raise problems.no_such(
            _("There is no such device or grid in your grids."), _("Look it up in the list of unknown devices.")
        ) from beyond
    except ConfigError as refused:
        raise problems.bad_claims(refused.complaints) from refused
    except OSError as refused:
        raise problems.registry_not_writable(refused.strerror or str(refused)) from refused
    rows = [dict(zip(ClaimIn.model_fields, _cells(one), strict=True)) for one in done.claims]
    return ClaimedOut(written=not body.dry_run, devices=[ClaimIn.model_construct(None, **row) for row in rows])


@router.post(
    "/replays",
    response_model=ReplayOut,
    summary="Read kept messages again; what is understood now is stored at the time it came",
    responses=problems.described(404, 409),
)
def replay(parts: Parts, actor: QuarantineReader, body: ReplayIn) -> ReplayOut:
    try:
        outcome, gone = _of(parts).replay(actor, addresses=frozenset(body.addresses), dry_run=body.dry_run)
    except OSError as refused:
        raise problems.registry_not_writable(refused.strerror or str(refused)) from refused
    return ReplayOut(
        handed_over=bool(outcome.understood) and not body.dry_run,
        messages=len(outcome.understood),
        readings=outcome.readings,
        devices=sorted(outcome.devices)[:500],
        alarms=[
            PastAlarm(at=instant(at_ms, ZoneInfo(parts.site.zone)), at_ms=at_ms, device=device, quantity=quantity)
            for at_ms, device, quantity in outcome.alarms[-_MOST_ALARMS:]
        ],
        gone=gone,
    )


@router.get(
    "/clocks",
    response_model=list[ClockOut],
    summary="Devices whose clock is off now, the worst first, and what the hub makes of it",
    responses=problems.described(404),
)
def clocks(parts: Parts, reader: QuarantineReader) -> list[ClockOut]:
    return [
        ClockOut(device=device, behind_ms=lag_ms, behind=behind(lag_ms), policy=policy, meaning=MEANING[policy])
        for device, lag_ms in _of(parts).clocks(reader)
        for policy in (policy_of(lag_ms, Limits()),)
    ]


def _of(parts: ApiParts) -> Onboarding:
    if parts.onboarding is None:
        raise problems.no_such(_("Devices are not claimed through this process."))
    return parts.onboarding


def _cells(one: Claim) -> list[str]:
    return [one.addresses if name == "address" else str(getattr(one, name)) for name in ClaimIn.model_fields]


def _out(one: UnknownDevice, zone: ZoneInfo) -> UnknownDeviceOut:
    return UnknownDeviceOut(
        address=one.address,
        codec=one.codec,
        count=one.count,
        first_at=instant(one.first_at_ms, zone),
        first_at_ms=one.first_at_ms,
        last_at=instant(one.last_at_ms, zone),
        last_at_ms=one.last_at_ms,
        guess=one.guess.kind,
        why=one.guess.why,
        suggested_id=id_from(one.address),
        model=one.guess.model,
        interval_s=one.guess.interval_s,
        behind=one.behind,
        alarms=list(one.alarms),
        messages=[
            UnknownMessage(
                topic=row.topic,
                count=row.count,
                last_at=instant(row.last_at_ms, zone),
                last_at_ms=row.last_at_ms,
                payload=base64.b64encode(row.payload[:SHOWN_PAYLOAD_BYTES]).decode(),
                payload_bytes=len(row.payload),
            )
            for row in one.rows[:10]
        ],
    )
