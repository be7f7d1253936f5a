"""The norm before a tensor that reads the residual stream, family by family."""

from pathlib import Path

import pytest
import torch

from sae_merge_method.models.checkpoint import open_checkpoint
from sae_merge_method.models.norms import gain_before
from sae_merge_method.models.tensor_names import LayerPart
from tests import tiny


@pytest.mark.parametrize(
    ("part", "norm"),
    [
        ("self_attn.q_proj.weight", "input_layernorm.weight"),
        ("self_attn.v_proj.weight", "input_layernorm.weight"),
        ("mlp.gate_proj.weight", "pre_feedforward_layernorm.weight"),
        ("mlp.experts.3.up_proj.weight", "pre_feedforward_layernorm.weight"),
    ],
)
def test_gemma_reads_through_one_plus_the_weight_of_the_norm_in_front(
    tmp_path: Path, part: str, norm: str
) -> None:
    def mark(tensors: tiny.Tensors) -> None:
        for name in tensors:
            if name.endswith(norm):
                tensors[name] = torch.linspace(-1, 1, tiny.D_MODEL)

    base = open_checkpoint(tiny.gemma3_text(tmp_path / "base", 0, change=mark))
    gain = gain_before(base, LayerPart(2, part))
    assert gain is not None
    assert gain.tolist() == pytest.approx(torch.linspace(0, 2, tiny.D_MODEL).tolist(), abs=1e-6)


def test_of_a_family_that_stands_in_no_row_no_norm_is_known(tmp_path: Path) -> None:
    folder = tiny.gemma3_text(tmp_path / "base", 0)
    config = folder / "config.json"
    config.write_text(config.read_text().replace("gemma3_text", "another_text"))
    assert gain_before(open_checkpoint(folder), LayerPart(0, "self_attn.q_proj.weight")) is None


def test_llama_s_norm_behind_attention_stands_in_front_of_the_mlp_and_is_taken_as_it_is(
    tmp_path: Path,
) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=32, hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    layer = model.model.layers[0]
    torch.nn.init.uniform_(layer.post_attention_layernorm.weight)
    model.save_pretrained(tmp_path / "llama")
    base = open_checkpoint(tmp_path / "llama")
    gain = gain_before(base, LayerPart(0, "mlp.up_proj.weight"))
    assert gain is not None and gain.tolist() == layer.post_attention_layernorm.weight.tolist()
    # What the model computes is what the folded weights read.
    x = torch.randn(3, 8)
    normed = layer.post_attention_layernorm(x)
    folded = layer.mlp.up_proj.weight * torch.from_numpy(gain)
    length = x.pow(2).mean(-1, keepdim=True).add(config.rms_norm_eps).sqrt()
    assert torch.allclose(layer.mlp.up_proj(normed), x @ folded.T / length, atol=1e-6)
