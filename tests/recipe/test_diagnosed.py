"""A diagnosis is of the weights it was made on: a base that holds others is refused by every command."""

import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig

from sae_merge_method.artifacts.recipe import RecipeText
from sae_merge_method.controls.settings import ControlSettings
from sae_merge_method.controls.write import make_controls
from sae_merge_method.energy.run import energy
from sae_merge_method.energy.settings import EnergySettings
from sae_merge_method.errors import RecipeError
from sae_merge_method.merge.preview import preview
from sae_merge_method.models.checkpoint import open_checkpoint
from sae_merge_method.models.constants import differing, stated_constants
from sae_merge_method.recipe.check import check_recipe
from sae_merge_method.recipe.diagnosed import open_diagnosis
from sae_merge_method.recipe.from_diagnosis import RecipeSettings, WrittenRecipe, make_recipe
from sae_merge_method.recipe.resolved import open_recipe
from tests import tiny
from tests.diagnoses import save_diagnosis
from tests.recipes import recipe_text, run_recipe

FIRST_GEMMA: dict[str, object] = {"model_type": "gemma", "hidden_act": "gelu"}
"""As it was published: gelu stands for its approximation by tanh, which transformers writes."""
FLAT_QWEN: dict[str, object] = {
    "model_type": "qwen2_vl",
    "vision_config": {"depth": 2},
    "rope_theta": 1e6,
    "rope_scaling": {"type": "mrope", "mrope_section": [1, 1, 2]},
    "sliding_window": 32,
    "use_sliding_window": False,
}
"""As it was published: its text decoder's settings beside the vision tower's, positions in three parts."""
SCORES = {0: 0.1, 1: 0.9, 2: 0.2, 3: 0.8}


def _recipe(base: Path, donor: Path, diagnosis: Path) -> WrittenRecipe:
    return make_recipe(RecipeSettings(base=base, donor=donor, diagnosis=diagnosis))


def _gate(diagnosis: Path) -> str:
    return f'diagnosis: "{diagnosis}", select: top_k=2'


def _check(base: Path, donor: Path, diagnosis: Path) -> None:
    faults = check_recipe(RecipeText(recipe_text(base, donor, _gate(diagnosis)), "r")).faults
    if faults:
        raise RecipeError(faults[0].text)


def _preview(base: Path, donor: Path, diagnosis: Path) -> None:
    preview(RecipeText(recipe_text(base, donor, _gate(diagnosis)), "r"), options={"quiet": True})


def _energy(base: Path, donor: Path, diagnosis: Path) -> None:
    energy(EnergySettings(base=base, donor=donor, diagnosis=diagnosis))


def _controls(base: Path, donor: Path, diagnosis: Path) -> None:
    recipe = RecipeText(recipe_text(base, donor), "r")
    make_controls(open_recipe(recipe), ControlSettings(diagnosis=diagnosis))


@pytest.fixture
def diagnosis(models, tmp_path) -> Path:
    return save_diagnosis(tmp_path / "diagnosis", models.base, SCORES)


@pytest.mark.parametrize("command", [_recipe, _check, _preview, _energy, _controls])
def test_base_and_donor_swapped_are_named(command: Callable[..., None], models, diagnosis):
    with pytest.raises(RecipeError) as error:
        command(models.donor, models.base, diagnosis)
    assert f"base and donor are swapped: {diagnosis}" in str(error.value)
    assert f"whose weights the donor {models.base} has" in str(error.value)


@pytest.mark.parametrize("command", [_recipe, _check, _preview, _energy, _controls])
def test_another_fine_tune_of_the_family_is_no_base_of_the_diagnosis(
    command: Callable[..., None], models, diagnosis, tmp_path
):
    other = tiny.gemma3_text(tmp_path / "other", 7)
    assert (other / "config.json").read_bytes() == (models.base / "config.json").read_bytes()
    with pytest.raises(RecipeError, match=f"the base {other} holds other weights .* another fine-tune"):
        command(other, models.donor, diagnosis)


def test_a_model_of_another_size_is_named_as_one(models, diagnosis, tmp_path):
    with pytest.raises(RecipeError, match="a model of another kind or size"):
        _recipe(tiny.gemma3_text(tmp_path / "deep", 0, n_layers=6), models.donor, diagnosis)


def test_the_same_weights_under_other_constants_are_another_model(models, diagnosis, tmp_path):
    base = tiny.save_checkpoint(
        tmp_path / "base", tiny.text_config() | {"sliding_window": 8}, tiny.text_tensors(0)
    )
    with pytest.raises(RecipeError, match="sliding_window was 32, in the base it is 8"):
        _check(base, models.donor, diagnosis)


