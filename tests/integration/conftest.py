"""Fixtures of the integration tests."""

from tests.support.ledgers import ledger, ledger_url

__all__ = ["ledger", "ledger_url"]
