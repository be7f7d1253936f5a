"""Feature usage: what SAELens' own SAEs encode, summed by document."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sae_merge_method.diagnose.usage import (
    ROWS,
    Moments,
    WholeUsage,
    encode_documents,
    in_document_order,
    join,
)
from sae_merge_method.saes.find import SaeAddress
from sae_merge_method.saes.sae import LayerSae, load_sae
from tests.diagnose import hosts

KINDS = {
    "jumprelu": {},
    "standard": {"normalize_activations": "layer_norm"},
    "topk": {"k": 5},
    "gated": {"apply_b_dec_to_input": False},
}


def load(folder: Path, layer: int = 2, d_model: int = hosts.D_MODEL) -> LayerSae:
    return load_sae(SaeAddress(layer, str(folder), "", folder), d_model, torch.float32, torch.device("cpu"))


def encoded(sae: LayerSae, residual: torch.Tensor, tokens: list[int]) -> WholeUsage:
    """Documents of so many tokens as one batch."""
    everything = np.ones(len(residual), dtype=bool)
    usage = encode_documents(sae.encoder, residual, np.array(tokens), everything)
    return in_document_order([(range(len(tokens)), usage)], len(tokens), hosts.D_SAE)


@pytest.mark.parametrize("kind", KINDS)
def test_usage_is_the_mean_of_saelens_own_encode_over_each_document(tmp_path: Path, kind: str) -> None:
    from sae_lens import SAE

    folder = hosts.save_sae(tmp_path / "sae", 2, kind=kind, **KINDS[kind])
    residual = torch.randn(12, hosts.D_MODEL, generator=torch.Generator().manual_seed(0))
    reference = SAE.load_from_disk(folder)
    with torch.no_grad():
        features = reference.encode(residual)
        restored = reference.decode(features)
    usage, explained_variance = encoded(load(folder), residual, [5, 7])
    dense = np.zeros((2, hosts.D_SAE))
    counts = np.zeros_like(dense)
    dense[usage.rows(), usage.indices] = usage.means()
    counts[usage.rows(), usage.indices] = usage.counts
    for row, part in enumerate(features.split([5, 7])):
        np.testing.assert_allclose(dense[row], part.mean(0).numpy(), rtol=2**-10)
        np.testing.assert_array_equal(counts[row], (part > 0).sum(0).numpy())
    unexplained = (residual - restored).square().sum() / (residual - residual.mean(0)).square().sum()
    assert explained_variance == pytest.approx(1 - unexplained.item(), abs=1e-4)


def test_a_perfect_sae_explains_everything_and_batches_may_come_in_any_order(tmp_path: Path) -> None:
    both_signs = torch.cat([torch.eye(hosts.D_MODEL), -torch.eye(hosts.D_MODEL)], dim=1)
    sae = load(hosts.save_sae(tmp_path / "sae", 2, both_signs))
    sae.encoder.W_dec.data = both_signs.T.contiguous()  # type: ignore[attr-defined]
    residual = torch.randn(9, hosts.D_MODEL)
    whole = encoded(sae, residual, [4, 5])
    assert whole.explained_variance == pytest.approx(1)
    parts = [
        ([place], encode_documents(sae.encoder, part, np.array([len(part)]), np.ones(len(part), dtype=bool)))
        for place, part in ((1, residual[4:]), (0, residual[:4]))
    ]
    for one, other in zip(whole.usage, in_document_order(parts, 2, hosts.D_SAE).usage, strict=True):
        np.testing.assert_array_equal(one, other)


def test_joined_parts_are_what_their_documents_give_together(tmp_path: Path) -> None:
    sae = load(hosts.save_sae(tmp_path / "sae", 2))
    residual = torch.randn(9, hosts.D_MODEL, generator=torch.Generator().manual_seed(1))
    parts = [
        encode_documents(sae.encoder, part, np.array([len(part)]), np.arange(len(part)) == 1)
        for part in (residual[:4], residual[4:])
    ]
    joined = join(parts)
    together = encode_documents(sae.encoder, residual, np.array([4, 5]), np.isin(np.arange(9), [1, 5]))
    for name in ROWS:
        np.testing.assert_allclose(getattr(joined, name), getattr(together, name), rtol=1e-5)
    assert joined.moments.tokens == together.moments.tokens == 2
    assert joined.moments.explained_variance() == pytest.approx(
        together.moments.explained_variance(), rel=1e-5
    )


def test_a_stream_that_does_not_vary_leaves_nothing_to_explain() -> None:
    assert Moments(0, 0, np.zeros(3), 0).explained_variance() == 0
    assert Moments(2, 6, np.full(3, 2.0), 1).explained_variance() == 0
