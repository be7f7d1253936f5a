"""A model in memory with a donor's task vector: what is set is what a merge writes, and it is taken away whole."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from sae_merge_method.errors import MergeError
from sae_merge_method.in_memory.edited_model import EditedModel
from sae_merge_method.in_memory.opening import open_edited
from sae_merge_method.in_memory.weights import by_unit, everywhere
from tests.in_memory.models import batch_of, bits, changed, llama, loss_of, near, opened
from tests.recipes import recipe_text, run_recipe


def test_an_edit_is_taken_away_bit_for_bit(folder):
    with opened(folder) as edited:
        before = bits(edited.model.causal)
        edited.set_weights(everywhere(0.7))
        assert all((bits(edited.model.causal)[name] != before[name]).any() for name in before)
        edited.restore()
        after = bits(edited.model.causal)
        edited.restore()  # once more is nothing
    assert all(np.array_equal(after[name], before[name]) for name in before)


def test_at_weight_one_everywhere_it_is_the_donor(folder):
    with opened(folder) as edited:
        edited.set_weights(everywhere(1.0))
        donor = load_file(folder / "donor" / "model.safetensors")
        for name, parameter in edited.model.causal.named_parameters():
            torch.testing.assert_close(parameter.detach(), donor[name], atol=1e-6, rtol=0)


def test_layers_that_are_not_named_keep_the_bases_bits(folder):
    with opened(folder) as edited:
        before = bits(edited.model.causal)
        edited.set_weights(by_unit({1: 1.0}))
        edited.set_weights(by_unit({2: 0.5}))
        after = bits(edited.model.causal)
    moved = {name for name in before if not np.array_equal(before[name], after[name])}
    assert moved == {name for name in before if ".layers.2." in name}


def test_what_is_set_is_what_a_merge_writes(folder, tmp_path):
    run_recipe(recipe_text(folder / "base", folder / "donor", 'layers: "0, 2"', "0.3"), tmp_path / "out")
    written = load_file(tmp_path / "out" / "model.safetensors")
    with opened(folder) as edited:
        edited.set_weights(by_unit({0: 0.3, 2: 0.3}))
        found = dict(edited.model.causal.named_parameters())
        assert all(found[name].equal(tensor) for name, tensor in written.items())


def test_several_donors_have_a_weight_each(folder):
    with opened(folder, "donor", "other") as edited:
        tensor = next(tensor for tensor in edited.tensors if tensor.part == "mlp.up_proj.weight")
        edited.set_weights(lambda one: (0.5, -1.0) if one is tensor else (0.0, 0.0))
        base, one, other = (
            load_file(folder / name / "model.safetensors")[tensor.name] for name in ("base", "donor", "other")
        )
        wanted = base + 0.5 * (one - base) - (other - base)
        torch.testing.assert_close(tensor.parameter.detach(), wanted)


def test_tied_weights_are_one_tensor(tmp_path):
    base = llama(tmp_path / "base", tied=True)
    near(base, tmp_path / "donor")
    with open_edited(str(base), [str(tmp_path / "donor")], beside=tmp_path) as edited:
        outside = [tensor.part for tensor in edited.tensors if tensor.layer is None]
        assert sorted(outside) == ["embed_tokens.weight", "norm.weight"]
        loss = loss_of(edited.model, batch_of(edited.model))
        nth = next(n for n, tensor in enumerate(edited.tensors) if tensor.part == "embed_tokens.weight")
        embedding = edited.tensors[nth]
        slope = edited.dots(loss).values[nth, 0]
        losses = []
        for alpha in (-0.02, 0.02):
            edited.set_weights(lambda one, alpha=alpha: (alpha if one is embedding else 0.0,))
            with torch.no_grad():
                losses.append(float(loss()))
    assert slope == pytest.approx((losses[1] - losses[0]) / 0.04, rel=2e-2)


def test_a_bfloat16_model_is_dotted_in_float64_and_restored(tmp_path):
    base = llama(tmp_path / "base", dtype="bfloat16")
    near(base, tmp_path / "donor")
    with open_edited(str(base), [str(tmp_path / "donor")], beside=tmp_path, dtype="bfloat16") as edited:
        before = bits(edited.model.causal)
        edited.set_weights(everywhere(0.5))
        narrow = edited.dots(loss_of(edited.model, batch_of(edited.model))).values
        edited.restore()
        after = bits(edited.model.causal)
        assert edited.model.dtype == torch.bfloat16
    assert all(np.array_equal(after[name], before[name]) for name in before)
    with open_edited(str(base), [str(tmp_path / "donor")], beside=tmp_path, dtype="float32") as edited:
        edited.set_weights(everywhere(0.5))
        wide = edited.dots(loss_of(edited.model, batch_of(edited.model))).values
    assert np.corrcoef(narrow[:, 0], wide[:, 0])[0, 1] > 0.99


def test_a_donor_with_infinite_values_is_refused_by_name(tmp_path, folder):
    def poison(name, tensor):
        return tensor * float("inf") if "layers.1.mlp.up_proj" in name else tensor

    changed(folder / "base", tmp_path / "donor", poison)
    with (
        pytest.raises(MergeError, match=r"layers\.1\.mlp\.up_proj.*NaN"),
        open_edited(str(folder / "base"), [str(tmp_path / "donor")], beside=tmp_path) as edited,
    ):
        edited.set_weights(everywhere(1.0))


def test_a_base_that_changes_meanwhile_is_noticed(tmp_path):
    base = llama(tmp_path / "base")
    near(base, tmp_path / "donor")
    with open_edited(str(base), [str(tmp_path / "donor")], beside=tmp_path) as edited:
        edited.set_weights(everywhere(1.0))
        near(base, tmp_path / "second")
        (tmp_path / "second" / "model.safetensors").replace(base / "model.safetensors")
        with pytest.raises(MergeError, match="changed"):
            edited.restore()


def test_what_is_held_near_the_model_sets_the_same_bits(tmp_path, monkeypatch):
    """As on a GPU with room: the base in its file's own dtype there, narrower than what is computed in."""
    base = llama(tmp_path / "base", dtype="bfloat16")
    near(base, tmp_path / "donor", size=0.01)
    weights, found = by_unit({0: 0.3, 1: 1.0}), {}
    for on_device in (False, True):
        monkeypatch.setattr(EditedModel, "_on_device", on_device)
        with opened(tmp_path, dtype="float32", hold=True) as edited:
            before = bits(edited.model.causal)
            edited.set_weights(weights)
            found[on_device] = bits(edited.model.causal)
            edited.restore()
            after = bits(edited.model.causal)
        assert all(np.array_equal(after[name], before[name]) for name in before)
    assert all(np.array_equal(found[True][name], found[False][name]) for name in found[False])
    assert any((found[True][name] != before[name]).any() for name in before)
