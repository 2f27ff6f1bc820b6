"""Administrative divisions of Gansu, read from a file and never journalled.

Codes are GB/T 2260 for province, prefectures and counties, and the statistical division codes
below. Jiayuguan has no counties: its county row is the city itself.

Whatever lies somewhere names its county, `division`, and the `prefecture` above it, so that it can
be searched for by either.
"""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

from shared.errors import invalid
from shared.storage.catalogue import Body

REFERENCE = Path(__file__).parents[1] / "data" / "reference"
"""Where files of reference data are."""

FILE = REFERENCE / "gansu_divisions.csv"

_COLUMNS = ("code", "level", "name", "name_en", "parent")

LEVELS = ("province", "prefecture", "county", "township", "village")


@dataclass(frozen=True, slots=True)
class Division:
    """One division. `name_en` is empty below the county, `parent` above the province."""

    code: str
    level: str
    name_zh: str
    name_en: str
    parent: str

    @property
    def position(self) -> tuple[str]:
        """Where it stands in the list of its parent's divisions."""
        return (self.code,)


PROVINCE = Division("620000", "province", "甘肃省", "Gansu", "")


class Divisions:
    """All divisions, by code and by parent."""

    def __init__(self, divisions: Iterable[Division]) -> None:
        self._by_code = {PROVINCE.code: PROVINCE}
        self._by_code |= {division.code: division for division in divisions}
        self._children: dict[str, list[Division]] = {}
        for division in sorted(self._by_code.values(), key=lambda division: division.code):
            self._children.setdefault(division.parent, []).append(division)

    def get(self, code: str) -> Division | None:
        """The division of that code."""
        return self._by_code.get(code)

    def county(self, code: str) -> Division | None:
        """The county of that code; None for any other level."""
        division = self._by_code.get(code)
        return division if division is not None and division.level == "county" else None

    def below(self, code: str, *, after: str = "", limit: int) -> list[Division]:
        """The divisions directly below one, by code, behind `after`."""
        behind = [division for division in self._children.get(code, ()) if division.code > after]
        return behind[:limit]

    def within(self, code: str) -> dict[str, str]:
        """The members that whatever lies in a division has; none for the whole province.

        Raises Refused(INVALID) on `division`, which is no county and no prefecture.
        """
        division = self._by_code.get(code)
        if division is None or division.level not in {"province", "prefecture", "county"}:
            raise invalid("division", "没有此区划", "is no division of Gansu")
        if division.level == "province":
            return {}
        return {"prefecture" if division.level == "prefecture" else "division": code}

    def placed(self, body: Body) -> Body:
        """`body` with its county's prefecture. Raises Refused(INVALID) on `division`."""
        county = self.county(body["division"])
        if county is None:
            raise invalid("division", "没有此县级区划", "is no county of Gansu")
        return {**body, "prefecture": county.parent}


def read(path: Path) -> Divisions:
    """The divisions of a CSV file with the columns code, level, name, name_en, parent."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        # Many rows, at every start: a dict for each would take as long as all the rest.
        named = itemgetter(*map(next(rows).index, _COLUMNS))
        return Divisions(Division(*named(row)) for row in rows)
