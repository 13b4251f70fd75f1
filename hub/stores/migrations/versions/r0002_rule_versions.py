"""The history of the rules."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    id_type = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "rule_versions",
        sa.Column("id", id_type, autoincrement=True, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("files", sa.Text(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("parent", id_type, nullable=True),
        sa.Column("rolled_back_to", id_type, nullable=True),
        sa.Column("applied_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("failed", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["parent"], ["rule_versions.id"], name=op.f("fk_rule_versions_parent_rule_versions")),
        sa.ForeignKeyConstraint(
            ["rolled_back_to"], ["rule_versions.id"], name=op.f("fk_rule_versions_rolled_back_to_rule_versions")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rule_versions")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_rule_versions_version", "rule_versions", ["version", "id"], unique=False)
