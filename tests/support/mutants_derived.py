"""Faults in what follows from the journal: snapshots, segments, archive, and reads of them."""

from tests.support.mutant import Mutant

_ENGINE = "shared/storage"

DERIVED = (
    Mutant(
        "names a snapshot by the wrong entry",
        f"{_ENGINE}/snapshot.py",
        'name = f"{head.seq:020d}-',
        'name = f"{head.seq + 1:020d}-',
        "tests/storage/test_snapshots.py::"
        "test_a_cold_start_reads_the_snapshot_and_the_entries_after_it",
    ),
    Mutant(
        "starts from a snapshot of another history",
        f"{_ENGINE}/snapshot.py",
        "return stored is not None and digest(stored) == snapshot.hash",
        "return stored is not None",
        "tests/storage/test_snapshots.py::test_one_of_another_history_is_passed_over",
    ),
    Mutant(
        "makes a snapshot whenever little was written",
        f"{_ENGINE}/snapshot.py",
        "max(REPLAY_BYTES_MIN, copy_bytes // REPLAY_SHARE)",
        "REPLAY_BYTES_MIN",
        "tests/storage/test_snapshots.py::test_one_is_due_when_a_sixth_of_a_copy_would_be_replayed",
    ),
    Mutant(
        "leaves the folding of the log to those who commit",
        f"{_ENGINE}/follower.py",
        "            self.replica.apply_entry(entry, stored)\n        self._folding.tell()\n",
        "            self.replica.apply_entry(entry, stored)\n",
        "tests/storage/test_bounded_reads.py::test_the_log_is_folded_beside_those_who_write",
    ),
    Mutant(
        "removes the entries that it put into a segment",
        f"{_ENGINE}/compaction.py",
        "            self._store.create(key, packed)\n",
        "            self._store.create(key, packed)\n"
        "        for seq in range(first, last):\n"
        "            self._store.delete(self._journal.key(seq))\n",
        "tests/storage/test_compaction.py::test_compaction_only_adds",
    ),
    Mutant(
        "cuts a segment at the wrong entry",
        f"{_ENGINE}/journal.py",
        "                yield from cut.entries(first, stop)\n",
        "                yield from cut.entries(cut.first, stop)\n",
        "tests/storage/test_compaction.py::test_a_range_may_begin_and_end_within_a_segment",
    ),
    Mutant(
        "takes a segment for true without following its hashes",
        f"{_ENGINE}/segments.py",
        "        check_chain(cut.first, cut.entries(cut.first, cut.last), None)\n",
        "        check_chain(cut.last, cut.entries(cut.last, cut.last), None)\n",
        "tests/storage/test_compaction.py::"
        "test_a_damaged_one_is_passed_over[2-letters of an entry]",
    ),
    Mutant(
        "takes a segment of another history for this one's",
        f"{_ENGINE}/segments.py",
        "    if read(segment.last) != cut.entry(segment.last):\n",
        "    if read(segment.last) is None:\n",
        "tests/storage/test_compaction.py::test_one_of_another_history_is_passed_over",
    ),
    Mutant(
        "copies a broken chain into a segment",
        f"{_ENGINE}/segments.py",
        "    check_chain(first, entries, before)\n",
        "",
        "tests/storage/test_compaction.py::test_a_broken_chain_is_not_copied",
    ),
    Mutant(
        "verifies an entry by its segment though the listing says that it is another",
        f"{_ENGINE}/audit.py",
        "for _, stored in held if len(stored) == size)",
        "for _, stored in held)",
        "tests/storage_cli/test_segments.py::test_an_entry_of_another_size_is_read_and_named",
    ),
    Mutant(
        "lets a document leave that changed since it was bound",
        f"{_ENGINE}/transaction.py",
        "found is None or found.revision != revision:",
        "found is None:",
        "tests/storage/test_archive_races.py::test_a_document_that_changed_meanwhile_stays",
    ),
    Mutant(
        "names a volume though another archiver was quicker",
        f"{_ENGINE}/archiver.py",
        "        if now != plan.target:\n            return False\n",
        "",
        "tests/storage/test_archive_races.py::test_a_late_archiver_takes_nothing_back",
    ),
    Mutant(
        "removes the volume of an entry that may yet land",
        f"{_ENGINE}/archiver.py",
        "        done = self._commit(lambda tx: self._leave(tx, plan, made)).value\n",
        "        try:\n"
        "            done = self._commit(lambda tx: self._leave(tx, plan, made)).value\n"
        "        except Exception:\n"
        "            done = False\n",
        "tests/storage/test_archive_races.py::test_an_entry_whose_outcome_is_unknown_keeps_its_volume",
    ),
    Mutant(
        "lets leave what a newer release wrote",
        f"{_ENGINE}/archiver.py",
        "if view.stored(hit.document).version <= known]",
        "if view.stored(hit.document).version or known]",
        "tests/storage/test_archive_races.py::"
        "test_a_release_lets_nothing_leave_that_a_newer_one_wrote",
    ),
    Mutant(
        "takes a volume that an archiver superseded meanwhile for lost",
        f"{_ENGINE}/rebuilding.py",
        "if isinstance(found, Absent) and volume.object not in missed:",
        "if isinstance(found, Absent) and volume.object in missed:",
        "tests/storage/test_archive_commands.py::"
        "test_a_volume_that_was_superseded_meanwhile_is_no_finding",
    ),
    Mutant(
        "takes a volume that cannot be read for one without the document",
        f"{_ENGINE}/fetcher.py",
        "            if fetched.miss(wanted.wants):\n",
        "            fetched._found.update(dict.fromkeys(wanted.wants, []))\n"
        "            if False:\n",
        "tests/storage/test_archive_races.py::"
        "test_a_volume_that_is_damaged_or_lost_is_busy_and_never_absent",
    ),
)
