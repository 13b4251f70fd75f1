"""Device times of every kind → UTC milliseconds, or nothing and a warning. A time that cannot be true is never used."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

EARLIEST_MS: Final = 1_420_070_400_000  # 2015-01-01: no device of ours is older, an unset clock is
AHEAD_MS: Final = 600_000  # a device clock may run ahead of ours by ten minutes

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LOCAL_EPOCH: Final = datetime(1970, 1, 1)
_MS: Final = timedelta(milliseconds=1)
_DIGITS: Final = re.compile(r"[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d{1,2})?\Z")
_YEAR_FIRST: Final = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{8}[T ]|\d{4}年")
_DAY_OR_MONTH_FIRST: Final = re.compile(r"\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}")
_LONG_FRACTION: Final = re.compile(r"([.,]\d{6})\d+")
_ZONE_WITHOUT_MINUTES: Final = re.compile(r"([T ]\d.*[+-]\d{2})\Z")
_ONE_DIGIT: Final = re.compile(r"(?<!\d)(\d)(?!\d)")


class Instant(NamedTuple):
    """A device time as understood. `at_ms` None = not usable: the receive time stands in. `local` = wall clock without zone."""

    at_ms: int | None = None
    local: str = ""
    warning: str = ""


ABSENT: Final = Instant()


def instant(value: Any, received_at_ms: int, zone: str = "", *, earliest_ms: int = EARLIEST_MS) -> Instant:
    """`value` as an instant between `earliest_ms` and ten minutes after `received_at_ms`.

    Takes seconds, milliseconds, microseconds and nanoseconds (told apart by the number of digits), ISO 8601 with or
    without a zone, and wall clocks of 14 or 17 digits. A wall clock without zone is resolved in the IANA `zone` when one is
    given, else only `local` is set. Never raises.
    """
    if value is None:
        return ABSENT
    if isinstance(value, str):
        text = value.strip()
        if not _DIGITS.match(text):
            return _of_text(text, received_at_ms, zone, earliest_ms)
        if len(text) > 32:
            return Instant(warning="time has too many digits")
        value = float(text) if "." in text or "e" in text.lower() else int(text)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return Instant(warning=f"time is {_kind(value)}, not a number or text")
    return _of_number(value, received_at_ms, zone, earliest_ms)


def _of_number(value: int | float, received_at_ms: int, zone: str, earliest_ms: int) -> Instant:
    if value != value or value in (float("inf"), float("-inf")):
        return Instant(warning="time is not a finite number")
    if value == 0:
        return Instant(warning="ts 0: device clock not set")
    if value < 0:
        return Instant(warning="time before 1970: device clock not set")
    size = len(str(int(value))) if value < 1e20 else 99
    if size in (14, 17) and float(value).is_integer():
        wall = _calendar(str(int(value)))
        if wall is not None:
            return _of_wall_clock(wall, received_at_ms, zone, earliest_ms)
    if size <= 11:
        at_ms = int(value) * 1_000 if isinstance(value, int) else int(value * 1_000 + 0.001)
    elif size <= 14:
        at_ms = int(value)
    elif size <= 17:
        at_ms = int(value) // 1_000
    elif size <= 20:
        at_ms = int(value) // 1_000_000
    else:
        return Instant(warning="time has too many digits")
    if size < 9:  # up to 1973 as seconds: nobody's clock, but a counter since start
        return Instant(warning=f"time {value} looks like seconds since start: device clock not set")
    return _checked(at_ms, received_at_ms, earliest_ms)


def _calendar(digits: str) -> datetime | None:
    """yyyyMMddHHmmss[fff] as a wall clock, or None when the digits are no date of this century."""
    if not digits.startswith("20"):
        return None
    try:
        wall = datetime.strptime(digits[:14], "%Y%m%d%H%M%S")
    except ValueError:
        return None
    return wall.replace(microsecond=int(digits[14:] or 0) * 1_000)


def _of_text(text: str, received_at_ms: int, zone: str, earliest_ms: int) -> Instant:
    if len(text) > 64 or not text:
        return Instant(warning="time is no time: empty or too long text")
    parsed = _parsed(text)
    if parsed is None:
        if _DAY_OR_MONTH_FIRST.match(text):
            return Instant(warning=f"ambiguous day/month order in {text!r}: never guessed")
        return Instant(warning=f"time {text!r} is not understood")
    if parsed.tzinfo is None:
        return _of_wall_clock(parsed, received_at_ms, zone, earliest_ms)
    try:
        at_ms = (parsed - _EPOCH) // _MS
    except OverflowError:
        return Instant(warning=f"time {text!r} is out of range")
    return _checked(at_ms, received_at_ms, earliest_ms)


def _parsed(text: str) -> datetime | None:
    """`text` as ISO 8601 or its common relatives (year first always)."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    if not _YEAR_FIRST.match(text):
        return None
    tidy = text.upper().replace("年", "-").replace("月", "-").replace("日", " ").replace("/", "-")
    for utc in ("[UTC]", "UTC", "GMT"):
        if tidy.endswith(utc):
            tidy = tidy.removesuffix(utc).strip().removesuffix("Z") + "Z"
    tidy = _LONG_FRACTION.sub(r"\1", tidy)
    tidy = re.sub(r"\s+([+-]\d{2}:?\d{2}|Z)\Z", r"\1", tidy)
    date, _, clock = tidy.partition("T") if "T" in tidy else tidy.partition(" ")
    date = _ONE_DIGIT.sub(r"0\1", date.replace(".", "-"))
    clock = re.sub(r"\A(\d):", r"0\1:", clock.strip())
    tidy = f"{date.strip()}T{clock}" if clock else date.strip()
    tidy = _ZONE_WITHOUT_MINUTES.sub(r"\1:00", tidy)
    try:
        return datetime.fromisoformat(tidy)
    except ValueError:
        return None


