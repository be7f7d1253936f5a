"""Two processes on one folder at once, a little apart: one edits, the other is refused, and nothing is lost."""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sae_merge_method.merge.undo import undo
from sae_merge_method.models.checkpoint import JOURNAL_FOLDER
from tests import tiny
from tests.merge.edited_in_place import sharded_base, state
from tests.recipes import recipe_text

_PROGRAM = """
import json, os, sys
from pathlib import Path
from sae_merge_method.errors import SaeMergeError
from sae_merge_method.merge.in_place import edit_in_place
from sae_merge_method.merge.run import merge
from sae_merge_method.merge.undo import undo

print("ready", flush=True)
for line in sys.stdin:
    try:
        exec(line)
        said = None
    except SaeMergeError as error:
        said = str(error)
    print(json.dumps(said), flush=True)
"""
EDITS = tuple(f"edit_in_place(Path('{name}.yml'), options={{'quiet': True}})" for name in ("one", "other"))
GAPS = (0.0, 0.01, 0.02, 0.04, 0.08, 0.16)


class Process:
    """A user's second shell, Python imported already."""

    def __init__(self, python: Path) -> None:
        words = [str(python), "-c", _PROGRAM]
        self.child = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def begin(self, statement: str) -> None:
        assert self.child.stdin is not None
        self.child.stdin.write(statement + "\n")

    def line(self) -> str:
        assert self.child.stdout is not None
        return self.child.stdout.readline()

    def end(self) -> str | None:
        """What it was refused with; None where it did what it was told."""
        said: str | None = json.loads(self.line())
        return said


@pytest.fixture
def work(tmp_path: Path) -> Path:
    sharded_base(tmp_path)
    tiny.gemma3_text(tmp_path / "donor", 1)
    for name, layers in (("one", "1"), ("other", "2, 3")):
        text = recipe_text(Path("./base"), Path("./donor"), f'layers: "{layers}"')
        (tmp_path / f"{name}.yml").write_text(text)
    return tmp_path


@pytest.fixture(scope="module")
def both_processes(warm_python: Path) -> Iterator[tuple[Process, Process]]:
    both = Process(warm_python), Process(warm_python)
    for process in both:
        assert process.line() == "ready\n"
    yield both
    for process in both:
        process.child.kill()
        process.child.communicate()


@pytest.fixture
def two(both_processes: tuple[Process, Process], work: Path) -> tuple[Process, Process]:
    """Both in the working folder."""
    for process in both_processes:
        process.begin(f"os.chdir({str(work)!r})")
        assert process.end() is None
    return both_processes


@pytest.mark.parametrize("gap", GAPS)
def test_of_two_edits_of_different_layers_one_is_refused_and_undo_gives_the_base(work, two, gap):
    before = state(work / "base")
    for process, statement in zip(two, EDITS, strict=True):
        process.begin(statement)
        time.sleep(gap)
    refused = [said for said in (process.end() for process in two) if said is not None]
    assert len(refused) == 1
    assert "is being edited by process" in refused[0] or "edited in place before" in refused[0]
    assert (work / "base" / JOURNAL_FOLDER).is_dir()
    undo(work / "base")
    assert state(work / "base") == before


@pytest.mark.parametrize("gap", GAPS)
def test_an_undo_during_an_edit_is_refused_or_takes_back_the_whole_of_it(work, two, gap):
    before = state(work / "base")
    for process, statement in zip(two, (EDITS[0], "undo('base')"), strict=True):
        process.begin(statement)
        time.sleep(gap)
    edit, taking_back = (process.end() for process in two)
    if edit is not None:  # undo held the folder, though there was nothing to undo
        assert "is being edited by process" in edit
        assert taking_back is not None and "nothing to undo" in taking_back
    elif taking_back is not None:
        assert "is being edited by process" in taking_back or "nothing to undo" in taking_back
        undo(work / "base")
    assert state(work / "base") == before


def test_of_two_merges_to_one_new_folder_one_is_refused_and_the_other_whole(work, two):
    for process, name in zip(two, ("one", "other"), strict=True):
        process.begin(f"merge(Path('{name}.yml'), 'new', options={{'quiet': True}})")
    refused = [said for said in (process.end() for process in two) if said is not None]
    assert len(refused) == 1
    assert "is being written by process" in refused[0] or "exists and is not empty" in refused[0]
    report = json.loads((work / "new" / "edit_report.json").read_text())
    assert report["layers"] in ([1], [2, 3])
    assert [path.name for path in work.iterdir() if path.name.startswith(".")] == []
