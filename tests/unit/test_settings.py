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


KINDS = (
    *(Settings, StoreSettings, NotifierSettings, IdentitySettings, IdentityNotifierSettings),
    ObservationSettings,
)


@pytest.mark.parametrize("kind", KINDS)
def test_every_setting_has_a_sentence_and_a_name_of_its_own(kind: type[Settings]) -> None:
    declared = [field.metadata for field in dataclasses.fields(kind)]
    assert all(metadata["doc"].endswith(".") for metadata in declared)
    names = [metadata["name"] for metadata in declared]
    assert all(re.fullmatch("GANSU_[A-Z_]+", name) for name in names)
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
