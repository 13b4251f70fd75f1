"""Measurements, off unless asked for: `make bench` prints one JSON object."""
