"""Folders appear whole or not at all, and take nothing of others' away."""

import json
import os
import socket
from contextlib import nullcontext
from pathlib import Path

import pytest

from sae_merge_method.errors import InUseError, UsageError
from sae_merge_method.files import folders
from sae_merge_method.files.folders import new_folder
from sae_merge_method.files.lock import LOCK_FILE, locked
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


def everything(folder: Path) -> dict[str, str | None]:
    """All that is there, hidden or not, files with their text."""
    return {
        str(path.relative_to(folder)): path.read_text() if path.is_file() else None
        for path in folder.rglob("*")
    }


def test_one_place_is_written_by_one_at_a_time_and_the_second_is_told_by_whom(tmp_path):
    with new_folder(tmp_path / "out") as folder:
        write_text(folder / "a.txt", "first")
        said = rf"out is being written by process {os.getpid()} .*: wait for it"
        for overwrite in (False, True):
            with pytest.raises(InUseError, match=said), new_folder(tmp_path / "out", overwrite=overwrite):
                pass
        with new_folder(tmp_path / "another"):
            pass
    assert everything(tmp_path) == {"another": None, "out": None, "out/a.txt": "first"}


def test_a_folder_under_edit_is_not_replaced_nor_one_that_holds_it(tmp_path):
    (tmp_path / "all" / "model").mkdir(parents=True)
    write_text(tmp_path / "all" / "model" / "a.txt", "a")
    with locked(tmp_path / "all" / "model"):
        for place in ("all/model", "all"):
            with (
                pytest.raises(InUseError, match="process .*: wait for it"),
                new_folder(tmp_path / place, overwrite=True),
            ):
                pass
    with (
        new_folder(tmp_path / "all", overwrite=True),
        pytest.raises(InUseError, match="being edited"),
        locked(tmp_path / "all"),
    ):
        pass
    assert everything(tmp_path) == {"all": None}


@pytest.mark.parametrize("host", [socket.gethostname(), "node17"])
def test_a_lock_below_stands_in_the_way_unless_its_process_was_of_this_machine_and_is_gone(tmp_path, host):
    (tmp_path / "out" / "model").mkdir(parents=True)
    record = {"host": host, "pid": 7, "since": "yesterday", "command": "sae-merge undo"}
    write_text(tmp_path / "out" / "model" / LOCK_FILE, json.dumps(record))
    refused = pytest.raises(InUseError, match=r"holds model/\.sae-merge-lock: process 7 on node17")
    with refused if host == "node17" else nullcontext(), new_folder(tmp_path / "out", overwrite=True):
        pass
    assert (tmp_path / "out" / "model").exists() == (host == "node17")


STRANGERS = {
    "a folder with a file": lambda out: (out.mkdir(), (out / "notes.txt").write_text("mine")),
    "a file": lambda out: out.write_text("mine"),
    "a link": lambda out: (out.with_name("mine").mkdir(), out.symlink_to("mine")),
    "a broken link": lambda out: out.symlink_to("nowhere"),
}


@pytest.mark.parametrize("appear", STRANGERS.values(), ids=STRANGERS.keys())
@pytest.mark.parametrize("overwrite", [False, True])
def test_what_appears_where_nothing_stood_is_an_error_and_kept(tmp_path, appear, overwrite):
    with (
        pytest.raises(InUseError, match="something appeared at .*out while this ran: it stays as it is"),
        new_folder(tmp_path / "out", overwrite=overwrite) as folder,
    ):
        write_text(folder / "a.txt", "a")
        appear(tmp_path / "out")
        before = everything(tmp_path / "out"), (tmp_path / "out").is_symlink()
    assert (everything(tmp_path / "out"), (tmp_path / "out").is_symlink()) == before
    assert [name for name in names(tmp_path) if name.startswith(".")] == []


CHANGES = {
    "appeared": lambda out: (out / "deep" / "notes.txt").write_text("mine"),
    "changed": lambda out: (out / "deep" / "old.txt").write_text("mine now"),
    "vanished": lambda out: (out / "deep" / "old.txt").unlink(),
}


@pytest.mark.parametrize("in_one_step", [True, False], ids=["one step", "without exchange"])
@pytest.mark.parametrize("when", ["while it runs", "at the very exchange"])
@pytest.mark.parametrize("what", CHANGES)
def test_what_changes_in_a_folder_to_be_replaced_is_an_error_and_kept(
    tmp_path, monkeypatch, what, when, in_one_step
):
    out = tmp_path / "out"
    (out / "deep").mkdir(parents=True)
    (out / "deep" / "old.txt").write_text("old")
    swap = folders._swap
    exchanges = []

    def late(one: Path, other: Path) -> None:
        if when == "at the very exchange" and not exchanges:
            CHANGES[what](out)
        exchanges.append(one)
        swap(one, other)

    monkeypatch.setattr(folders, "_swap", late)
    if not in_one_step:
        monkeypatch.setattr(folders, "swap_names", lambda one, other: False)
    with (
        pytest.raises(
            InUseError, match=rf"out/deep/(notes|old)\.txt {what} while this ran: .*stays as it is"
        ),
        new_folder(out, overwrite=True) as folder,
    ):
        write_text(folder / "new.txt", "new")
        if when == "while it runs":
            CHANGES[what](out)
        wanted = everything(out)
    if when == "at the very exchange":
        assert len(exchanges) == 2
    else:
        assert everything(out) == {name: text for name, text in wanted.items() if LOCK_FILE not in name}
    assert "new.txt" not in names(out)
    assert names(tmp_path) == ["out"]
    assert ((out / "deep" / "notes.txt").exists()) == (what == "appeared")


def test_a_folder_is_replaced_also_where_names_cannot_be_exchanged_in_one_step(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "swap_names", lambda one, other: False)
    (tmp_path / "out").mkdir()
    write_text(tmp_path / "out" / "old.txt", "old")
    with new_folder(tmp_path / "out", overwrite=True) as folder:
        write_text(folder / "new.txt", "new")
    assert everything(tmp_path) == {"out": None, "out/new.txt": "new"}


def test_a_folder_that_a_killed_run_had_taken_away_comes_back(tmp_path, caplog):
    aside = tmp_path / ".out.old.abcd1234" / "out"
    aside.mkdir(parents=True)
    write_text(aside / "old.txt", "old")
    with pytest.raises(UsageError, match="not empty"), new_folder(tmp_path / "out"):
        pass
    assert "out is back" in caplog.text
    assert everything(tmp_path) == {"out": None, "out/old.txt": "old"}


@pytest.mark.parametrize("place", [".", "..", "/", "made/.."])
def test_a_folder_is_made_under_a_name(tmp_path, monkeypatch, place):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with (
        pytest.raises(UsageError, match="expected the name of a folder"),
        new_folder(Path(place), overwrite=True),
    ):
        pass
    assert everything(tmp_path) == {"here": None}


def test_parents_that_were_made_for_nothing_go_again(tmp_path):
    with pytest.raises(RuntimeError), new_folder(tmp_path / "a" / "b" / "out"):
        raise RuntimeError
    assert names(tmp_path) == []
    with new_folder(tmp_path / "a" / "b" / "out"):
        pass
    assert everything(tmp_path).keys() == {"a", "a/b", "a/b/out"}
