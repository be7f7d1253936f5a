"""Gradients of an edited model, dotted with task vectors: by tensor, by layer and by module."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from sae_merge_method.in_memory.opening import open_edited
from sae_merge_method.in_memory.weights import by_unit, everywhere
from sae_merge_method.layers import LayerModule
from sae_merge_method.models.parts import PARTS
from tests.in_memory.models import batch_of, bits, loss_of, near, opened


@pytest.mark.parametrize("hold", [False, True])
def test_dots_are_those_of_whole_gradients(folder, hold):
    with opened(folder, "donor", "other", hold=hold) as edited:
        edited.set_weights(everywhere(0.4, 0.1))
        loss = loss_of(edited.model, batch_of(edited.model))
        dots = edited.dots(loss)
        model = edited.model.causal.requires_grad_(True)
        loss().backward()
        base, *donors = (
            load_file(folder / name / "model.safetensors") for name in ("base", "donor", "other")
        )
        for tensor, row, square in zip(edited.tensors, dots.values, dots.squares, strict=True):
            gradient = tensor.parameter.grad.double()
            taus = [donor[tensor.name].double() - base[tensor.name].double() for donor in donors]
            assert row == pytest.approx([float((gradient * tau).sum()) for tau in taus], rel=1e-5, abs=1e-9)
            assert square == pytest.approx(float((gradient**2).sum()), rel=1e-6)
        assert len(edited.tensors) == sum(1 for _ in model.parameters())
        assert dots.loss == pytest.approx(float(loss().detach()))


def test_a_layers_dots_are_the_slope_of_the_loss_in_its_weight(folder):
    with opened(folder) as edited:
        loss = loss_of(edited.model, batch_of(edited.model))
        edited.set_weights(by_unit({0: 0.5, 1: 0.5}))
        slope = edited.sum_by_layer(edited.dots(loss).values)[1, 0]
        losses = []
        for alpha in (0.49, 0.51):
            edited.set_weights(by_unit({0: 0.5, 1: alpha}))
            with torch.no_grad():
                losses.append(float(loss()))
    assert slope == pytest.approx((losses[1] - losses[0]) / 0.02, rel=1e-2)


def test_a_modules_dots_are_the_slope_of_the_loss_in_its_weight_and_norms_stay_the_bases(folder):
    attention, mlp = LayerModule(1, "attn"), LayerModule(1, "mlp")
    with opened(folder) as edited:
        loss = loss_of(edited.model, batch_of(edited.model))
        edited.set_weights(by_unit({attention: 0.5, mlp: 0.25}))
        slope = edited.sum_by_module(edited.dots(loss).values)[1, list(PARTS).index("mlp"), 0]
        base = load_file(folder / "base" / "model.safetensors")
        changed = {
            tensor.kind for tensor in edited.tensors if not tensor.parameter.detach().equal(base[tensor.name])
        }
        losses = []
        for alpha in (0.24, 0.26):
            edited.set_weights(by_unit({attention: 0.5, mlp: alpha}))
            with torch.no_grad():
                losses.append(float(loss()))
    assert slope == pytest.approx((losses[1] - losses[0]) / 0.02, rel=1e-2)
    assert changed == {"attention", "MLP"}


@pytest.mark.parametrize("hold", [False, True])
def test_outside_the_layers_only_what_a_donor_changes_has_a_gradient(folder, tmp_path, hold):
    near(folder / "base", tmp_path / "layers", only=(".layers.",))
    near(folder / "base", tmp_path / "head", only=(".1.", "lm_head"))
    for donors, outside in ((["layers"], set()), (["layers", "head"], {"lm_head.weight"})):
        with open_edited(
            str(folder / "base"), [str(tmp_path / donor) for donor in donors], beside=tmp_path, hold=hold
        ) as edited:
            before, asked = bits(edited.model.causal), set()
            loss = loss_of(edited.model, batch_of(edited.model))

            def watched(edited=edited, asked=asked, loss=loss):
                asked |= {one.name for one in edited.tensors if one.parameter.requires_grad}
                return loss()

            dots = edited.dots(watched)
            assert {name for name in asked if ".layers." not in name} == outside
            of_layers = [nth for nth, one in enumerate(edited.tensors) if one.layer is not None]
            assert (dots.squares[of_layers] > 0).all()  # also of those that one donor leaves as they are
            for one, values, square in zip(edited.tensors, dots.values, dots.squares, strict=True):
                if one.layer is None:
                    assert (square > 0) == (one.name in outside) == bool(values.any())
            edited.set_weights(everywhere(*[1.0] * len(donors)))
            after = bits(edited.model.causal)
            moved = {name for name in before if (after[name] != before[name]).any()}
            assert {name for name in moved if ".layers." not in name} == outside
            edited.restore()
            restored = bits(edited.model.causal)
            assert all(np.array_equal(restored[name], before[name]) for name in before)


def test_no_gradient_is_kept_and_at_most_one_is_there_at_a_time(folder):
    with opened(folder) as edited:
        most = 0
        sides = edited._sides

        def counting(nth):
            nonlocal most
            most = max(most, sum(tensor.parameter.grad is not None for tensor in edited.tensors))
            return sides(nth)

        edited._sides = counting
        edited.dots(loss_of(edited.model, batch_of(edited.model)))
        assert most == 0  # the one at hand is already taken off its parameter
        assert all(tensor.parameter.grad is None for tensor in edited.tensors)
        assert not any(parameter.requires_grad for parameter in edited.model.causal.parameters())
