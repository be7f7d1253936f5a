"""Features as a processor holds them: the active ones, and their sums by document."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from sae_merge_method.diagnose.active_features import ActiveFeatures, ManyActiveError
from tests.diagnose import hosts
from tests.diagnose.test_usage import layout, load

TOKENS = (300, 1, 0, 17, 282)
"""Of each document: more together than one thread searches."""


def drawn(n_features: int = 12) -> torch.Tensor:
    """Features, half of them active, equal ones among them."""
    chance = torch.Generator().manual_seed(3)
    return torch.randn(sum(TOKENS), n_features, generator=chance).clamp_min(0).round(decimals=2)


def test_sums_are_of_float64_rounded_once() -> None:
    features = drawn()
    rows = ActiveFeatures.of(features).summed(np.array(TOKENS)).rows()
    document = np.repeat(np.arange(len(TOKENS)), rows.lengths)
    sums = np.stack([part.double().sum(0).numpy() for part in features.split(TOKENS)])
    expected = sums[document, rows.indices] / np.array(TOKENS)[document]
    np.testing.assert_array_equal(rows.means, expected.astype(np.float32))
    fired = np.stack([(part > 0).sum(0).numpy() for part in features.split(TOKENS)])
    np.testing.assert_array_equal(rows.counts, fired[document, rows.indices])
    assert len(rows.indices) == np.count_nonzero(fired)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_tokens_are_told_as_they_were_encoded(dtype: torch.dtype) -> None:
    features = drawn().to(dtype)
    held, chosen = ActiveFeatures.of(features), np.array([5, 2, 599])
    assert torch.equal(held.of_tokens(chosen), features[chosen])
    assert torch.equal(held.active(), (features > 0).sum(1))


@pytest.mark.parametrize("tokens", [[0], [3], [0, 2]])
def test_no_feature_no_token_and_no_document_with_any(tokens: list[int]) -> None:
    held = ActiveFeatures.of(torch.zeros(sum(tokens), 4))
    rows = held.summed(np.array(tokens)).rows(layout(tokens))
    assert rows.lengths.tolist() == [0] * len(tokens) and not len(rows.means)
    assert held.active().tolist() == [0] * sum(tokens)
    assert held.of_tokens(np.zeros(0, dtype=np.int64)).shape == (0, 4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_jumprelu_sae_s_active_features_are_those_of_its_dense_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype
) -> None:
    monkeypatch.setattr("sae_merge_method.saes.encoders._BLOCK", 20)
    encoder = load(hosts.save_raw(tmp_path / "sae", 2), dtype=dtype).encoder
    residual = torch.randn(600, hosts.D_MODEL, generator=torch.Generator().manual_seed(0)).to(dtype)
    everyone = np.arange(600)
    dense = ActiveFeatures.encoded(encoder, residual).of_tokens(everyone)
    torch.testing.assert_close(dense, encoder.encode(residual))
    assert 0 < (dense > 0).float().mean() < 1
    # What reaches its floor is not active, and whatever is no number is not lost.
    encoder.floor[0] = next(encoder.blocks(residual))[1][0, 0]
    assert not ActiveFeatures.encoded(encoder, residual[:1]).of_tokens(np.array([0]))[0, 0]
    encoder.b_enc[1] = -torch.nan
    assert ActiveFeatures.encoded(encoder, residual).of_tokens(everyone)[:, 1].isnan().all()


def test_that_many_are_active_is_told_at_the_first_ones_and_few_are_taken_whatever_their_share() -> None:
    blocks: list[int] = []

    def of(share: float, tokens: int) -> ActiveFeatures:
        def made() -> Iterator[tuple[slice, torch.Tensor]]:
            for start in range(0, 4000, 1000):
                blocks.append(start)
                drawn = torch.rand(tokens, 1000, generator=torch.Generator().manual_seed(start))
                yield slice(start, start + 1000), drawn - (1 - share)

        blocks.clear()
        return ActiveFeatures.above(torch.zeros(4000), tokens, made())

    assert len(of(0.03, 1000).values) == pytest.approx(0.03 * 4e6, rel=0.02) and len(blocks) == 4
    assert len(of(0.9, 15).values) == pytest.approx(0.9 * 6e4, rel=0.02)
    with pytest.raises(ManyActiveError):
        of(0.3, 1000)
    assert blocks == [0]