def _of_wall_clock(wall: datetime, received_at_ms: int, zone: str, earliest_ms: int) -> Instant:
    as_if_utc = (wall - _LOCAL_EPOCH) // _MS
    if as_if_utc < earliest_ms - 86_400_000:
        return Instant(warning=_too_early(wall.year))
    local = wall.isoformat(timespec="milliseconds" if wall.microsecond else "seconds")
    known = _zone(zone) if zone else None
    if known is None:
        return Instant(local=local, warning="time without zone, and the site's zone is not set")
    first, second = wall.replace(tzinfo=known, fold=0), wall.replace(tzinfo=known, fold=1)
    if first.utcoffset() != second.utcoffset():
        if first.astimezone(UTC).astimezone(known).replace(tzinfo=None) != wall:
            return Instant(local=local, warning=f"{local} does not exist in {zone}")
        late = (second - _EPOCH) // _MS
        at_ms = (first - _EPOCH) // _MS
        # The hour that comes twice: the later one unless that lies ahead of the receipt.
        chosen = at_ms if late > received_at_ms + AHEAD_MS else late
        return Instant(chosen, local, f"{local} comes twice in {zone}")
    checked = _checked((first - _EPOCH) // _MS, received_at_ms, earliest_ms)
    return Instant(checked.at_ms, local, checked.warning)


@lru_cache(maxsize=16)
def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


def _checked(at_ms: int, received_at_ms: int, earliest_ms: int) -> Instant:
    if at_ms < earliest_ms:
        return Instant(warning=_too_early(_year(at_ms)))
    if at_ms > received_at_ms + AHEAD_MS:
        return Instant(warning=f"time is {(at_ms - received_at_ms) // 1_000} s in the future: beyond tolerance")
    return Instant(at_ms)


def _year(at_ms: int) -> int:
    try:
        return (_EPOCH + timedelta(milliseconds=at_ms)).year
    except OverflowError:
        return 0


def _too_early(year: int) -> str:
    if year == 1970:
        return "1970: device clock not set"
    if year == 2000:
        return "2000-01-01: device clock was reset"
    return f"year {year}: device clock not set"


def _kind(value: Any) -> str:
    return "true or false" if isinstance(value, bool) else f"a {type(value).__name__}"