@pytest.mark.parametrize("published", [FIRST_GEMMA, FLAT_QWEN], ids=["gemma", "qwen2_vl"])
def test_the_base_whose_config_transformers_wrote_again_is_the_base(published, tmp_path):
    config = tiny.text_config() | published
    original = tiny.save_checkpoint(tmp_path / "original", config, tiny.text_tensors(0))
    again = tiny.save_checkpoint(tmp_path / "again", config, tiny.text_tensors(0))
    AutoConfig.from_pretrained(original).save_pretrained(again)
    stated = [open_checkpoint(folder).text_config for folder in (original, again)]
    assert list(differing(*map(stated_constants, stated)))
    for diagnosed, base in ((original, again), (again, original)):
        made = save_diagnosis(diagnosed.with_name(f"of_{diagnosed.name}"), diagnosed, SCORES)
        assert open_diagnosis(made, open_checkpoint(base), str(base)).path.parent == made


@pytest.mark.parametrize(
    ("published", "other", "said"),
    [
        (FIRST_GEMMA, {"hidden_act": "silu"}, "hidden_act was silu, in the base it is gelu"),
        (FLAT_QWEN, {"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_scaling was .*linear"),
        (FLAT_QWEN, {"use_sliding_window": True, "sliding_window": 8}, "sliding_window was 8"),
    ],
)
def test_a_constant_that_transformers_reads_otherwise_is_another_model_s(published, other, said, tmp_path):
    config = tiny.text_config() | published
    original = tiny.save_checkpoint(tmp_path / "original", config, tiny.text_tensors(0))
    again = tiny.save_checkpoint(tmp_path / "again", config, tiny.text_tensors(0))
    AutoConfig.from_pretrained(original).save_pretrained(again)
    unlike = tiny.save_checkpoint(tmp_path / "unlike", config | other, tiny.text_tensors(0))
    made = save_diagnosis(tmp_path / "diagnosis", unlike, SCORES)
    for base in (original, again):
        with pytest.raises(RecipeError, match=said):
            open_diagnosis(made, open_checkpoint(base), str(base))


def test_the_base_in_another_layout_is_the_base(diagnosis, tmp_path, models):
    multimodal = tiny.gemma3_multimodal(tmp_path / "multimodal", 0)
    text = recipe_text(multimodal, models.donor, _gate(diagnosis))
    assert not check_recipe(RecipeText(text, "r")).faults
    sharded = tiny.gemma3_text(tmp_path / "shards", 0, shards=2)
    assert _recipe(sharded, models.donor, diagnosis).layers == (1, 2, 3)


def test_the_base_in_another_dtype_is_the_base_and_is_said(diagnosis, tmp_path, models, caplog):
    narrow = tiny.gemma3_text(tmp_path / "narrow", 0, dtype=torch.bfloat16)
    with caplog.at_level(logging.WARNING):
        _check(narrow, models.donor, diagnosis)
    assert "stored as float32" in caplog.text and "holds the same numbers as bfloat16" in caplog.text


def test_a_recipe_remembers_whose_weights_its_layers_were_chosen_on(models, diagnosis, tmp_path):
    made = make_recipe(RecipeSettings(base=models.base, donor=models.donor, diagnosis=diagnosis))
    for file in diagnosis.iterdir():
        file.unlink()  # the diagnosis stays at home
    checked = check_recipe(RecipeText(made.text, "r"))
    assert any(one.text == "the recorded scores are of this base's weights" for one in checked.findings)
    other = tiny.gemma3_text(tmp_path / "other", 7)
    text = made.text.replace(str(models.base), str(other))
    (fault,) = check_recipe(RecipeText(text, "r")).faults
    assert fault.subject == "sae_evidence" and "another fine-tune" in fault.text
    with pytest.raises(RecipeError, match="another fine-tune"):
        run_recipe(text, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_recipe_that_records_no_fingerprint_is_not_checked_for_it(models):
    text = recipe_text(models.base, models.donor, tail="sae_evidence: {model: someone/base}")
    (finding,) = [
        one for one in check_recipe(RecipeText(text, "r")).findings if one.subject == "sae_evidence"
    ]
    assert finding.verdict == "not checked" and "no fingerprint is recorded" in finding.text


def test_a_fingerprint_that_is_none_is_a_fault(models):
    text = recipe_text(models.base, models.donor, tail="sae_evidence: {fingerprint: {dtype: 3}}")
    assert "sae_evidence.fingerprint.tensors" in check_recipe(RecipeText(text, "r")).faults[0].text


def test_a_diagnosis_without_a_fingerprint_is_of_an_older_format(models, diagnosis):
    file = diagnosis / "diagnosis.json"
    old = json.loads(file.read_text())
    del old["model"]["fingerprint"]
    file.write_text(json.dumps(old | {"schema_version": 1}))
    faults = check_recipe(RecipeText(recipe_text(models.base, models.donor, _gate(diagnosis)), "r")).faults
    assert "schema_version" in faults[0].text
