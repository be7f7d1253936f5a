"""Laws of our merge methods, through mergekit's own kernels."""

import logging

import pytest
import torch

from sae_merge_method.errors import MergeError, RecipeError
from sae_merge_method.geometry.basis import orthonormal_basis
from sae_merge_method.models.tensor_names import decoder_layer
from tests import tiny
from tests.geometry import scenes
from tests.geometry.scenes import Scene
from tests.merge.scalpels import LAYERS, energy, kernel, moved, parameters, raw, recipe
from tests.mergekit import plain_mergekit
from tests.recipes import run_recipe


def projected(tau: torch.Tensor, name: str, scene: Scene, source: int, features: list[int]) -> torch.Tensor:
    """The definition, word for word, with the d x d matrix in float64."""
    u = torch.from_numpy(orthonormal_basis(scene.decoders[source][features].numpy()).columns)
    p = u @ u.T
    if "q_norm" in name or "k_norm" in name:
        return torch.zeros_like(tau).double()
    if tau.ndim == 1 or "o_proj" in name or "down_proj" in name:
        return p @ tau.double()
    return tau.double() @ p


def test_projecting_follows_its_definition_tensor_by_tensor(scene):
    """The four most selective features are 0, 2, 4 and 6: see scenes.usage."""
    tau, got = moved(scene, raw(scene)), moved(scene, kernel(scene))
    for name, change in got.items():
        layer = decoder_layer(name)
        assert layer is not None
        expected = projected(tau[name], name, scene, layer, [0, 2, 4, 6])
        assert torch.allclose(change.double(), expected, atol=1e-6), name
    assert 0 < energy(got) < 0.6 * energy(tau)


def test_projected_and_rejected_parts_add_up_to_raw_in_value_and_in_energy(scene):
    tau, inside, outside = (
        moved(scene, state) for state in (raw(scene), kernel(scene), kernel(scene, mode="reject"))
    )
    for name in tau:
        assert torch.allclose(inside[name] + outside[name], tau[name], atol=1e-6), name
    assert energy(inside) + energy(outside) == pytest.approx(energy(tau), rel=1e-5)
    assert all(tau[name].equal(outside[name]) for name in tau if "q_norm" in name or "k_norm" in name)


def test_a_hybrid_of_both_whole_parts_equals_the_stethoscope_bit_for_bit(scene):
    hybrid, whole = kernel(scene, mode="hybrid"), raw(scene)
    assert all(tiny.same_bytes(hybrid[name], whole[name]) for name in whole)
    half = moved(scene, kernel(scene, mode="hybrid", beta=1.0, gamma=0.5))
    inside, outside = (moved(scene, kernel(scene, mode=mode)) for mode in ("project", "reject"))
    for name in half:
        assert torch.allclose(half[name], inside[name] + 0.5 * outside[name], atol=1e-6), name


def test_full_rank_gives_raw_where_there_is_an_axis(scene):
    whole, full = raw(scene), kernel(scene, rank=tiny.D_MODEL)
    for name in moved(scene, whole):
        inside_attention = "q_norm" in name or "k_norm" in name
        assert tiny.same_bytes(full[name], whole[name]) != inside_attention, name


@pytest.mark.parametrize("given", [{"weight": 0.0}, {"mode": "hybrid", "beta": 0.0, "gamma": 0.0}])
def test_scale_zero_gives_base_bytes(scene, given):
    base, state = tiny.load_tensors(scene.base), kernel(scene, **given)
    assert all(tiny.same_bytes(state[name], base[name]) for name in base)


def test_energy_match_keeps_the_direction_and_restores_the_size(scene):
    tau, plain, matched = (
        moved(scene, state) for state in (raw(scene), kernel(scene), kernel(scene, energy_match=True))
    )
    for name in tau:
        if "q_norm" in name or "k_norm" in name:
            assert not matched[name].any(), name
            continue
        assert energy({name: matched[name]}) == pytest.approx(energy({name: tau[name]}), rel=1e-4), name
        cosine = torch.cosine_similarity(matched[name].flatten(), plain[name].flatten(), dim=0)
        assert float(cosine) == pytest.approx(1, abs=1e-5)


def test_a_random_subspace_keeps_about_its_share_and_is_the_same_for_the_same_seed(scene):
    one, again, other = (kernel(scene, mode="random", seed=seed) for seed in (1, 1, 2))
    assert all(tiny.same_bytes(one[name], again[name]) for name in one)
    assert not one["model.layers.1.mlp.up_proj.weight"].equal(other["model.layers.1.mlp.up_proj.weight"])
    share = energy(moved(scene, one)) / energy(moved(scene, raw(scene)))
    assert 0.15 < share < 0.35  # 4 of 16


def test_the_reading_side_may_take_the_layer_befores_features(scene):
    tau, got = moved(scene, raw(scene)), moved(scene, kernel(scene, read_from="previous"))
    for name, source in (("mlp.up_proj", 0), ("input_layernorm", 0), ("mlp.down_proj", 1)):
        full = f"model.layers.1.{name}.weight"
        expected = projected(tau[full], full, scene, source, [0, 2, 4, 6])
        assert torch.allclose(got[full].double(), expected, atol=1e-6), name
    with pytest.raises(RecipeError, match="cannot serve layer 0"):
        kernel(scene, read_from="previous", layers="0, 1")


