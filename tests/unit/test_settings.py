"""Settings: read once, checked whole, documented."""

import dataclasses
import re
from pathlib import Path

import pytest

from shared import settings
from shared.settings import (
    IdentityNotifierSettings,
    IdentitySettings,
    NotifierSettings,
    ObservationSettings,
    Settings,
    SettingsError,
    StoreSettings,
)
from shared.settings_of_containers import ContainerSettings, GatewaySettings

ROOT = Path(__file__).parents[2]
SECRET = "a secret of more than thirty-two bytes"

PRODUCTION = {
    "GANSU_ISSUER": "https://identity.gansu.example",
    "GANSU_JWKS": "https://identity.gansu.example/jwks.json",
    "GANSU_SUBJECT_KEY": SECRET + " for subjects",
    "GANSU_REQUEST_KEY": SECRET + " for requests",
    "GANSU_STORE_BUCKET": "gansu-state",
}


def test_the_manual_says_what_the_code_reads() -> None:
    written = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert written == settings.documentation(), "run: python -m shared.settings"


GIVEN = {"SERVICE", "PROCESS", "PORT", "BIND"}
"""What platforms and people call them."""

KINDS = (
    *(Settings, StoreSettings, NotifierSettings, IdentitySettings, IdentityNotifierSettings),
    *(ObservationSettings, GatewaySettings, ContainerSettings),
)


@pytest.mark.parametrize("kind", KINDS)
def test_every_setting_has_a_sentence_and_a_name_of_its_own(kind: type[Settings]) -> None:
    declared = [field.metadata for field in dataclasses.fields(kind)]
    assert all(metadata["doc"].endswith(".") for metadata in declared)
    names = [metadata["name"] for metadata in declared]
    assert all(re.fullmatch("GANSU_[A-Z_]+", name) or name in GIVEN for name in names)
    assert len(set(names)) == len(names)
    manual = settings.documentation()
    assert all(f"| `{name}` |" in manual for name in names)


def test_development_needs_nothing() -> None:
    read = Settings.from_environ({"GANSU_ENV": "development"})
    assert read.environment == "development"
    assert len(read.subject_key) >= settings.SECRET_BYTES_MIN
    own = IdentitySettings.from_environ({"GANSU_ENV": "development"})
    told = IdentityNotifierSettings.from_environ({"GANSU_ENV": "development"})
    assert own.sealing_key == told.sealing_key


def test_production_is_what_nobody_asked_for() -> None:
    assert Settings.from_environ(PRODUCTION).environment == "production"


@pytest.mark.parametrize("missing", PRODUCTION)
def test_production_has_no_default_for_what_matters(missing: str) -> None:
    given = {name: value for name, value in PRODUCTION.items() if name != missing}
    with pytest.raises(SettingsError, match=f"{missing} is missing"):
        Settings.from_environ(given)


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(SettingsError) as told:
        Settings.from_environ({"GANSU_ENV": "staging", "GANSU_THREADS": "many"})
    for name in ("GANSU_ENV", "GANSU_THREADS", *PRODUCTION):
        assert name in str(told.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GANSU_SUBJECT_KEY", "short"),
        ("GANSU_REQUEST_KEY", "x" * 31),
        ("GANSU_ISSUER", "identity.gansu.example"),
        ("GANSU_JWKS", "jwks.json"),
        ("GANSU_JWKS", "file:///jwks.json"),
        ("GANSU_THREADS", "1"),
        ("GANSU_THREADS", "257"),
        ("GANSU_THREADS", "-4"),
        ("GANSU_THREADS", "１２"),
        ("GANSU_BODY_BYTES_MAX", "10"),
        ("GANSU_STORE_PROFILE", "swift"),
        ("GANSU_STORE_BUCKET", "Gansu State"),
        ("GANSU_STORE_PREFIX", "gansu"),
        ("GANSU_STORE_PREFIX", "/gansu/"),
        ("GANSU_STORE_PREFIX", "../"),
        ("GANSU_STORE_ENDPOINT", "127.0.0.1:8333"),
    ],
)
def test_what_makes_no_sense_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name} "):
        Settings.from_environ({**PRODUCTION, name: value})


def test_the_secrets_published_for_development_are_refused_in_production() -> None:
    development = Settings.from_environ({"GANSU_ENV": "development"})
    for name, value in (
        ("GANSU_SUBJECT_KEY", development.subject_key.decode()),
        ("GANSU_REQUEST_KEY", development.request_key.decode()),
        ("GANSU_STORE_SECRET_KEY", development.store_secret_key),
    ):
        with pytest.raises(SettingsError, match=f"^{name} is the value published"):
            Settings.from_environ({**PRODUCTION, name: value})


def test_secrets_are_not_shown() -> None:
    read = Settings.from_environ({**PRODUCTION, "GANSU_STORE_SECRET_KEY": "store-secret"})
    assert SECRET not in repr(read)
    assert "store-secret" not in repr(read)
    assert "gansu-state" in repr(read)


def test_an_empty_variable_is_no_variable() -> None:
    assert Settings.from_environ({**PRODUCTION, "GANSU_THREADS": ""}).threads == 128


