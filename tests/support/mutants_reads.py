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
        "return looking(lambda view: view.require(collection, key), fetched)(replica, seq)",
        "from shared import errors\n            raise errors.Refused(errors.NOT_FOUND)",
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
        """        self.check()
        session = self.enter()
        try:
            return one(""",
        """        session = self.enter()
        try:
            return one(""",
        f"{_ONE}test_a_replica_that_is_gone_is_not_read",
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
