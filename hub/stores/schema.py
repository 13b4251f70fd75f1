"""The ledger's tables, for SQLite and PostgreSQL alike. Migrations (Alembic) are made from this; they only add."""

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
    Column("id", String(32), primary_key=True),
    Column("rule_id", String(128), nullable=False),
    Column("rule_version", String(64), nullable=False),
    Column("device_id", String(128), nullable=False),
    Column("device_kind", String(64), nullable=False),
    Column("severity", String(2), nullable=False),
    Column("alarm_state", String(24), nullable=False),
    Column("case_state", String(24), nullable=False),
    Column("live", Boolean, nullable=False),
    Column("test", Boolean, nullable=False, default=False),
    Column("episode_start_ms", BigInteger, nullable=False),
    Column("raised_at_ms", BigInteger, nullable=False),
    Column("received_at_ms", BigInteger, nullable=False),
    Column("observed_at_ms", BigInteger, nullable=False),
    Column("quantity", String(64), nullable=False),
    Column("value", Text, nullable=False),
    Column("threshold", Float),
    Column("place", String(64), nullable=False),
    Column("grid", String(64), nullable=False),
    Column("station", String(64), nullable=False),
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
    Column("acked_by", String(128)),
    Column("on_scene_at_ms", BigInteger),
    Column("on_scene_by", String(128)),
    Column("closed_at_ms", BigInteger),
    Column("closed_by", String(128)),
    Column("close_reason", Text),
    Column("escalation_level", Integer, nullable=False, default=0),
    Column("occurrences", Integer, nullable=False, default=1),
    Column("last_event_ms", BigInteger, nullable=False),
    Column("change", BigInteger, nullable=False, default=0),  # id of the last audit row: the live stream's position
    Column("position", BigInteger, nullable=False, default=-1),
)
Index(
    "uq_alerts_one_live",
    alerts.c.rule_id,
    alerts.c.device_id,
    unique=True,
    sqlite_where=text("live"),
    postgresql_where=text("live"),
)
Index("ix_alerts_raised", alerts.c.raised_at_ms, alerts.c.id)
Index("ix_alerts_station_live", alerts.c.station, alerts.c.live)
Index("ix_alerts_change", alerts.c.change)

audit = Table(
    "audit",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("alert_id", String(32), ForeignKey("alerts.id"), nullable=True, index=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("actor", String(128), nullable=False),
    Column("action", String(48), nullable=False),
    Column("from_state", String(24), nullable=False, default=""),
    Column("to_state", String(24), nullable=False, default=""),
    Column("detail", Text, nullable=False, default="{}"),  # JSON object
    sqlite_autoincrement=True,
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("alert_id", String(32), ForeignKey("alerts.id"), nullable=False, index=True),
    Column("transition", String(48), nullable=False),
    Column("recipient", String(128), nullable=False),
    Column("channel", String(48), nullable=False),
    Column("target", Text, nullable=False),
    Column("locale", String(8), nullable=False),
    Column("severity", String(2), nullable=False),
    Column("needed_while", String(24), nullable=False),
    Column("state", String(16), nullable=False, default="queued"),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("due_at_ms", BigInteger, nullable=False),
    Column("lease_owner", String(64)),
    Column("lease_until_ms", BigInteger),
    Column("attempts", Integer, nullable=False, default=0),
    Column("sent_at_ms", BigInteger),
    Column("accepted_at_ms", BigInteger),
    Column("read_at_ms", BigInteger),
    Column("receipt", Text),
    Column("reason", Text),
    UniqueConstraint("alert_id", "transition", "recipient", "channel"),
    sqlite_autoincrement=True,
)
Index("ix_deliveries_due", deliveries.c.state, deliveries.c.due_at_ms)

timers = Table(
    "timers",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("alert_id", String(32), ForeignKey("alerts.id"), nullable=False, index=True),
    Column("step", Integer, nullable=False),
    Column("due_at_ms", BigInteger, nullable=False),
    Column("state", String(12), nullable=False, default="pending"),  # pending | done | cancelled
    Column("done_at_ms", BigInteger),
    UniqueConstraint("alert_id", "step"),
    sqlite_autoincrement=True,
)
Index("ix_timers_due", timers.c.state, timers.c.due_at_ms)

cursors = Table(
    "cursors",
    metadata,
    Column("consumer", String(64), primary_key=True),
    Column("position", BigInteger, nullable=False),  # the next position to read
    Column("journal", String(64), nullable=False, default=""),  # identity of the journal that the position belongs to
    Column("updated_at_ms", BigInteger, nullable=False),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("topic", Text, nullable=False),
    Column("reason", String(200), nullable=False),
    Column("codec", String(48), nullable=False),
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

tokens = Table(
    "tokens",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(128), nullable=False),
    Column("role", String(16), nullable=False),
    Column("hash", String(64), nullable=False, unique=True),  # SHA-256 of a 256-bit random token
    Column("grids", Text, nullable=False, default="[]"),  # JSON list
    Column("stations", Text, nullable=False, default="[]"),
    Column("person", String(128), nullable=False, default=""),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger),
    Column("revoked_at_ms", BigInteger),
)

sessions = Table(
    "sessions",
    metadata,
    Column("hash", String(64), primary_key=True),  # SHA-256 of a 256-bit random secret that only the browser keeps
    Column("token_id", String(32), ForeignKey("tokens.id"), nullable=False, index=True),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
    Column("ended_at_ms", BigInteger),
)
