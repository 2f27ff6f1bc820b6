"""Delegation ids as services store them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.auth.delegations import Seal

ONE, OTHER = Seal(b"1" * 32), Seal(b"2" * 32)
STORED = "dlg_HiVgCw1cphwbpIEMQIEdilBAxTqkGont8qgxhg"


def test_what_was_sealed_opens_in_every_release() -> None:
    """Documents hold it: this value must never be edited."""
    assert ONE.sealed("delegation_1") == STORED
    assert ONE.opened(STORED) == "delegation_1"


@given(st.text(min_size=1, max_size=100))
def test_a_seal_is_one_services_own(delegation: str) -> None:
    sealed = ONE.sealed(delegation)
    assert re.fullmatch(r"dlg_[A-Za-z0-9_-]+", sealed)
    assert ONE.opened(sealed) == delegation
    assert OTHER.sealed(delegation) != sealed
    with pytest.raises(ValueError, match="not sealed"):
        OTHER.opened(sealed)


@pytest.mark.parametrize("stored", ["", "dlg_", "dlg_AAAA", "delegation_1", STORED[:-4], "dlg_!"])
def test_what_was_not_sealed_is_not_opened(stored: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - base64's own words or ours
        ONE.opened(stored)
