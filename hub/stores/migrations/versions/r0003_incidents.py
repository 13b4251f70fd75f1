"""Incidents, evidence of each raising, chattering, digests."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "incidents",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("rule_id", sa.String(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("grid", sa.String(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("title_zh", sa.Text(), nullable=False),
        sa.Column("title_en", sa.Text(), nullable=False),
        sa.Column("first_alert", sa.String(), nullable=False),
        sa.Column("opened_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("window_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("alerts", sa.Integer(), nullable=False),
        sa.Column("digests", sa.Integer(), nullable=False),
        sa.Column("digest_due_ms", sa.BigInteger(), nullable=True),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.Column("closed_at_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incidents")),
    )
    op.create_index(
        "ix_incidents_live",
        "incidents",
        ["rule_id", "place"],
        sqlite_where=sa.text("live = 1"),
        postgresql_where=sa.text("live"),
    )
    op.create_index(
        "ix_incidents_due",
        "incidents",
        ["digest_due_ms"],
        sqlite_where=sa.text("digest_due_ms IS NOT NULL"),
        postgresql_where=sa.text("digest_due_ms IS NOT NULL"),
    )
    op.create_index("ix_incidents_opened", "incidents", ["opened_at_ms", "id"])
    op.add_column("alerts", sa.Column("chattering", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("alerts", sa.Column("incident_id", sa.String(), nullable=True))
    op.add_column("alerts", sa.Column("bundled_until_ms", sa.BigInteger(), nullable=True))
    op.create_index("ix_alerts_incident", "alerts", ["incident_id"])
    op.create_index(
        "ix_alerts_false",
        "alerts",
        ["closed_at_ms"],
        sqlite_where=sa.text("case_state = 'false_alarm'"),
        postgresql_where=sa.text("case_state = 'false_alarm'"),
    )
    op.add_column("episodes", sa.Column("evidence", sa.Text(), nullable=True))
    op.create_index("ix_episodes_alert", "episodes", ["alert_id"])
    op.create_index("ix_episodes_raised", "episodes", ["raised_at_ms"])
    op.add_column("deliveries", sa.Column("about", sa.Text(), nullable=True))
    op.create_index("ix_deliveries_created", "deliveries", ["created_at_ms"])
    op.create_index(
        "ix_deliveries_failed",
        "deliveries",
        ["sent_at_ms"],
        sqlite_where=sa.text("state = 'failed'"),
        postgresql_where=sa.text("state = 'failed'"),
    )
