"""What the manual says is refused, warned of and read: a test for each sentence, named after it."""

import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from sae_merge_method.artifacts.recipe import RecipeText
from sae_merge_method.errors import MergeError, RecipeError, SaeMergeError
from sae_merge_method.recipe.check import check_recipe
from sae_merge_method.recipe.from_diagnosis import RecipeSettings, make_recipe
from tests import tiny
from tests.diagnoses import save_diagnosis
from tests.recipes import recipe_text, run_recipe


def with_config(folder: Path, out: Path, **keys: Any) -> Path:
    """The same model with other keys in its config."""
    copy = Path(shutil.copytree(folder, out))
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | keys))
    return copy


def refused(text: str, out: Path) -> str:
    """Why a recipe is refused, by merge; nothing is written, and recipe check has the fault too."""
    with pytest.raises(SaeMergeError) as error:
        run_recipe(text, out)
    assert not out.exists()
    with suppress(RecipeError):  # where the recipe itself cannot be read
        assert check_recipe(RecipeText(text, "r")).faults
    return str(error.value)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"rope_parameters": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6}}, "rope_scaling is "),
        ({"rope_theta": 5.0}, "rope_theta is "),
        ({"rms_norm_eps": 0.1}, "rms_norm_eps is 1e-06 in the base"),
        ({"hidden_activation": "silu"}, "hidden_act is gelu in the base"),
        ({"attn_logit_softcapping": 50.0}, "attn_logit_softcapping is None in the base"),
        ({"layer_types": ["full_attention"] * 4}, "layer_types is one full_attention in 2 in the base"),
        ({"sliding_window": 16}, "sliding_window is 32 in the base"),
        ({"num_attention_heads": 4, "head_dim": 4}, "num_attention_heads is 2 in the base"),
    ],
    ids=str,
)
def test_a_donor_must_be_a_fine_tune_of_this_base(models, tmp_path, keys, expected):
    base = with_config(
        models.base,
        tmp_path / "base",
        rope_theta=1e6,
        rms_norm_eps=1e-6,
        hidden_activation="gelu",
        attn_logit_softcapping=None,
        sliding_window_pattern=2,
    )
    donor = with_config(base, tmp_path / "donor", **keys)
    assert expected in refused(recipe_text(base, donor), tmp_path / "out")
    run_recipe(recipe_text(base, donor), tmp_path / "out", allow_mismatch=allowed(expected, keys))


def allowed(expected: str, keys: dict[str, Any]) -> list[str]:
    return [expected.split(" ")[0], *("head_dim" for key in keys if key == "head_dim")]


def test_tied_embeddings_and_other_keys_that_no_layer_depends_on_may_differ(models, tmp_path):
    donor = with_config(
        models.donor, tmp_path / "donor", tie_word_embeddings=False, use_cache=False, vocab_size=99
    )
    assert run_recipe(recipe_text(models.base, donor), tmp_path / "out").layers == (1, 3)


def test_allow_mismatch_is_there_wherever_a_donor_is_held_against_its_base(models, tmp_path):
    donor = with_config(models.donor, tmp_path / "donor", sliding_window=16)
    diagnosis = save_diagnosis(tmp_path / "diagnosis", models.base, {0: 0.1, 1: 0.9, 2: 0.2, 3: 0.8})
    settings = {"base": models.base, "donor": donor, "diagnosis": diagnosis}
    with pytest.raises(MergeError, match="sliding_window is 32 in the base"):
        make_recipe(RecipeSettings(**settings))
    assert make_recipe(RecipeSettings(**settings, allow_mismatch=("sliding_window",))).n_layers == 4


def test_misspelt_keys_list_gates_missing_layers_and_float16_are_refused(models, tmp_path):
    out = tmp_path / "out"
    assert "layres: unknown key" in refused(recipe_text(models.base, models.donor, 'layres: "1"'), out)
    assert "reads a YAML list" in refused(recipe_text(models.base, models.donor, "layers: [1, 3]"), out)
    assert "layer 9 is out of range" in refused(recipe_text(models.base, models.donor, 'layers: "9"'), out)
    float16 = recipe_text(models.base, models.donor, tail="dtype: float16")
    with pytest.raises(RecipeError, match="dtype: float16"):
        run_recipe(float16, out)


def test_whatever_an_adapter_holds_elsewhere_does_not_matter(models, tmp_path):
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    module = "base_model.model.model.layers.{}.mlp.up_proj.lora_"
    tensors = {
        module.format(1) + "A.weight": torch.ones(2, 16),
        module.format(1) + "B.weight": torch.ones(32, 2),
        module.format(2) + "A.weight": torch.ones(5, 7),  # broken, in a layer that is not read
        "base_model.model.model.embed_tokens.weight": torch.ones(99, 16),
    }
    save_file(tensors, adapter / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 2, "modules_to_save": ["embed_tokens"]}
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    report = run_recipe(recipe_text(models.base, Path(f"{models.base}+{adapter}")), tmp_path / "out")
    before, after = tiny.load_tensors(models.base), tiny.load_tensors(tmp_path / "out")
    changed = {name for name in before if not tiny.same_bytes(before[name], after[name])}
    assert changed == {"model.layers.1.mlp.up_proj.weight"} and report.energy > 0
