"""One holder at a time, named to who comes second; only a dead process of this machine is passed over."""

import json
import os
import socket
from pathlib import Path

import pytest

from sae_merge_method.errors import UsageError
from sae_merge_method.files.lock import LOCK_FILE, holder_of, locked


def left_behind(folder: Path, host: str) -> str:
    """A lock that no living process of this machine holds."""
    text = json.dumps({"host": host, "pid": 7, "since": "2026-01-01T00:00:00+00:00", "command": "merge"})
    (folder / LOCK_FILE).write_text(text)
    return text


def test_the_second_is_told_who_holds_the_folder_and_nothing_stays_behind(tmp_path):
    with locked(tmp_path):
        holder = holder_of(tmp_path)
        assert holder is not None and holder.pid == os.getpid()
        said = rf"is being edited by process {os.getpid()} \(.*since .*\): wait for it"
        with pytest.raises(UsageError, match=said), locked(tmp_path):
            pass
    assert holder_of(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_a_dead_process_of_this_machine_is_taken_over(tmp_path):
    left_behind(tmp_path, socket.gethostname())
    assert holder_of(tmp_path) is None
    with locked(tmp_path):
        assert holder_of(tmp_path) is not None
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_another_machine_is_refused_named_and_kept(tmp_path):
    text = left_behind(tmp_path, "node17")
    with (
        pytest.raises(UsageError, match=r"process 7 on node17 .*known to be gone, remove .*and nothing else"),
        locked(tmp_path),
    ):
        pass
    assert (tmp_path / LOCK_FILE).read_text() == text


def test_a_link_in_the_place_of_a_lock_is_not_followed(tmp_path):
    (tmp_path / "outside").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / LOCK_FILE).symlink_to(tmp_path / "outside")
    with pytest.raises(UsageError, match="expected a lock"), locked(tmp_path / "folder"):
        pass
    assert (tmp_path / "outside").read_text() == ""
