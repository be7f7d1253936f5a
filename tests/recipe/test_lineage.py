"""A donor that is the base, or no kin of it, is not wrong, but is said."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sae_merge_method.artifacts.recipe import RecipeText
from sae_merge_method.merge.preview import preview
from sae_merge_method.recipe.check import check_recipe
from sae_merge_method.recipe.from_diagnosis import RecipeSettings, make_recipe
from tests import tiny
from tests.diagnoses import save_diagnosis
from tests.recipes import recipe_text, run_recipe


def tuned(folder: Path, step: float) -> Path:
    """A fine-tune of the base ``tiny.gemma3_text(..., 0)``: each matrix a step away."""
    other = tiny.text_tensors(5)

    def change(tensors: tiny.Tensors) -> None:
        for name in tensors:
            tensors[name] += step * other[name]

    return tiny.gemma3_text(folder, 0, change=change)


@pytest.fixture(params=["merge", "dry run", "recipe check"])
def oddities(request, tmp_path, caplog):
    """What a command says about a recipe's donors."""

    def run(text: str) -> str:
        if request.param == "merge":
            run_recipe(text, tmp_path / "out")
        elif request.param == "dry run":
            preview(RecipeText(text, "r"), options={"quiet": True})
        else:
            checked = check_recipe(RecipeText(text, "r"))
            assert not checked.faults
            return "\n".join(finding.text for finding in checked.findings if finding.verdict == "odd")
        return caplog.text

    return run


def test_a_donor_that_is_the_base_makes_the_result_the_base(models, tmp_path, oddities):
    same = Path(shutil.copytree(models.base, tmp_path / "same"))
    said = oddities(recipe_text(models.base, same))
    assert f"the task vector of {same} is zero in layers 1, 3" in said
    assert "the result is the base" in said


def test_a_weight_of_zero_makes_the_result_the_base(models, oddities):
    said = oddities(recipe_text(models.base, models.donor, weight="0.0"))
    assert f"the weight of {models.donor} is 0 in layers 1, 3" in said
    assert "the result is the base" in said


def test_an_unrelated_donor_is_told_by_its_relative_norm(models, oddities):
    said = oddities(recipe_text(models.base, models.donor))
    assert f"the task vector of {models.donor} in layers 1, 3 has 1.4" in said


def test_a_fine_tune_is_nothing_odd(models, tmp_path, oddities):
    assert oddities(recipe_text(models.base, tuned(tmp_path / "tuned", 0.05))) == ""


def adapter(folder: Path, *, size: float, prefix: str = "", rows: int = 0, dora: bool = False) -> Path:
    """A LoRA of every layer's up projection; ``rows`` saves an embedding of that many tokens beside it."""
    folder.mkdir()
    tensors = {}
    for layer in range(tiny.N_LAYERS):
        module = f"{prefix}base_model.model.model.layers.{layer}.mlp.up_proj."
        tensors[module + "lora_A.weight"] = torch.ones(2, tiny.D_MODEL)
        tensors[module + "lora_B.weight"] = torch.full((32, 2), size)
        if dora:
            weight = tiny.text_tensors(0)[f"model.layers.{layer}.mlp.up_proj.weight"]
            tensors[module + "lora_magnitude_vector"] = weight.norm(dim=1)
    if rows:
        tensors["base_model.model.model.embed_tokens.weight"] = torch.ones(rows, tiny.D_MODEL)
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 2, "target_modules": ["up_proj"], "use_dora": dora}
    saved = {"modules_to_save": ["embed_tokens"] if rows else None}
    (folder / "adapter_config.json").write_text(json.dumps(config | saved))
    return folder


@pytest.mark.parametrize("dora", [False, True])
def test_a_dead_adapter_makes_the_result_the_base(models, tmp_path, oddities, dora):
    dead = adapter(tmp_path / "dead", size=0.0, dora=dora)
    said = oddities(recipe_text(models.base, Path(f"{models.base}+{dead}")))
    assert f"{dead} is zero in layers 1, 3" in said and "the result is the base" in said


def test_an_adapter_that_changes_something_is_nothing_odd(models, tmp_path, oddities):
    small = adapter(tmp_path / "small", size=0.01, rows=64)  # and another vocabulary's embedding
    assert oddities(recipe_text(models.base, Path(f"{models.base}+{small}"))) == ""


def test_an_adapter_larger_than_the_base_is_told_by_its_relative_norm(models, tmp_path, oddities):
    large = adapter(tmp_path / "large", size=0.5)
    said = oddities(recipe_text(models.base, Path(f"{models.base}+{large}")))
    assert f"{large} in layers 1, 3 has 4.7" in said


def test_what_a_wrapper_left_in_an_adapters_names_is_named(models, tmp_path, oddities):
    compiled = adapter(tmp_path / "compiled", size=0.01, prefix="_orig_mod.")
    said = oddities(recipe_text(models.base, Path(f"{models.base}+{compiled}")))
    assert "its names hold _orig_mod., which torch.compile leaves in them: read without it" in said


def test_the_base_stored_in_another_dtype_adds_nothing(models, tmp_path, oddities):
    narrow = tiny.gemma3_text(tmp_path / "narrow", 0, dtype=torch.bfloat16)
    assert "the result is the base" in oddities(recipe_text(models.base, narrow))


def test_the_recipe_command_says_what_is_odd_too(models, tmp_path, caplog):
    diagnosis = save_diagnosis(tmp_path / "diagnosis", models.base, {0: 0.1, 1: 0.9, 2: 0.2, 3: 0.8})
    dead = adapter(tmp_path / "dead", size=0.0)
    for donor in (f"{models.base}+{dead}", str(shutil.copytree(models.base, tmp_path / "same"))):
        caplog.clear()
        make_recipe(RecipeSettings(base=models.base, donor=donor, diagnosis=diagnosis))
        assert "the result is the base" in caplog.text
