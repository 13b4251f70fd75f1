"""The form of a profile. What each key means is said here once: the JSON Schema for editors and the docs show these words."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from hub.documents import Strict
from hub.model.quantities import ALARM_QUANTITY, QUANTITIES

Scalar = bool | int | float | str | None


def _listed(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _texts(value: Any) -> Any:
    """Keys of a table of words: YAML reads `1:` and `true:` as a number and a switch; messages are compared as text."""
    return {as_word(k): v for k, v in value.items()} if isinstance(value, dict) else value


def as_word(value: Any) -> str:
    """A plain value as the text that tables of words are asked for."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return "null" if value is None else str(value).strip().lower()


Source = Annotated[str, Field(max_length=200)]
"""Where a value is: `key`, `/json/pointer` with `/0` for positions, `^/pointer` from the whole message inside `each`,
`{name}` a level of the topic or of `let`, text around them, `=word` the word itself; "" is the message as a whole."""
Sources = Annotated[list[Source], BeforeValidator(_listed), Field(max_length=16)]
"""One source, or several of which the first that is there counts."""
Words = Annotated[dict[str, Scalar], BeforeValidator(_texts)]
Listed = Annotated[list[Scalar], BeforeValidator(_listed)]


class Condition(Strict):
    """What a value must be. All that is said must hold."""

    eq: Listed | None = None  # one of these
    ne: Listed | None = None  # there, and none of these
    present: bool | None = None
    above: float | None = None
    below: float | None = None
    kind: Literal["number", "text", "switch", "list", "object", "null"] | None = None
    starts: Annotated[list[str], BeforeValidator(_listed)] | None = None
    differs: Source | None = None  # from the value there


def _condition(value: Any) -> Any:
    return value if isinstance(value, dict) else {"eq": value}


When = dict[Source, Annotated[Condition, BeforeValidator(_condition)]]


class Looked(Strict):
    """A value looked up, with words of its own."""

    source: Sources = Field(alias="from")
    words: Words = {}
    default: Scalar = None
    personal: bool = False  # a plate, a card, a face, a name: a hash stands for it unless the hub may keep it
    scale: float = 1.0
    minus: Sources = []  # subtracts this, e.g. the end less the start


def _looked(value: Any) -> Any:
    return value if isinstance(value, dict) else {"from": value}


Look = Annotated[Looked, BeforeValidator(_looked)]


class Metric(Strict):
    """What one value means."""

    quantity: Annotated[str, Field(min_length=1, max_length=100)]
    unit: str = ""  # as the device has it; the quantity's own unit if empty
    scale: float = 1.0  # the value times this, in `unit`
    offset: float = 0.0  # added after scale
    times: Annotated[Sources, Field(max_length=4)] = []  # further factors from the message: ratios of transformers
    words: Words = {}  # value → value of the quantity; null = unknown
    invert: bool = False  # a contact that is true when closed
    null: Listed = []  # these mean: unknown now
    absent: Listed = []  # these mean: nothing is said
    kind: Literal["", "switch", "number"] = ""  # of a name the hub has no quantity for: 0/1/on/off, or a number as text
    bit: int | None = Field(None, ge=0, le=63)  # of a whole number: this bit, as a switch
    when: When = {}
    models: dict[str, dict[str, Any]] = {}  # per value of the message's `model`: other unit, scale, quantity …

    @field_validator("unit")
    @classmethod
    def _known_unit(cls, value: str) -> str:
        from hub.ingest.values import unit_of

        if value and unit_of(value) is None:
            raise ValueError(f"the unit '{value}' is not known; use scale with the quantity's own unit")
        return value

    @model_validator(mode="after")
    def _good_models(self) -> Metric:
        for changes in self.models.values():
            if "models" in changes:
                raise ValueError("models inside models")
            Metric.model_validate({**self.model_dump(exclude={"models", "when"}), **changes})
        return self


def _metric(value: Any) -> Any:
    return {"quantity": value} if isinstance(value, str) else value


