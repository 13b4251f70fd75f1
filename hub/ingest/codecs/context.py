"""What a codec may know besides the message."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


def _nothing_is_known(address: str) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecContext:
    """The site's IANA zone ("" = not set: wall clocks stay unresolved), and whether an address is in the registry."""

    zone: str = ""
    known: Callable[[str], bool] = _nothing_is_known
    own_text: Callable[[str], str] = lambda address: address
    """The registry's own copy of an address, so that a codec that remembers it does not keep another."""
    personal: bool = False
    """Whether plates, card numbers, faces and names may stand in what is decoded; else a hash stands for each."""
