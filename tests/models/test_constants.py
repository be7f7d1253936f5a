"""What is no tensor and yet decides what a layer computes is read in every spelling."""

import math
from copy import deepcopy
from pathlib import Path

import pytest
from transformers import Gemma3TextConfig

from sae_merge_method.models import constants
from sae_merge_method.models.checkpoint import Checkpoint
from sae_merge_method.models.constants import Constant, mismatches, reads_alike
from sae_merge_method.models.understood import understood

FLAT = {"rope_theta": 1e6, "rope_local_base_freq": 1e4, "rope_scaling": None, "sliding_window_pattern": 2}
NESTED = {
    "rope_parameters": {
        "full_attention": {"rope_type": "default", "rope_theta": 1e6},
        "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
    },
    "layer_types": ["sliding_attention", "full_attention"] * 2,
}


UNKNOWN = "a_type_of_its_own"
"""A type of model that transformers does not know."""


def model(kind: str, **config: object) -> Checkpoint:
    return Checkpoint(Path("m"), {"model_type": kind} | config, "", {})


def keys(base: dict[str, object], donor: dict[str, object], kind: str = "gemma3_text") -> list[str]:
    return [one.key for one in mismatches(model(kind, **base), model(kind, **donor))]


@pytest.mark.parametrize("kind", ["gemma3_text", UNKNOWN])
def test_old_and_new_spellings_of_one_model_agree(kind):
    layers = {"num_hidden_layers": 4}
    assert keys(FLAT | layers, NESTED | layers, kind) == keys(NESTED | layers, FLAT | layers, kind) == []
    assert keys({"rope_scaling": {"type": "yarn"}}, {"rope_scaling": {"rope_type": "yarn"}}, UNKNOWN) == []


@pytest.mark.parametrize("kind", ["gemma3_text", UNKNOWN])
def test_old_and_new_spellings_of_two_models_differ(kind):
    layers = {"num_hidden_layers": 4}
    assert keys(FLAT | layers | {"rope_theta": 5.0}, NESTED | layers, kind) == ["rope_theta"]
    assert keys(FLAT | layers | {"sliding_window_pattern": 4}, NESTED | layers, kind) == ["layer_types"]


def test_a_key_counts_as_the_type_of_model_reads_it():
    """Gemma 3 reads hidden_activation alone; of a type that nobody knows, either may be its activation."""
    assert keys({"hidden_act": "gelu"}, {"hidden_activation": "gelu"}, UNKNOWN) == []
    assert keys({"hidden_act": "silu"}, {"hidden_activation": "gelu"}, UNKNOWN) == ["hidden_act"]
    assert keys({"hidden_act": "silu"}, {}) == []
    assert keys({"hidden_act": "silu"}, {"hidden_activation": "gelu"}) == ["hidden_act"]


def test_another_value_that_transformers_makes_the_same_of_is_as_good():
    first = {"model_type": "gemma", "hidden_act": "gelu_pytorch_tanh"}
    assert reads_alike(first, "hidden_act", "gelu")
    assert not reads_alike(first, "hidden_act", "silu")
    assert not reads_alike({"model_type": "llama", "hidden_act": "gelu_pytorch_tanh"}, "hidden_act", "gelu")
    assert not reads_alike({"model_type": UNKNOWN, "hidden_act": "gelu_pytorch_tanh"}, "hidden_act", "gelu")
    assert not reads_alike(first, "hidden_size", 8)


def test_no_two_values_of_a_key_that_a_type_passes_over_read_alike():
    """What was diagnosed may have stated its value where its type acts on it."""
    assert not reads_alike({"model_type": "gemma3_text", "hidden_act": "gelu"}, "hidden_act", "silu")
    assert reads_alike({"model_type": "gemma3_text", "hidden_act": "gelu"}, "hidden_act", "gelu_pytorch_tanh")
    for unused in ({"use_sliding_window": False}, {}):
        assert not reads_alike({"model_type": "qwen2", "sliding_window": 64} | unused, "sliding_window", 8)
        assert reads_alike({"model_type": "qwen2", "sliding_window": 64} | unused, "sliding_window", None)


def test_what_transformers_fills_in_of_stretched_positions_reads_alike():
    yarn = {"rope_type": "yarn", "factor": 4.0}
    whole = yarn | {"original_max_position_embeddings": 64}
    first = {"model_type": "qwen2", "max_position_embeddings": 64, "rope_theta": 5e5, "rope_scaling": yarn}
    again = {"model_type": "qwen2", "rope_parameters": whole | {"rope_theta": 5e5}}
    for config, as_the_other in ((first, whole), (again | {"max_position_embeddings": 64}, yarn)):
        assert reads_alike(config, "rope_scaling", as_the_other)
        assert not reads_alike(config, "rope_scaling", whole | {"factor": 8.0})
        assert not reads_alike(config, "rope_scaling", None)
        assert not reads_alike(config, "rope_theta", 1e4)


