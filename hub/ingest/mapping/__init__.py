"""The declarative codec: a YAML profile says where the values of a message are and what they mean. See docs/profiles.md."""

from __future__ import annotations

from hub.ingest.mapping.codec import ProfileCodec
from hub.ingest.mapping.profile_file import load, parse_profile, shipped_folder
from hub.ingest.mapping.schema import Profile

__all__ = ["Profile", "ProfileCodec", "load", "parse_profile", "shipped_folder"]
