"""SAEs are read by SAELens, used as SAELens uses them, and refused where they cannot mean what we need."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sae_merge_method.artifacts.diagnosis import read_diagnosis
from sae_merge_method.artifacts.usage import LayerUsage
from sae_merge_method.diagnose.usage import LayerCollector, use_batch
from sae_merge_method.errors import SaeError, UsageError
from sae_merge_method.saes.find import LayerSae, SaeAddress, find_saes, hooked_block, load_sae
from tests.diagnose import hosts
from tests.diagnose.test_run import diagnose

KINDS = {
    "jumprelu": {},
    "standard": {"normalize_activations": "layer_norm"},
    "topk": {"k": 5},
    "gated": {"apply_b_dec_to_input": False},
}


def load(folder: Path, layer: int = 2, d_model: int = hosts.D_MODEL) -> LayerSae:
    return load_sae(SaeAddress(layer, str(folder), "", folder), d_model, torch.float32, torch.device("cpu"))


def collect(sae: LayerSae, residual: torch.Tensor, tokens: list[int]) -> tuple[LayerUsage, LayerCollector]:
    collector = LayerCollector(len(tokens))
    everything = np.ones(len(residual), dtype=bool)
    usage = use_batch(sae.encoder, residual, np.array(tokens), everything)
    collector.add(tuple(range(len(tokens))), usage)
    return collector.layer_usage(hosts.D_SAE), collector


@pytest.mark.parametrize("kind", KINDS)
def test_usage_is_the_mean_of_saelens_own_encode_over_each_document(tmp_path: Path, kind: str) -> None:
    from sae_lens import SAE

    folder = hosts.save_sae(tmp_path / "sae", 2, kind=kind, **KINDS[kind])
    residual = torch.randn(12, hosts.D_MODEL, generator=torch.Generator().manual_seed(0))
    reference = SAE.load_from_disk(folder)
    with torch.no_grad():
        features = reference.encode(residual)
        restored = reference.decode(features)
    usage, collector = collect(load(folder), residual, [5, 7])
    dense = np.zeros((2, hosts.D_SAE))
    counts = np.zeros_like(dense)
    dense[usage.rows(), usage.indices] = usage.means()
    counts[usage.rows(), usage.indices] = usage.counts
    for row, part in enumerate(features.split([5, 7])):
        np.testing.assert_allclose(dense[row], part.mean(0).numpy(), rtol=2**-10)
        np.testing.assert_array_equal(counts[row], (part > 0).sum(0).numpy())
    unexplained = (residual - restored).square().sum() / (residual - residual.mean(0)).square().sum()
    assert collector.explained_variance() == pytest.approx(1 - unexplained.item(), abs=1e-4)


def test_a_perfect_sae_explains_everything_and_batches_may_come_in_any_order(tmp_path: Path) -> None:
    both_signs = torch.cat([torch.eye(hosts.D_MODEL), -torch.eye(hosts.D_MODEL)], dim=1)
    sae = load(hosts.save_sae(tmp_path / "sae", 2, both_signs))
    sae.encoder.W_dec.data = both_signs.T.contiguous()  # type: ignore[attr-defined]
    residual = torch.randn(9, hosts.D_MODEL)
    whole, collector = collect(sae, residual, [4, 5])
    assert collector.explained_variance() == pytest.approx(1)
    parts = LayerCollector(2)
    for place, part in ((1, residual[4:]), (0, residual[:4])):
        parts.add(
            (place,), use_batch(sae.encoder, part, np.array([len(part)]), np.ones(len(part), dtype=bool))
        )
    for one, other in zip(whole, parts.layer_usage(hosts.D_SAE), strict=True):
        np.testing.assert_array_equal(one, other)


def test_layers_without_an_sae_are_not_heard(tmp_path: Path) -> None:
    hosts.save_sae(tmp_path / "saes/layer_1", 1)
    hosts.save_sae(tmp_path / "saes/layer_3", 3)
    by_folder = find_saes(str(tmp_path / "saes/layer_{layer}"), None, range(4))
    by_id = find_saes(str(tmp_path / "saes"), "layer_{layer}", range(4))
    assert [address.layer for address in by_folder] == [1, 3]
    assert [address.folder for address in by_folder] == [address.folder for address in by_id]


def test_a_release_of_saelens_is_searched_by_its_ids() -> None:
    template = "layer_{layer}_width_16k_l0_small"
    found = find_saes("gemma-scope-2-4b-it-res-all", template, range(34))
    assert [address.layer for address in found] == list(range(34))
    assert found[9].id == "layer_9_width_16k_l0_small"
    with pytest.raises(SaeError, match="has no SAE named like"):
        find_saes("gemma-scope-2-4b-it-res-all", "layer_{layer}_width_3k", range(34))
    with pytest.raises(SaeError, match="neither a folder nor a release"):
        find_saes("no-such-release", template, range(34))


def test_an_empty_place_or_a_template_without_a_layer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SaeError, match="no SAE found at"):
        find_saes(str(tmp_path / "layer_{layer}"), None, range(4))
    with pytest.raises(UsageError, match="to stand for the layer's number"):
        find_saes(str(tmp_path), None, range(4))


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ({"hook": "blocks.2.hook_mlp_out"}, "listens at blocks.2.hook_mlp_out"),
        ({"hook": "blocks.2.hook_resid_pre"}, "expected the output of block 2"),
        ({"hook": "blocks.12.hook_resid_post"}, "belongs to another layer"),
        ({"hook": None}, "a place it does not name"),
        ({"d_in": 16}, "width 16, the model's residual stream has 32"),
        ({"normalize_activations": "expected_average_only_in"}, "a factor that is not stored"),
        ({"normalize_activations": "covariance_whitening"}, "whitened"),
        ({"kind": "AbsTopK", "k": 3}, "of the kind 'abstopk': expected one of standard"),
    ],
)
def test_an_sae_that_cannot_mean_what_is_needed_is_refused(
    tmp_path: Path, config: dict[str, object], complaint: str
) -> None:
    folder = hosts.save_sae(tmp_path / "sae", 2, **config)  # type: ignore[arg-type]
    with pytest.raises(SaeError) as caught:
        load(folder)
    assert complaint in str(caught.value)
    assert str(folder) in str(caught.value)


def test_a_diagnosis_hears_saelens_folders_of_some_layers(
    tmp_path: Path, legible: Path, maths: Path, prose: Path
) -> None:
    for layer, n_target in ((1, 2), (3, 20)):
        hosts.save_sae(tmp_path / f"saes/layer_{layer}", layer, hosts.planted_encoder(n_target))
    diagnose(tmp_path / "out", legible, str(tmp_path / "saes/layer_{layer}"), maths, prose)
    scores = read_diagnosis(tmp_path / "out").scores()
    assert list(scores) == [1, 3]
    assert scores[1] < scores[3]
    assert "<dd>2 of 4 heard: 1, 3</dd>" in (tmp_path / "out/diagnosis.html").read_text()


def test_a_damaged_sae_is_refused(tmp_path: Path) -> None:
    folder = hosts.save_sae(tmp_path / "sae", 2)
    (folder / "sae_weights.safetensors").write_bytes(b"damaged")
    with pytest.raises(SaeError, match="SAELens cannot read the SAE"):
        load(folder)


@pytest.mark.parametrize(
    ("hook", "block"),
    [
        ("blocks.7.hook_resid_post", 7),
        ("model.layers.7", 7),
        ("model.layers.7.output", 7),
        ("model.language_model.layers.17.output", 17),
        ("transformer.h.3", 3),
        ("vision_tower.vision_model.encoder.layers.7", None),
        ("model.layers.7.mlp.output", None),
        ("blocks.7.hook_resid_mid", None),
        ("", None),
    ],
)
def test_only_a_text_blocks_output_is_a_block(hook: str, block: int | None) -> None:
    assert hooked_block(hook) == block
