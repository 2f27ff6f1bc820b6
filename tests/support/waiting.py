"""Waiting for a condition with a deadline, instead of sleeping and hoping."""

import time
from collections.abc import Callable


def wait_until(
    condition: Callable[[], bool], what: str, *, seconds: float = 30, step_seconds: float = 0.02
) -> None:
    """Return once `condition()` holds; fail, naming `what`, when it does not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s for: {what}")
        time.sleep(step_seconds)
