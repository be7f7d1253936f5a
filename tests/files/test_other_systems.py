"""Linux as it is not: without fcntl, as Windows and as macOS. Each step of a merge's life, by the commands themselves.

Nothing here was run on those systems: what they lack is hidden and what they forbid fails, see ``other_system``.
"""

import ast
import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

import sae_merge_method
from sae_merge_method import cli, lm_eval_tasks
from sae_merge_method.cli.main import COMMANDS
from sae_merge_method.files.descriptors import open_plain, read_at, write_at
from sae_merge_method.files.parallel import run_all
from tests import tiny, warm
from tests.files.other_system import POSIX_ONLY_CALLS, POSIX_ONLY_MODULES, POSIX_ONLY_SIGNALS, SYSTEMS
from tests.recipes import recipe_text, run_recipe

State = dict[str, bytes]


def state(folder: Path) -> State:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with libraries loaded, and nothing of ours, of which there has to be all that a system lacks."""
    return warm.python(tmp_path_factory.mktemp("warm"), "torch")


def on(python: Path, system: str, folder: Path, *lines: str) -> list[str]:
    """What became of each command line."""
    words = [str(python), str(Path(__file__).with_name("other_system.py")), system, *lines]
    done = subprocess.run(words, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_merge_an_edit_in_place_and_its_undoing_are_the_same_elsewhere(python, system, tmp_path):
    base, donor = tiny.gemma3_text(tmp_path / "base", 0, shards=2), tiny.gemma3_text(tmp_path / "donor", 1)
    (tmp_path / "recipe.yml").write_text(recipe_text(base, donor))
    run_recipe(recipe_text(base, donor), tmp_path / "here")
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "notes.txt").write_text("of somebody")
    edited = shutil.copytree(base, tmp_path / "edited")
    (tmp_path / "edit.yml").write_text(recipe_text(edited, donor))
    held = shutil.copytree(base, tmp_path / "held")
    (tmp_path / "held.yml").write_text(recipe_text(held, donor))
    before = state(base)
    (tmp_path / ".there.new.0badcafe").mkdir()  # of a run that was killed
    helped = COMMANDS if system == "Windows" else ("diagnose", "experiment")
    said = on(
        python,
        system,
        tmp_path,
        "merge recipe.yml there --quiet",
        "merge recipe.yml old --quiet",
        "merge recipe.yml old --quiet --overwrite",
        "merge edit.yml --in-place --quiet",
        "undo edited",
        "hold held",
        "merge held.yml --in-place --quiet",
        *(f"{name} --help" for name in helped),
    )
    codes = [int(line.split()[0]) for line in said]
    assert codes == [0, 2, 0, 0, 0, 0, 1, *(0 for _ in helped)], "\n".join(said)
    assert "held is being edited by process" in said[6]
    written = {name: data for name, data in state(tmp_path / "here").items() if name.endswith("safetensors")}
    assert len(written) == 2
    for name in ("there", "old"):
        assert written.items() <= state(tmp_path / name).items()
        assert "notes.txt" not in state(tmp_path / name)
    assert state(edited) == state(base) == before
    hidden = [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]
    assert hidden == (
        [".there.new.0badcafe"] if system == "no fcntl" else []
    )  # nobody can tell that it is dead


def _what_not_all_systems_have(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from {alias.name for alias in node.names} & {*POSIX_ONLY_MODULES, "ctypes", "msvcrt"}
        elif isinstance(node, ast.ImportFrom) and node.module in POSIX_ONLY_MODULES:
            yield node.module
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("os", "signal"):
            yield from {node.attr} & {*POSIX_ONLY_CALLS, *POSIX_ONLY_SIGNALS}


def test_what_not_all_systems_have_is_asked_for_in_files_alone():
    roots = [Path(package.__file__).resolve().parent for package in (sae_merge_method, cli, lm_eval_tasks)]
    files = [file for root in roots for file in root.rglob("*.py")]
    asking = {(file.parent.name, name) for file in files for name in _what_not_all_systems_have(file)}
    assert {folder for folder, _ in asking} == {"files"}


def test_reads_and_writes_at_a_place_take_turns_where_the_system_has_none(tmp_path, monkeypatch):
    for name in ("pread", "preadv", "pwrite"):
        monkeypatch.delattr(os, name)
    parts = [bytes([number]) * 1000 for number in range(50)]
    handle = open_plain(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    run_all([partial(write_at, handle, part, 1000 * number) for number, part in enumerate(parts)], 8)
    read = [memoryview(bytearray(1000)) for _ in parts]
    run_all([partial(read_at, handle, into, 1000 * number) for number, into in enumerate(read)], 8)
    os.close(handle)
    assert [bytes(each) for each in read] == parts
