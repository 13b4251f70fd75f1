"""Plays the samples inside a profile: what each should say, and does not."""

from __future__ import annotations

import json
from collections.abc import Iterator

from hub.ingest.codecs.context import CodecContext
from hub.ingest.decoded_check import differences
from hub.ingest.mapping.codec import ProfileCodec
from hub.ingest.mapping.schema import Profile, Sample


def tried(profile: Profile, *, zone: str = "", received_at_ms: int) -> Iterator[list[str]]:
    """For each sample, the differences from what it expects; empty when it is understood as expected."""
    codecs: dict[tuple[str, str], ProfileCodec] = {}
    for sample in profile.samples:
        key = (sample.root or profile.root, sample.zone or zone)
        codec = codecs.get(key)
        if codec is None:
            codec = codecs[key] = ProfileCodec(profile, key[0], CodecContext(zone=key[1], personal=True))
        at_ms = sample.received_at_ms or received_at_ms
        said = codec.decode(sample.topic, payload_of(sample), received_at_ms=at_ms, retained=sample.retained)
        yield differences(said, sample.expect)


def payload_of(sample: Sample) -> bytes:
    if sample.hex is not None:
        return bytes.fromhex(sample.hex)
    if sample.payload is not None:
        return sample.payload.encode("utf-8")
    return json.dumps(sample.json_, ensure_ascii=False).encode("utf-8")