def test_features_may_be_written_out_and_saes_named_without_a_diagnosis(scene):
    by_rank = kernel(scene)
    listed = kernel(scene, rank=None, diagnosis=None, sae=scene.saes, features="1: 0, 2, 4, 6; 3: 0, 2, 4, 6")
    assert all(tiny.same_bytes(by_rank[name], listed[name]) for name in by_rank)


def test_duplicate_features_reduce_the_rank_and_are_reported(tmp_path, caplog):
    scene = scenes.build(tmp_path)
    decoder = scene.decoders[1].clone()
    decoder[2] = 3 * decoder[0]
    (tmp_path / "saes" / "layer_1").rename(tmp_path / "old")
    scenes.save_sae(tmp_path / "saes" / "layer_1", 1, decoder)
    with caplog.at_level(logging.WARNING):
        kernel(scene)
    assert "layer 1: the directions of 4 features span 3 dimensions" in caplog.text
    assert "layer 3" not in caplog.text


def test_a_tensor_of_unknown_axis_is_left_out_with_a_warning_until_the_recipe_names_it(scene, caplog):
    from sae_merge_method.artifacts.method_parameters import ScalpelParameters
    from sae_merge_method.merge.injection import inject
    from sae_merge_method.recipe.scalpel import Scalpel

    name = "model.layers.1.linear_attn.in_proj_qkvz.weight"
    base, donor = torch.zeros(5, 16), torch.ones(5, 16)

    def edit(**given: object) -> torch.Tensor:
        values = parameters(scene, **given)
        del values["layers"]
        scalpel = Scalpel(ScalpelParameters.model_validate(values), [1])
        assert inject(name, base, [donor], [1.0], scalpel.filter) is not donor
        return inject(name, base, [donor], [1.0], scalpel.filter)

    with caplog.at_level(logging.WARNING):
        assert edit() is base
    assert caplog.text.count("is left out and stays the base's: its residual axis is not known") == 1
    assert edit(residual_axes="linear_attn.*=none") is base
    kept = edit(residual_axes="linear_attn.in_proj*=read:1")
    assert torch.allclose(kept.double(), projected(donor, "up_proj", scene, 1, [0, 2, 4, 6]), atol=1e-6)
    assert edit(mode="hybrid").equal(donor)
    with pytest.raises(MergeError, match=r"expected width 16 .* on axis 0, got shape \[5, 16\]"):
        edit(residual_axes="linear_attn.*=write:0")


def test_a_share_of_the_raw_energy_is_what_the_stethoscope_injects(scene):
    unasked, all_of_it = raw(scene), raw(scene, energy=1.0)
    whole = energy(moved(scene, unasked))
    assert energy(moved(scene, raw(scene, energy=0.25))) == pytest.approx(0.25 * whole, rel=1e-5)
    assert all(tiny.same_bytes(unasked[name], all_of_it[name]) for name in unasked)
    base, none = tiny.load_tensors(scene.base), raw(scene, energy=0.0)
    assert all(tiny.same_bytes(none[name], base[name]) for name in base)


@pytest.mark.parametrize("given", [{}, {"select": "top_k=2", "layers": None, "mode": "hybrid", "gamma": 0.5}])
def test_both_doors_write_the_same_bytes(tmp_path, scene, given):
    values = {name: value for name, value in parameters(scene, **given).items() if value is not None}
    source = recipe(scene, **values)
    run_recipe(source, tmp_path / "out")
    merged, stock = tiny.load_tensors(tmp_path / "out"), plain_mergekit(source, tmp_path / "stock")
    assert merged.keys() == stock.keys()
    assert all(tiny.same_bytes(merged[name], stock[name]) for name in merged)
    base = tiny.load_tensors(scene.base)
    changed = {decoder_layer(name) for name in base if not tiny.same_bytes(base[name], merged[name])}
    assert changed == {1, 3}


def test_the_stethoscopes_energy_is_the_same_through_both_doors(tmp_path, scene):
    source = recipe(scene, "sae_stethoscope", layers=LAYERS, energy=0.3)
    run_recipe(source, tmp_path / "out")
    merged, stock = tiny.load_tensors(tmp_path / "out"), plain_mergekit(source, tmp_path / "stock")
    assert all(tiny.same_bytes(merged[name], stock[name]) for name in merged)


@pytest.mark.parametrize("layers", ["all", "all.attn", "1, all.mlp"])
def test_all_is_every_layer_that_there_is_through_both_doors(tmp_path, scene, layers):
    source = recipe(scene, "sae_stethoscope", layers=layers)
    report = run_recipe(source, tmp_path / "out")
    merged, stock = tiny.load_tensors(tmp_path / "out"), plain_mergekit(source, tmp_path / "stock")
    assert all(tiny.same_bytes(merged[name], stock[name]) for name in merged)
    assert {tensor.layer for tensor in report.edited()} == {0, 1, 2, 3}


@pytest.mark.parametrize("method", ["sae_scalpel", "sae_stethoscope"])
def test_where_mergekit_had_to_say_how_many_layers_there_are_all_is_refused_in_words(tmp_path, scene, method):
    given = {"layers": "all", "diagnosis": str(scene.diagnosis)}
    given |= {"rank": 4} if method == "sae_scalpel" else {"select": "top_k=4"}
    assert run_recipe(recipe(scene, method, **given), tmp_path / "out").layers == (0, 1, 2, 3)
    with pytest.raises(MergeError, match='does not say how many layers .* such as "0-25", or run sae-merge'):
        plain_mergekit(recipe(scene, method, **given), tmp_path / "stock")
