"""The hub's own settings: `hub.yaml`, then the environment (GRIDHUB_…, nested by two underscores), which wins.

Secrets come only from the environment or from files that a `*_file` key names; they are never written into hub.yaml.
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator
from pydantic_settings import EnvSettingsSource

from hub import documents
from hub.audit.deadman import HeartbeatSettings
from hub.documents import Document, Strict
from hub.errors import Complaint, ConfigError

Port = Annotated[int, Field(ge=0, le=65_535)]


class Tls(Strict):
    """TLS to the broker. `ca` empty = the system's authorities; `cert` and `key` for a client certificate."""

    ca: str = ""
    cert: str = ""
    key: str = ""
    insecure: Literal[False] = False  # there is deliberately no way to switch the check of the certificate off


class Mqtt(Strict):
    host: str = "127.0.0.1"
    port: Port = 1883
    protocol: Literal["5", "311"] = "5"
    username: str = ""
    password_file: str = ""
    client_id: str = "gridhub"
    keepalive_s: int = Field(30, ge=5, le=65_535)
    receive_maximum: int = Field(4_000, ge=20, le=65_535)
    session_expiry_s: int = Field(7 * 86_400, ge=0, le=0xFFFFFFFF)
    tls: Tls | None = None

    @field_validator("protocol", mode="before")
    @classmethod
    def _number_is_fine(cls, value: Any) -> Any:
        return str(value).replace(".", "")


class SourceEntry(Strict):
    """One dialect on one topic root, e.g. codec zigbee2mqtt on root zigbee2mqtt/east."""

    codec: str  # a dialect of the hub, or the file of a profile of one's own: profiles/mine.yaml
    root: str = ""  # that of the dialect if empty
    also: tuple[str, ...] = ()  # further topic filters that belong to this source, e.g. the states that discovery names

    @field_validator("root")
    @classmethod
    def _no_wildcards(cls, value: str) -> str:
        if any(c in value for c in "+#\0") or value.endswith("/"):
            raise ValueError("a root is a topic prefix without wildcards and without a trailing slash")
        return value

    @field_validator("also")
    @classmethod
    def _filters(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            levels = one.split("/")
            if (
                not one
                or "#" in levels[:-1]
                or any(len(level) > 1 and ("+" in level or "#" in level) for level in levels)
            ):
                raise ValueError(f"'{one}' is no topic filter: + and # stand alone between slashes, # at the end")
        return value


class JournalSettings(Strict):
    folder: str = ""  # "" = <data_dir>/journal
    group_ms: int = Field(5, ge=0, le=20)
    retain_days: float = Field(30, gt=0)
    retain_mib: int = Field(20_000, ge=1)
    segment_mib: int = Field(64, ge=1)


class LedgerSettings(Strict):
    url: str = ""  # "" = SQLite in <data_dir>/ledger.db
    password_file: str = ""


class HistorySettings(Strict):
    kind: Literal["embedded", "influx"] = "embedded"
    url: str = "http://127.0.0.1:8086"
    org: str = "gridhub"
    bucket: str = "telemetry"
    token_file: str = ""
    retain_days: float = Field(90, gt=0)


class ApiSettings(Strict):
    host: str = "127.0.0.1"
    port: Port = 8080
    public_url: str = ""  # "" = http://host:port


class LinkSettings(Strict):
    """One-tap links in notifications. Their key: GRIDHUB_LINKS_KEY, else `key_file`, else one of its own in the data folder."""

    lifetime_h: float = Field(12, gt=0, le=168)
    key_file: str = ""


class TestFireSettings(Strict):
    """How often each test device says that it burns; 0 = never."""

    every_h: float = Field(24, ge=0, le=744)


class FireUnits(Strict):
    """The TCP port that fire-alarm transmission units (GB/T 26875.3) call."""

    host: str = "127.0.0.1"
    port: Port = 26_875


class ScreenSettings(Strict):
    """What device time is trusted, and when a reading counts as late."""

    past_days: float = Field(7, gt=0)
    future_s: float = Field(300, gt=0)
    late_s: float = Field(300, gt=0)


class Settings(Strict):
    """Everything in hub.yaml. `folder` is the configuration folder itself."""

    site: str = "demo"
    timezone: str = "Asia/Shanghai"
    locale: Literal["zh-CN", "en"] = "zh-CN"
    data_dir: str = "data"
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(lambda v: str(v).upper())] = (
        "INFO"
    )
    mqtt: Mqtt = Mqtt()
    sources: tuple[SourceEntry, ...] = (
        SourceEntry(codec="native-v1", root="sc/v1"),
        SourceEntry(codec="zigbee2mqtt", root="zigbee2mqtt"),
    )
    journal: JournalSettings = JournalSettings()
    ledger: LedgerSettings = LedgerSettings()
    history: HistorySettings = HistorySettings()
    api: ApiSettings = ApiSettings()
    screen: ScreenSettings = ScreenSettings()
    links: LinkSettings = LinkSettings()
    gb26875: FireUnits | None = None  # None: nobody calls
    heartbeat: HeartbeatSettings = HeartbeatSettings()
    test_fires: TestFireSettings = TestFireSettings()
    channels: dict[str, dict[str, Any]] = {}  # checked by each channel's own file
    folder: Path = Path("config")

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("not an IANA time zone, e.g. Asia/Shanghai") from None
        return value

    @property
    def data(self) -> Path:
        return Path(self.data_dir)

    @property
    def journal_folder(self) -> Path:
        return Path(self.journal.folder) if self.journal.folder else self.data / "journal"

    @property
    def ledger_url(self) -> str:
        url = self.ledger.url or f"sqlite:///{(self.data / 'ledger.db').resolve()}"
        if self.ledger.password_file:
            from urllib.parse import quote

            secret = secret_from("", self.ledger.password_file)
            url = url.replace("$PASSWORD", quote(secret, safe=""))
        return url

    @property
    def public_url(self) -> str:
        return self.api.public_url.rstrip("/") or f"http://{self.api.host}:{self.api.port}"


