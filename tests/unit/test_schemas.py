"""Fields: what somebody is told who writes one in another form."""

import pytest

from shared.errors import Refused
from shared.loading import Loader
from shared.schemas import DIVISION, Day, Instant, Schema, Text, TimeOfDay


class Written(Schema):
    day = Day()
    first = Day(example="2026-12-01")
    at = Instant()
    start = TimeOfDay()
    near = Text(30, pattern=r"^[0-9]+,[0-9]+$", example="40,94")
    division = Text(6, pattern=DIVISION)


def test_a_field_of_another_form_is_told_what_it_has_to_look_like() -> None:
    with pytest.raises(Refused) as refused:
        Loader(Written).load(dict.fromkeys(Written().fields, "1.5."))
    assert {error.field: (error.zh, error.en) for error in refused.value.fields} == {
        "day": ("格式须如 2026-05-01", "has to look like 2026-05-01"),
        "first": ("格式须如 2026-12-01", "has to look like 2026-12-01"),
        "at": ("格式须如 2026-05-01T08:30:00.000Z", "has to look like 2026-05-01T08:30:00.000Z"),
        "start": ("格式须如 08:30", "has to look like 08:30"),
        "near": ("格式须如 40,94", "has to look like 40,94"),
        "division": ("格式不正确", "does not have the right form"),
    }
