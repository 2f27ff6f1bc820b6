"""Residents' identity numbers: what one says of itself (GB 11643-1999)."""

import re
from datetime import date

from stdnum.cn import ric
from stdnum.exceptions import ValidationError

_NUMBER = re.compile(r"[1-9][0-9]{16}[0-9X]")

_YEARS_MAX = 130
"""Nobody is as old."""


def born_of(number: str, today: date) -> date | None:
    """The day of birth in a number, or None where nobody can have it: its check character is wrong
    (ISO 7064, MOD 11-2), or there is no such day, or nobody alive was born on it.
    """
    if not _NUMBER.fullmatch(number) or number[-1] != ric.calc_check_digit(number):
        return None
    try:
        born: date = ric.get_birth_date(number)
    except ValidationError:
        return None
    return born if today.year - _YEARS_MAX <= born.year and born <= today else None
