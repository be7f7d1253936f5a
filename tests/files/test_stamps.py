"""Stamps: of a folder what makes another one of it, and of packages those that are there."""

from importlib.metadata import version
from pathlib import Path

import pytest

from sae_merge_method.files.stamps import folder_stamp, package_versions


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tasks" / "inner").mkdir(parents=True)
    (tmp_path / "tasks" / "one.yaml").write_text("task: one\n")
    (tmp_path / "tasks" / "inner" / "utils.py").write_text("FACTOR = 1\n")
    return tmp_path / "tasks"


def test_names_and_bytes_at_any_depth_make_another_folder(folder: Path) -> None:
    stamps = {folder_stamp(folder)}
    (folder / "inner" / "utils.py").write_text("FACTOR = 2\n")
    stamps.add(folder_stamp(folder))
    (folder / "inner" / "utils.py").rename(folder / "inner" / "other.py")
    stamps.add(folder_stamp(folder))
    (folder / "inner" / "new.py").touch()
    assert len(stamps | {folder_stamp(folder)}) == 4


def test_what_is_hidden_made_by_python_or_left_out_makes_none(folder: Path) -> None:
    before = folder_stamp(folder)
    for name in (".out.progress", "__pycache__", "out"):
        (folder / "inner" / name).mkdir()
        (folder / "inner" / name / "file.json").write_text("{}")
    (folder / ".hidden").touch()
    assert folder_stamp(folder, without=folder / "inner" / "out") == before != folder_stamp(folder)
    assert folder_stamp(folder, without=folder.parent / "elsewhere") == folder_stamp(folder)


def test_files_that_nobody_reads_make_none_wherever_they_lie(folder: Path) -> None:
    before = folder_stamp(folder, unread="README.md")
    for place in (folder, folder / "inner"):
        (place / "README.md").write_text("For people.")
    assert folder_stamp(folder, unread="README.md") == before != folder_stamp(folder)
    (folder / "prompt.md").write_text("For a model.")
    assert folder_stamp(folder, unread="README.md") != before


def test_versions_are_of_packages_that_are_there() -> None:
    assert package_versions(("torch", "no-such-package-at-all")) == f"torch {version('torch')}"
