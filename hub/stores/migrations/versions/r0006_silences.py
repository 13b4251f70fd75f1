"""Silences and drills, tests of contacts, duty checks."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def _id() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("alerts", sa.Column("silence_id", sa.BigInteger(), nullable=True))
    op.add_column("alerts", sa.Column("drill", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("alerts", sa.Column("drill_to", sa.Text(), server_default="", nullable=False))
    op.create_index("ix_alerts_silence", "alerts", ["silence_id"])
    op.create_index(
        "ix_alerts_quiet",
        "alerts",
        ["quiet_until_ms"],
        sqlite_where=sa.text("live = 1 AND quiet_until_ms IS NOT NULL"),
        postgresql_where=sa.text("live AND quiet_until_ms IS NOT NULL"),
    )
    op.create_table(
        "silences",
        sa.Column("id", _id(), autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("covers", sa.Text(), nullable=False),
        sa.Column("device_kinds", sa.Text(), nullable=False),
        sa.Column("devices", sa.Text(), nullable=False),
        sa.Column("start_ms", sa.BigInteger(), nullable=False),
        sa.Column("end_ms", sa.BigInteger(), nullable=False),
        sa.Column("include_p1", sa.Boolean(), nullable=False),
        sa.Column("tell", sa.Text(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("actor_name", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("made_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("ended_by", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_silences")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_silences_open",
        "silences",
        ["end_ms"],
        sqlite_where=sa.text("ended_at_ms IS NULL"),
        postgresql_where=sa.text("ended_at_ms IS NULL"),
    )
    op.create_table(
        "contact_checks",
        sa.Column("id", _id(), autoincrement=True, nullable=False),
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("alert_id", sa.String(), nullable=False),
        sa.Column("asked_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("asked_by", sa.String(), nullable=False),
        sa.Column("verified_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("verified_by", sa.String(), nullable=True),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contact_checks")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_contact_checks_alert_id"), "contact_checks", ["alert_id"])
    op.create_index("ix_contact_checks_person", "contact_checks", ["person", "channel"])
    op.create_table(
        "duty_checks",
        sa.Column("id", _id(), autoincrement=True, nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("alert_id", sa.String(), nullable=False),
        sa.Column("asked_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("due_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("asked_by", sa.String(), nullable=False),
        sa.Column("answered_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("answered_by", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_duty_checks")),
        sa.UniqueConstraint("station", "asked_at_ms", name=op.f("uq_duty_checks_station_asked_at_ms")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_duty_checks_alert_id"), "duty_checks", ["alert_id"])
