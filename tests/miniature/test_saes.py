"""The miniature's SAEs: SAELens reads them, they know where they listen, and they listen there."""

import pytest
import torch
from transformers import AutoModelForCausalLM

from sae_merge_method.miniature.saes import residual_stream
from sae_merge_method.miniature.training import Example


def test_every_layer_has_an_sae_that_saelens_loads(tiny_miniature, tiny_settings):
    from sae_lens import SAE

    for layer in range(tiny_settings.n_layers):
        sae = SAE.load_from_disk(tiny_miniature.saes / f"layer_{layer}")
        assert sae.cfg.architecture() == "jumprelu"
        assert sae.cfg.metadata.hook_name == f"blocks.{layer}.hook_resid_post"
        assert (sae.cfg.d_in, sae.cfg.d_sae) == (tiny_settings.d_model, tiny_settings.sae_width)
        states = torch.randn(50, tiny_settings.d_model)
        assert sae.decode(sae.encode(states)).isfinite().all()


def test_the_same_settings_train_the_same_saes(tiny_miniature, tiny_settings, tmp_path):
    from safetensors.torch import load_file

    from sae_merge_method.miniature.build import make_saes

    make_saes(tiny_settings, tiny_miniature.base, tmp_path)
    for layer in range(tiny_settings.n_layers):
        file = f"layer_{layer}/sae_weights.safetensors"
        first, again = load_file(tiny_miniature.saes / file), load_file(tmp_path / file)
        assert first.keys() == again.keys()
        assert all(torch.equal(first[name], again[name]) for name in first)


@pytest.fixture(scope="module")
def model(tiny_miniature):
    return AutoModelForCausalLM.from_pretrained(tiny_miniature.base).eval()


def test_the_residual_stream_is_every_token_but_bos_and_no_padding(model):
    long, short = Example((2, 10, 11, 12, 1), 1), Example((2, 20, 1), 1)
    states = residual_stream(model, [long, short])
    assert [tuple(layer.shape) for layer in states] == [(4 + 2, 64)] * len(model.model.layers)
    with torch.no_grad():
        alone = model.model(torch.tensor([long.ids]), output_hidden_states=True).hidden_states
    # hidden_states[layer + 1] is the block's output for all but the last one, which is normed.
    for layer in range(len(states) - 1):
        torch.testing.assert_close(states[layer][:4], alone[layer + 1][0, 1:])


def test_listening_leaves_no_hook_behind(model):
    def hooks():
        return [dict(block._forward_hooks) for block in model.model.layers]

    before = hooks()
    residual_stream(model, [Example((2, 5, 1), 1)])
    assert hooks() == before
