"""Journal, ledger and history."""
