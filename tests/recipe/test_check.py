"""A recipe is looked over as a whole: every fault is named, and pinning changes nothing else."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from huggingface_hub import constants

from sae_merge_method.artifacts.recipe import RecipeText
from sae_merge_method.cli.recipe import command
from sae_merge_method.errors import RecipeError
from sae_merge_method.recipe.check import check_recipe
from tests import tiny
from tests.diagnoses import save_diagnosis
from tests.mergekit import plain_mergekit
from tests.recipes import recipe_text, run_recipe
from tests.saes.at_hand import cached


def faults(text):
    return [f"{finding.subject}: {finding.text}" for finding in check_recipe(RecipeText(text, "r")).faults]


def fits(checked):
    return [finding.text for finding in checked.findings if finding.verdict == "fits"]


def test_a_recipe_of_folders_is_checked_down_to_the_tensors(models):
    checked = check_recipe(RecipeText(recipe_text(models.base, models.donor), "r"))
    assert not checked.faults
    assert fits(checked) == [
        "layers 1, 3 of 4",
        "every donor has the base's kind, depth, widths and constants",
        "every tensor of the selected layers stands in every donor, in the base's shape",
    ]
    assert checked.missing == 0
    assert checked.pinned == recipe_text(models.base, models.donor)


def test_every_fault_is_named_at_once(tmp_path, models):
    other = tiny.gemma3_text(tmp_path / "other", 1, n_layers=2)
    found = faults(recipe_text(models.base, other, 'layers: "1, 3, 9"'))
    assert any("gate: layer 9 is out of range" in fault for fault in found)
    found = faults(recipe_text(models.base, other))
    assert any("has no such tensor" in fault for fault in found)
    assert "./nowhere: there is no folder ./nowhere, and it is no Hub id" in faults(
        recipe_text("./nowhere", other)
    )


def test_diagnosis_and_recorded_scores_must_be_of_this_base_and_choose_these_layers(tmp_path, models):
    scores = {0: 0.1, 1: 0.9, 2: 0.2, 3: 0.8}
    diagnosis = save_diagnosis(tmp_path / "d", models.base, scores) / "diagnosis.json"
    gate = f'diagnosis: "{diagnosis}", select: top_k=2'
    checked = check_recipe(RecipeText(recipe_text(models.base, models.donor, gate), "r"))
    assert not checked.faults
    assert any("is a diagnosis of this base" in line for line in fits(checked))
    wide = json.loads(diagnosis.read_text())
    wide["model"]["d_model"] = 2560
    diagnosis.write_text(json.dumps(wide))
    assert "SAEs of width 2560" in faults(recipe_text(models.base, models.donor, gate))[0]
    record = "sae_evidence: {select: top_k=2, scores: {0: 0.1, 1: 0.9, 2: 0.95, 3: 0.8}}"
    found = faults(recipe_text(models.base, models.donor, tail=record))
    assert "top_k=2 of the recorded scores chooses layers 1, 2, the gate has 1, 3" in found[0]


def test_a_donor_of_another_kind_is_named(tmp_path, models):
    donor = Path(shutil.copytree(models.base, tmp_path / "llama"))
    config = (donor / "config.json").read_text().replace('"gemma3_text"', '"llama"')
    (donor / "config.json").write_text(config)
    assert any("a llama one" in fault for fault in faults(recipe_text(models.base, donor)))


def test_recipe_still_writes_and_check_is_a_word_of_its_own(tmp_path, models):
    diagnosis = save_diagnosis(tmp_path / "d", models.base, {0: 0.1, 1: 0.9, 2: 0.2, 3: 0.8})
    recipe = tmp_path / "recipe.yml"
    words = ["--diagnosis", diagnosis, "--base", models.base, "--donor", models.donor]
    written = CliRunner().invoke(command, [*map(str, words), "--select", "top_k=2", "--out", str(recipe)])
    assert written.exit_code == 0, written.output
    checked = CliRunner().invoke(command, ["check", str(recipe)])
    assert checked.exit_code == 0, checked.output
    assert "0 B to download in all" in checked.output
    assert "recipe check [OPTIONS] RECIPE" in CliRunner().invoke(command, ["check", "--help"]).output
    recipe.write_text(
        recipe.read_text().replace('"1, 3"', '"1, 7"').replace("'1, 3'", "'1, 7'").replace("1, 3}", "1, 7}")
    )
    broken = CliRunner().invoke(command, ["check", str(recipe), "--out", str(tmp_path / "pinned.yml")])
    assert broken.exit_code == 1 and "FAULT" in broken.output
    assert not (tmp_path / "pinned.yml").exists()


def test_what_is_no_recipe_is_an_error():
    with pytest.raises(RecipeError, match="expected a mergekit recipe"):
        check_recipe(RecipeText("- 1", "r"))


def test_stochastic_rounding_is_found_and_odd_where_there_is_nothing_to_round(tmp_path):
    base, donor = (tiny.gemma3_text(tmp_path / str(n), n, dtype=torch.bfloat16) for n in (0, 1))
    gate = 'layers: "1", rounding: stochastic, rounding_seed: 3'
    narrow = check_recipe(RecipeText(recipe_text(base, donor, gate), "r"))
    assert ("fits", "edited values are rounded to bfloat16, stochastic (seed 3)") in found(narrow)
    wide = check_recipe(RecipeText(recipe_text(base, donor, gate, tail="dtype: float32"), "r"))
    assert ("odd", "float32 is written: stochastic (seed 3) has next to nothing to round") in found(wide)
    plain = check_recipe(RecipeText(recipe_text(base, donor), "r"))
    assert "rounding" not in {finding.subject for finding in plain.findings}


def test_a_dtype_that_the_two_doors_read_otherwise_is_odd_and_the_way_out_is_one_for_both(tmp_path):
    base = tiny.gemma3_text(tmp_path / "base", 0, dtype=torch.bfloat16)
    donor = tiny.gemma3_text(tmp_path / "donor", 1)

    def look(tail, donor=donor):
        text = recipe_text(base, donor, weight="0.7", tail=tail)
        checked = check_recipe(RecipeText(text, "r"))
        return text, [line for verdict, line in found(checked) if verdict == "odd" and "by both" in line]

    text, (odd,) = look("dtype: bfloat16")
    assert "rounds what is stored in float32 to bfloat16 before the edit, sae-merge merge does not" in odd
    assert not same_through_both_doors(tmp_path / "1", text)
    assert "dtype: float32 and out_dtype: bfloat16 give the same bytes by both" in odd
    text, none = look("dtype: float32\nout_dtype: bfloat16")
    assert not none and same_through_both_doors(tmp_path / "2", text)
    assert not look("")[1] and not look("dtype: bfloat16", base)[1] and not look("dtype: float32")[1]


def same_through_both_doors(folder, text):
    run_recipe(text, folder / "out")
    merged, stock = tiny.load_tensors(folder / "out"), plain_mergekit(text, folder / "stock")
    return all(tiny.same_bytes(merged[name], stock[name]) for name in merged)


def found(checked):
    return [(finding.verdict, finding.text) for finding in checked.findings]


def test_a_dtype_that_cannot_hold_the_base_is_a_fault(tmp_path):
    base = tiny.gemma3_text(tmp_path / "base", 0, dtype=torch.bfloat16, change=tiny.wide_norms)
    donor = tiny.gemma3_text(tmp_path / "donor", 1, dtype=torch.bfloat16)
    (fault,) = faults(recipe_text(base, donor, tail="out_dtype: float16"))
    assert fault.startswith("edit: dtype: float16 over a bfloat16/float32 base would change every tensor")
    assert "leave it out" in fault


def test_offline_a_model_of_which_the_hubs_cache_holds_a_part_is_a_fault(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    snapshots = []
    for seed, name in enumerate(("base", "donor")):
        snapshots.append(cached(tmp_path / "hub", f"someone/{name}", "."))
        shutil.copytree(tiny.gemma3_text(tmp_path / name, seed, shards=2), snapshots[-1])
    text = recipe_text(Path("someone/base"), Path("someone/donor"))
    assert not faults(text)
    (snapshots[1] / "model-00002-of-00002.safetensors").unlink()
    assert faults(text) == [
        "someone/donor: someone/donor lacks weights in the Hub's cache, and HF_HUB_OFFLINE is set"
    ]
