"""Edits in place: the same bytes as a merge, and a way back to the base's, whatever happens between."""

import math
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sae_merge_method.errors import ArtifactError, InUseError, MergeError, ModelError, UsageError
from sae_merge_method.files.lock import LOCK_FILE, locked
from sae_merge_method.merge import tensor_edit
from sae_merge_method.merge.undo import undo
from sae_merge_method.models.checkpoint import JOURNAL_FOLDER, open_checkpoint
from tests import tiny
from tests.adapters import save_lora
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
    merged = run_recipe(recipe, tmp_path / "out", hash_all=True)
    edited = edit(recipe, base, hash_all=True)
    assert edited == merged
    for file in (tmp_path / "out").glob("*.safetensors"):
        assert (base / file.name).read_bytes() == file.read_bytes()
    with pytest.raises(MergeError, match="was edited in place before: run 'sae-merge undo"):
        edit(recipe, base)
    assert undo(base) == 26
    assert state(base) == before
    with pytest.raises(ArtifactError, match="nothing to undo"):
        undo(base)


def test_an_edit_in_place_reads_and_hashes_what_it_changes_alone(base, recipe, monkeypatch):
    before = open_checkpoint(base)
    read: list[tuple[str, int, int]] = []
    preadv, copy_file_range = os.preadv, os.copy_file_range

    def seen_preadv(handle: int, buffers: list[memoryview], first: int) -> int:
        read.append((str(Path(f"/proc/self/fd/{handle}").readlink()), first, first + sum(map(len, buffers))))
        return preadv(handle, buffers, first)

    def seen_copy(source: int, target: int, count: int, first: int, at: int) -> int:
        read.append((str(Path(f"/proc/self/fd/{source}").readlink()), first, first + count))
        return copy_file_range(source, target, count, first, at)

    monkeypatch.setattr(os, "preadv", seen_preadv)
    monkeypatch.setattr(os, "copy_file_range", seen_copy)
    report = edit(recipe)
    changed = {str(before.tensors[one.name].file.resolve()) for one in report.edited()}
    spans = {str(entry.file.resolve()): [] for entry in before.tensors.values()}
    for one in report.edited():
        spans[str(before.tensors[one.name].file.resolve())].append(before.tensors[one.name])
    of_base = [(file, first, last) for file, first, last in read if file in spans]
    assert {file for file, _, _ in of_base} == changed
    for file, first, last in of_base:
        assert any(entry.start <= first and last <= entry.end for entry in spans[file]), (file, first, last)
    assert all((one.xxh3 is None) == (one.status == "base") for one in report.tensors)
    assert report.result_sha256 is None


@pytest.mark.parametrize("hash_all", [False, True])
@pytest.mark.parametrize("spelling", ["{base}", "{base}/../base", "{link}"])
def test_the_base_itself_with_an_adapter_is_a_donor_as_any_other(tmp_path, base, spelling, hash_all):
    """What the adapter leaves alone in a selected layer lies in the very files that are edited."""
    before = state(base)
    lora = save_lora(tmp_path / "lora", (1, 3))
    (tmp_path / "link").symlink_to(base)
    name = spelling.format(base=base, link=tmp_path / "link")
    recipe = recipe_text(base, Path(f"{name}+{lora}"), weight="0.5")
    merged = run_recipe(recipe, tmp_path / "out")
    edited = edit(recipe, hash_all=hash_all)
    assert edited.edited() == merged.edited()
    for file in (tmp_path / "out").glob("*.safetensors"):
        assert (base / file.name).read_bytes() == file.read_bytes()
    assert tiny.edited_layers(base, tmp_path / "out") == set()
    assert undo(base) == 26
    assert state(base) == before
    assert tiny.edited_layers(tmp_path / "out", base) == {1, 3}


