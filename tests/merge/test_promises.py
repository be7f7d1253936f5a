"""What the manual promises of edits in place, undo and folders: each sentence has the test that holds it."""

import importlib
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "merge.md"
PROMISES = {
    "edits the base's own folder and reads of it what it changes alone": (
        "merge.test_in_place",
        "test_an_edit_in_place_reads_and_hashes_what_it_changes_alone",
    ),
    "While it is half-edited, nothing can load it.": (
        "merge.test_in_place",
        "test_while_a_model_is_half_edited_nothing_can_load_it",
    ),
    "brings back the base's bytes, also after a kill, and keeps what you wrote there meanwhile.": (
        "merge.test_in_place",
        "test_undo_gives_the_bases_bytes_after_a_kill_and_keeps_what_was_written_there_meanwhile",
    ),
    "Whatever writes a folder holds it alone: who comes second is told which process is at work there.": (
        "cli.test_locks",
        "test_a_command_that_comes_second_is_told_who_is_at_work_and_changes_nothing",
    ),
    "What appears at OUT while a command runs is kept, and the command fails.": (
        "faults.test_merge_faults",
        "test_what_a_user_puts_where_a_merge_will_write_is_kept_and_the_merge_fails",
    ),
}


@pytest.mark.parametrize("sentence", PROMISES)
def test_a_promise_of_the_manual_has_a_test_of_its_own(sentence):
    module, name = PROMISES[sentence]
    assert sentence in " ".join(PAGE.read_text(encoding="utf-8").split())
    assert callable(getattr(importlib.import_module(f"tests.{module}"), name))
