"""What a start rests on: secrets, ports, the choice of a store, the command line, the seed."""

import errno
import io
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from infra import credentials, ports, programs, run, seaweed, stores
from infra.ending import Ending
from infra.layout import Layout
from infra.programs import ROOT, Plan
from infra.rights import programs as programs_of_the_platform
from infra.seeds import commerce, rows, tourism
from infra.services import SERVICES, seed_of
from infra.supervisor import Supervisor
from services.commerce.actions import goods
from shared.auth.subjects import subjects
from shared.clock import SystemClock
from shared.settings import (
    IdentityNotifierSettings,
    IdentitySettings,
    NotifierSettings,
    Settings,
)
from shared.storage.access import ReadView
from shared.storage.catalogue import Body
from shared.times import DAY_MS
from tests.support.clock import FakeClock
from tests.support.gate import Gate
from tests.support.served import all_divisions
from tests.support.shop import Shop

CLOCK = SystemClock()
GIVEN = {
    "GANSU_STORE_ENDPOINT": "https://s3.example",
    "GANSU_STORE_BUCKET": "gansu",
    "GANSU_STORE_ACCESS_KEY": "a",
    "GANSU_STORE_SECRET_KEY": "s",
}


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    layout = Layout(tmp_path)
    layout.prepare()
    return Plan(layout, credentials.load_or_make(layout.secrets, CLOCK), port=8080)


def test_what_is_kept_is_its_owners_alone_where_the_directory_was_there_before(
    tmp_path: Path,
) -> None:
    root = tmp_path / "made-by-hand"
    root.mkdir(mode=0o755)
    root.chmod(0o755)
    Layout(root).prepare()
    folders = {each.name: each.stat().st_mode & 0o777 for each in root.iterdir()}
    assert {"store", "replicas", "gateway", "logs", "environment"} <= folders.keys()
    assert set(folders.values()) == {0o700}


def test_secrets_are_made_once_for_their_owner_alone(tmp_path: Path) -> None:
    made = credentials.load_or_make(tmp_path / "secrets", CLOCK)
    assert credentials.load_or_make(tmp_path / "secrets", CLOCK) == made
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o600
    assert credentials.load_or_make(tmp_path / "others", CLOCK) != made


def test_each_service_and_purpose_has_a_key_of_its_own(tmp_path: Path) -> None:
    secrets = credentials.load_or_make(tmp_path / "secrets", CLOCK)
    keys = {
        secrets.key_of(service, purpose)
        for service in ("commerce", "tourism")
        for purpose in ("subject", "request")
    }
    assert len(keys) == 4
    assert all(len(key) == 64 for key in keys)
    assert not keys & {secrets.master_key, secrets.store_secret_key}


@pytest.mark.parametrize("directory", [".run", ".run-2", ".compose"])
def test_secrets_in_the_checkout_are_never_committed(tmp_path: Path, directory: str) -> None:
    # By the checkout's own rules, in a repository of the test's: what is tested may be no clone.
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    shutil.copy(ROOT / ".gitignore", tmp_path)
    asked = ["git", "check-ignore", "--quiet", "--no-index", f"{directory}/secrets"]
    assert subprocess.run(asked, cwd=tmp_path, check=False).returncode == 0


def test_a_file_that_holds_something_else_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "secrets").write_text("half a fi")
    with pytest.raises(ValueError, match="does not hold"):
        credentials.load_or_make(tmp_path / "secrets", CLOCK)
    assert (tmp_path / "secrets").read_text() == "half a fi"


def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert str(port) in (ports.trouble(port) or "")
    assert ports.trouble(port) is None


def test_who_starts_it_twice_is_told_what_can_be_typed(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    lock = run.take_over(layout, CLOCK)
    with pytest.raises(run.Failed, match="runs already") as refused:
        run.take_over(layout, CLOCK)
    os.close(lock)
    typed = ".venv/bin/python -m infra.run --directory .run-2 --port 8090"
    assert typed in str(refused.value)
    assert typed in (ROOT / "docs" / "operations.md").read_text()


def test_a_disk_without_room_for_the_store_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(tmp_path)
    layout.prepare()
    assert seaweed.lack_of_room(layout.store) is None
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=(256 << 20) - 1))
    said = rf"255 MiB are free where {layout.store} is.*takes no writes below 256 MiB"
    with pytest.raises(run.Failed, match=said):
        run.check_room("seaweed", layout)
    run.check_room("moto", layout)  # it keeps nothing there