def _metrics(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


Metrics = dict[Source, Annotated[list[Annotated[Metric, BeforeValidator(_metric)]], BeforeValidator(_metrics)]]


class EventRow(Strict):
    """An event that the message names."""

    type: Look
    alarm: Look | None = None
    active: Look | None = None
    test: Look | None = None
    when: When = {}
    detail: dict[str, Look] = {}

    @field_validator("alarm")
    @classmethod
    def _fixed_alarm(cls, value: Looked | None) -> Looked | None:
        if value is not None and value.source[0].startswith("=") and not value.source[0][1:]:
            raise ValueError("an alarm needs a name, e.g. =smoke")
        return value


class Availability(Strict):
    """Whether the device is there."""

    source: Sources = Field(alias="from")
    online: Listed = [True, 1, "online", "on", "true", "connected"]
    offline: Listed = [False, 0, "offline", "off", "false", "disconnected"]
    cascade: bool = False  # what hangs behind it is gone with it


def _availability(value: Any) -> Any:
    if isinstance(value, dict):
        return value
    return {"from": f"={as_word(value)}"} if value in ("online", "offline", True, False) else {"from": value}


class TimeSpec(Strict):
    source: Sources = Field(alias="from")
    zone: str = ""  # IANA zone of a wall clock without zone; the site's if empty
    pattern: str = ""  # of strptime, for a form that is none of the usual ones, e.g. "%d/%m/%Y %H:%M"
    unit: Literal["", "s", "ms", "us", "ns"] = ""  # told by the number of digits if empty


def _time(value: Any) -> Any:
    return value if isinstance(value, dict) else {"from": value}


class Part(Strict):
    """What a message, or each part of one, says of a device."""

    device: Sources | None = None
    address: Source | None = None  # identity in the registry behind "<profile>:"; the device if not given
    gateway: Sources | None = None
    site: Sources | None = None
    uid: Sources | None = None
    model: Sources | None = None  # what `models` of the metrics go by
    time: Annotated[TimeSpec, BeforeValidator(_time)] | None = None
    values: Source | None = None  # the object that the keys of `metrics` are in
    metrics: Metrics = {}
    others: Literal["ignore", "keep", "named", "words"] = "ignore"
    """Values that `metrics` does not name: passed over, kept under their own names, taken by their common names, or by common
    names that end theirs (`hall_temperature`) and else kept."""
    except_: Annotated[list[str], Field(alias="except")] = []  # keys that are no values, for keep and named
    unknown: list[str] = []  # quantities of which nothing is known any more
    events: list[EventRow] = []
    availability: Annotated[Availability, BeforeValidator(_availability)] | None = None
    history: bool | Source = False  # back-filled: stored, never judged
    test: Source | None = None  # true: the device is being tested, its alarms are not real
    dedupe: Source | None = None  # id of the message
    seq: Sources | None = None
    interval_s: float | Sources | None = None  # how often the device reports
    info: dict[str, Look] = {}
    warn: list[Warn] = []
    when: When = {}
    each: Annotated[list[Each], BeforeValidator(_listed)] = []

    @field_validator("unknown")
    @classmethod
    def _quantities(cls, value: list[str]) -> list[str]:
        for name in value:
            if name != "*" and name not in QUANTITIES and "{" not in name:
                raise ValueError(f"'{name}' is no quantity")
        return value


class Warn(Strict):
    """A remark on the message, for people."""

    text: str
    when: When


class Each(Part):
    """Every item of a list or an object: a record of the same device, or a device of its own (when `device` is given)."""

    at: Source
    key: str = ""  # name for the item's key or position, as {key}
    most: int = Field(1_000, ge=1, le=1_000)


class FieldSpec(Strict):
    """A field of a binary message."""

    at: int  # byte; negative counts from the end
    type: Literal["u8", "i8", "u16be", "u16le", "i16be", "i16le", "u24be", "u24le", "u32be", "u32le", "i32be", "i32le",
                  "u64be", "u64le", "f32be", "f32le", "f64be", "f64le", "hex", "ascii", "gbk", "utf8", "bcd"]  # fmt: skip
    size: int | None = Field(None, ge=1, le=1_024)  # of hex, text and bcd
    mask: int | None = None
    shift: int = Field(0, ge=0, le=63)
    optional: bool = False  # absent when the message ends before it


class Binary(Strict):
    """The form of a binary message. What does not keep to it is rejected."""

    fields: dict[str, FieldSpec]
    starts: str = ""  # bytes as hex that the message begins with
    length: int | None = None
    least: int = 1
    checksum: Literal["", "sum8", "xor8", "crc16-modbus"] = ""
    checksum_at: int = -1
    checksum_from: int = 0


class MessageRow(Part):
    """One kind of message. The first row whose topic and conditions fit is taken."""

    topic: Annotated[list[str], BeforeValidator(_listed), Field(min_length=1)]
    """Levels with `{name}` one level, `{name+}` one or more, `{name*}` none or more; `{root}` the source's root."""
    payload: Literal["json", "value", "text", "binary", "none"] = "json"
    as_: Annotated[str, Field(alias="as")] = ""  # a bare value becomes an object with this one key, e.g. "{field}"
    binary: Binary | None = None
    let: dict[str, Look] = {}  # further names for {…}
    ignore: str = ""  # known and not a reading: why
    reject: str = ""  # must not be believed: why
    empty: Literal["ignore", "offline", "unknown"] = "ignore"  # what a zero-length payload says
    retained_state: bool = False
    partial: bool = False

    @model_validator(mode="after")
    def _binary_has_form(self) -> MessageRow:
        if (self.payload == "binary") != (self.binary is not None):
            raise ValueError("payload: binary and the key binary belong together")
        return self


class Sample(Strict):
    """A message with what must be understood of it: `gridhub profile test` plays it."""

    name: str = ""
    topic: str
    payload: str | None = None
    json_: Annotated[Any, Field(alias="json")] = None  # the payload as YAML, instead of text
    hex: str | None = None
    root: str = ""
    zone: str = ""
    retained: bool = False
    received_at_ms: int | None = None
    expect: dict[str, Any] = {}

    @model_validator(mode="after")
    def _one_payload(self) -> Sample:
        given = [self.payload is not None, "json_" in self.model_fields_set, self.hex is not None]
        if sum(given) != 1:
            raise ValueError("give one of payload, json and hex")
        return self


class Subscription(Strict):
    topic: str
    lane: Literal["main", "fire"] = "main"


class Profile(Strict):
    """A dialect: which topics, and what the messages on them mean."""

    profile: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,39}$")]
    title: str = ""
    kinds: list[str] = []  # what it connects, for people: smoke, charger, meter …
    source: str = ""  # where the form of the messages is described
    root: str = ""  # topic prefix that is usual
    root_levels: int = Field(1, ge=0, le=8)  # of a lone topic, how many levels are its root (for tools)
    subscribe: list[Subscription] = []  # {root}/# if not given
    messages: Annotated[list[MessageRow], Field(min_length=1)]
    samples: list[Sample] = []


ALARMS = tuple(ALARM_QUANTITY)
Part.model_rebuild()
Each.model_rebuild()
MessageRow.model_rebuild()
Profile.model_rebuild()
