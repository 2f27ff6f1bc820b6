"""Subjects: what a service stores in place of an account id."""

import re

from hypothesis import given
from hypothesis import strategies as st

from shared.auth.subjects import service_subject, subjects

ONE, OTHER = b"1" * 32, b"2" * 32


def test_a_subject_does_not_change_from_release_to_release() -> None:
    """Every stored document is found by it: this value must never be edited."""
    assert service_subject("citizen-1", ONE) == "sub_tg4xe5jnvw3qefmk4cxr5gdiusm2so4c"


@given(st.text())
def test_a_subject_is_an_opaque_word(account: str) -> None:
    subject = service_subject(account, ONE)
    assert re.fullmatch(r"sub_[a-z2-7]{32}", subject)
    assert subject == service_subject(account, ONE) == subjects(ONE)(account)


@given(st.text(), st.text())
def test_accounts_and_services_do_not_share_subjects(one: str, other: str) -> None:
    assert (service_subject(one, ONE) == service_subject(other, ONE)) == (one == other)
    assert service_subject(one, ONE) != service_subject(one, OTHER)
