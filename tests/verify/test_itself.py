"""A base that is the checkpoint itself proves nothing; the base of an edit in place lies in its journal."""

import json
import os
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from sae_merge_method.artifacts.edit_report import read_edit_report
from sae_merge_method.artifacts.recipe import RecipeText
from sae_merge_method.cli.verify import command
from sae_merge_method.errors import ArtifactError
from sae_merge_method.merge.in_place import edit_in_place
from sae_merge_method.merge.undo import undo
from sae_merge_method.verify.audit import verify
from tests import tiny
from tests.merged import Merged, rename_models
from tests.recipes import recipe_text, run_recipe
from tests.verify.conftest import CLOSED, Q_PROJ, flip_one_bit, rewrite, violations


def says_nothing(out: Path) -> str:
    result = CliRunner().invoke(command, [str(out)])
    assert result.exit_code == 1
    assert "  proved " not in result.output
    assert result.output.rstrip().endswith(("nothing is proved", "violations"))
    return result.output


@pytest.mark.parametrize("how", ["its own path", "a symbolic link", "hard links", "a copy"])
def test_a_recipe_whose_base_and_donor_are_the_checkpoint_itself_proves_nothing(tmp_path, merged, how):
    out, other = merged.copy(tmp_path / "out"), tmp_path / "base"
    if how == "its own path":
        other = out
    elif how == "a symbolic link":
        other.symlink_to(out)
    else:
        shutil.copytree(out, other, copy_function=os.link if how == "hard links" else shutil.copy2)
    rename_models(out, str(other), f"{other}/")
    said = says_nothing(out)
    expected = "hold the same bytes in layers 1, 3" if how == "a copy" else "is the checkpoint itself"
    assert "not proved  anything: " in said and expected in said


def test_a_donor_that_is_the_checkpoint_itself_is_a_violation(tmp_path, merged):
    out = merged.copy(tmp_path / "out")
    rename_models(out, str(merged.base), str(out))
    assert "is the checkpoint itself" in violations(out)["mergekit_config.yml"]


def test_a_merge_of_a_dead_donor_is_said_to_show_no_edit(tmp_path, merged):
    shutil.copytree(merged.base, tmp_path / "donor")
    run_recipe(recipe_text(merged.base, tmp_path / "donor"), tmp_path / "out")
    assert "base, donors and checkpoint hold the same bytes" in says_nothing(tmp_path / "out")


def test_files_that_a_merge_shares_with_its_base_do_not_make_it_its_base(tmp_path):
    base, donor = (tiny.gemma3_text(tmp_path / name, seed, shards=54) for seed, name in enumerate("bd"))
    run_recipe(recipe_text(base, donor, 'layers: "1"'), tmp_path / "out", link=True)
    shared = [file for file in (tmp_path / "out").glob("*.safetensors") if file.stat().st_nlink > 1]
    assert shared
    assert verify(tmp_path / "out").sound


@pytest.fixture
def edited(tmp_path: Path, merged: Merged) -> Path:
    """A base that was edited in its own files."""
    folder = merged.copy_base(tmp_path / "model")
    recipe = recipe_text(folder, merged.donor, weight="0.5")
    edit_in_place(RecipeText(recipe, "recipe.yml"), options={"quiet": True})
    return folder


def test_an_edit_in_place_is_proved_through_its_journal(edited, merged):
    report = verify(edited)
    assert report.sound, str(report)
    assert "26 edited tensors: base + weight * (donor - base), bit for bit, rounded once" in report.proved
    assert "7 files beside the weights are the ones that edit_report.json records" in report.proved
    assert [line.partition(":")[0] for line in report.unproved] == [
        "the bytes of 28 tensors that were not edited"
    ]
    base, donor = report.against
    assert base.folder == edited / ".sae-merge-journal"
    assert (base.tensors, donor.tensors, donor.folder) == (26, 26, merged.donor)
    result = CliRunner().invoke(command, [str(edited)])
    assert result.exit_code == 0 and "VIOLATED" not in result.output


def test_an_edit_in_place_is_proved_in_full_against_a_copy_of_its_base(edited, merged):
    report = verify(edited, str(merged.base))
    assert report.sound and not report.unproved
    assert "28 tensors outside the selected layers: the base's bytes" in report.proved


