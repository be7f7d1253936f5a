"""An optimizer that equals PyTorch's own, whoever goes through its matrices."""

from concurrent.futures import ThreadPoolExecutor

import torch

from sae_merge_method.miniature.muon import StackedMuon, orthogonalise


def test_stacked_muon_moves_as_torch_muon_does():
    torch.manual_seed(0)
    ours = [torch.nn.Parameter(torch.randn(24, 48)) for _ in range(3)] + [
        torch.nn.Parameter(torch.randn(48, 24))
    ]
    theirs = [torch.nn.Parameter(matrix.detach().clone()) for matrix in ours]
    start = [matrix.detach().clone() for matrix in ours]
    stacked = StackedMuon(ours, lr=1e-2)
    torch_muon = torch.optim.Muon(theirs, lr=1e-2, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")
    for _ in range(4):
        for one, other in zip(ours, theirs, strict=True):
            one.grad = torch.randn_like(one)
            other.grad = one.grad.clone()
        stacked.step()
        torch_muon.step()
    for one, other, before in zip(ours, theirs, start, strict=True):
        # PyTorch's products are bfloat16: three decimal digits.
        assert (one - other).norm() < 0.02 * (other - before).norm()


def test_threads_that_share_the_shapes_move_them_to_the_same_bits():
    torch.manual_seed(0)
    ours = [torch.nn.Parameter(torch.randn(8, columns)) for columns in (4, 8, 16, 8)]
    theirs = [torch.nn.Parameter(matrix.detach().clone()) for matrix in ours]
    with ThreadPoolExecutor(3) as pool:
        alone, shared = StackedMuon(ours), StackedMuon(theirs, each=pool.map)
        for _ in range(3):
            for one, other in zip(ours, theirs, strict=True):
                one.grad = torch.randn_like(one)
                other.grad = one.grad.clone()
            alone.step()
            shared.step()
    assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))


def test_orthogonalised_matrices_have_singular_values_near_one():
    stack = torch.randn(5, 16, 40, generator=torch.Generator().manual_seed(0))
    sizes = torch.linalg.svdvals(orthogonalise(stack))
    assert sizes.min() > 0.4 and sizes.max() < 1.4