@pytest.mark.parametrize("its_report", ["whole", "damaged"])
def test_what_the_bases_own_report_knows_of_the_tensors_that_stay_is_taken_over(
    tmp_path, base, donor, recipe, its_report, caplog
):
    run_recipe(recipe, tmp_path / "first")
    again = recipe_text(tmp_path / "first", donor, 'layers: "0"')
    expected = run_recipe(again, tmp_path / "second")
    if its_report == "damaged":
        (tmp_path / "first" / "edit_report.json").write_text("{}")
    edited = edit(again)
    if its_report == "damaged":
        assert edited.result_sha256 is None
        assert "hashes of the base's own report are not taken over" in caplog.text
    else:
        assert edited.result_sha256 == expected.result_sha256
        assert edited.tensors == tuple(
            one if one.status == "edited" else one.model_copy(update={"sha256": other.sha256})
            for one, other in zip(expected.tensors, edited.tensors, strict=True)
        )


@pytest.mark.parametrize("after", ["the kill alone", "an undo killed as well"])
def test_a_killed_edit_cannot_be_loaded_and_can_be_undone(
    tmp_path, base, recipe, after, sae_merge, warm_python
):
    before = state(base)
    (tmp_path / "r.yml").write_text(recipe)
    kill = "os.kill(os.getpid(), signal.SIGKILL)"
    killed = sae_merge("merge", "r.yml", "--in-place", cwd=tmp_path, trouble=kill)
    assert killed.returncode == -signal.SIGKILL
    assert (base / LOCK_FILE).exists()  # and is taken over: its process is gone
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
        assert subprocess.run([str(warm_python), "-c", code], cwd=tmp_path).returncode == -signal.SIGKILL
    done = sae_merge("undo", "base", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "26 tensors restored" in done.stdout
    assert state(base) == before


def test_while_a_model_is_half_edited_nothing_can_load_it(base, recipe, monkeypatch):
    from transformers import AutoConfig

    AutoConfig.from_pretrained(base)
    inject_piece, tried = tensor_edit.inject_piece, []

    def at_this_moment(*args: Any) -> float | None:
        with pytest.raises((OSError, ValueError), match="config"):
            AutoConfig.from_pretrained(base)
        with pytest.raises(ModelError, match=rf"is being edited by process {os.getpid()}"):
            open_checkpoint(base)
        tried.append(base)
        return inject_piece(*args)

    monkeypatch.setattr(tensor_edit, "inject_piece", at_this_moment)
    edit(recipe)
    assert len(tried) == 26
    AutoConfig.from_pretrained(base)


def test_undo_gives_the_bases_bytes_after_a_kill_and_keeps_what_was_written_there_meanwhile(
    tmp_path, base, recipe, sae_merge
):
    before = state(base)
    (tmp_path / "r.yml").write_text(recipe)
    killed = sae_merge("merge", "r.yml", "--in-place", cwd=tmp_path, trouble="os.kill(os.getpid(), 9)")
    assert killed.returncode == -signal.SIGKILL
    written = {"README.md": b"mine", "notes.txt": b"mine too", "config.json": b"{}"}
    for name, data in written.items():
        (base / name).write_bytes(data)
    undo(base)
    kept = {"README.md.set-aside": b"mine", "notes.txt": b"mine too", "config.json.set-aside": b"{}"}
    assert state(base) == before | kept


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


@pytest.fixture
def started_from_a_terminal():
    """As nobody who runs the tests under nohup does."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("started_from_a_terminal")
@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129)])
@pytest.mark.parametrize("words", [["--in-place"], ["new"]])
def test_told_to_end_is_ctrl_c_nothing_half_done_stays(tmp_path, base, recipe, words, name, code, sae_merge):
    before = state(base)
    (tmp_path / "r.yml").write_text(recipe)
    there = sorted(path.name for path in tmp_path.iterdir())
    trouble = f"os.kill(os.getpid(), signal.{name}); time.sleep(0.3)"
    ended = sae_merge("merge", "r.yml", *words, cwd=tmp_path, trouble=trouble)
    assert ended.returncode == code, ended.stderr
    assert "terminated" in ended.stderr and "Traceback" not in ended.stderr
    assert ("is as it was" if words == ["--in-place"] else "new was not written") in ended.stderr
    assert state(base) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == there
