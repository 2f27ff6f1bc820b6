"""Faults to be seeded in what the engine does on a machine that is short of something.

A part of `mutants.MUTANTS`; `docs/reliability.md` shows the list.
"""

from tests.support.mutant import Mutant

_ENGINE = "shared/storage"

SCARCITY = (
    Mutant(
        "keeps a lock that it could not wait for",
        f"{_ENGINE}/turnstile.py",
        "            self._opened.close()\n            raise\n",
        "            raise\n",
        "tests/storage/test_turnstile.py::"
        "test_who_can_start_no_thread_to_wait_in_goes_on_and_leaves_nothing_locked",
    ),
    Mutant(
        "condemns a replica for want of descriptors",
        f"{_ENGINE}/replica.py",
        "    return code & 0xFF == sqlite3.SQLITE_CANTOPEN\n",
        "    return False\n",
        "tests/storage/test_replica_recovery.py::"
        "test_who_is_out_of_descriptors_is_busy_and_condemns_nothing",
    ),
)