def test_staff_sign_in_by_a_number_alone_in_development_only() -> None:
    keys = {
        **{name: SECRET + name for name in ("GANSU_TOKEN_KEY", "GANSU_SEALING_KEY")},
        "GANSU_MASTER_KEYS": f"b:{'0b' * 32},a:{'0a' * 32}",
        "GANSU_VERIFIER_URL": "https://names.gansu.example",
        "GANSU_VERIFIER_KEY": "what-the-authority-knows",
    }
    own = IdentitySettings.from_environ({**PRODUCTION, **keys})
    assert not own.staff_by_number
    with pytest.raises(SettingsError, match="GANSU_STAFF_BY_NUMBER"):
        IdentitySettings.from_environ({**PRODUCTION, **keys, "GANSU_STAFF_BY_NUMBER": "yes"})
    for name in (each for each in keys if "VERIFIER" not in each):
        given = {key: value for key, value in keys.items() if key != name}
        with pytest.raises(SettingsError, match=f"{name} is missing"):
            IdentitySettings.from_environ({**PRODUCTION, **given})
    assert list(own.master_keys.items()) == [("b", b"\x0b" * 32), ("a", b"\x0a" * 32)]
    for name in ("GANSU_VERIFIER_URL", "GANSU_VERIFIER_KEY"):
        with pytest.raises(SettingsError, match="GANSU_VERIFIER_URL"):
            IdentitySettings.from_environ({**PRODUCTION, **keys, name: ""})
    for wrong in ("", "a", "a:5a", f"a:{'5a' * 32},a:{'5b' * 32}", f"A:{'5a' * 32}"):
        with pytest.raises(SettingsError, match="GANSU_MASTER_KEYS"):
            IdentitySettings.from_environ({**PRODUCTION, **keys, "GANSU_MASTER_KEYS": wrong})


SECRETS = sorted(
    {
        field.metadata["name"]
        for kind in KINDS
        for field in dataclasses.fields(kind)
        if field.metadata["secret"]
    }
)


@pytest.mark.parametrize("name", SECRETS)
def test_every_secret_may_be_in_a_file(name: str, tmp_path: Path) -> None:
    value = "id:" + "7b" * 32 if name == "GANSU_MASTER_KEYS" else SECRET.replace(" ", "-")
    file = tmp_path / "secret"
    file.write_text(f"{value}\n")
    kind = next(
        kind
        for kind in KINDS
        if name in {field.metadata["name"] for field in dataclasses.fields(kind)}
    )
    told = kind.from_environ({"GANSU_ENV": "development", f"{name}_FILE": str(file)})
    said = kind.from_environ({"GANSU_ENV": "development", name: value})
    assert told == said
    assert told != kind.from_environ({"GANSU_ENV": "development"})
    assert f"`{name}_FILE`" in settings.documentation()


def test_a_secret_that_is_given_twice_or_not_to_be_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    twice = {**PRODUCTION, "GANSU_SUBJECT_KEY_FILE": str(file)}
    with pytest.raises(SettingsError, match="GANSU_SUBJECT_KEY is given twice"):
        Settings.from_environ(twice)
    absent = {key: value for key, value in twice.items() if key != "GANSU_SUBJECT_KEY"}
    with pytest.raises(SettingsError, match="GANSU_SUBJECT_KEY cannot be read from"):
        Settings.from_environ(absent)
    file.write_text("\n")
    with pytest.raises(SettingsError, match="GANSU_SUBJECT_KEY is missing"):
        Settings.from_environ(absent)


def test_what_is_no_secret_is_not_read_from_files(tmp_path: Path) -> None:
    file = tmp_path / "bucket"
    file.write_text("gansu-state")
    given = {**PRODUCTION, "GANSU_STORE_BUCKET": "", "GANSU_STORE_BUCKET_FILE": str(file)}
    with pytest.raises(SettingsError, match="GANSU_STORE_BUCKET is missing"):
        Settings.from_environ(given)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GANSU_GATEWAY_HOST", "gansu.example; evil"),
        ("GANSU_GATEWAY_SERVICES", "commerce"),
        ("GANSU_GATEWAY_SERVICES", "commerce=a:1,,"),
        ("GANSU_GATEWAY_RESOLVER", "1.1.1.1; evil"),
        ("GANSU_GATEWAY_CERTIFICATE", "relative.pem"),
        ("GANSU_GATEWAY_WORKERS", "0"),
        ("GANSU_GATEWAY_PROXIES", "10.0.0.1/8"),
        ("GANSU_GATEWAY_PROXIES", "fe80::1%; evil;"),
    ],
)
def test_what_the_gateway_cannot_be_told_is_refused(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        GatewaySettings.from_environ({"GANSU_GATEWAY_HOST": "gansu.example", name: value})


def test_networks_of_proxies_are_written_as_nginx_reads_them() -> None:
    given = {
        "GANSU_GATEWAY_HOST": "gansu.example",
        "GANSU_GATEWAY_PROXIES": "10.0.0.0/255.0.0.0,fd00:0::/8,192.0.2.7",
    }
    proxies = GatewaySettings.from_environ(given).proxies
    assert proxies == ("10.0.0.0/8", "fd00::/8", "192.0.2.7/32")


def test_a_certificate_has_a_key() -> None:
    with pytest.raises(SettingsError, match="belong together"):
        GatewaySettings.from_environ(
            {"GANSU_GATEWAY_HOST": "gansu.example", "GANSU_GATEWAY_CERTIFICATE": "/a.pem"}
        )