def test_a_bit_flipped_after_an_edit_in_place_is_caught(edited, merged):
    rewrite(edited, flip_one_bit(Q_PROJ))
    assert Q_PROJ in violations(edited)
    rewrite(edited, flip_one_bit(CLOSED))
    assert CLOSED in violations(edited, base=str(merged.base))


def test_all_of_an_edit_in_place_is_proved_where_all_was_hashed(tmp_path, merged):
    folder = merged.copy_base(tmp_path / "model")
    recipe = RecipeText(recipe_text(folder, merged.donor), "recipe.yml")
    edit_in_place(recipe, hash_all=True, options={"quiet": True})
    report = verify(folder)
    assert report.sound and not report.unproved
    rewrite(folder, flip_one_bit(CLOSED))
    assert CLOSED in violations(folder)


def test_a_config_changed_after_an_edit_in_place_is_caught(edited):
    config = json.loads((edited / "config.json").read_text())
    (edited / "config.json").write_text(json.dumps(config | {"rope_theta": 2.0}))
    assert "edit_report.json records" in violations(edited)["config.json"]


def test_without_its_journal_an_edit_in_place_has_no_base_and_says_how_to_name_one(edited, merged):
    shutil.rmtree(edited / ".sae-merge-journal")
    assert "--base names the model that it was made from" in says_nothing(edited)
    assert verify(edited, str(merged.base)).sound


def test_a_journal_whose_originals_did_not_come_along_is_none(edited, merged, tmp_path):
    shutil.copytree(edited, tmp_path / "other")
    for folder in (edited, tmp_path / "other"):
        (folder / ".sae-merge-journal" / "originals.bin").unlink()
    assert "--base names the model that it was made from" in says_nothing(edited)
    assert verify(edited, str(merged.base)).sound
    run_recipe(recipe_text(tmp_path / "other", merged.donor), tmp_path / "out")
    assert verify(tmp_path / "out").sound  # a merge whose base is such a model


def test_a_base_that_was_edited_in_place_since_is_told_with_the_way_back(tmp_path, merged):
    base = merged.copy_base(tmp_path / "model")
    run_recipe(recipe_text(base, merged.donor), tmp_path / "out")
    recipe = RecipeText(recipe_text(base, merged.donor, weight="0.5"), "recipe.yml")
    edit_in_place(recipe, options={"quiet": True})
    report = verify(tmp_path / "out")
    assert not report.sound
    assert "it was edited in place (sae-merge undo brings it back)" in report.unproved[0]
    undo(base)
    assert verify(tmp_path / "out").sound


def test_a_journal_of_other_tensors_is_refused(edited):
    journal = edited / ".sae-merge-journal" / "journal.json"
    record = json.loads(journal.read_text())
    record["tensors"][0]["start"] += 8
    journal.write_text(json.dumps(record))
    with pytest.raises(ArtifactError, match="where it does not lie"):
        verify(edited)


def test_base_and_donors_are_named_by_path_revision_and_hash(tmp_path, merged):
    base, donor = verify(merged.out).against
    assert (base.role, base.folder, base.revision, base.tensors) == ("base", merged.base, None, 54)
    assert (donor.role, donor.folder, donor.tensors) == ("donor", merged.donor, 26)
    config = read_edit_report(merged.out).base_config_sha256
    assert base.config_sha256 == config
    shown = CliRunner().invoke(command, [str(merged.out)]).output
    line = f"  against     the base {merged.base} at {merged.base} (no revision, a folder; config {config[:16]}, "
    assert line + f"54 tensors {base.tensors_sha256[:16]})\n" in shown
    snapshot = merged.copy_base(tmp_path / "models--me--base" / "snapshots" / "abc123")
    assert verify(merged.out, str(snapshot)).against[0].revision == "abc123"


def test_the_hash_of_a_model_is_the_one_that_its_own_report_has(tmp_path, merged):
    """A merge can be the base of another: what is shown is its report's result."""
    run_recipe(recipe_text(merged.out, merged.donor), tmp_path / "out")
    base, _ = verify(tmp_path / "out").against
    assert base.tensors_sha256 == read_edit_report(merged.out).result_sha256
