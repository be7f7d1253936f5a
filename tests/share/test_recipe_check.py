"""A recipe is looked over as a whole: every fault is named, and pinning changes nothing else."""

import json

import pytest
from click.testing import CliRunner

from sae_merge_method.cli.recipe import command
from sae_merge_method.errors import RecipeError
from sae_merge_method.recipe.check import check_recipe
from sae_merge_method.recipe.pin import pin, rename
from sae_merge_method.recipe.sizes import readable
from tests import tiny
from tests.diagnoses import save_diagnosis
from tests.recipes import recipe_text


def faults(text):
    return check_recipe(text, "recipe.yml").findings.faults


def test_a_recipe_of_folders_is_checked_down_to_the_tensors(merged):
    checked = check_recipe(recipe_text(merged.base, merged.donor), "recipe.yml")
    assert not checked.findings.faults
    assert checked.findings.fits == [
        "layers 1, 3 of 4",
        "every donor is of the base's kind and width",
        "every tensor of the selected layers stands in every donor, in the base's shape",
    ]
    assert checked.missing == 0
    assert checked.pinned == recipe_text(merged.base, merged.donor)


def test_every_fault_is_named_at_once(tmp_path, merged):
    other = tiny.gemma3_text(tmp_path / "other", 1, n_layers=2)
    found = faults(recipe_text(merged.base, other, 'layers: "1, 3, 9"'))
    assert any("gate: layer 9 is out of range" in fault for fault in found)
    found = faults(recipe_text(merged.base, other))
    assert any("has no such tensor" in fault for fault in found)
    assert "./nowhere: there is no folder ./nowhere, and it is no Hub id" in faults(
        recipe_text("./nowhere", other)
    )


def test_diagnosis_and_recorded_scores_must_be_of_this_base_and_choose_these_layers(tmp_path, merged):
    scores = {0: 0.1, 1: 0.9, 2: 0.2, 3: 0.8}
    diagnosis = save_diagnosis(tmp_path / "d", merged.base, scores) / "diagnosis.json"
    gate = f'diagnosis: "{diagnosis}", select: top_k=2'
    checked = check_recipe(recipe_text(merged.base, merged.donor, gate), "r")
    assert not checked.findings.faults
    assert any("is a diagnosis of this base" in line for line in checked.findings.fits)
    wide = json.loads(diagnosis.read_text())
    wide["model"]["d_model"] = 2560
    diagnosis.write_text(json.dumps(wide))
    assert "SAEs of width 2560" in faults(recipe_text(merged.base, merged.donor, gate))[0]
    record = "sae_diagnosis: {select: top_k=2, scores: {0: 0.1, 1: 0.9, 2: 0.95, 3: 0.8}}"
    found = faults(recipe_text(merged.base, merged.donor, tail=record))
    assert "top_k=2 of the recorded scores chooses layers 1, 2, the gate has 1, 3" in found[0]
    record = "sae_diagnosis: {config_sha256: abc, model: another}"
    assert (
        "whose config.json is not the base's"
        in faults(recipe_text(merged.base, merged.donor, tail=record))[0]
    )


def test_a_donor_of_another_kind_is_named(tmp_path, merged):
    donor = merged.copy_base(tmp_path / "llama")
    config = (donor / "config.json").read_text().replace('"gemma3_text"', '"llama"')
    (donor / "config.json").write_text(config)
    assert any("a llama one" in fault for fault in faults(recipe_text(merged.base, donor)))


SLICES = """\
# by hand
merge_method: sae_stethoscope
base_model: &base "org/base"   # quoted
slices:
  - sources: [{model: *base, layer_range: [0, 2]}]
  - sources:
      - {model: 'org/base', layer_range: [2, 4]}
      - {model: org/donor@main+org/adapter, layer_range: [2, 4]}  # tuned
parameters: {layers: "2, 3"}
sae_diagnosis: {model: org/base}
"""


def test_pinning_touches_the_models_and_nothing_else():
    pinned = pin(SLICES, {"org/base": "b" * 40, "org/donor": "d" * 40, "org/adapter": "a" * 40})
    base = f'"org/base@{"b" * 40}"'
    expected = SLICES.replace('"org/base"', base).replace("'org/base'", base)
    expected = expected.replace("org/donor@main+org/adapter", f"org/donor@{'d' * 40}+org/adapter@{'a' * 40}")
    assert pinned == expected
    assert pin(pinned, {}) == pinned


def test_renaming_quotes_what_yaml_would_misread():
    text = "base_model: org/base\nmodels:\n- model: org/donor\n"
    renamed = rename(text, {"org/base": "./my: base", "org/donor": "./d"})
    assert renamed == 'base_model: "./my: base"\nmodels:\n- model: ./d\n'


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (8_600_000_000, "8.6 GB"), (10**16, "1e+04 TB")],
)
def test_sizes_are_readable(size, text):
    assert readable(size) == text


def test_recipe_still_writes_and_check_is_a_word_of_its_own(tmp_path, merged):
    diagnosis = save_diagnosis(tmp_path / "d", merged.base, {0: 0.1, 1: 0.9, 2: 0.2, 3: 0.8})
    recipe = tmp_path / "recipe.yml"
    words = ["--diagnosis", diagnosis, "--base", merged.base, "--donor", merged.donor]
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
        check_recipe("- 1", "list.yml")
