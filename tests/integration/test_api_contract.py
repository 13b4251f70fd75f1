"""The API keeps its own description: generated requests, right and wrong, get the answers that the OpenAPI document names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from hub.clock import now_ms
from tests.support.served import Hub, hub_at

EXAMPLES = 15
API = "/api/v1"
OPERATIONS = {
    ("GET", "/api/v1/onboarding/devices"),
    ("POST", "/api/v1/onboarding/claims"),
    ("POST", "/api/v1/onboarding/replays"),
    ("GET", "/api/v1/onboarding/clocks"),
    ("GET", "/api/v1/cases"),
    ("POST", "/api/v1/cases"),
    ("POST", "/api/v1/cases/orders"),
    ("GET", "/api/v1/cases/{case_id}"),
    ("POST", "/api/v1/cases/{case_id}/comments"),
    ("POST", "/api/v1/cases/{case_id}/photos"),
    ("GET", "/api/v1/cases/{case_id}/photos/{photo_id}"),
    ("POST", "/api/v1/cases/{case_id}/{verb}"),
    ("GET", "/api/v1/shelvings"),
    ("POST", "/api/v1/alerts/{alert_id}/shelve"),
    ("DELETE", "/api/v1/alerts/{alert_id}/shelve"),
    ("POST", "/api/v1/devices/{device_id}/out-of-service"),
    ("DELETE", "/api/v1/devices/{device_id}/out-of-service"),
    ("GET", f"{API}/board"),
    ("GET", f"{API}/alerts"),
    ("GET", f"{API}/alerts/{{alert_id}}"),
    ("POST", f"{API}/alerts/{{alert_id}}/{{verb}}"),
    ("GET", f"{API}/stream"),
    ("GET", f"{API}/devices"),
    ("GET", f"{API}/devices/{{device_id}}"),
    ("GET", f"{API}/devices/{{device_id}}/route"),
    ("GET", f"{API}/routes/audit"),
    ("GET", f"{API}/stations/{{station_id}}/roster"),
    ("GET", f"{API}/stations/{{station_id}}/duty-checks"),
    ("POST", f"{API}/stations/{{station_id}}/duty-checks"),
    ("GET", f"{API}/contacts"),
    ("POST", f"{API}/contacts/{{person_id}}/test"),
    ("POST", f"{API}/contacts/{{person_id}}/answer"),
    ("GET", f"{API}/silences"),
    ("POST", f"{API}/silences"),
    ("DELETE", f"{API}/silences/{{silence_id}}"),
    ("GET", f"{API}/grids"),
    ("GET", f"{API}/stations"),
    ("GET", f"{API}/alerts/stale"),
    ("GET", f"{API}/alerts/ranking"),
    ("GET", f"{API}/alerts/{{alert_id}}/explanation"),
    ("GET", f"{API}/devices/{{device_id}}/explanation"),
    ("GET", f"{API}/rules/shadow"),
    ("GET", f"{API}/incidents"),
    ("GET", f"{API}/incidents/{{incident_id}}"),
    ("GET", f"{API}/actions"),
    ("POST", f"{API}/actions/{{action_id}}/order"),
    ("POST", f"{API}/actions/{{action_id}}/test"),
    ("GET", f"{API}/commands"),
    ("GET", f"{API}/commands/{{command_id}}"),
    ("POST", f"{API}/commands/{{command_id}}/approve"),
    ("POST", f"{API}/commands/{{command_id}}/forbid"),
    ("GET", f"{API}/command-bans"),
    ("POST", f"{API}/command-bans"),
    ("DELETE", f"{API}/command-bans/{{ban_id}}"),
    ("GET", f"{API}/figures"),
    ("GET", f"{API}/audit"),
    ("GET", f"{API}/audit/report"),
    ("GET", f"{API}/me"),
    ("POST", f"{API}/session"),
    ("DELETE", f"{API}/session"),
    ("GET", f"{API}/quarantine"),
    ("GET", f"{API}/rules"),
    ("GET", f"{API}/rules/{{rule_id}}"),
    ("GET", f"{API}/rules/files/{{name}}"),
    ("PUT", f"{API}/rules/files/{{name}}"),
    ("DELETE", f"{API}/rules/files/{{name}}"),
    ("POST", f"{API}/rules/check"),
    ("GET", f"{API}/rules/history"),
    ("GET", f"{API}/rules/history/{{number}}"),
    ("POST", f"{API}/rules/rollback"),
    ("GET", f"{API}/schema/rules.json"),
    ("GET", "/asyncapi.json"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
}
NAMES_MUST_EXIST = {
    f"{API}/alerts",
    f"{API}/devices",
    f"{API}/figures",
    f"{API}/cases",  # and a report names a grid that exists
}  # a filter by an unknown station is 422: no schema can say that
RULES_MUST_MAKE_SENSE = {f"{API}/rules/files/{{name}}", f"{API}/rules/rollback"}  # and start from their version
ENDLESS = {("GET", f"{API}/stream")}  # see test_api_stream.py


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with hub_at(tmp_path_factory.mktemp("contract"), now_ms, small=True) as found:
        for device in [d.id for d in found.registry.devices() if d.kind == "smoke_alarm"][:3]:
            found.says(device)
        yield found


@pytest.fixture(scope="module")
def described(hub: Hub) -> schemathesis.BaseSchema:
    return schemathesis.openapi.from_asgi("/api/v1/openapi.json", hub.app)


@pytest.mark.parametrize(("method", "path"), sorted(OPERATIONS - ENDLESS))
@pytest.mark.parametrize("who", ["admin", "viewer", "stranger"])
def test_every_operation_answers_as_described(
    hub: Hub, described: schemathesis.BaseSchema, method: str, path: str, who: str
) -> None:
    headers = {} if who == "stranger" else {"Authorization": f"Bearer {hub.token(who, grids=('*',))}"}  # type: ignore[arg-type]

    @given(case=described[path][method].as_strategy())
    @settings(
        max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None
    )
    def answers(case: schemathesis.Case[Any]) -> None:
        doubted = path in NAMES_MUST_EXIST | RULES_MUST_MAKE_SENSE
        left_out = [ignored_auth, *([positive_data_acceptance] if doubted else [])]
        case.call_and_validate(headers=headers, excluded_checks=left_out)

    answers()


def test_the_description_names_every_route_and_nothing_that_is_not_there(hub: Hub) -> None:
    paths = TestClient(hub.app).get("/api/v1/openapi.json").json()["paths"]
    assert {(method.upper(), path) for path, methods in paths.items() for method in methods} == OPERATIONS
