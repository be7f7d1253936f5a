"""What is no tensor and yet decides what a layer computes must be the same in base and donor."""

import json
import shutil
from copy import deepcopy
from pathlib import Path

import pytest

from sae_merge_method.artifacts.recipe import RecipeText
from sae_merge_method.errors import MergeError, UsageError
from sae_merge_method.models.checkpoint import Checkpoint
from sae_merge_method.recipe.check import check_recipe
from sae_merge_method.recipe.preflight import check_family
from tests.recipes import recipe_text


def model(**config: object) -> Checkpoint:
    return Checkpoint(Path("m"), {"model_type": "gemma3_text"} | config, "", {})


@pytest.mark.parametrize(
    ("key", "of_base", "of_donor"),
    [
        ("rope_theta", 1e6, 1e4),
        ("rope_local_base_freq", 1e4, 1e6),
        ("rope_scaling", None, {"rope_type": "linear", "factor": 8.0}),
        ("rms_norm_eps", 1e-6, 0.1),
        ("attn_logit_softcapping", 50.0, None),
        ("final_logit_softcapping", None, 30.0),
        ("query_pre_attn_scalar", 256, 168),
        ("sliding_window", 512, 4096),
        ("num_hidden_layers", 4, 6),
        ("num_attention_heads", 2, 4),
        ("num_key_value_heads", 1, 2),
    ],
)
def test_a_constant_that_differs_is_refused_with_key_and_both_values(key, of_base, of_donor):
    base, donor = model(**{key: of_base}), model(**{key: of_donor})
    with pytest.raises(MergeError) as error:
        check_family(base, {"tuned": donor})
    assert f"{key} is {of_base} in the base" in str(error.value)
    assert str(of_donor) in str(error.value) and "--allow-mismatch" in str(error.value)
    check_family(base, {"tuned": donor}, [key])


def test_all_that_differs_is_named_at_once_and_all_of_it_must_be_allowed():
    base, donor = model(rope_theta=1e6, rms_norm_eps=1e-6), model(rope_theta=1e4, rms_norm_eps=0.1)
    with pytest.raises(MergeError, match=r"rope_theta is .*, rms_norm_eps is "):
        check_family(base, {"tuned": donor})
    with pytest.raises(MergeError, match="rms_norm_eps"):
        check_family(base, {"tuned": donor}, ["rope_theta"])


def test_what_is_allowed_is_logged_and_what_is_no_constant_is_a_usage_error(caplog):
    check_family(model(rope_theta=1e6), {"tuned": model(rope_theta=1e4)}, ["rope_theta"])
    assert "allowed: rope_theta is 1000000.0 in the base, 10000.0 in tuned" in caplog.text
    with pytest.raises(UsageError, match="--allow-mismatch rope: expected one of .*rope_theta"):
        check_family(model(), {}, ["rope"])


def test_recipe_check_finds_it_and_lets_it_pass_where_it_is_allowed(models, tmp_path):
    base, donor = (Path(shutil.copytree(side, tmp_path / side.name)) for side in models)
    for folder, theta in ((base, 1e6), (donor, 1e4)):
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"rope_theta": theta}))
    recipe = RecipeText(recipe_text(base, donor), "r")
    (fault,) = check_recipe(recipe).faults
    assert "rope_theta is 1000000.0 in the base" in fault.text
    assert not check_recipe(recipe, allow_mismatch=["rope_theta"]).faults


@pytest.mark.parametrize("kind", ["qwen2_vl", "qwen2_5_vl"])
def test_a_model_that_was_published_flat_and_saved_nested_is_of_one_type(kind):
    from transformers import CONFIG_MAPPING

    flat = {
        **{"model_type": kind, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 4},
        **{"num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": 48, "rope_theta": 5e5},
        "rope_scaling": {"type": "mrope", "mrope_section": [2, 1, 1]},
        "vision_config": {"depth": 2},
    }
    nested = CONFIG_MAPPING[kind].from_dict(deepcopy(flat)).to_dict()
    assert nested["text_config"]["model_type"] == f"{kind}_text"
    published, saved = (Checkpoint(Path("m"), config, "", {}) for config in (flat, nested))
    assert published.is_multimodal and published.d_model == 16
    check_family(published, {"tuned": saved})
    check_family(saved, {"tuned": published})
    other = deepcopy(nested)
    other["text_config"]["rope_parameters"]["rope_theta"] = 1e4
    with pytest.raises(MergeError, match="rope_theta is 500000.0 in the base"):
        check_family(published, {"tuned": Checkpoint(Path("m"), other, "", {})})
