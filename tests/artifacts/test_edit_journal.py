"""A journal names no file but the checkpoint's own, and says where every overwritten byte lies."""

from typing import Any

import pytest
from pydantic import ValidationError

from sae_merge_method.artifacts.edit_journal import SMALL_FILES, JournalRecord, Overwritten, Replaced


def overwritten(name: str, **changes: Any) -> Overwritten:
    values = {"name": name, "file": "model.safetensors", "start": 0, "nbytes": 8, "xxh3": "ab"}
    return Overwritten.model_validate(values | changes)


def test_originals_lie_one_after_the_other_in_the_journals_order() -> None:
    tensors = (
        overwritten("a", nbytes=8), overwritten("b", file="other.safetensors", nbytes=3), overwritten("c", nbytes=5),
    )  # fmt: skip
    journal = JournalRecord(state="edited", tensors=tensors, replaced=())
    assert [(one.at, one.tensor.name) for one in journal.originals()] == [(0, "a"), (8, "b"), (11, "c")]
    by_file = {file: [one.at for one in ones] for file, ones in journal.by_file().items()}
    assert by_file == {"model.safetensors": [0, 11], "other.safetensors": [8]}


@pytest.mark.parametrize(
    "file", ["../model.safetensors", "/etc/x.safetensors", "a/b.safetensors", "a\\b.safetensors", ".x.safetensors", "x"]
)  # fmt: skip
def test_a_weight_file_lies_in_the_checkpoints_own_folder(file: str) -> None:
    with pytest.raises(ValidationError, match="file"):
        overwritten("a", file=file)


@pytest.mark.parametrize("changed", [{"start": -1}, {"nbytes": -1}])
def test_no_place_lies_before_a_files_beginning(changed: dict[str, int]) -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        overwritten("a", **changed)


def test_of_small_files_only_those_that_an_edit_writes_are_replaced() -> None:
    for name in SMALL_FILES:
        assert Replaced(name=name, original_sha256=None).name == name
    with pytest.raises(ValidationError, match=f"an edit writes {', '.join(SMALL_FILES)} alone"):
        Replaced(name="config.json", original_sha256=None)


def test_a_name_stands_there_once() -> None:
    card = Replaced(name=SMALL_FILES[0], original_sha256=None)
    for tensors, replaced in (((overwritten("a"), overwritten("a")), ()), ((), (card, card))):
        with pytest.raises(ValidationError, match="a name stands there twice"):
            JournalRecord(state="editing", tensors=tensors, replaced=replaced)
