"""Faults to be seeded into reading; a part of `mutants.MUTANTS`."""

from tests.support.mutant import Mutant

_ENGINE = "shared/storage"
_ONE = "tests/storage/test_read_one.py::"

READS = (
    Mutant(
        "dates a proof from the end of its probe",
        f"{_ENGINE}/proofs.py",
        "proof = Proof(self._probe(), began)",
        "proof = Proof(self._probe(), self._clock.monotonic())",
        "tests/storage/test_proofs.py::test_a_proof_is_dated_from_before_its_probe",
    ),
    Mutant(
        "reads fresh on an old proof",
        f"{_ENGINE}/evidence.py",
        "        if latest.began >= after:",
        "        if latest.began >= 0:",
        "tests/storage/test_freshness.py::"
        "test_a_fresh_read_sees_every_write_that_was_acknowledged_anywhere",
    ),
    Mutant(
        "misses that an entry is stored but not applied here",
        f"{_ENGINE}/looks.py",
        "            if reader.head.seq < seq:\n                return None\n",
        "",
        "tests/storage/test_freshness.py::"
        "test_where_the_replica_is_behind_the_named_seq_the_journal_is_asked",
    ),
    Mutant(
        "reads one document on a state from before what is proven",
        f"{_ENGINE}/looks.py",
        "        if stands_at < seq:\n            return None\n",
        "",
        f"{_ONE}test_where_the_replica_is_behind_the_named_seq_the_journal_is_asked",
    ),
    Mutant(
        "takes a document that is not here yet for one that is not there",
        f"{_ENGINE}/looks.py",
        "whole = looking(lambda view: view.require(collection, key), fetched)",
        "from shared import errors\n\n"
        "    def whole(*_: object) -> None:\n"
        "        raise errors.Refused(errors.NOT_FOUND)\n",
        f"{_ONE}test_what_is_not_here_yet_is_there",
    ),
    Mutant(
        "reads one document under the deadline of a read that is over",
        f"{_ENGINE}/replica.py",
        "            connection.set_progress_handler(None, 0)\n            _end(connection)",
        "            _end(connection)",
        f"{_ONE}test_the_deadline_of_a_read_that_is_over_does_not_cut_it_off",
    ),
    Mutant(
        "reads one document of a replica that was replaced",
        f"{_ENGINE}/replica.py",
        "            self.check_for(session)\n            return None",
        "            return None",
        f"{_ONE}test_a_replica_that_is_gone_is_not_read",
    ),
    Mutant(
        "looks at the replica's files once for all times",
        f"{_ENGINE}/replica.py",
        "session.is_checked = waiting.soon(partial(self._end_turn, session))",
        "session.is_checked = True",
        f"{_ONE}test_a_replica_that_went_since_the_last_turn_is_not_read",
    ),
    Mutant(
        "reads on, in one turn, from a state before the entry that is asked for",
        f"{_ENGINE}/replica.py",
        "if session.held is None or session.held < seq:",
        "if session.held is None:",
        f"{_ONE}test_what_was_written_within_a_turn_is_read_in_it",
    ),
    Mutant(
        "holds a state although the log grows",
        f"{_ENGINE}/replica.py",
        "session.is_checked and log_bytes <= wal.SHORT_BYTES",
        "session.is_checked",
        f"{_ONE}test_no_state_is_held_of_a_log_that_has_grown",
    ),
    Mutant(
        "holds a state beyond the turn",
        f"{_ENGINE}/replica.py",
        "                    session.let_go()\n            finally:",
        "                    session.is_checked = False\n            finally:",
        f"{_ONE}test_a_turns_reads_are_of_one_state",
    ),
    Mutant(
        "leaves a log as long as it once was",
        f"{_ENGINE}/folding.py",
        "None if is_short else CUT_SECONDS",
        "None",
        "tests/storage/test_bounded_reads.py::"
        "test_a_log_that_has_grown_is_cut_beside_those_who_write",
    ),
    Mutant(
        "tells the age of its proof and reads an older state",
        f"{_ENGINE}/reads.py",
        "found = self.at(look, proven) if proven > seq else None",
        "found = self.at(look, seq) if proven > seq else None",
        f"{_ONE}test_what_is_told_its_age_stands_where_its_proof_does",
    ),
    Mutant(
        "takes a state that SQLite has ended for a broken replica",
        f"{_ENGINE}/session.py",
        "        if self.connection.in_transaction:\n",
        "        if True:\n",
        f"{_ONE}test_a_state_that_sqlite_has_ended_by_itself_condemns_nothing",
    ),
    Mutant(
        "answers at once on a proof that is too old",
        f"{_ENGINE}/evidence.py",
        "return latest.seq if latest.began >= after else None",
        "return latest.seq",
        f"{_ONE}test_a_fresh_read_sees_every_write_that_was_acknowledged_anywhere",
    ),
    Mutant(
        "answers at once while the store is away, and does not say how old it is",
        f"{_ENGINE}/evidence.py",
        "return None if self.is_store_away() else freshness.at_least_seq",
        "return freshness.at_least_seq",
        "tests/storage/test_outage.py::test_nor_whether_there_is_such_a_thing",
    ),
    Mutant(
        "holds up every commit for a reader that pins the log",
        f"{_ENGINE}/wal.py",
        "if size < size_then + BYTES_MAX // 8 and now < then + FOLD_PAUSE_SECONDS:",
        "if False:",
        "tests/storage/test_bounded_reads.py::"
        "test_a_pinned_log_is_tried_again_when_it_has_grown_or_after_a_while",
    ),
)
