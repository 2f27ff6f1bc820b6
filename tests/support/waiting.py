"""Waiting for a condition with a deadline, instead of sleeping and hoping."""

import time
from collections.abc import Callable


def wait_until(
    condition: Callable[[], bool],
    what: str,
    *,
    seconds: float = 30,
    step_seconds: float = 0.02,
    seen: Callable[[], str] = str,
) -> None:
    """Return once `condition()` holds; fail, naming `what`, when it does not within `seconds`, and
    with what was `seen` meanwhile.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s for: {what}. {seen()}".rstrip(". "))
        time.sleep(step_seconds)
