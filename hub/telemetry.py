"""Logs (structlog) and metrics (prometheus-client). One place that names every metric of the hub."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog
from prometheus_client import Counter, Gauge, Histogram

log: Any = structlog.get_logger("gridhub")

LOOP_ERRORS = Counter("gridhub_loop_errors_total", "Failed steps of an owner loop", ["loop"])
MESSAGES = Counter("gridhub_messages_total", "MQTT messages taken into the journal", ["lane"])
REJECTED = Counter("gridhub_rejected_total", "Messages rejected or quarantined", ["codec", "reason"])
READINGS = Counter("gridhub_readings_total", "Readings that reached the rules")
EVENTS = Counter("gridhub_condition_events_total", "Events that the rules found", ["kind"])
SHADOW_DIFFERENCES = Counter(
    "gridhub_shadow_differences_total", "What rules in shadow mode saw otherwise than the live ones", ["kind"]
)
SHADOW_DOWN = Gauge(
    "gridhub_shadow_down", "1 while rules in shadow mode are given up after a fault; the live ones go on"
)
ALERTS_OPEN = Gauge("gridhub_alerts_open", "Live alerts", ["severity"])
ALERTS_STALE = Gauge("gridhub_alerts_stale", "Alerts whose condition has held for more than 24 hours")
CANARY_MISSED = Gauge("gridhub_canary_missed", "Heartbeats in a row that did not arrive in the ledger")
CANARY = Histogram(
    "gridhub_canary_seconds",
    "From the publication of the heartbeat to its record in the ledger",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 60),
)
FACTS = Counter("gridhub_facts_said_total", "What the hub said of its own work", ["quantity"])
DELIVERIES = Counter("gridhub_deliveries_total", "Deliveries by outcome", ["channel", "outcome"])
AUDIT_FINDINGS = Gauge("gridhub_audit_findings", "What the self-audit found not accounted for", ["kind"])
AUDIT_AT = Gauge("gridhub_audit_timestamp_seconds", "When the self-audit last looked at everything")
HEARTBEATS_SENT = Counter(
    "gridhub_outside_heartbeats_total", "Heartbeats to the watcher outside, by outcome", ["outcome"]
)
TEST_FIRES = Counter(
    "gridhub_test_fires_total", "Synthetic fires from the broker to a channel, by outcome", ["outcome"]
)
JOURNAL_DEGRADED = Gauge("gridhub_journal_degraded", "1 while the journal cannot be written")
JOURNAL_DAMAGED = Counter("gridhub_journal_damaged_total", "Places of the journal that could not be read")
JOURNAL_CUT = Counter("gridhub_journal_cut_records_total", "Records deleted before every consumer had read them")
JOURNAL_HEAD = Gauge("gridhub_journal_head_position", "Next position of the journal")
CURSOR = Gauge("gridhub_cursor_position", "Position that a consumer has finished", ["consumer"])
HISTORY_DROPPED = Counter("gridhub_history_refused_lines_total", "Lines that the history store refused for good")
HISTORY_SKIPPED = Counter("gridhub_history_skipped_readings_total", "Readings that belong in no history", ["reason"])
ALARM_LATENCY = Histogram(
    "gridhub_alarm_latency_seconds",
    "From the receipt of the message to the accepted notification",
    ["channel"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30, 60),
)
COMMANDS = Counter("gridhub_commands_total", "Commands to devices, by the state that they came to", ["action", "state"])
COMMAND_ANSWER = Histogram(
    "gridhub_command_read_back_seconds",
    "From sending a command to the reading that shows it done",
    ["action"],
    buckets=(0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300),
)
MTTA = Gauge("gridhub_mtta_seconds", "Mean time from an alarm to its acknowledgement", ["window", "severity"])
MTTR = Gauge("gridhub_mttr_seconds", "Mean time from an alarm to its close", ["window", "severity"])
ALERTS_SHARE = Gauge("gridhub_alerts_share", "Share of a severity in all alerts", ["window", "severity"])
LIMIT_KEPT = Gauge(
    "gridhub_limit_kept_ratio",
    "P1 acknowledged in 60 s, on scene in 180 s, a second person in 300 s",
    ["window", "limit"],
)
CASES_CLOSED = Gauge("gridhub_cases_closed_ratio", "Closed of the cases that were filed", ["window"])
CASES_ON_TIME = Gauge("gridhub_cases_on_time_ratio", "Closed by their limit, of the cases that are due", ["window"])
PERSON_ALARMS = Gauge(
    "gridhub_person_alarms_per_10min",
    "Alarms that one recipient was told of: the most on average, and at once",
    ["window", "figure"],
)
PERSON_FLOOD = Gauge(
    "gridhub_person_flood_ratio", "Share of the time that the most flooded recipient was in a flood", ["window"]
)
FALSE_ALARM_RATE = Gauge(
    "gridhub_false_alarms_per_detector_year", "Confirmed false fire alarms per detector, last 12 months"
)
ALERTS_CHATTERING = Gauge("gridhub_alerts_chattering", "Open alerts that flap")
MQTT_CONNECTED = Gauge("gridhub_mqtt_connected", "1 while the session is connected", ["lane"])


def configure_logging(*, level: str = "INFO", json: bool | None = None) -> None:
    """Sets up structlog once for the process: JSON lines to standard error, or colours on a terminal."""
    as_json = (not sys.stderr.isatty()) if json is None else json
    renderer: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if as_json
        # Not the default with local variables: some of them are tokens, numbers and messages.
        else structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    )
    processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if as_json:
        processors.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*processors, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
