"""Faults to be seeded in what a platform does while its store is away, and says of itself.

As in mutants.py, each with the test that must catch it; `docs/reliability.md` shows the list.
"""

from tests.support.mutant import Mutant

_OUTAGE = "tests/storage/test_outage.py::"
_ENGINE = "shared/storage"

OUTAGE = (
    Mutant(
        "answers a decision from what was known once",
        "shared/web/routes.py",
        "        outage = self.outage_seconds if usual.bound_seconds else 0\n",
        "        outage = self.outage_seconds\n",
        "tests/unit/test_web_routes.py::"
        "test_only_what_may_be_old_anyway_may_be_older_while_the_store_is_away",
    ),
    Mutant(
        "answers from what was known once, however long ago",
        f"{_ENGINE}/evidence.py",
        "        if not freshness.outage_seconds or latest.began < earliest:\n",
        "        if not freshness.outage_seconds:\n",
        f"{_OUTAGE}test_what_is_older_than_it_may_be_is_refused",
    ),
    Mutant(
        "does not say how old an answer is",
        f"{_ENGINE}/evidence.py",
        "        freshness.tell(arrived - latest.began)\n        return latest\n",
        "        return latest\n",
        f"{_OUTAGE}test_what_was_known_goes_on_and_says_how_old_it_is",
    ),
    Mutant(
        "lets caches keep what is old as new",
        "shared/web/service.py",
        'cache = ("Cache-Control", "no-store" if own else "no-cache")',
        'cache = ("Cache-Control", "no-store" if own else "public, max-age=60")',
        "tests/http/test_every_document.py::"
        "test_a_store_that_is_away_leaves_what_was_known_marked_by_its_age[commerce]",
    ),
    Mutant(
        "sends everyone to a store that is known to be away",
        f"{_ENGINE}/pulse.py",
        "            if since is not None and self._failed_at - since >= AWAY_SECONDS:\n",
        "            if since is not None and self._failed_at - since >= 9e9:\n",
        f"{_OUTAGE}test_nobody_asks_a_store_that_is_known_to_be_away",
    ),
    Mutant(
        "never tries again a store that was away",
        f"{_ENGINE}/pulse.py",
        "            if self._waiting or now - self._failed_at < TRIAL_SECONDS:\n",
        "            if True:\n",
        f"{_OUTAGE}test_one_may_try_now_and_then_and_ends_the_outage_for_all",
    ),
    Mutant(
        "takes a failure of before the last answer for one of now",
        f"{_ENGINE}/pulse.py",
        "        if self._answered_at is not None and began < self._answered_at:\n",
        "        if self._answered_at is not None and began < 0:\n",
        f"{_OUTAGE}test_what_was_asked_before_an_answer_and_fails_after_it_says_nothing",
    ),
    Mutant(
        "lets people queue behind a round that hangs",
        f"{_ENGINE}/rounds.py",
        "        if self.under_way_seconds() > STALL_SECONDS:\n            return True\n",
        "",
        f"{_OUTAGE}test_nobody_queues_behind_a_round_that_hangs",
    ),
    Mutant(
        "offers on and on what the store does not take",
        f"{_ENGINE}/rounds.py",
        "            return held or self._began is not None\n",
        "            return False\n",
        f"{_OUTAGE}test_a_store_that_takes_no_writes_leaves_all_reads_alive",
    ),
    Mutant(
        "takes every container out of service for a store that is away",
        f"{_ENGINE}/state.py",
        'Finding("store", "degraded", f"{silence.told}; the store {last}", _STORE)\n',
        'Finding("store", "failing", f"{silence.told}; the store {last}", _STORE)\n',
        f"{_OUTAGE}test_an_outage_degrades_and_takes_nobody_out_of_service",
    ),
    Mutant(
        "stays in service with an entry that it cannot apply",
        f"{_ENGINE}/state.py",
        '            return Finding("journal", "failing", trouble, _MANUAL)\n',
        '            return Finding("journal", "degraded", trouble, _MANUAL)\n',
        f"{_OUTAGE}test_an_entry_that_cannot_be_applied_makes_it_not_ready",
    ),
    Mutant(
        "asks to be restarted while it builds a large replica",
        f"{_ENGINE}/state.py",
        "        if catching.building or self._clock",
        "        if self._clock",
        f"{_OUTAGE}test_a_round_that_never_ends_asks_for_a_restart",
    ),
    Mutant(
        "does not notice that a thread has ended",
        f"{_ENGINE}/committer.py",
        "        return thread is not None and not self._closed and not thread.is_alive()\n",
        "        return False\n",
        f"{_OUTAGE}test_a_thread_that_has_ended_asks_for_a_restart",
    ),
    Mutant(
        "says of every state that it is new",
        "shared/condition.py",
        "            if before != found.state:\n",
        "            if True:\n",
        f"{_OUTAGE}test_a_check_says_since_when",
    ),
    Mutant(
        "waits for a silent store before it says how it is",
        "shared/condition.py",
        "not seen.wait(LOOK_SECONDS)",
        "not seen.wait(30)",
        f"{_OUTAGE}test_health_answers_though_the_store_is_silent",
    ),
)