def test_each_program_has_credentials_of_its_own_in_the_embedded_store(plan: Plan) -> None:
    store = stores.seaweed(plan.layout, plan.credentials)
    told = [store.environment_of(program) for program in programs_of_the_platform()]
    keys = {(each["GANSU_STORE_ACCESS_KEY"], each["GANSU_STORE_SECRET_KEY"]) for each in told}
    assert len(keys) == len(told)
    assert store.environment["GANSU_STORE_SECRET_KEY"] not in {secret for _, secret in keys}
    # What forgets everything asks for no credentials.
    moto = stores.moto(plan.credentials)
    assert moto.environment_of("commerce") == moto.environment


def test_services_accept_what_they_are_told(plan: Plan) -> None:
    [program] = programs.containers(plan, "commerce", stores.moto(plan.credentials).environment)
    settings = Settings.from_environ(program.environment)
    assert settings.issuer == "http://127.0.0.1:8080/identity"
    assert settings.jwks == str(plan.layout.keys)
    assert settings.replica_directory == plan.layout.replicas / "commerce"
    assert settings.subject_key != settings.request_key


def test_identity_and_its_notifier_share_a_key_that_no_other_service_has(plan: Plan) -> None:
    store = stores.moto(plan.credentials).environment
    [own] = programs.containers(plan, "identity", store)
    told = programs.notifier(plan, "identity", store)
    sealing = IdentitySettings.from_environ(own.environment).sealing_key
    assert IdentityNotifierSettings.from_environ(told.environment).sealing_key == sealing
    assert "GANSU_TOKEN_KEY" not in told.environment
    [other] = programs.containers(plan, "commerce", store)
    for program in (other, programs.notifier(plan, "commerce", store)):
        assert "GANSU_SEALING_KEY" not in program.environment
        assert "GANSU_TOKEN_KEY" not in program.environment


def test_notifiers_accept_what_they_are_told(plan: Plan) -> None:
    program = programs.notifier(plan, "commerce", stores.moto(plan.credentials).environment)
    settings = NotifierSettings.from_environ(program.environment)
    assert settings.notices == "console"
    assert settings.container == program.name == "commerce-notices"
    assert settings.replica_directory == plan.layout.replicas / "commerce-notices"
    assert "GANSU_SUBJECT_KEY" not in program.environment


def test_a_programs_environment_can_be_sourced(plan: Plan) -> None:
    [program] = programs.containers(plan, "commerce", {"GANSU_STORE_PREFIX": "it's/"})
    programs.write_environment(program, plan.layout)
    path = plan.layout.environment / "commerce"
    assert path.stat().st_mode & 0o777 == 0o600
    shown = subprocess.check_output(["/bin/sh", "-c", f". {path} && env"], text=True)
    for name, value in program.environment.items():
        assert f"{name}={value}\n" in shown


def test_a_store_elsewhere_has_to_be_named_in_full() -> None:
    assert stores.given(GIVEN).program is None
    for name in GIVEN:
        with pytest.raises(ValueError, match=name):
            stores.given({**GIVEN, name: ""})


