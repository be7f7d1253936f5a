"""What is read at a site is what its name says: what the two parts of a block add is what the block adds."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sae_merge_method.corpora.batches import make_batches
from sae_merge_method.corpora.tokens import Document
from sae_merge_method.errors import ModelError
from sae_merge_method.models.families import FAMILIES
from sae_merge_method.models.sites import HOOKS, Site, hooked, read_sites
from sae_merge_method.models.text_model import TextModel, load_text_model
from tests.models.test_residual_stream import BUILDERS

DOCUMENTS = [Document(np.array([2, *range(6, 6 + n)]), np.arange(n + 1) > 0) for n in (9, 5)]


def read(model: TextModel, sites: list[Site]) -> dict[Site, torch.Tensor]:
    (batch,) = make_batches(DOCUMENTS, 64)
    found: dict[Site, torch.Tensor] = {}
    read_sites(model, batch, {site: lambda states, site=site: found.update({site: states}) for site in sites})
    return found


@pytest.mark.parametrize("family", BUILDERS)
def test_attention_and_mlp_together_add_what_the_block_adds(family: str, tmp_path: Path) -> None:
    model = load_text_model(str(BUILDERS[family](tmp_path / "model")), "float32")
    found = read(model, [Site(1, hook) for hook in HOOKS] + [Site(0)])
    added = found[Site(1)] - found[Site(0)]
    assert added.abs().max() > 0
    torch.testing.assert_close(found[Site(1, "attn_out")] + found[Site(1, "mlp_out")], added)


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
