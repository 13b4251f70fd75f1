"""The ledger's tables, for SQLite and PostgreSQL alike. Migrations (Alembic) only add; a test compares them with this.

Texts have no length limit: PostgreSQL gains nothing from one, and an id that is too long must not stop an alarm.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_Id = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only for INTEGER

alerts = Table(
    "alerts",
    metadata,
    Column("id", String, primary_key=True),
    Column("rule_id", String, nullable=False),
    Column("rule_version", String, nullable=False),
    Column("device_id", String, nullable=False),
    Column("device_kind", String, nullable=False),
    Column("severity", String, nullable=False),
    Column("alarm_state", String, nullable=False),
    Column("case_state", String, nullable=False),
    Column("live", Boolean, nullable=False),
    Column("test", Boolean, nullable=False, default=False),
    Column("episode_start_ms", BigInteger, nullable=False),
    Column("raised_at_ms", BigInteger, nullable=False),
    Column("received_at_ms", BigInteger, nullable=False),
    Column("observed_at_ms", BigInteger, nullable=False),
    Column("quantity", String, nullable=False),
    Column("value", Text, nullable=False),
    Column("threshold", Float),
    Column("place", String, nullable=False),
    Column("grid", String, nullable=False),
    Column("station", String, nullable=False),
    Column("title_zh", Text, nullable=False),
    Column("title_en", Text, nullable=False),
    Column("place_zh", Text, nullable=False),
    Column("place_en", Text, nullable=False),
    Column("action_zh", Text, nullable=False),
    Column("action_en", Text, nullable=False),
    Column("lat", Float),
    Column("lon", Float),
    Column("returned_at_ms", BigInteger),
    Column("acked_at_ms", BigInteger),
    Column("acked_by", String),
    Column("on_scene_at_ms", BigInteger),
    Column("on_scene_by", String),
    Column("closed_at_ms", BigInteger),
    Column("closed_by", String),
    Column("close_reason", Text),
    Column("escalation_level", Integer, nullable=False, default=0),
    Column("occurrences", Integer, nullable=False, default=1),
    Column("last_event_ms", BigInteger, nullable=False),
    Column("change", BigInteger, nullable=False, default=0),  # id of the last audit row: the live stream's position
    Column("position", BigInteger, nullable=False, default=-1),
    # With a default in the database: a hub of the version before must be able to go on writing.
    Column("chattering", Boolean, nullable=False, default=False, server_default=false()),
    Column("incident_id", String),
    Column("bundled_until_ms", BigInteger),
    # shelved | out_of_service | silenced: tells nobody
    Column("quiet", String, nullable=False, default="", server_default=""),
    Column("quiet_until_ms", BigInteger),
    Column("silence_id", BigInteger),  # the silence or drill in which it was raised
    Column("drill", Boolean, nullable=False, default=False, server_default=false()),
    Column("drill_to", Text, nullable=False, default="", server_default=""),  # people and stations, by commas
)
Index(
    "uq_alerts_one_live",
    alerts.c.rule_id,
    alerts.c.device_id,
    unique=True,
    sqlite_where=text("live = 1"),  # written as SQLAlchemy writes it in a query, else SQLite does not use the index
    postgresql_where=text("live"),
)
Index("ix_alerts_raised", alerts.c.raised_at_ms, alerts.c.id)
Index("ix_alerts_station_live", alerts.c.station, alerts.c.live)
Index("ix_alerts_change", alerts.c.change)
Index("ix_alerts_incident", alerts.c.incident_id)
Index("ix_alerts_silence", alerts.c.silence_id)
Index(
    "ix_alerts_quiet",
    alerts.c.quiet_until_ms,
    sqlite_where=text("live = 1 AND quiet_until_ms IS NOT NULL"),
    postgresql_where=text("live AND quiet_until_ms IS NOT NULL"),
)
Index(
    "ix_alerts_false",
    alerts.c.closed_at_ms,
    sqlite_where=text("case_state = 'false_alarm'"),
    postgresql_where=text("case_state = 'false_alarm'"),
)

# Every time a condition began to hold, once: what has been recorded is never recorded again, whoever replays it.
episodes = Table(
    "episodes",
    metadata,
    # ConditionEvent.alert_id; before it "test:" for a pressed test button, "chatter:" for the begin of flapping
    Column("id", String, primary_key=True),
    Column("alert_id", String, ForeignKey("alerts.id"), nullable=True),  # None for a test button
    Column("rule_id", String, nullable=False),
    Column("device_id", String, nullable=False),
    Column("start_ms", BigInteger, nullable=False),
    Column("raised_at_ms", BigInteger, nullable=False),
    Column("cleared_at_ms", BigInteger),
    Column("evidence", Text),  # JSON object: what the rule saw; None where nothing was kept
)
Index("ix_episodes_alert", episodes.c.alert_id)
Index("ix_episodes_raised", episodes.c.raised_at_ms)
Index(
    "ix_episodes_open",
    episodes.c.alert_id,
    sqlite_where=text("cleared_at_ms IS NULL"),
    postgresql_where=text("cleared_at_ms IS NULL"),
)

incidents = Table(
    "incidents",
    metadata,
    Column("id", String, primary_key=True),
    Column("rule_id", String, nullable=False),
    Column("place", String, nullable=False),
    Column("grid", String, nullable=False),
    Column("station", String, nullable=False),
    Column("severity", String, nullable=False),
    Column("title_zh", Text, nullable=False),
    Column("title_en", Text, nullable=False),
    Column("first_alert", String, nullable=False),
    Column("opened_at_ms", BigInteger, nullable=False),
    Column("last_at_ms", BigInteger, nullable=False),
    Column("window_at_ms", BigInteger, nullable=False),
    Column("alerts", Integer, nullable=False),
    Column("digests", Integer, nullable=False),
    Column("digest_due_ms", BigInteger),
    Column("live", Boolean, nullable=False),
    Column("closed_at_ms", BigInteger),
)
Index(
    "ix_incidents_live",
    incidents.c.rule_id,
    incidents.c.place,
    sqlite_where=text("live = 1"),
    postgresql_where=text("live"),
)
Index(
    "ix_incidents_due",
    incidents.c.digest_due_ms,
    sqlite_where=text("digest_due_ms IS NOT NULL"),
    postgresql_where=text("digest_due_ms IS NOT NULL"),
)
Index("ix_incidents_opened", incidents.c.opened_at_ms, incidents.c.id)

audit = Table(
    "audit",
    metadata,
    # Numbered by the desk under the writer lock, so that numbers become visible in their order and have no gaps.
    Column("id", _Id, primary_key=True, autoincrement=False),
    Column("alert_id", String, ForeignKey("alerts.id"), nullable=True, index=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("actor", String, nullable=False),
    Column("action", String, nullable=False),
    Column("from_state", String, nullable=False, default=""),
    Column("to_state", String, nullable=False, default=""),
    Column("detail", Text, nullable=False, default="{}"),  # JSON object
    Column("hash", String),  # over the row and the hash of the one before it; None: from before there was a chain
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("alert_id", String, ForeignKey("alerts.id"), nullable=False, index=True),
    Column("transition", String, nullable=False),
    Column("recipient", String, nullable=False),
    Column("channel", String, nullable=False),
    Column("target", Text, nullable=False),
    Column("locale", String, nullable=False),
    Column("severity", String, nullable=False),
    Column("needed_while", String, nullable=False),
    Column("state", String, nullable=False, default="queued"),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("due_at_ms", BigInteger, nullable=False),
    Column("lease_owner", String),
    Column("lease_until_ms", BigInteger),
    Column("attempts", Integer, nullable=False, default=0),
    Column("sent_at_ms", BigInteger),
    Column("accepted_at_ms", BigInteger),
    Column("read_at_ms", BigInteger),
    Column("receipt", Text),
    Column("reason", Text),
    Column("about", Text),  # of a digest: the alerts that it tells of, as JSON
    Column("delivered_at_ms", BigInteger),
    UniqueConstraint("alert_id", "transition", "recipient", "channel"),
    sqlite_autoincrement=True,
)
Index(
    "ix_deliveries_due",
    deliveries.c.severity,
    deliveries.c.due_at_ms,
    sqlite_where=text("state IN ('queued', 'sending')"),
    postgresql_where=text("state IN ('queued', 'sending')"),
)

Index("ix_deliveries_created", deliveries.c.created_at_ms)
Index(
    "ix_deliveries_receipt",
    deliveries.c.channel,
    deliveries.c.receipt,
    sqlite_where=text("channel IN ('sms', 'voice')"),
    postgresql_where=text("channel IN ('sms', 'voice')"),
)
Index(
    "ix_deliveries_failed",
    deliveries.c.sent_at_ms,
    sqlite_where=text("state = 'failed'"),
    postgresql_where=text("state = 'failed'"),
)

timers = Table(
    "timers",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("alert_id", String, ForeignKey("alerts.id"), nullable=False, index=True),
    Column("step", Integer, nullable=False),
    Column("due_at_ms", BigInteger, nullable=False),
    Column("state", String, nullable=False, default="pending"),  # pending | done | cancelled
    Column("done_at_ms", BigInteger),
    UniqueConstraint("alert_id", "step"),
    sqlite_autoincrement=True,
)
Index(
    "ix_timers_due",
    timers.c.due_at_ms,
    sqlite_where=text("state = 'pending'"),
    postgresql_where=text("state = 'pending'"),
)

cursors = Table(
    "cursors",
    metadata,
    Column("consumer", String, primary_key=True),
    Column("position", BigInteger, nullable=False),  # the next position to read
    Column("journal", String, nullable=False, default=""),  # identity of the journal that the position belongs to
    Column("updated_at_ms", BigInteger, nullable=False),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("topic", Text, nullable=False),
    Column("reason", String, nullable=False),
    Column("codec", String, nullable=False),
    Column("detail", Text, nullable=False, default=""),
    Column("address", Text, nullable=False, default=""),
    Column("count", BigInteger, nullable=False, default=1),
    Column("first_at_ms", BigInteger, nullable=False),
    Column("last_at_ms", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("payload", LargeBinary, nullable=False),  # the latest one, at most 64 KiB; the journal has it whole
    UniqueConstraint("topic", "reason"),
    sqlite_autoincrement=True,
)
Index("ix_quarantine_last", quarantine.c.last_at_ms)

# One-tap links that were used. `id` names what a link is for: one delivery to one recipient, and one action.
used_links = Table(
    "used_links",
    metadata,
    Column("id", String, primary_key=True),
    Column("alert_id", String, nullable=False),
    Column("action", String, nullable=False),
    Column("recipient", String, nullable=False),
    Column("used_at_ms", BigInteger, nullable=False),
)

# What receivers with limits were sent lately, by all hubs together; forgotten once it no longer counts.
sends = Table(
    "sends",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("channel", String, nullable=False),
    Column("target", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)
Index("ix_sends_receiver", sends.c.channel, sends.c.target, sends.c.at_ms)

# Couriers that are alive: what one that is not had claimed is taken over by the others.
hubs = Table(
    "hubs",
    metadata,
    Column("owner", String, primary_key=True),
    Column("seen_at_ms", BigInteger, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("role", String, nullable=False),
    Column("hash", String, nullable=False, unique=True),  # SHA-256 of a 256-bit random token
    Column("grids", Text, nullable=False, default="[]"),  # JSON list
    Column("stations", Text, nullable=False, default="[]"),
    Column("person", String, nullable=False, default=""),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger),
    Column("revoked_at_ms", BigInteger),
)

sessions = Table(
    "sessions",
    metadata,
    Column("hash", String, primary_key=True),  # SHA-256 of a 256-bit random secret that only the browser keeps
    Column("token_id", String, ForeignKey("tokens.id"), nullable=False, index=True),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
    Column("ended_at_ms", BigInteger),
)

# Every set of rule files that was in force or asked for: who, why, and what it became of. Only `applied_at_ms` and `failed`
# are filled in later.
rule_versions = Table(
    "rule_versions",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("who", String, nullable=False),
    Column("why", Text, nullable=False),
    Column("version", String, nullable=False),  # names the content of the files
    Column("files", Text, nullable=False),  # JSON object: name → text
    Column("summary", Text, nullable=False, default="{}"),  # JSON object: what it changed in its parent
    Column("parent", _Id, ForeignKey("rule_versions.id")),
    Column("rolled_back_to", _Id, ForeignKey("rule_versions.id")),
    Column("applied_at_ms", BigInteger),  # when the rules that run became these
    Column("failed", Text),  # why the files could not be written
    sqlite_autoincrement=True,
)
Index("ix_rule_versions_version", rule_versions.c.version, rule_versions.c.id)

# What people do: a case for every alert, report and imported work order. See hub/alerts/casework.py for its steps.
cases = Table(
    "cases",
    metadata,
    Column("id", String, primary_key=True),
    Column("source", String, nullable=False),  # alert | report | hotline
    Column("number", String),
    Column("alert_id", String, ForeignKey("alerts.id")),
    Column("category", String, nullable=False, default=""),
    Column("severity", String, nullable=False),
    Column("title_zh", Text, nullable=False),
    Column("title_en", Text, nullable=False),
    Column("text", Text, nullable=False, default=""),
    Column("place", String, nullable=False, default=""),
    Column("place_text", Text, nullable=False, default=""),
    Column("grid", String, nullable=False),
    Column("station", String, nullable=False, default=""),
    Column("lat", Float),
    Column("lon", Float),
    Column("reporter", String, nullable=False, default=""),
    Column("step", String, nullable=False),
    Column("handling", String, nullable=False, default=""),  # self | transferred | "" = not known yet
    Column("assignee", String, nullable=False, default=""),
    Column("opened_at_ms", BigInteger, nullable=False),
    Column("due_at_ms", BigInteger),
    Column("accepted_at_ms", BigInteger),
    Column("dispatched_at_ms", BigInteger),
    Column("on_scene_at_ms", BigInteger),
    Column("handled_at_ms", BigInteger),
    Column("feedback_at_ms", BigInteger),
    Column("verified_at_ms", BigInteger),
    Column("closed_at_ms", BigInteger),
    Column("closed_by", String),
    Column("close_reason", Text),
    Column("sent_back", Integer, nullable=False, default=0),
    Column("reopened", Integer, nullable=False, default=0),
    Column("changed_at_ms", BigInteger, nullable=False),
    Column("revision", Integer, nullable=False, default=0),
    UniqueConstraint("source", "number"),
)
Index("ix_cases_opened", cases.c.opened_at_ms, cases.c.id)
Index("ix_cases_grid", cases.c.grid, cases.c.step)

# Audit entries about cases that have no alert; those of an alert's case are the alert's.
case_audit = Table(
    "case_audit",
    metadata,
    Column("audit_id", BigInteger, ForeignKey("audit.id"), primary_key=True, autoincrement=False),
    Column("case_id", String, ForeignKey("cases.id"), nullable=False, index=True),
)

case_comments = Table(
    "case_comments",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("case_id", String, ForeignKey("cases.id"), nullable=False, index=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("author", String, nullable=False),
    Column("author_name", Text, nullable=False),
    Column("text", Text, nullable=False),
    sqlite_autoincrement=True,
)

case_photos = Table(
    "case_photos",
    metadata,
    Column("id", String, primary_key=True),  # names the content; the bytes lie in the data folder
    Column("case_id", String, ForeignKey("cases.id"), nullable=False, index=True),
    Column("stage", String, nullable=False),  # before | after
    Column("media_type", String, nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("author", String, nullable=False),
    Column("author_name", Text, nullable=False),
)

# A condition (rule and device), or a whole device (rule ""), that tells nobody for a time, with who said so and why.
shelvings = Table(
    "shelvings",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("kind", String, nullable=False),  # one_shot | timed | out_of_service
    Column("rule_id", String, nullable=False),
    Column("device_id", String, nullable=False),
    Column("grid", String, nullable=False),
    Column("station", String, nullable=False),
    Column("since_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
    Column("actor", String, nullable=False),
    Column("actor_name", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("ended_at_ms", BigInteger),
    Column("ended_by", String),
    sqlite_autoincrement=True,
)
Index(
    "uq_shelvings_one_open",
    shelvings.c.device_id,
    shelvings.c.rule_id,
    unique=True,
    sqlite_where=text("ended_at_ms IS NULL"),
    postgresql_where=text("ended_at_ms IS NULL"),
)
Index("ix_shelvings_since", shelvings.c.since_ms)

# A place, kinds or devices that tell nobody for a time (silence, maintenance), or only a drill's list (drill).
silences = Table(
    "silences",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("kind", String, nullable=False),  # silence | maintenance | drill
    Column("place", String, nullable=False),
    Column("covers", Text, nullable=False),  # JSON list: codes of the place and of the grids and places under it
    Column("device_kinds", Text, nullable=False),  # JSON list; empty: all
    Column("devices", Text, nullable=False),  # likewise
    Column("start_ms", BigInteger, nullable=False),
    Column("end_ms", BigInteger, nullable=False),
    Column("include_p1", Boolean, nullable=False),
    Column("tell", Text, nullable=False),  # JSON list: people and stations of a drill
    Column("actor", String, nullable=False),
    Column("actor_name", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("made_at_ms", BigInteger, nullable=False),
    Column("ended_at_ms", BigInteger),
    Column("ended_by", String),
    sqlite_autoincrement=True,
)
Index(
    "ix_silences_open",
    silences.c.end_ms,
    sqlite_where=text("ended_at_ms IS NULL"),
    postgresql_where=text("ended_at_ms IS NULL"),
)

# Tests of contacts: what was sent is known by its digest only, as are the addresses.
contact_checks = Table(
    "contact_checks",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("person", String, nullable=False),
    Column("channel", String, nullable=False),
    Column("address", String, nullable=False),
    Column("code", String, nullable=False),
    Column("alert_id", String, nullable=False, index=True),
    Column("asked_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
    Column("asked_by", String, nullable=False),
    Column("verified_at_ms", BigInteger),
    Column("verified_by", String),
    Column("tries", Integer, nullable=False, default=0, server_default="0"),
    sqlite_autoincrement=True,
)
Index("ix_contact_checks_person", contact_checks.c.person, contact_checks.c.channel)

# 查岗: a station is asked whether somebody is at their post.
duty_checks = Table(
    "duty_checks",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("station", String, nullable=False),
    Column("alert_id", String, nullable=False, index=True),
    Column("asked_at_ms", BigInteger, nullable=False),
    Column("due_at_ms", BigInteger, nullable=False),
    Column("asked_by", String, nullable=False),
    Column("answered_at_ms", BigInteger),
    Column("answered_by", String),
    UniqueConstraint("station", "asked_at_ms"),
    sqlite_autoincrement=True,
)

# Commands to devices, one row for each device and cause. See hub/actuation/machine.py for their states.
commands = Table(
    "commands",
    metadata,
    Column("id", String, primary_key=True),
    Column("action_id", String, nullable=False),
    Column("device_id", String, nullable=False),
    Column("quantity", String, nullable=False),
    Column("wanted", Text, nullable=False),  # JSON
    Column("mode", String, nullable=False),  # live | dry | test
    Column("ground", String, nullable=False),  # confirmed | suspected | person | test
    Column("alert_id", String, ForeignKey("alerts.id"), index=True),
    Column("rule_id", String, nullable=False),
    Column("occurrence", Integer, nullable=False),
    Column("grid", String, nullable=False),
    Column("station", String, nullable=False),
    Column("state", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("planned_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
    Column("approved_by", String),
    Column("approved_at_ms", BigInteger),
    Column("sent_at_ms", BigInteger),
    Column("answer_by_ms", BigInteger),
    Column("done_at_ms", BigInteger),
    Column("topic", Text, nullable=False),
)
Index("ix_commands_planned", commands.c.planned_at_ms, commands.c.id)
Index(
    "ix_commands_open",
    commands.c.state,
    sqlite_where=text("state IN ('planned', 'sent', 'unconfirmed', 'expired')"),
    postgresql_where=text("state IN ('planned', 'sent', 'unconfirmed', 'expired')"),
)

# Somebody's word that an action, or a device, is not to be moved for a time.
command_bans = Table(
    "command_bans",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("action_id", String, nullable=False),
    Column("device_id", String, nullable=False),
    Column("grid", String, nullable=False),
    Column("station", String, nullable=False),
    Column("since_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
    Column("actor", String, nullable=False),
    Column("actor_name", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("ended_at_ms", BigInteger),
    Column("ended_by", String),
    sqlite_autoincrement=True,
)
Index("ix_command_bans_until", command_bans.c.until_ms)
