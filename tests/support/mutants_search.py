"""Faults to be seeded in search: its words, and the index that is derived beside the replica.

As in mutants.py, each with the test that must catch it; `docs/reliability.md` shows the list.
"""

from tests.support.mutant import Mutant

_ENGINE = "shared/storage"

SEARCH = (
    Mutant(
        "lets the index double what it was fed before a crash",
        f"{_ENGINE}/finder.py",
        '        writer.delete_documents_by_term("name", name)\n',
        "",
        "tests/storage/test_finder.py::test_a_crash_between_index_and_mark_doubles_nothing",
    ),
    Mutant(
        "answers what search has not heard of as it was",
        f"{_ENGINE}/transaction.py",
        "if document is not None and admits(search, document.body):",
        "if document is not None:",
        "tests/storage/test_finder.py::test_what_search_has_not_heard_of_is_answered_as_it_is_now",
    ),
    Mutant(
        "searches a container's index as it was when the container went to sleep",
        f"{_ENGINE}/finder.py",
        "if not self._mark.level or not (level or lately):",
        "if not self._mark.level:",
        "tests/storage/test_finder.py::"
        "test_a_search_that_was_not_level_lately_is_brought_level_or_busy",
    ),
    Mutant(
        "answers a part of an index that is still being built",
        f"{_ENGINE}/finder.py",
        "if not self._mark.level or not (level or lately):",
        "if not (level or lately):",
        "tests/storage/test_finder.py::"
        "test_an_index_that_was_lost_a_moment_ago_answers_busy_not_a_part",
    ),
    Mutant(
        "takes an empty index for one that has everything",
        f"{_ENGINE}/finder.py",
        "self._index = Index.open(str(self._folder))",
        "self._index = Index(self._schema, path=str(self._folder))",
        "tests/storage/test_finder.py::test_a_lost_or_damaged_index_is_built_again"
        "[before opening-lose_all_but_the_mark]",
    ),
    Mutant(
        "removes the index from under who feeds it",
        f"{_ENGINE}/finder.py",
        "                    self._mark_path.unlink()\n",
        "                    [path.unlink() for path in self._folder.iterdir()]\n",
        "tests/storage/test_finder.py::"
        "test_who_finds_damage_while_another_feeds_takes_nothing_from_under_it",
    ),
    Mutant(
        "builds an index again that the machine had no space to add to",
        f"{_ENGINE}/finder.py",
        "            if not _SHORT.search(str(error)):\n",
        "            if error:\n",
        "tests/storage/test_finder.py::test_what_the_machine_is_short_of_is_no_damage[space]",
    ),
    Mutant(
        "looks for a beginning however long it is",
        f"{_ENGINE}/words.py",
        "run.encode()[:BEGINNING_BYTES_MAX]",
        "run.encode()",
        "tests/storage/test_search.py::test_a_word_of_any_length_is_found_by_all_of_it[3000-a]",
    ),
)
