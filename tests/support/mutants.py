"""Faults to be seeded into the engine and the domains, each with the test that must catch it.

Each passage stands exactly once in its file. `docs/reliability.md` shows the list.
"""

import ast
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.mutant import Mutant
from tests.support.mutants_derived import DERIVED
from tests.support.mutants_identity import IDENTITY
from tests.support.mutants_outage import OUTAGE
from tests.support.mutants_reads import READS
from tests.support.mutants_scarcity import SCARCITY
from tests.support.mutants_search import SEARCH

ROOT = Path(__file__).parents[2]
COPIED = ("shared", "services", "infra", "tests", "data", "bench", "docs")

_ENGINE = "shared/storage"


MUTANTS = (
    Mutant(
        "acknowledges before the store has answered",
        f"{_ENGINE}/committer.py",
        """        stored = self._store(entry)
        self._told(span, batch.seq, fitting, stored=stored)
        if not stored:
            return pendings
        self.rounds.decided()
        for pending in pendings[:fitting]:
            self._answer(pending, batch.seq)
""",
        """        for pending in pendings[:fitting]:
            self._answer(pending, batch.seq)
        self._store(entry)
""",
        "tests/storage/test_acknowledgement.py::"
        "test_nobody_hears_done_before_the_store_has_answered",
    ),
    Mutant(
        "takes another's entry for its own: skips the commit id",
        f"{_ENGINE}/journal.py",
        "if entries.decode(found, seq).commit == commit:",
        "if entries.decode(found, seq).seq == seq:",
        "tests/storage/test_acknowledgement.py::"
        "test_anothers_entry_in_the_place_is_a_loss_and_the_change_runs_again",
    ),
    Mutant(
        "takes an unknown outcome for stored, and steps over the entry",
        f"{_ENGINE}/journal.py",
        "        raise Undecided(",
        "        return Stored()\n        raise Undecided(",
        "tests/storage/test_acknowledgement.py::"
        "test_what_stays_unknown_is_busy_after_a_bounded_number_of_attempts",
    ),
    Mutant(
        "takes a refused create for lost without reading whose entry it is",
        f"{_ENGINE}/journal.py",
        "            decided = self._who_holds(seq, commit)\n            if decided is not None:",
        "            decided = self._who_holds(seq, '')\n            if decided is not None:",
        "tests/storage/test_acknowledgement.py::test_a_lost_reply_is_settled_by_reading",
    ),
    Mutant(
        "sends a create again below the journal, as SDKs do",
        f"{_ENGINE}/s3.py",
        '            raise Uncertain(f"{method} {key}: {error}") from error',
        "            answer = exchange()",
        "tests/contract/test_s3_answers.py::test_a_lost_create_is_not_sent_again",
    ),
    Mutant(
        "creates without the condition",
        f"{_ENGINE}/s3.py",
        "headers = self._condition",
        "headers = {}",
        "tests/contract/test_s3_answers.py::test_a_create_is_conditional",
    ),
    Mutant(
        "takes a 403 for absence",
        f"{_ENGINE}/s3.py",
        "        return Denied\n    if status == 404",
        "        return Absent\n    if status == 404",
        "tests/contract/test_s3_answers.py::test_what_an_answer_means",
    ),
    Mutant(
        "takes a 404 of a proxy or a missing bucket for absence",
        f"{_ENGINE}/s3.py",
        'if status == 404 and code == "NoSuchKey":',
        "if status == 404:",
        "tests/contract/test_s3_answers.py::test_what_an_answer_means",
    ),
    Mutant(
        "keeps the effects of a batch that lost the race",
        f"{_ENGINE}/committer.py",
        "        if not stored:\n            return pendings\n",
        "",
        "tests/storage/test_batches.py::"
        "test_a_batch_that_loses_the_race_leaves_nothing_of_its_effects",
    ),
    Mutant(
        "refuses on a state whose head was not proven",
        f"{_ENGINE}/committer.py",
        "        if self._proofs.prove(queued, deadline).seq > seq:\n            return pendings\n",
        "",
        "tests/storage/test_refusals.py::test_stock_added_elsewhere_is_sold_at_once",
    ),
    Mutant(
        "does on a later state what its caller gave up",
        f"{_ENGINE}/committer.py",
        "            pendings = [pending for pending in pendings if not pending.abandoned]\n",
        "",
        "tests/storage/test_refusals.py::test_what_its_caller_gave_up_is_not_done_on_a_later_state",
    ),
    Mutant(
        "refuses for the hour what is still on its way",
        f"{_ENGINE}/committer.py",
        "fenced = not written and refusals.hang_on_time(",
        "fenced = False and refusals.hang_on_time(",
        "tests/storage/test_refusals.py::test_what_is_refused_for_the_hour_cannot_land_afterwards",
    ),
    Mutant(
        "takes nothing but a refusal for what the hour may decide",
        f"{_ENGINE}/refusals.py",
        "        pending.asked_time and",
        "        isinstance(pending.error, Refused) and",
        "tests/storage/test_refusals.py::test_the_hour_may_refuse_by_whatever_the_domain_answers",
    ),
    Mutant(
        "looks whether the head's hour would have refused, not in which words",
        f"{_ENGINE}/refusals.py",
        "    return wrote or _kind(error) != _kind(pending.error)",
        "    return wrote",
        "tests/storage/test_refusals.py::test_who_comes_too_late_may_have_come_in_time",
    ),
    Mutant(
        "takes a torn page for absence",
        f"{_ENGINE}/replica.py",
        "if main.st_size % _PAGE_BYTES:",
        "if main.st_size == 0:",
        "tests/storage/test_replica_recovery.py::"
        "test_a_damaged_replica_is_rebuilt_on_opening[truncated within a page]",
    ),
    Mutant(
        "decides a batch for its oldest change only",
        f"{_ENGINE}/committer.py",
        "queued = max(",
        "queued = min(",
        "tests/storage/test_refusals.py::test_a_batch_is_decided_for_its_youngest_change",
    ),
    *READS,
    Mutant(
        "trusts a replica that is ahead of a restored journal",
        f"{_ENGINE}/follower.py",
        "        if found is not None and self._belongs(found):",
        "        if found is not None:",
        "tests/storage/test_replica_recovery.py::"
        "test_a_replica_ahead_of_a_restored_journal_is_rebuilt",
    ),
    Mutant(
        "writes past a gap",
        f"{_ENGINE}/journal.py",
        "                if info.key != self.key(seq + 1):",
        "                if info.key < self.key(seq + 1):",
        "tests/storage/test_journal_troubles.py::"
        "test_a_gap_right_behind_a_replicas_head_keeps_its_writer_from_starting",
    ),
    Mutant(
        "applies an entry that does not follow",
        f"{_ENGINE}/replica.py",
        "    if entry.prev != head.hash:",
        "    if entry.seq < head.seq:",
        "tests/storage/test_journal_troubles.py::"
        "test_an_entry_that_cannot_be_read_is_named_and_never_skipped[wrong prev]",
    ),
    Mutant(
        "goes on after SQLite ended the transaction by itself",
        f"{_ENGINE}/replica.py",
        '                raise ReplicaBroken("SQLite ended the transaction by itself")',
        "                return True",
        "tests/storage/test_full_disk.py::"
        "test_a_transaction_that_sqlite_ended_by_itself_is_not_gone_on_with",
    ),
    Mutant(
        "answers a row whose checksum is wrong",
        f"{_ENGINE}/reader.py",
        "    if checksum(collection, key, revision, version, body) != total:",
        "    if total < 0:",
        "tests/storage/test_replica_recovery.py::"
        "test_a_row_that_does_not_match_its_checksum_is_never_answered",
    ),
    Mutant(
        "keeps a replica that is no longer the published one",
        f"{_ENGINE}/replica.py",
        "identity, log_bytes = self._files(self._published)",
        "identity, log_bytes = self._files(str(self.path))",
        "tests/storage/test_replica_recovery.py::"
        "test_a_replica_damaged_under_load_loses_nothing[link deleted]",
    ),
    Mutant(
        "opens a replica again that was just found broken",
        f"{_ENGINE}/directory.py",
        "if broken is not None and _leads_to(self._link, broken.path.parent.name):",
        "if broken is not None and self.published() is None:",
        "tests/storage/test_replica_recovery.py::"
        "test_who_replaces_a_replica_does_not_open_the_broken_one",
    ),
    Mutant(
        "removes the replica of a release that still serves",
        f"{_ENGINE}/directory.py",
        "            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)\n",
        "",
        "tests/unit/storage/test_replica_replacement.py::"
        "test_the_replica_of_a_release_that_still_serves_is_left_alone",
    ),
    Mutant(
        "leaves threads that read ahead where it stops at an error",
        f"{_ENGINE}/follower.py",
        "with closing(self._journal.read_range(head + 2, target)) as entries:",
        "for entries in [self._journal.read_range(head + 2, target)]:",
        "tests/storage/test_journal_troubles.py::"
        "test_who_stops_at_a_bad_entry_leaves_no_threads_that_read_ahead",
    ),
    Mutant(
        "leaves whoever came during its wait to its next turn",
        f"{_ENGINE}/committer.py",
        "                    self._take_along(pendings, span)\n",
        "                    pass\n",
        "tests/storage/test_acknowledgement.py::"
        "test_who_comes_while_a_container_waits_for_its_turn_goes_along",
    ),
    Mutant(
        "lets others into a batch that runs again, on and on",
        f"{_ENGINE}/committer.py",
        "                is_open = False\n",
        "                pass\n",
        "tests/storage/test_acknowledgement.py::"
        "test_a_batch_that_runs_again_takes_nobody_else_along",
    ),
    *DERIVED,
    Mutant(
        "shows in a list what was brought back, as it was",
        f"{_ENGINE}/transaction.py",
        "        return self._of_volume(collection, found) if here is None else None\n",
        "        return self._of_volume(collection, found)\n",
        "tests/storage/test_archive.py::test_a_person_sees_what_was_brought_back_as_it_is",
    ),
    Mutant(
        "takes what leaves in the same entry for gone",
        f"{_ENGINE}/transaction.py",
        "        if write is None or self._retired(write):\n",
        "        if write is None:\n",
        "tests/storage/test_archive_races.py::test_a_change_in_the_same_entry_keeps_what_leaves",
    ),
    Mutant(
        "accepts an idempotency key across callers",
        f"{_ENGINE}/idempotency.py",
        'f"{claim.caller}\\0{claim.route}\\0{claim.key}"',
        'f"{claim.route}\\0{claim.key}"',
        "tests/storage/test_idempotency.py::test_another_caller_route_or_key_is_another_intent",
    ),
    Mutant(
        "takes all intents of one millisecond for one",
        f"{_ENGINE}/idempotency.py",
        ".lower() + name[:28] if timed",
        ".lower() if timed",
        "tests/storage/test_idempotency.py::test_what_shares_no_more_than_a_time_is_another_intent",
    ),
    Mutant(
        "answers another request under a used key",
        f"{_ENGINE}/idempotency.py",
        '    if row.body["digest"] != claim.digest:',
        '    if row.body["digest"] == "":',
        "tests/storage/test_idempotency.py::test_a_key_used_for_another_request_is_refused",
    ),
    Mutant(
        "lets entry times go back",
        f"{_ENGINE}/transaction.py",
        "self.now_ms = max(now_ms, reader.head.time_ms)",
        "self.now_ms = now_ms",
        "tests/storage/test_clocks.py::test_entry_times_never_go_back",
    ),
    Mutant(
        "writes though its clock is far off",
        f"{_ENGINE}/committer.py",
        "if skew is None or abs(skew) <= CLOCK_SKEW_MS_MAX:",
        "if skew is None or abs(skew) < 1 << 60:",
        "tests/storage/test_clocks.py::test_a_writer_far_from_the_stores_clock_does_not_write",
    ),
    Mutant(
        "hides from a change what those before it in the batch wrote",
        f"{_ENGINE}/transaction.py",
        "return self.layer.writes.get(name) or self._batch.layer.writes.get(name)",
        "return self.layer.writes.get(name)",
        "tests/storage/test_batches.py::test_changes_of_a_batch_see_those_before_them",
    ),
    Mutant(
        "lets any number of writers wait",
        f"{_ENGINE}/committer.py",
        "if held_up or self._closed or self._waiting >= self._limits.waiting_max:",
        "if self._closed:",
        "tests/storage/test_batches.py::"
        "test_beyond_the_bound_of_waiting_writers_all_are_busy_at_once",
    ),
    Mutant(
        "accepts a store that ignores the create condition",
        f"{_ENGINE}/probe.py",
        '    with suppress(Exists):\n        store.create(key, b"second")\n',
        '    with suppress(Exists, UnsafeStore):\n        store.create(key, b"first")\n',
        "tests/contract/test_probe.py::test_an_unsafe_store_is_refused",
    ),
    *SEARCH,
    Mutant(
        "lets whichever process is awake take all connections",
        "shared/web/greenlets.py",
        "and self._left < _LEFT_TIMES:",
        "and self._left < 0:",
        "tests/http/test_greenlets.py::test_a_connection_is_left_for_a_moment_to_who_holds_fewer",
    ),
    Mutant(
        "sells what is not there",
        "services/commerce/domain.py",
        '    if stock["on_hand"] < quantity:',
        '    if stock["on_hand"] < 0:',
        "tests/unit/test_commerce_domain.py::test_the_last_unit_can_be_reserved_and_no_more",
    ),
    Mutant(
        "releases an order's units twice",
        "services/commerce/domain.py",
        '[part for part in order["parts"] if part["state"] == "placed"]',
        '[part for part in order["parts"] if part["state"] != "fulfilled"]',
        "tests/property/test_commerce_stock.py::test_stock_is_conserved_and_never_below_zero",
    ),
    Mutant(
        "lets a store refuse what it has handed over",
        "services/commerce/domain.py",
        '    if part["state"] != "placed":\n        raise Refused(otherwise',
        '    if part["state"] == "cancelled":\n        raise Refused(otherwise',
        "tests/property/test_commerce_stock.py::test_stock_is_conserved_and_never_below_zero",
    ),
    Mutant(
        "gives an expired hold's places back twice",
        "services/tourism/domain.py",
        '        booking["state"] = state\n',
        "        pass\n",
        "tests/http/test_tourism_bookings.py::test_a_hold_expires_and_is_free_for_the_next",
    ),
    *OUTAGE,
    *SCARCITY,
    *IDENTITY,
)


