"""hub.yaml and the environment: the environment wins, secrets come from files, and every mistake is named with its line."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hub import settings as configuration
from hub.errors import ConfigError
from hub.settings import Settings, Tls, load_settings, secret_from


@pytest.fixture(autouse=True)
def no_settings_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("GRIDHUB_"):
            monkeypatch.delenv(name)


def written(folder: Path, text: str | bytes) -> Path:
    (folder / "hub.yaml").write_bytes(text.encode() if isinstance(text, str) else text)
    return folder


def complaints(folder: Path) -> list[str]:
    with pytest.raises(ConfigError) as wrong:
        load_settings(folder)
    return [str(c) for c in wrong.value.complaints]


def test_an_empty_file_has_every_default(tmp_path: Path) -> None:
    found = load_settings(written(tmp_path, ""))
    assert found == Settings(folder=tmp_path)
    assert (found.api.host, found.mqtt.host) == ("127.0.0.1", "127.0.0.1"), "nothing listens to the world by itself"
    assert found.ledger_url.startswith("sqlite:///")
    assert found.public_url == "http://127.0.0.1:8080"


def test_the_shipped_example_is_sound() -> None:
    from tests.support.paths import CONFIG

    assert load_settings(CONFIG).site == "demo"


def test_the_environment_wins_and_is_named_when_it_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, "mqtt: {host: broker, port: 1}\ndata_dir: /x\n")
    monkeypatch.setenv("GRIDHUB_MQTT__PORT", "8883")
    monkeypatch.setenv("GRIDHUB_DATA_DIR", "/y")
    found = load_settings(tmp_path)
    assert (found.mqtt.host, found.mqtt.port, found.data_dir) == ("broker", 8883, "/y")
    monkeypatch.setenv("GRIDHUB_MQTT__PORT", "many")
    (said,) = complaints(tmp_path)
    assert "environment" in said
    assert "GRIDHUB_MQTT__PORT" in said
    assert "hub.yaml" not in said


@pytest.mark.parametrize(
    ("text", "line", "key", "says"),
    [
        ("sita: demo\n", 1, "sita", "did you mean 'site'"),
        ("site: demo\nmqtt:\n  prt: 1\n", 3, "mqtt.prt", "did you mean 'port'"),
        ("site: demo\nmqtt:\n  port: ninety\n", 3, "mqtt.port", "ninety"),
        ("mqtt: {port: 70000}\n", 1, "mqtt.port", "65535"),
        ("mqtt: 5\n", 1, "mqtt", ""),
        ("mqtt: {protocol: 4}\n", 1, "mqtt.protocol", "'5' or '311'"),
        ("mqtt: {tls: {insecure: true}}\n", 1, "mqtt.tls.insecure", ""),
        ("sources: [{codec: native-v1, root: 'a/#'}]\n", 1, "sources.0.root", "without wildcards"),
        ("sources: [{root: a}]\n", 1, "sources.0.codec", "missing"),
        ("sources: [{codec: esphome, also: ['a/#/b']}]\n", 1, "sources.0.also", "no topic filter"),
        ("timezone: Mars/Base\n", 1, "timezone", "Asia/Shanghai"),
        ("locale: klingon\n", 1, "locale", "zh-CN"),
        ("log_level: loud\n", 1, "log_level", ""),
        ("site: demo\nsite: again\n", 2, "site", "given twice"),
        ("journal: {retain_days: -1}\n", 1, "journal.retain_days", ""),
        ("journal: {group_ms: 1000}\n", 1, "journal.group_ms", ""),
        ("site: [unclosed\n", 2, "", "not valid YAML"),
        ("site: !!python/object:os.system x\n", 1, "", "tag"),
        ("- a\n- b\n", 1, "", "keys and values"),
        ("just words\n", 1, "", "keys and values"),
    ],
)
def test_a_mistake_is_named_with_file_line_key_and_remedy(
    tmp_path: Path, text: str, line: int, key: str, says: str
) -> None:
    said = complaints(written(tmp_path, text))
    assert any(f"hub.yaml:{line}" in s and key in s and says in s for s in said), said


def test_all_mistakes_come_at_once(tmp_path: Path) -> None:
    said = complaints(written(tmp_path, "sita: x\nmqtt: {port: x, hots: y}\napi: {prot: 1}\n"))
    assert len(said) == 4


@pytest.mark.parametrize("text", [b"\xff\xfe\x00", b"site: \xe9\n", b"a: " + b"[" * 100_000, b"\x00"], ids=len)
def test_a_file_that_is_no_text_is_refused_in_words(tmp_path: Path, text: bytes) -> None:
    assert any("hub.yaml" in s for s in complaints(written(tmp_path, text)))


def test_no_file_at_all_is_said(tmp_path: Path) -> None:
    assert "hub.yaml" in complaints(tmp_path)[0]
    assert "not found" in complaints(tmp_path)[0]


# -- secrets ------------------------------------------------------------------------------------------------------------


def test_a_secret_comes_from_its_variable_or_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "secret"
    file.write_text("from file\n")
    assert secret_from("GRIDHUB_X", str(file)) == "from file"
    monkeypatch.setenv("GRIDHUB_X", "from environment")
    assert secret_from("GRIDHUB_X", str(file)) == "from environment"
    assert secret_from("", "") == ""


def test_a_secret_file_that_cannot_be_read_is_the_operators_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="secret file cannot be read"):
        secret_from("", str(tmp_path / "nothing"))


def test_a_password_with_odd_characters_fits_into_the_ledgers_address(tmp_path: Path) -> None:
    (tmp_path / "p").write_text("p@ss/w:rd?#\n")
    url = "postgresql+psycopg://u:$PASSWORD@h/d"
    found = load_settings(written(tmp_path, f"ledger: {{url: '{url}', password_file: {tmp_path / 'p'}}}\n"))
    from sqlalchemy import make_url

    assert (make_url(found.ledger_url).password, make_url(found.ledger_url).host) == ("p@ss/w:rd?#", "h")


# -- folder and certificates ------------------------------------------------------------------------------------------------


def claimed(tmp_path: Path, data_dir: Path, **more: Any) -> None:
    configuration.claim_folder(load_settings(written(tmp_path, f"site: demo\ndata_dir: {data_dir}\n")))


def test_the_data_folder_is_made(tmp_path: Path) -> None:
    claimed(tmp_path, tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    claimed(tmp_path, tmp_path / "a" / "b")


def test_a_data_folder_that_cannot_be_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/nothing")):
        with pytest.raises(ConfigError, match=r"hub\.yaml:2.*data_dir.*cannot be used"):
            claimed(tmp_path, place)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "c.pem", folder / "c.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
         "-keyout", str(key), "-out", str(cert), "-subj", "/CN=x"],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


def tls_trouble(tmp_path: Path, **files: str) -> list[str]:
    text = "site: demo\nmqtt:\n  tls:\n" + "".join(f"    {key}: {path}\n" for key, path in files.items())
    try:
        configuration.check_certificates(written(tmp_path, text), Tls(**files))
    except ConfigError as wrong:
        return [str(c) for c in wrong.complaints]
    return []


def test_good_certificates_pass(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    cert, key = map(str, certificate)
    assert tls_trouble(tmp_path, ca=cert) == []
    assert tls_trouble(tmp_path, ca=cert, cert=cert, key=key) == []


def test_certificates_that_cannot_be_used_are_named_all_at_once(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    cert, key = map(str, certificate)
    (tmp_path / "empty").write_text("")
    missing, empty = str(tmp_path / "none"), str(tmp_path / "empty")
    (said,) = tls_trouble(tmp_path, ca=missing)
    assert "hub.yaml:4" in said
    assert "mqtt.tls.ca" in said
    assert "No such file" in said
    assert len(tls_trouble(tmp_path, ca=empty, cert=empty, key=key)) == 2
    assert len(tls_trouble(tmp_path, key=key)) == 1
    assert len(tls_trouble(tmp_path, cert=cert, key=cert)) == 1
    assert len(tls_trouble(tmp_path, ca=key)) == 1, "a key is no authority"


def test_a_new_data_folder_is_its_owners_only(tmp_path: Path) -> None:
    configuration.claim_folder(load_settings(written(tmp_path, f"site: demo\ndata_dir: {tmp_path}/fresh\n")))
    assert (tmp_path / "fresh").stat().st_mode & 0o777 == 0o700
