"""The sample clinics: at real hospitals, and recognisable as samples."""

import json
from pathlib import Path

from infra.seeds import health
from shared.auth.subjects import subjects
from shared.divisions import REFERENCE
from shared.times import DAY_MS
from tests.support.clinic import Clinic
from tests.support.served import json_of
from tests.support.tokens import SUBJECT_KEY

SUBJECT_OF = subjects(SUBJECT_KEY)


def test_every_hospital_has_a_sample_desk_and_everybody_at_it_says_so() -> None:
    read = health.samples()
    hospitals = {row["id"] for row in json.loads((REFERENCE / "gansu_hospitals.json").read_text())}
    assert {row["hospital"] for row in read["departments"]} == hospitals
    departments = {row["id"] for row in read["departments"]}
    assert {row["department"] for row in read["doctors"]} == departments
    for row in [*read["departments"], *read["doctors"]]:
        assert "示例" in row["name_zh"]
        assert "sample" in row["name_en"].casefold()


def test_planting_again_adds_only_the_days_that_are_new(tmp_path: Path) -> None:
    with Clinic(tmp_path) as clinic:

        def plant() -> int:
            return health.plant(clinic.database, SUBJECT_OF, clinic.clock.now_ms())

        def last() -> int:
            path = health.last_planted(clinic.clock.now_ms()).removeprefix("/health")
            clinic.clock.pass_monotonic(2)
            return clinic.get(path).status_code

        assert last() == 404
        assert plant() == 48 * 12
        assert last() == 200
        assert plant() == 0
        clinic.clock.wall_ms += DAY_MS
        assert last() == 404
        assert plant() == 48
        assert last() == 200


def test_a_sample_can_be_booked_and_checked_in_by_the_hospitals_staff(tmp_path: Path) -> None:
    with Clinic(tmp_path) as clinic:
        health.plant(clinic.database, SUBJECT_OF, clinic.clock.now_ms())
        session = clinic.read("sample-lzu-first-internal-01.20260101.0830")
        appointment = clinic.booked(session)
        answer = clinic.at_desk("check-in", appointment, by="clinician-lzu-first")
        assert json_of(answer)["state"] == "checked_in"
        doctor = json_of(clinic.get("/v1/doctors/sample-lzu-first-internal-01"))
        assert (doctor["sample"], doctor["name"]) == (True, "示例医生 01")
