"""What is no tensor and yet decides what a layer computes is read in every spelling."""

from pathlib import Path

from sae_merge_method.models import constants
from sae_merge_method.models.checkpoint import Checkpoint
from sae_merge_method.models.constants import Constant, mismatches

FLAT = {"rope_theta": 1e6, "rope_local_base_freq": 1e4, "rope_scaling": None, "sliding_window_pattern": 2}
NESTED = {
    "rope_parameters": {
        "full_attention": {"rope_type": "default", "rope_theta": 1e6},
        "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
    },
    "layer_types": ["sliding_attention", "full_attention"] * 2,
}


def model(**config: object) -> Checkpoint:
    return Checkpoint(Path("m"), {"model_type": "gemma3_text"} | config, "", {})


def keys(base: dict[str, object], donor: dict[str, object]) -> list[str]:
    return [one.key for one in mismatches(model(**base), model(**donor))]


def test_old_and_new_spellings_of_one_model_agree():
    assert keys(FLAT, NESTED) == keys(NESTED, FLAT) == []
    assert keys({"hidden_act": "gelu"}, {"hidden_activation": "gelu"}) == []
    assert keys({"rope_scaling": {"type": "yarn"}}, {"rope_scaling": {"rope_type": "yarn"}}) == []


def test_old_and_new_spellings_of_two_models_differ():
    assert keys(FLAT | {"rope_theta": 5.0}, NESTED) == ["rope_theta"]
    assert keys(FLAT | {"sliding_window_pattern": 4}, NESTED) == ["layer_types"]
    assert keys({"hidden_act": "silu"}, {"hidden_activation": "gelu"}) == ["hidden_act"]


def test_a_window_that_is_not_used_is_none():
    unused = {"sliding_window": 4096, "use_sliding_window": False}
    assert keys(unused, {"sliding_window": None, "use_sliding_window": False}) == []
    assert keys(unused, {"sliding_window": 4096}) == ["sliding_window"]


def test_a_constant_that_one_side_does_not_state_is_not_compared():
    assert keys({"rms_norm_eps": 1e-6}, {}) == []


def test_a_new_constant_is_one_row(monkeypatch):
    row = Constant("residual_multiplier", lambda config: config.get("residual_multiplier"))
    monkeypatch.setitem(constants.CONSTANTS, row.name, row)
    assert keys({"residual_multiplier": 1.0}, {"residual_multiplier": 0.2}) == ["residual_multiplier"]
    assert row.name in constants.constant_names()
