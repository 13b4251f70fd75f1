"""A chained audit log that only grows, one-tap links, sends and hubs that several hubs know of, reports of delivery."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_SQLITE = """
CREATE TRIGGER audit_no_{what} BEFORE {what} ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END
"""
_POSTGRES_FUNCTION = """
CREATE FUNCTION gridhub_audit_only_grows() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the audit log only grows'; END $$
"""
_POSTGRES = """
CREATE TRIGGER audit_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
FOR EACH STATEMENT EXECUTE FUNCTION gridhub_audit_only_grows()
"""


def upgrade() -> None:
    op.add_column("audit", sa.Column("hash", sa.String(), nullable=True))
    if op.get_bind().dialect.name == "sqlite":
        op.execute(_SQLITE.format(what="UPDATE"))
        op.execute(_SQLITE.format(what="DELETE"))
    else:
        op.execute(_POSTGRES_FUNCTION)
        op.execute(_POSTGRES)
    op.add_column("deliveries", sa.Column("delivered_at_ms", sa.BigInteger(), nullable=True))
    op.create_index(
        "ix_deliveries_receipt",
        "deliveries",
        ["channel", "receipt"],
        sqlite_where=sa.text("channel IN ('sms', 'voice')"),
        postgresql_where=sa.text("channel IN ('sms', 'voice')"),
    )
    op.create_table(
        "used_links",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("alert_id", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("recipient", sa.String(), nullable=False),
        sa.Column("used_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_used_links")),
    )
    op.create_table(
        "sends",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sends")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_sends_receiver", "sends", ["channel", "target", "at_ms"])
    op.create_table(
        "hubs",
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("seen_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner", name=op.f("pk_hubs")),
    )