def secret_from(variable: str, file: str) -> str:
    """The secret from environment variable `variable` if set, else from `file`, else "". A file that cannot be read is an error."""
    given = os.environ.get(variable, "") if variable else ""
    if given or not file:
        return given
    try:
        return Path(file).read_text("utf-8").strip()
    except OSError as bad:
        raise ConfigError.one(
            file, f"secret file cannot be read: {bad.strerror}", remedy="mount it or fix the path"
        ) from bad


def load_settings(folder: Path) -> Settings:
    """Settings from `folder`/hub.yaml and the environment. Raises ConfigError with every complaint."""
    path = folder / "hub.yaml"
    document, complaints = documents.read(path)
    if document is None:
        raise ConfigError(complaints)
    if document.data is not None and not isinstance(document.data, dict):
        raise ConfigError([document.complain((), "expected keys and values", "see config/hub.yaml")])
    data: dict[str, Any] = dict(document.data or {})
    overrides = _environment()
    whole = merged(data, overrides)
    whole["folder"] = folder
    settings, wrong = documents.check(Settings, document, whole)
    complaints += [_from_environment(c, overrides) for c in wrong]
    if settings is None or complaints:
        raise ConfigError(complaints)
    return settings


def _environment() -> dict[str, Any]:
    source = EnvSettingsSource(Settings, case_sensitive=False, env_prefix="GRIDHUB_", env_nested_delimiter="__")  # type: ignore[arg-type]  # only its field table is used
    found: dict[str, Any] = source()
    found.pop("folder", None)
    return found


def merged(low: dict[str, Any], high: dict[str, Any]) -> dict[str, Any]:
    """`low` with what `high` says instead, section by section."""
    result = dict(low)
    for key, value in high.items():
        below = result.get(key)
        result[key] = merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return result


def _from_environment(complaint: Complaint, overrides: dict[str, Any]) -> Complaint:
    node: Any = overrides
    for part in complaint.key.split("."):
        if not isinstance(node, dict) or part not in node:
            return complaint
        node = node[part]
    variable = "GRIDHUB_" + complaint.key.upper().replace(".", "__")
    return Complaint(
        file="environment", line=None, key=variable, message=complaint.message, remedy="correct or unset the variable"
    )


def document_of(folder: Path) -> Document:
    """The parsed hub.yaml, for parts that check their own section (channels) and complain with its lines."""
    document, complaints = documents.read(folder / "hub.yaml")
    if document is None:
        raise ConfigError(complaints)
    return document


def claim_folder(settings: Settings) -> None:
    """Makes the data folder, for its owner only. A ledger in it needs to write; without one the hub starts on a read-only disk as well."""
    data = settings.data
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as refused:
        why = refused.strerror
    else:
        if os.access(data, os.W_OK | os.X_OK) or not settings.ledger_url.startswith("sqlite"):
            return
        why = "no right to write there, or a read-only disk"
    message = f"the data folder {data} cannot be used: {why}"
    remedy = "give the hub's user this folder, or name another"
    raise ConfigError([document_of(settings.folder).complain(("data_dir",), message, remedy)])


def check_certificates(folder: Path, tls: Tls) -> None:
    """Reads the files of `mqtt.tls` as the session will. Raises ConfigError with all that is wrong with them."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    wrong: list[Complaint] = []

    def complain(key: str, why: str, remedy: str) -> None:
        wrong.append(document_of(folder).complain(("mqtt", "tls", key), why, remedy))

    if tls.ca:
        try:
            context.load_verify_locations(tls.ca)
        except OSError as bad:  # ssl.SSLError is one
            complain(
                "ca",
                f"{tls.ca} cannot be used: {bad.strerror or bad}",
                "name a PEM file with the authority's certificate",
            )
    if tls.key and not tls.cert:
        complain("cert", "a key without its certificate", "name both, or neither")
    if tls.cert:
        try:
            context.load_cert_chain(tls.cert, tls.key or None, password="")
        except OSError as bad:
            complain(
                "cert",
                f"{tls.cert} cannot be used: {bad.strerror or bad}",
                "name PEM files of a certificate and its key",
            )
    if wrong:
        raise ConfigError(wrong)
