"""One holder at a time, named to who comes second; only a dead process of this machine is passed over."""

import fcntl
import json
import os
import socket
from pathlib import Path

import pytest

from sae_merge_method.errors import InUseError
from sae_merge_method.files.lock import LOCK_FILE, claimed, forget_other_machines, locked, who_edits

DEAD = 4_194_305  # one more than Linux ever gives to a process


def left_behind(folder: Path, host: str, **fields: object) -> str:
    """A lock that no living process of this machine holds."""
    record = {"host": host, "pid": DEAD, "since": "2026-01-01T00:00:00+00:00", "command": "sae-merge merge"}
    text = json.dumps(record | fields)
    (folder / LOCK_FILE).write_text(text)
    return text


@pytest.mark.parametrize("hold, doing", [(locked, "edited"), (claimed, "written")])
def test_the_second_is_told_who_holds_the_folder_and_nothing_stays_behind(tmp_path, hold, doing):
    folder = tmp_path / "folder"
    folder.mkdir()
    with hold(folder):
        said = rf"folder is being {doing} by process {os.getpid()} \(.*since .*\): wait for it, or end it"
        with pytest.raises(InUseError, match=said), hold(folder):
            pass
        assert (who_edits(folder) is not None) == (hold is locked)
    assert who_edits(folder) is None
    assert list(tmp_path.rglob("*")) == [folder]


def test_the_lock_of_a_dead_process_of_this_machine_is_taken_over(tmp_path):
    left_behind(tmp_path, socket.gethostname())
    (tmp_path / f"{LOCK_FILE}.{socket.gethostname()}.7.0badcafe").write_text("of one killed a moment earlier")
    assert who_edits(tmp_path) is None
    with locked(tmp_path):
        assert f" by process {os.getpid()} (" in who_edits(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_another_machine_is_refused_named_and_kept(tmp_path):
    text = left_behind(tmp_path, "node17")
    said = rf"process {DEAD} on node17 \(sae-merge merge.*known to be gone, remove .*{LOCK_FILE} and nothing else"
    with pytest.raises(InUseError, match=said), locked(tmp_path):
        pass
    assert (tmp_path / LOCK_FILE).read_text() == text


def test_where_the_file_system_knows_no_locks_a_dead_process_is_not_waited_for_but_not_passed_over(
    tmp_path, monkeypatch
):
    def unknown(handle: int, how: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", unknown)
    monkeypatch.setattr("sae_merge_method.files.lock_file._PAUSE", 0)
    left_behind(tmp_path, socket.gethostname())
    with pytest.raises(InUseError, match="known to be gone, remove"), locked(tmp_path):
        pass
    (tmp_path / LOCK_FILE).unlink()
    with locked(tmp_path), pytest.raises(InUseError, match="wait for it, or end it"), locked(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_takeover_waits_for_who_only_looks_at_a_dead_processs_lock(tmp_path, monkeypatch):
    left_behind(tmp_path, socket.gethostname())
    looking = os.open(tmp_path / LOCK_FILE, os.O_RDWR)
    fcntl.flock(looking, fcntl.LOCK_EX)
    monkeypatch.setattr("sae_merge_method.files.lock_file.time.sleep", lambda seconds: os.close(looking))
    with locked(tmp_path):
        assert f" by process {os.getpid()} (" in who_edits(tmp_path)


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_what_is_no_lock_is_not_followed_waited_for_or_removed(tmp_path, kind):
    (tmp_path / "outside").write_text("")
    folder = tmp_path / "folder"
    folder.mkdir()
    make = {
        "link": lambda lock: lock.symlink_to(tmp_path / "outside"),
        "folder": Path.mkdir,
        "pipe": os.mkfifo,
    }
    make[kind](folder / LOCK_FILE)
    with pytest.raises(InUseError, match="expected a lock of sae-merge|an unknown machine"), locked(folder):
        pass
    assert [path.name for path in folder.iterdir()] == [LOCK_FILE]
    assert (tmp_path / "outside").read_text() == ""


@pytest.mark.parametrize("text", ["", "[" * 4000, '{"host": 1e999}', '{"host": "a", "pid": 1e999}', "[1]"])
def test_a_damaged_lock_is_refused_and_kept(tmp_path, text):
    (tmp_path / LOCK_FILE).write_text(text)
    with pytest.raises(InUseError, match="known to be gone, remove"), locked(tmp_path):
        pass
    assert (tmp_path / LOCK_FILE).read_text() == text


def test_what_a_lock_says_reaches_no_terminal_as_control(tmp_path):
    left_behind(tmp_path, "node\x1b[2K\n17", command="x" * 5000)
    with pytest.raises(InUseError) as refused, locked(tmp_path):
        pass
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 1000


def test_who_holds_a_folder_forgets_what_workers_of_other_machines_held_in_it(tmp_path):
    for name, host in (("a", "node17"), ("b", socket.gethostname())):
        (tmp_path / name).mkdir()
        left_behind(tmp_path / name, host)
    forget_other_machines(tmp_path)
    assert [path.relative_to(tmp_path).parent.name for path in tmp_path.rglob(f"*{LOCK_FILE}")] == ["b"]


def test_where_there_are_no_hard_links_one_holds_the_folder_all_the_same(tmp_path, monkeypatch):
    def none(source: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", none)
    with locked(tmp_path):
        with pytest.raises(InUseError, match=rf"edited by process {os.getpid()}"), locked(tmp_path):
            pass
        assert f" by process {os.getpid()} (" in who_edits(tmp_path)
    assert list(tmp_path.iterdir()) == []
    left_behind(tmp_path, socket.gethostname())
    with locked(tmp_path):
        assert f" by process {os.getpid()} (" in who_edits(tmp_path)
    left_behind(tmp_path, "node17")
    with pytest.raises(InUseError, match=r"on node17"), locked(tmp_path):
        pass