@pytest.mark.parametrize(
    "wrong",
    [
        ["--port", "0"],
        ["--port", "70000"],
        ["--port", "web"],
        ["--store", "tape"],
        ["--containers", "0"],
        ["--certificate", "only.pem"],
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_is_refused(wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        run.parsed(wrong)
    assert refused.value.code == 2


def test_a_directory_whose_lock_cannot_be_opened_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where it is read-only or was made by `sudo`; root, who may run this, can open those."""
    monkeypatch.setattr(Ending, "listen", lambda _: None)
    (tmp_path / "runner.lock").mkdir()
    assert run.main([f"--directory={tmp_path}"]) == run.EXIT_FAILED
    assert f"{tmp_path} cannot be used: [Errno 21]" in capsys.readouterr().err


def test_it_runs_in_the_checkout_by_default() -> None:
    options = run.parsed([])
    assert (options.directory, options.port, options.store) == (ROOT / ".run", 8080, "seaweed")


def test_every_service_has_what_its_row_promises() -> None:
    for service in SERVICES:
        assert (ROOT / "services" / service / "wsgi.py").exists()
        assert (ROOT / "services" / service / "notify.py").exists()
        seed = seed_of(service)
        assert seed.last_planted(CLOCK.now_ms()).startswith(f"/{service}/v1/")
        assert callable(seed.main)


# Telling, and going on


class Gone(io.StringIO):
    """What a person has closed, or never could be told by."""

    def write(self, _: str) -> int:
        raise BrokenPipeError


def test_telling_raises_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    run.say("ended", Gone())
    ascii_alone = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    run.say("Stopping …", ascii_alone)
    ascii_alone.close()
    run.say("ended", ascii_alone)
    monkeypatch.setattr(sys, "stdout", None)
    run.say("ended")


class Fast(FakeClock):
    """Whoever sleeps wakes up when keys are to be fetched."""

    def sleep(self, seconds: float) -> None:
        self.pass_monotonic(run.KEYS_SECONDS + seconds)


def test_a_runner_goes_on_where_keys_cannot_be_kept(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    tried: list[float] = []
    clock, ending = Fast(), Ending()

    def published(_: Plan) -> bool:
        tried.append(clock.monotonic())
        ending.asked = len(tried) // 3
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(run, "publish_keys", published)
    run.watch(plan, Supervisor(plan.layout, clock, said.append), clock, ending)
    assert len(tried) == 3
    full = "[Errno 28] No space left on device"
    assert said == [f"Failed to fetch identity's keys, and tries again: {full}"]


# The seed

SUBJECT_OF = subjects(b"k" * 32)


def plant(shop: Shop) -> int:
    return commerce.plant(shop.database, SUBJECT_OF, all_divisions())


def test_every_specialty_is_sold_in_a_store_of_its_county() -> None:
    reference = ROOT / "data" / "reference" / "gansu_specialties.json"
    specialties = {f"sample-{row['id']}": row for row in json.loads(reference.read_text())}
    stores_by_id = {row["id"]: row for row in rows("stores.json")}
    products = {row["id"]: row for row in rows("products.json")}
    assert products.keys() == specialties.keys()
    for key, product in products.items():
        specialty = specialties[key]
        assert product["name_zh"] == specialty["name_zh"]
        assert product["name_en"] == specialty["name_en"]
        assert product["division"] == specialty["division"]
        assert product["category"] == specialty["category"].replace(" ", "_")
        assert stores_by_id[product["store"]]["division"] == product["division"]


def test_what_is_made_up_says_so() -> None:
    for row in rows("stores.json"):
        assert row["sample"] is True
        assert "示例" in row["name_zh"]
        assert "sample" in row["name_en"]
    for row in rows("products.json"):
        assert row["sample"] is True
        assert "虚构" in row["description_zh"]
        assert "made up" in row["description_en"]


def test_planting_again_changes_nothing(tmp_path: Path) -> None:
    with Shop(tmp_path) as shop:
        assert plant(shop) == 28
        planted = shop.database.read(lambda view: view.seq).value
        assert plant(shop) == 0
        assert shop.database.read(lambda view: view.seq).value == planted


def test_an_interrupted_planting_is_completed(tmp_path: Path) -> None:
    [first, *_] = rows("stores.json")
    with Shop(tmp_path) as shop:
        goods.plant_store(shop.database, first["id"], {**first, "opened_ms": 1}, [])
        assert plant(shop) == 27


def test_a_planted_lily_can_be_sold_and_its_merchant_is_known(tmp_path: Path) -> None:
    def lily(view: ReadView) -> tuple[Body, Body, Body]:
        product = view.require("products", "sample-lanzhou-lily").body
        stock = view.require("stock", "sample-lanzhou-lily").body
        return product, stock, view.require("stores", product["store"]).body

    with Shop(tmp_path) as shop:
        plant(shop)
        product, stock, store = shop.database.read(lily).value
    assert (product["prefecture"], product["sample"], product["for_sale"]) == ("620100", True, True)
    assert stock["on_hand"] == stock["received"] == 1200
    assert store["owner"] == SUBJECT_OF("merchant-gansu")
    assert store["sample"] is True


def test_sample_tickets_grow_by_a_day_each_day(tmp_path: Path) -> None:
    with Gate(tmp_path) as gate:
        now_ms = gate.clock.now_ms()
        address = tourism.last_planted(now_ms).removeprefix("/tourism")
        assert gate.get(address).status_code == 404
        planted = tourism.plant(gate.database, SUBJECT_OF, now_ms)
        windows = sum(len(product["windows"]) for product in tourism.samples()["products"])
        assert planted == 31 * windows
        gate.clock.pass_monotonic(2)
        assert gate.get(address).status_code == 200
        assert tourism.plant(gate.database, SUBJECT_OF, now_ms) == 0
        assert tourism.plant(gate.database, SUBJECT_OF, now_ms + DAY_MS) == windows


def test_sample_tickets_say_that_they_are_made_up() -> None:
    for product in tourism.samples()["products"]:
        assert product["sample"] is True
        assert "示例" in product["name_zh"]
        assert "sample" in product["name_en"]
        assert "虚构" in product["description_zh"]
        assert "made up" in product["description_en"]
