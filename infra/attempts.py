"""What is tried again and again, and must end nothing else when it fails: a disk that is full today
may have room tomorrow, and a folder that somebody removed comes back.
"""

from collections.abc import Callable

from infra.processes import StillRunning

Say = Callable[[str], None]


class Attempts:
    """Says what failed once, for as long as it fails for the same reason."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._failing: dict[str, str] = {}

    def succeeds(self, what: str, action: Callable[[], object]) -> bool:
        """Whether it went well this time. `what` says what was to be done: to start commerce."""
        try:
            action()
        except (OSError, StillRunning) as error:
            said = str(error)
            if self._failing.get(what) != said:
                self._failing[what] = said
                self._say(f"Failed {what}, and tries again: {said}")
            return False
        self._failing.pop(what, None)
        return True
