"""What is read at a site is what its name says: what the two parts of a block add is what the block adds."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sae_merge_method.corpora.batches import make_batches
from sae_merge_method.corpora.tokens import Document
from sae_merge_method.errors import ModelError
from sae_merge_method.loaded.passes import hooked, read_sites
from sae_merge_method.loaded.sites import TRAINED, Site, named_site, names_within, site_width
from sae_merge_method.loaded.text_model import TextModel, load_text_model
from sae_merge_method.models.families import FAMILIES
from tests.loaded.test_residual_stream import BUILDERS

DOCUMENTS = [Document(np.array([2, *range(6, 6 + n)]), np.arange(n + 1) > 0) for n in (9, 5)]


def read(model: TextModel, sites: list[Site]) -> dict[Site, torch.Tensor]:
    (batch,) = make_batches(DOCUMENTS, 64)
    found: dict[Site, torch.Tensor] = {}
    read_sites(model, batch, {site: lambda states, site=site: found.update({site: states}) for site in sites})
    return found


@pytest.mark.parametrize("family", BUILDERS)
def test_attention_and_mlp_together_add_what_the_block_adds(family: str, tmp_path: Path) -> None:
    model = load_text_model(str(BUILDERS[family](tmp_path / "model")), "float32")
    found = read(model, [Site(1, hook) for hook in TRAINED] + [Site(0)])
    added = found[Site(1)] - found[Site(0)]
    assert added.abs().max() > 0
    torch.testing.assert_close(found[Site(1, "attn_out")] + found[Site(1, "mlp_out")], added)


def put_out(model: TextModel, layer: int, name: str) -> torch.Tensor:
    """What transformers' own module puts out, told by a hook of this test's own."""
    (batch,) = make_batches(DOCUMENTS, 64)
    found: list[torch.Tensor] = []
    module = model.blocks[layer].get_submodule(name)
    handle = module.register_forward_hook(
        lambda _module, _inputs, output: found.append(output[0] if isinstance(output, tuple) else output)
    )
    read_sites(model, batch, {Site(layer): lambda states: None})
    handle.remove()
    return found[0]


WHERE = {
    "gemma3": ("post_attention_layernorm", "post_feedforward_layernorm", "self_attn", "o_proj"),
    "gemma2": ("post_attention_layernorm", "post_feedforward_layernorm", "self_attn", "o_proj"),
    "llama": ("self_attn", "mlp", "self_attn", "o_proj"),
    "qwen3": ("self_attn", "mlp", "self_attn", "o_proj"),
    "gpt2": ("attn", "mlp", "attn", "c_proj"),
}
"""By family, the modules that put out what attention and MLP add, attention itself, and what in it mixes heads."""


@pytest.mark.parametrize("family", WHERE)
def test_what_is_read_is_what_transformers_modules_put_out(family: str, tmp_path: Path) -> None:
    model = load_text_model(str(BUILDERS[family](tmp_path / "model")), "float32")
    adds, mlp, attention, mixing = WHERE[family]
    found = read(model, [Site(1, "attn_out"), Site(1, "mlp_out"), Site(1, "heads")])
    assert torch.equal(found[Site(1, "attn_out")], put_out(model, 1, adds))
    assert torch.equal(found[Site(1, "mlp_out")], put_out(model, 1, mlp))
    mixed = model.blocks[1].get_submodule(f"{attention}.{mixing}")(found[Site(1, "heads")])
    assert torch.equal(mixed, put_out(model, 1, attention))
    assert found[Site(1, "heads")].shape[-1] == site_width(model, Site(1, "heads"))


def test_words_of_transformers_mean_the_place_that_they_mean_in_that_family(
    gemma3: Path, tmp_path: Path
) -> None:
    """Behind Gemma's attention and MLP stands a norm each; Llama has one of these names in front of its MLP."""
    gemma = names_within(load_text_model(str(gemma3), "float32"), 1)
    llama = names_within(load_text_model(str(BUILDERS["llama"](tmp_path / "llama")), "float32"), 1)
    of = "model.layers.1"
    for hook, in_gemma, in_llama in (
        (f"{of}.output", Site(1), Site(1)),
        (f"{of}.self_attn.o_proj.input", Site(1, "heads"), Site(1, "heads")),
        (f"{of}.post_feedforward_layernorm.output", Site(1, "mlp_out"), None),
        (f"{of}.post_attention_layernorm.output", Site(1, "attn_out"), None),
        (f"{of}.mlp.output", None, Site(1, "mlp_out")),
        (f"{of}.self_attn.output", None, Site(1, "attn_out")),
        (f"{of}.pre_feedforward_layernorm.output", None, None),
    ):
        assert (named_site(hook, gemma), named_site(hook, llama)) == (in_gemma, in_llama), hook


def test_what_stands_in_the_heads_place_is_mixed_in_their_place(gemma3: Path) -> None:
    model = load_text_model(str(gemma3), "float32")
    with hooked(model, {Site(1, "heads"): torch.zeros_like}):
        assert not read(model, [Site(1, "attn_out")])[Site(1, "attn_out")].any()


def test_what_a_function_returns_goes_on_in_the_activations_place(gemma3: Path) -> None:
    model = load_text_model(str(gemma3), "float32")
    with hooked(model, {Site(1): torch.zeros_like, Site(0): lambda states: None}):
        changed = read(model, [Site(0), Site(1), Site(2)])
    plain = read(model, [Site(0), Site(1), Site(2)])
    assert torch.equal(changed[Site(0)], plain[Site(0)])
    assert not changed[Site(1)].any()
    assert not torch.equal(changed[Site(2)], plain[Site(2)])


def test_parts_of_a_family_that_nobody_described_are_not_guessed(
    gemma3: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_text_model(str(gemma3), "float32")
    monkeypatch.delitem(FAMILIES, "Gemma 3")
    assert Site(0).saelens == "blocks.0.hook_resid_post"
    read(model, [Site(0)])
    with pytest.raises(ModelError, match="what puts out blocks.0.hook_mlp_out"):
        read(model, [Site(0, "mlp_out")])
