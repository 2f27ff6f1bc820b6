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
        "            self.check_for(session)\n            return one(",
        "            return one(",
        f"{_ONE}test_a_replica_that_is_gone_is_not_read",
    ),
    Mutant(
        "looks at the replica's files once for all times",
        f"{_ENGINE}/replica.py",
        "session.is_checked = waiting.soon(session.check_again)",
        "session.is_checked = True",
        f"{_ONE}test_a_replica_that_went_since_the_last_turn_is_not_read",
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
        f"{_ENGINE}/replica.py",
        "if size < size_then + WAL_BYTES_MAX // 8 and now < then + FOLD_PAUSE_SECONDS:",
        "if False:",
        "tests/storage/test_bounded_reads.py::"
        "test_a_pinned_log_is_tried_again_when_it_has_grown_or_after_a_while",
    ),
)