def copy_tree(copy: Path) -> None:
    """A copy of the project, to be broken."""
    for folder in COPIED:
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)


def broken_by(mutant: Mutant, sound: str) -> str:
    """A file's text with the fault in it; AssertionError where that does not fit any more."""
    assert sound.count(mutant.sound) == 1, "the passage that it breaks is no longer there, once"
    broken = sound.replace(mutant.sound, mutant.broken)
    if mutant.file.endswith(".py"):
        ast.parse(broken)
    return broken


@contextmanager
def seeded(tree: Path, mutant: Mutant) -> Iterator[None]:
    """A mutant, alive in the copy for as long as the block lasts."""
    file = tree / mutant.file
    sound = file.read_text(encoding="utf-8")
    file.write_text(broken_by(mutant, sound), encoding="utf-8")
    yield
    file.write_text(sound, encoding="utf-8")


def table(mutants: Sequence[Mutant], who: str) -> str:
    """The list as a page of docs/ has it."""
    rows = [f"| {mutant.does} | {_linked(mutant.caught_by)} |" for mutant in mutants]
    return "\n".join([f"| {who} that … | is caught by |", "|---|---|", *rows]) + "\n"


def _linked(node: str) -> str:
    file, _, test = node.partition("::")
    return f"[`{test}`](../{file})"
