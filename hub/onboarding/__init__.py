"""Devices that nobody has told the hub about: who they are, and how they become devices of a place."""
