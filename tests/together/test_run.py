"""Processes that are started on one work: what each is told, whose failure is raised, and that none outlives it.

What they do stands here, and is light to import; two that really share a search are in ``tests/tune``.
"""

import json
import os
import sys
import time
from functools import partial
from pathlib import Path
from typing import NoReturn

import psutil
import pytest

from sae_merge_method.errors import UsageError
from sae_merge_method.together import here
from sae_merge_method.together.answers import WorkerError
from sae_merge_method.together.places import WorkerSettings
from sae_merge_method.together.run import run_together
from sae_merge_method.together.workers import LostWorkerError

TWO = WorkerSettings(workers=2)
TOLD = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "CUDA_VISIBLE_DEVICES", "MASTER_PORT")


@pytest.fixture(autouse=True)
def time_to_tidy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may take long to end a process that was asked to."""
    monkeypatch.setattr(here, "TIME_TO_TIDY", 600.0)


def nothing() -> None:
    """No log is shown."""


def nowhere(line: str) -> None:
    raise AssertionError(f"told: {line}")


def begun(folder: Path) -> None:
    (folder / f"begun-{os.environ['RANK']}").touch()


def is_first() -> bool:
    return os.environ["RANK"] == "0"


def told(folder: Path) -> list[str]:
    """What a process is told, left in a file and returned."""
    own = [os.environ[name] for name in TOLD]
    (folder / own[0]).write_text(json.dumps(own))
    return own


def test_each_is_told_what_a_launcher_tells_and_sees_its_own_gpus_alone(tmp_path: Path) -> None:
    asked = WorkerSettings(gpus=("3", "0,1"))
    first = run_together(partial(told, tmp_path), asked, partial(begun, tmp_path), nowhere)
    second = json.loads((tmp_path / "1").read_text())
    assert first[:-1] == ["0", "2", "0", "1", "3"] and second[:-1] == ["1", "2", "0", "1", "0,1"]
    assert first[-1] == second[-1]
    assert sorted(file.name for file in tmp_path.glob("begun-*")) == ["begun-0"]


def misspelt(folder: Path) -> None:
    """The first works without end, and tidies up when it is ended; the second fails meanwhile."""
    at_work = folder / "at work"
    if is_first():
        try:
            at_work.touch()
            while True:
                time.sleep(0.01)
        finally:
            at_work.rename(folder / "tidied")
    while not at_work.exists():
        time.sleep(0.01)
    raise UsageError("expected a file")


def test_the_first_failure_is_raised_as_it_was_and_the_others_end_and_tidy_up(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^expected a file$"):
        run_together(partial(misspelt, tmp_path), TWO, nothing, nowhere)
    assert [file.name for file in tmp_path.iterdir()] == ["tidied"]


def dies() -> None:
    if not is_first():
        sys.stderr.write("reading\nno memory is left\n")
        sys.stderr.flush()
        os._exit(3)
    while True:
        time.sleep(0.01)


def test_one_that_dies_is_named_with_its_last_words() -> None:
    with pytest.raises(WorkerError, match=r"^process 2 of 2 ended with exit code 3: no memory is left$"):
        run_together(dies, TWO, nothing, nowhere)


class OddError(Exception):
    """One that pickle does not carry: it is made of two things, and keeps one."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} {second}")


def leaves_the_first_alone(folder: Path) -> NoReturn:
    """The second fails; the first, which waits for it, has noticed that and ended before it is told."""
    note = folder / "process"
    if is_first():
        note.with_suffix(".new").write_text(str(os.getpid()))
        note.with_suffix(".new").rename(note)
        raise LostWorkerError("another ended early")
    while not note.exists():
        time.sleep(0.01)
    first = int(note.read_text())
    while psutil.pid_exists(first) and psutil.Process(first).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    raise OddError("wrong", "shape")


def test_who_was_left_alone_is_not_who_failed(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match=r"^OddError: wrong shape$"):
        run_together(partial(leaves_the_first_alone, tmp_path), TWO, nothing, nowhere)


@pytest.mark.parametrize("asked", [WorkerSettings(), WorkerSettings(workers=0), WorkerSettings(workers=1)])
def test_one_process_alone_is_this_one(asked: WorkerSettings) -> None:
    assert run_together(os.getpid, asked, nothing, nowhere) == os.getpid()


def test_what_a_launcher_has_started_starts_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert run_together(os.getpid, WorkerSettings(), nothing, nowhere) == os.getpid()
    with pytest.raises(UsageError, match="has started 4 processes"):
        run_together(os.getpid, TWO, nothing, nowhere)
