"""Features of tokens, held as suits a processor and as suits other devices: of both the same is told."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sae_merge_method.diagnose.active_features import ActiveFeatures
from sae_merge_method.diagnose.dense_features import DenseFeatures
from sae_merge_method.diagnose.token_features import encode_tokens, features_of
from sae_merge_method.diagnose.token_layout import TokenLayout
from tests.diagnose import hosts
from tests.diagnose.test_usage import layout, load

TOKENS = (300, 1, 0, 17, 282)
"""Of each document: more together than one thread searches."""


def drawn(n_features: int = 12) -> tuple[torch.Tensor, TokenLayout]:
    """Features, half of them active, equal ones among them, of documents of two sides and a twin."""
    chance = torch.Generator().manual_seed(3)
    features = torch.randn(sum(TOKENS), n_features, generator=chance).clamp_min(0).round(decimals=2)
    classes = torch.randint(0, 4, (len(features),), generator=chance).tolist()
    return features, layout(list(TOKENS), classes, [0, 1, 1, -1, 0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_both_ways_tell_the_same(dtype: torch.dtype) -> None:
    features, of = drawn()
    one, other = features_of(features.to(dtype)), DenseFeatures(features.to(dtype))
    assert isinstance(one, ActiveFeatures)
    chosen = np.array([5, 2, 599])
    torch.testing.assert_close(one.of_tokens(chosen), other.of_tokens(chosen), rtol=0, atol=0)
    assert torch.equal(one.active(), other.active())
    plain, products = one.summed(of.tokens), other.summed(of.tokens)
    for laid in (None, of):
        for ours, theirs in zip(plain.rows(laid), products.rows(laid), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    without = plain.without(of)
    np.testing.assert_allclose(without.sums, products.without(of).sums, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(without.documents, products.without(of).documents)
    assert without.sums[:2].any() and without.documents.tolist() == [[2, 2], [0, 1]]


def test_sums_are_of_float64_rounded_once() -> None:
    features, of = drawn()
    rows = features_of(features).summed(of.tokens).rows()
    document = np.repeat(np.arange(len(TOKENS)), rows.lengths)
    sums = np.stack([part.double().sum(0).numpy() for part in features.split(TOKENS)])
    expected = sums[document, rows.indices] / np.array(TOKENS)[document]
    np.testing.assert_array_equal(rows.means, expected.astype(np.float32))


@pytest.mark.parametrize("tokens", [[0], [3], [0, 2]])
def test_no_feature_no_token_and_no_document_with_any(tokens: list[int]) -> None:
    features = torch.zeros(sum(tokens), 4)
    for held in (features_of(features), DenseFeatures(features)):
        rows = held.summed(np.array(tokens)).rows(layout(tokens))
        assert rows.lengths.tolist() == [0] * len(tokens) and not len(rows.means)
        assert held.active().tolist() == [0] * sum(tokens)
        assert held.of_tokens(np.zeros(0, dtype=np.int64)).shape == (0, 4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_jumprelu_sae_s_active_features_are_those_of_its_dense_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype
) -> None:
    monkeypatch.setattr("sae_merge_method.saes.encoders._BLOCK", 24)
    encoder = load(hosts.save_raw(tmp_path / "sae", 2), dtype=dtype).encoder
    residual = torch.randn(600, hosts.D_MODEL, generator=torch.Generator().manual_seed(0)).to(dtype)
    everyone = np.arange(600)
    dense = encode_tokens(encoder, residual).of_tokens(everyone)
    torch.testing.assert_close(dense, encoder.encode(residual))
    assert 0 < (dense > 0).float().mean() < 1
    # What reaches its floor is not active, and whatever is no number is not lost.
    ceiling = float(next(encoder.blocks(residual))[1][0, 0])
    encoder.floor[0] = ceiling
    assert not encode_tokens(encoder, residual[:1]).of_tokens(np.array([0]))[0, 0]
    encoder.b_enc[1] = -torch.nan
    assert encode_tokens(encoder, residual).of_tokens(everyone)[:, 1].isnan().all()
