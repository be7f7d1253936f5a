"""Dots of gradients, and activations that are computed again."""

import pytest
import torch

from sae_merge_method.in_memory.dotting import dotted_with
from sae_merge_method.loaded.passes import checkpointed


def test_a_parameter_that_the_loss_does_not_know_has_a_gradient_of_zero():
    used, unused = (torch.nn.Parameter(torch.full((3,), 2.0)) for _ in range(2))
    ones = torch.ones(3)
    measured = dotted_with([used, unused], lambda _: (ones, 2 * ones), lambda: (used**2).sum())
    assert measured.loss == 12
    assert measured.dots.tolist() == [[12, 24], [0, 0]]
    assert measured.squares.tolist() == [48, 0]


def test_a_pass_that_fails_leaves_no_gradient_and_no_hook():
    parameter = torch.nn.Parameter(torch.ones(2), requires_grad=False)

    def directions(_):
        raise OSError("the donor is gone")

    with pytest.raises(OSError, match="gone"):
        dotted_with([parameter], directions, lambda: parameter.sum())
    assert parameter.grad is None
    assert not parameter.requires_grad
    assert not parameter._post_accumulate_grad_hooks


def test_checkpointed_blocks_give_the_same_dots_and_run_twice():
    torch.manual_seed(0)
    blocks = torch.nn.ModuleList([torch.nn.Linear(4, 4) for _ in range(3)])
    runs = []
    blocks[1].register_forward_pre_hook(lambda *_: runs.append("called"))
    parameters = list(blocks.parameters())

    def loss():
        hidden = torch.ones(2, 4)
        for block in blocks:
            hidden = torch.tanh(block(hidden))
        return hidden.sum()

    plain = dotted_with(parameters, lambda nth: (parameters[nth].detach(),), loss)
    with checkpointed(blocks):
        again = dotted_with(parameters, lambda nth: (parameters[nth].detach(),), loss)
    assert again.dots.tolist() == plain.dots.tolist()
    assert all("forward" not in block.__dict__ for block in blocks)
