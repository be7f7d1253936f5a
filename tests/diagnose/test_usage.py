"""Feature usage: what SAELens' own SAEs encode, summed by document."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sae_merge_method.diagnose.chunk_store import ChunkStore, WholeUsage
from sae_merge_method.diagnose.fit import Fit
from sae_merge_method.diagnose.on_processor import use_of
from sae_merge_method.diagnose.scales import CountingRule
from sae_merge_method.diagnose.token_layout import TokenLayout
from sae_merge_method.diagnose.usage import PartialUsage, Reading
from sae_merge_method.saes.find import SaeAddress
from sae_merge_method.saes.opening import load_sae
from sae_merge_method.saes.sae import LayerSae
from tests.diagnose import hosts

KINDS = {
    "jumprelu": {},
    "standard": {"normalize_activations": "layer_norm"},
    "topk": {"k": 5},
    "gated": {"apply_b_dec_to_input": False},
}


def load(
    folder: Path, layer: int = 2, d_model: int = hosts.D_MODEL, dtype: torch.dtype = torch.float32
) -> LayerSae:
    return load_sae(SaeAddress(layer, str(folder), "", folder), d_model, dtype, torch.device("cpu"))


def encoded(
    sae: LayerSae, residual: torch.Tensor, tokens: list[int], rule: CountingRule | None = None
) -> PartialUsage:
    """Documents of so many tokens as one batch; all of them count unless a rule says otherwise."""
    rule = rule or CountingRule(np.inf, leaves_out=True, mean=residual.mean(0).numpy())
    (part,) = use_of(Reading(sae.encoder, rule, "a layer"), residual, layout(tokens))
    return part


def layout(
    tokens: list[int], classes: list[int] | None = None, sides: list[int] | None = None
) -> TokenLayout:
    """All tokens are sampled; of two classes and two sides, unless told nothing is of a class or a second side."""
    return TokenLayout(
        tokens=np.array(tokens),
        ids=np.arange(sum(tokens)),
        places=np.concatenate([np.arange(count) for count in tokens]),
        sampled=np.ones(sum(tokens), dtype=bool),
        classes=np.array(classes or [0] * sum(tokens), dtype=np.uint32),
        n_classes=2,
        sides=np.array(sides or [0] * len(tokens)),
        n_sides=2,
    )


def whole(folder: Path, chunks: dict[tuple[int, ...], list[PartialUsage]]) -> WholeUsage:
    """What a store gives back of chunks, each kept by the places of its documents."""
    store = ChunkStore(folder / "out", {})
    for number, parts in enumerate(chunks.values()):
        store.save("layer", number, parts)
    return store.gather("layer", hosts.D_SAE, list(chunks))


@pytest.mark.parametrize("kind", KINDS)
def test_usage_is_the_mean_of_saelens_own_encode_over_each_document(tmp_path: Path, kind: str) -> None:
    from sae_lens import SAE

    folder = hosts.save_sae(tmp_path / "sae", 2, kind=kind, **KINDS[kind])
    residual = torch.randn(12, hosts.D_MODEL, generator=torch.Generator().manual_seed(0))
    reference = SAE.load_from_disk(folder)
    with torch.no_grad():
        features = reference.encode(residual)
        restored = reference.decode(features)
    stored = whole(tmp_path, {(0, 1): [encoded(load(folder), residual, [5, 7])]})
    usage = stored.usage
    dense = np.zeros((2, hosts.D_SAE))
    counts = np.zeros_like(dense)
    dense[usage.rows(), usage.indices] = usage.means()
    counts[usage.rows(), usage.indices] = usage.counts
    for row, part in enumerate(features.split([5, 7])):
        np.testing.assert_allclose(dense[row], part.mean(0).numpy(), rtol=2**-10)
        np.testing.assert_array_equal(counts[row], (part > 0).sum(0).numpy())
    errors = (residual - restored).square().sum(1)
    distances = (residual - residual.mean(0)).square().sum(1)
    assert stored.fit.median == pytest.approx(np.median(1 - (errors / distances).numpy()), abs=1e-4)
    assert stored.fit.with_outliers == pytest.approx(1 - (errors.sum() / distances.sum()).item(), abs=1e-4)


def test_a_perfect_sae_explains_everything_and_documents_may_come_in_any_order(tmp_path: Path) -> None:
    both_signs = torch.cat([torch.eye(hosts.D_MODEL), -torch.eye(hosts.D_MODEL)], dim=1)
    sae = load(hosts.save_sae(tmp_path / "sae", 2, both_signs))
    sae.encoder.W_dec.data = both_signs.T.contiguous()
    residual = torch.randn(9, hosts.D_MODEL)
    together = whole(tmp_path / "together", {(0, 1): [encoded(sae, residual, [4, 5])]})
    assert together.fit.median == pytest.approx(1)
    first, second = encoded(sae, residual[:4], [4]), encoded(sae, residual[4:], [5])
    for name, chunks in (
        ("turned round", {(1,): [second], (0,): [first]}),
        ("in one chunk", {(1, 0): [second, first]}),
    ):
        apart = whole(tmp_path / name, chunks)
        assert apart.fit.median == pytest.approx(1)
        for one, other in zip(together.usage, apart.usage, strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_stream_that_does_not_vary_leaves_nothing_to_explain() -> None:
    none = Fit(np.zeros(0, dtype=np.float32), 0.0, 0.0)
    assert none.median == none.share == none.with_outliers == 0


def test_a_class_of_tokens_is_left_out_of_a_documents_mean_and_documents_of_a_side_are_averaged(
    tmp_path: Path,
) -> None:
    sae = load(hosts.save_raw(tmp_path / "sae", 2))
    residual = torch.randn(12, hosts.D_MODEL, generator=torch.Generator().manual_seed(0))
    # Two target documents, one control's all of class 1, and a twin.
    classes = [0, 1, 0, 3, *(0, 0, 2), *(2, 2, 3), *(1, 1)]
    rule = CountingRule(np.inf, leaves_out=True, mean=np.zeros(hosts.D_MODEL, dtype=np.float32))
    (part,) = use_of(
        Reading(sae.encoder, rule, "a layer"), residual, layout([4, 3, 3, 2], classes, [0, 0, 1, -1])
    )
    features = sae.encoder.encode(residual).double()
    without = part.without.means()
    expected = (features[[0, 2]].mean(0) + features[4:7].mean(0)) / 2
    np.testing.assert_allclose(without[0, 0], expected.numpy(), rtol=1e-5, atol=1e-6)
    expected = (features[:3].mean(0) + features[4:6].mean(0)) / 2
    np.testing.assert_allclose(without[0, 1], expected.numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(without[1, 0], features[7:9].mean(0).numpy(), rtol=1e-5, atol=1e-6)
    assert part.without.documents.tolist() == [[2, 2], [1, 0]]
    assert not without[1, 1].any()
    store = ChunkStore(tmp_path / "out", {})
    store.save("layer", 0, [part, part])
    kept = store.load("layer", 0, sae.source.d_sae).without
    np.testing.assert_array_equal(kept.sums, 2 * part.without.sums)
    np.testing.assert_array_equal(kept.documents, 2 * part.without.documents)


@pytest.fixture
def with_outliers(tmp_path: Path) -> tuple[LayerSae, torch.Tensor, CountingRule]:
    """Two documents of five and four tokens; the second token and the seventh are a hundred times as long."""
    sae = load(hosts.save_raw(tmp_path / "sae", 2))
    residual = torch.randn(9, hosts.D_MODEL, generator=torch.Generator().manual_seed(0))
    residual[[1, 6]] *= 100
    return sae, residual, CountingRule(60.0, leaves_out=True, mean=residual[[0, 2, 3]].mean(0).numpy())


def test_outliers_are_a_part_of_their_own_and_both_parts_are_what_counts_without_the_rule(
    tmp_path: Path, with_outliers: tuple[LayerSae, torch.Tensor, CountingRule]
) -> None:
    sae, residual, rule = with_outliers
    ruled = whole(tmp_path / "ruled", {(0, 1): [encoded(sae, residual, [5, 4], rule)]})
    lifted_rule = rule._replace(leaves_out=False)
    lifted = whole(tmp_path / "lifted", {(0, 1): [encoded(sae, residual, [5, 4], lifted_rule)]})
    kept = [0, 2, 3, 4, 5, 7, 8]
    alone = whole(tmp_path / "alone", {(0, 1): [encoded(sae, residual[kept], [4, 3])]})
    for one, other in zip(ruled.usage, alone.usage, strict=True):
        np.testing.assert_array_equal(one, other)
    assert ruled.outliers.tokens.tolist() == [1, 1]
    assert [ids.tolist() for ids in ruled.outlier_ids] == [[1], [6]]
    # Noted all the same where they count.
    assert [ids.tolist() for ids in lifted.outlier_ids] == [[1], [6]]
    assert not lifted.outliers.tokens.any()
    both = ruled.usage.plus(ruled.outliers)
    np.testing.assert_array_equal(both.tokens, lifted.usage.tokens)
    np.testing.assert_array_equal(both.indices, lifted.usage.indices)
    np.testing.assert_array_equal(both.counts, lifted.usage.counts)
    np.testing.assert_allclose(both.means(), lifted.usage.means(), rtol=2**-9)


def test_a_few_outliers_do_not_move_what_an_sae_explains_and_are_the_cause_of_what_it_does_not(
    tmp_path: Path,
) -> None:
    """An SAE that restores each ordinary token, and none that is larger than it ever saw."""
    both_signs = torch.cat([torch.eye(hosts.D_MODEL), -torch.eye(hosts.D_MODEL)], dim=1)
    sae = load(hosts.save_sae(tmp_path / "sae", 2, both_signs))

    class Bounded:
        def encode(self, x: torch.Tensor) -> torch.Tensor:
            return sae.encoder.encode(x).clamp_max(10)

        def decode(self, features: torch.Tensor) -> torch.Tensor:
            return features @ both_signs.T

    residual = torch.randn(400, hosts.D_MODEL, generator=torch.Generator().manual_seed(0))
    residual[::100] *= 1000
    rule = CountingRule(60.0, leaves_out=True, mean=np.zeros(hosts.D_MODEL, dtype=np.float32))
    for leaves_out, counted in ((True, 396), (False, 400)):
        reading = Reading(Bounded(), rule._replace(leaves_out=leaves_out), "a layer")
        (part,) = use_of(reading, residual, layout([200, 200]))
        assert len(part.fit.explained) == counted
        assert part.fit.median == pytest.approx(1)
        assert part.fit.share == pytest.approx(396 / counted)
        assert part.fit.with_outliers < 0.1


def test_a_document_of_outliers_alone_uses_nothing(
    with_outliers: tuple[LayerSae, torch.Tensor, CountingRule],
) -> None:
    sae, residual, rule = with_outliers
    part = encoded(sae, residual, [1, 1, 7], rule)
    assert part.counted.tokens.tolist() == [1, 0, 6]
    assert part.counted.lengths[1] == 0
    none = encoded(sae, residual[[1, 6]], [2], rule)
    assert none.counted.lengths.tolist() == [0]
    assert none.fit.median == 0