def test_settings_by_kind_of_attention_are_compared_as_they_stand():
    by_kind = {"model_type": "gemma3_text"} | NESTED
    assert not reads_alike(by_kind, "rope_scaling", {"rope_type": "linear", "factor": 8.0})


def test_a_config_is_left_as_it_was_read():
    config = {"model_type": "qwen2_vl_text", "rope_scaling": {"type": "mrope", "mrope_section": [1, 1, 2]}}
    was = deepcopy(config)
    assert understood(config) is not None and config == was


def test_a_window_that_is_not_used_is_none():
    unused = {"sliding_window": 4096, "use_sliding_window": False}
    for kind in ("qwen2", UNKNOWN):
        assert keys(unused, {"sliding_window": None, "use_sliding_window": False}, kind) == []
        assert "sliding_window" in keys(unused, {"sliding_window": 64, "use_sliding_window": True}, kind)


def test_what_one_side_does_not_state_is_its_types_default():
    default = Gemma3TextConfig().rms_norm_eps
    assert keys({"rms_norm_eps": default}, {}) == []
    assert keys({"rms_norm_eps": 0.1}, {}) == keys({}, {"rms_norm_eps": 0.1}) == ["rms_norm_eps"]
    assert keys({"rope_theta": 5e5}, {}, "llama") == ["rope_theta"]
    assert keys({"rms_norm_eps": 0.1}, {}, UNKNOWN) == []  # nobody knows its default


@pytest.mark.parametrize(
    ("kind", "key", "of_base", "of_donor"),
    [
        ("granite", "residual_multiplier", 1.0, 0.22),
        ("granite", "logits_scaling", 1.0, 12.0),
        ("cohere", "logit_scale", 0.06, 1.0),
        ("gpt_neox", "use_parallel_residual", True, False),
        ("olmo", "clip_qkv", 8.0, None),
        ("smollm3", "no_rope_layers", [1, 1, 1, 0], [1, 1, 1, 1]),
        ("llama4_text", "attention_chunk_size", 8192, 16),
        ("qwen3_moe", "norm_topk_prob", True, False),
        ("deepseek_v3", "routed_scaling_factor", 1.0, 2.5),
        ("llama", "attention_bias", False, True),
        ("gemma3_text", "use_bidirectional_attention", False, True),
    ],
)
def test_whatever_a_type_of_model_has_of_its_own_is_compared(kind, key, of_base, of_donor):
    layers = {"num_hidden_layers": 4}
    assert keys({key: of_base} | layers, {key: of_donor} | layers, kind) == [key]


@pytest.mark.parametrize("settings", ["flat", "by kind of attention"])
def test_rotary_settings_are_compared_whole(settings):
    def stated(**more: object) -> dict[str, object]:
        own = {"rope_theta": 1e6, "rope_type": "default"} | more
        if settings == "flat":
            return {"rope_parameters": own}
        return {"rope_parameters": {"full_attention": {**own, **more}, "sliding_attention": own}}

    kind = "llama" if settings == "flat" else "gemma3_text"
    assert keys(stated(), stated(partial_rotary_factor=0.5), kind) == ["partial_rotary_factor"]
    assert keys(stated(), stated(rope_type="linear", factor=8.0), kind) == ["rope_scaling"]
    if settings != "flat":
        sliding = {"rope_theta": 1e6, "rope_type": "linear", "factor": 8.0}
        whole = {"full_attention": {"rope_theta": 1e6, "rope_type": "default"}}
        there = {"rope_parameters": whole | {"sliding_attention": sliding}}
        assert keys(stated(), there, kind) == ["rope_scaling"]


@pytest.mark.parametrize(
    "key", ["vocab_size", "max_position_embeddings", "attention_dropout", "eos_token_id"]
)
def test_what_is_around_the_layers_may_differ(key):
    assert keys({key: 3}, {key: 4}, "llama") == []


def test_nan_is_as_good_as_nan():
    assert keys({"rope_theta": math.nan}, {"rope_theta": math.nan}) == []


def test_a_new_constant_is_one_row(monkeypatch):
    row = Constant("stretch", lambda config: config.get("stretch"))
    monkeypatch.setitem(constants.CONSTANTS, row.name, row)
    assert keys({"stretch": 1.0}, {"stretch": 0.2}, UNKNOWN) == ["stretch"]
