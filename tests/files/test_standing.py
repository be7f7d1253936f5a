"""Whether anybody was at a folder: each change is named, and our own locks are none."""

import os

import pytest

from sae_merge_method.errors import InUseError
from sae_merge_method.files.lock import LOCK_FILE, locked
from sae_merge_method.files.standing import Standing


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "old.txt").write_text("old")
    return folder


CHANGES = {
    "deep/new.txt appeared": lambda deep: (deep / "new.txt").write_text(""),
    "deep/old.txt vanished": lambda deep: (deep / "old.txt").unlink(),
    "deep/old.txt changed": lambda deep: (deep / "old.txt").write_text("older"),
}


@pytest.mark.parametrize("said", CHANGES)
def test_the_first_change_is_named_wherever_the_folder_stands_by_now(tmp_path, folder, said):
    before = Standing(folder)
    before.require_same()
    CHANGES[said](folder / "deep")
    moved = folder.rename(tmp_path / "moved")
    with pytest.raises(InUseError, match=f"folder/{said} while this ran: .* stays as it is"):
        before.require_same(moved)


def test_the_same_content_in_another_file_is_a_change(folder):
    old = folder / "deep" / "old.txt"
    before, times = Standing(folder), (old.stat().st_atime_ns, old.stat().st_mtime_ns)
    (folder / "deep" / "same.txt").write_text("old")
    os.utime(folder / "deep" / "same.txt", ns=times)
    (folder / "deep" / "same.txt").replace(old)
    with pytest.raises(InUseError, match=r"old\.txt changed"):
        before.require_same()


def test_the_lock_that_we_hold_ourselves_is_no_change(folder):
    before = Standing(folder)
    with locked(folder):
        assert (folder / LOCK_FILE).exists()
        before.require_same()
    before.require_same()


def test_a_folder_inside_that_somebody_holds_stands_in_the_way(folder):
    with (
        locked(folder / "deep"),
        pytest.raises(InUseError, match=rf"holds deep/{LOCK_FILE}: process {os.getpid()}"),
    ):
        Standing(folder)
