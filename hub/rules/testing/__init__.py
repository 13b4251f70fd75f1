"""Tools that try rules on the live engine itself: scenes, backtests, traces, and a shadow beside the live rules."""
