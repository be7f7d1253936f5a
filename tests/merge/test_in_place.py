"""Edits in place: the same bytes as a merge, and a way back to the base's, whatever happens between."""

import math
import signal
from pathlib import Path

import pytest

from sae_merge_method.errors import ArtifactError, InUseError, MergeError, ModelError, UsageError
from sae_merge_method.files.lock import locked
from sae_merge_method.merge.undo import undo
from sae_merge_method.models.checkpoint import JOURNAL_FOLDER, open_checkpoint
from tests import tiny
from tests.faults.processes import sae_merge
from tests.merge.edited_in_place import edit, sharded_base, state
from tests.recipes import recipe_text, run_recipe


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return sharded_base(tmp_path)


@pytest.fixture
def recipe(base: Path, donor: Path) -> str:
    return recipe_text(base, donor, weight="0.5")


def test_an_edit_in_place_gives_a_merges_bytes_and_undo_the_bases(tmp_path, base, recipe):
    before = state(base)
    merged = run_recipe(recipe, tmp_path / "out")
    edited = edit(recipe, base)
    assert edited == merged
    for file in (tmp_path / "out").glob("*.safetensors"):
        assert (base / file.name).read_bytes() == file.read_bytes()
    with pytest.raises(MergeError, match="was edited in place before: run 'sae-merge undo"):
        edit(recipe, base)
    assert undo(base) == 26
    assert state(base) == before
    with pytest.raises(ArtifactError, match="nothing to undo"):
        undo(base)


@pytest.mark.parametrize("after", ["the kill alone", "an undo killed as well"])
def test_a_killed_edit_cannot_be_loaded_and_can_be_undone(tmp_path, base, recipe, after):
    before = state(base)
    (tmp_path / "r.yml").write_text(recipe)
    kill = "os.kill(os.getpid(), signal.SIGKILL)"
    killed = sae_merge("merge", "r.yml", "--in-place", cwd=tmp_path, trouble=kill)
    assert killed.returncode == -signal.SIGKILL
    assert state(base)["model-00001-of-00002.safetensors"] != before["model-00001-of-00002.safetensors"]
    with pytest.raises(ModelError, match="left half-edited: run 'sae-merge undo"):
        open_checkpoint(base)
    if after != "the kill alone":
        code = (
            "import os; from pathlib import Path; from sae_merge_method.merge.undo import undo\n"
            "real = os.fsync\n"
            "os.fsync = lambda handle: os.kill(os.getpid(), 9)\n"
            "undo(Path('base'))\n"
        )
        import subprocess
        import sys

        assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path).returncode == -signal.SIGKILL
    done = sae_merge("undo", "base", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "26 tensors restored" in done.stdout
    assert state(base) == before


def test_a_failed_edit_is_taken_back_at_once(tmp_path, base):
    def hole(tensors: tiny.Tensors) -> None:
        tensors["model.layers.3.mlp.up_proj.weight"][0, 0] = math.inf

    before = state(base)
    broken = tiny.gemma3_text(tmp_path / "broken", 1, change=hole)
    with pytest.raises(
        MergeError, match=r"model\.layers\.3\.mlp\.up_proj\.weight: the donor tensor holds 1 NaN"
    ):
        edit(recipe_text(base, broken))
    assert state(base) == before


def test_files_that_others_share_are_never_edited_in_place(tmp_path, base, donor, recipe):
    run_recipe(recipe, tmp_path / "out", link=True)
    shard = base / "model-00001-of-00002.safetensors"
    (tmp_path / "copy.safetensors").hardlink_to(shard)
    with pytest.raises(MergeError, match="under its other hard links too"):
        edit(recipe)
    (tmp_path / "copy.safetensors").unlink()
    shard.rename(base / "moved.safetensors")
    shard.symlink_to("moved.safetensors")
    with pytest.raises(MergeError, match="only leads"):
        edit(recipe)
    with pytest.raises(UsageError, match="edits the base"):
        edit(recipe, donor)


def test_two_edits_at_once_are_refused_and_told_who_is_at_work(base, recipe):
    before = state(base)
    with locked(base):
        for second in (lambda: edit(recipe), lambda: undo(base)):
            with pytest.raises(InUseError, match=r"is being edited by process \d+"):
                second()
        (base / "config.json").rename(base / "config.away")
        (base / JOURNAL_FOLDER).mkdir()
        with pytest.raises(ModelError, match=r"is being edited by process \d+ .*: wait for it"):
            open_checkpoint(base)
        (base / JOURNAL_FOLDER).rmdir()
        (base / "config.away").rename(base / "config.json")
    assert state(base) == before
    edit(recipe)
    undo(base)
    assert state(base) == before


@pytest.mark.parametrize("words", [["--in-place"], ["new"]])
def test_sigterm_is_ctrl_c_nothing_half_done_stays(tmp_path, base, recipe, words):
    before = state(base)
    (tmp_path / "r.yml").write_text(recipe)
    there = sorted(path.name for path in tmp_path.iterdir())
    trouble = "os.kill(os.getpid(), signal.SIGTERM); time.sleep(0.3)"
    ended = sae_merge("merge", "r.yml", *words, cwd=tmp_path, trouble=trouble)
    assert ended.returncode == 143, ended.stderr
    assert "terminated" in ended.stderr and "Traceback" not in ended.stderr
    assert ("is as it was" if words == ["--in-place"] else "new was not written") in ended.stderr
    assert state(base) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == there
