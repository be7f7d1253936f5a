"""Folders appear whole or not at all."""

import pytest

from sae_merge_method.errors import UsageError
from sae_merge_method.files.folders import new_folder
from sae_merge_method.files.writing import write_text


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_appears_only_when_its_block_ends_well(tmp_path):
    with new_folder(tmp_path / "out") as folder:
        write_text(folder / "a.txt", "a")
        assert not (tmp_path / "out").exists()
    assert names(tmp_path / "out") == ["a.txt"]
    with pytest.raises(KeyboardInterrupt), new_folder(tmp_path / "other") as folder:
        write_text(folder / "a.txt", "a")
        raise KeyboardInterrupt
    assert names(tmp_path) == ["out"]


def test_what_existed_is_replaced_only_when_asked_and_only_after_success(tmp_path):
    (tmp_path / "out").mkdir()
    write_text(tmp_path / "out" / "old.txt", "old")
    with pytest.raises(UsageError, match="not empty"), new_folder(tmp_path / "out"):
        pass
    with pytest.raises(RuntimeError), new_folder(tmp_path / "out", overwrite=True):
        raise RuntimeError
    assert names(tmp_path / "out") == ["old.txt"]
    with new_folder(tmp_path / "out", overwrite=True) as folder:
        write_text(folder / "new.txt", "new")
    assert names(tmp_path / "out") == ["new.txt"]
    assert names(tmp_path) == ["out"]


def test_an_empty_folder_counts_as_absent_and_a_file_never_does(tmp_path):
    (tmp_path / "empty").mkdir()
    with new_folder(tmp_path / "empty") as folder:
        write_text(folder / "a.txt", "a")
    assert names(tmp_path / "empty") == ["a.txt"]
    with (
        pytest.raises(UsageError, match="found a file"),
        new_folder(tmp_path / "empty" / "a.txt", overwrite=True),
    ):
        pass
