"""Laws of bases and projections, as pure functions."""

import numpy as np
import pytest
import torch

from sae_merge_method.geometry.basis import orthonormal_basis, random_basis
from sae_merge_method.geometry.projection import Shares, energy_of, project, weigh

D = 12


def directions(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, D))


def columns(rank: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.from_numpy(orthonormal_basis(directions(rank)).columns).to(dtype)


def tensor(*shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(3))


def test_the_columns_are_orthonormal_and_span_the_directions():
    given = directions(5)
    basis = orthonormal_basis(given * np.array([1e-6, 1, 1e6, 3, 0.1])[:, None])
    assert basis.rank == 5
    assert np.allclose(basis.columns.T @ basis.columns, np.eye(5), atol=1e-14)
    assert np.allclose(basis.columns @ (basis.columns.T @ given.T), given.T)


def test_duplicate_parallel_dependent_and_zero_directions_reduce_the_rank():
    one, two, three = directions(3)
    for rows in ([one, one], [one, -2 * one], [one, 0 * one], [one, (3 * one).astype(np.float32)]):
        basis = orthonormal_basis(np.stack(rows))
        assert (basis.rank, basis.directions) == (1, 2)
    assert orthonormal_basis(np.stack([one, two, three, one - 2 * two])).rank == 3
    assert orthonormal_basis(np.zeros((2, D))).rank == 0
    assert orthonormal_basis(directions(2 * D)).is_everything


def test_random_subspaces_are_orthonormal_repeatable_and_differ_by_seed():
    one, again, other = (random_basis(D, 4, seed).columns for seed in ((7, 1), (7, 1), (7, 2)))
    assert np.allclose(one.T @ one, np.eye(4), atol=1e-14)
    assert one.tobytes() == again.tobytes()
    assert not np.allclose(np.abs(one.T @ other), np.eye(4))


@pytest.mark.parametrize(("shape", "axis"), [((D, 7), 0), ((7, D), 1), ((D,), 0), ((3, D, 5), 1)])
def test_the_projection_is_idempotent_symmetric_and_splits_tau(shape, axis):
    tau, other, u = tensor(*shape), tensor(*shape).flip(0), columns(4)
    kept = project(tau, u, axis)
    assert kept.shape == tau.shape
    assert torch.allclose(project(kept, u, axis), kept, atol=1e-13)
    assert float((project(other, u, axis) * tau).sum()) == pytest.approx(float((other * kept).sum()))
    rest = weigh(tau, u, axis, Shares(0, 1))
    assert torch.allclose(kept + rest, tau, atol=1e-13)
    assert energy_of(kept) + energy_of(rest) == pytest.approx(energy_of(tau), rel=1e-13)
    assert float((kept * rest).sum()) == pytest.approx(0, abs=1e-12)


def test_a_basis_of_full_rank_and_equal_shares_of_one_give_tau_itself():
    tau = tensor(D, 7, dtype=torch.float32)
    assert project(tau, columns(D, torch.float32), 0) is tau
    assert weigh(tau, columns(3, torch.float32), 0, Shares(1, 1)) is tau


def test_a_hybrid_weighs_both_parts_and_leaves_its_input_alone():
    tau, u = tensor(7, D), columns(4)
    before = tau.clone()
    kept = project(tau, u, 1)
    assert torch.allclose(weigh(tau, u, 1, Shares(0.5, 2)), 0.5 * kept + 2 * (tau - kept), atol=1e-13)
    assert tau.equal(before)


def test_what_lies_in_the_span_is_kept_whole_and_what_is_orthogonal_not_at_all():
    u = columns(4)
    inside = u @ tensor(4, 7)
    assert torch.allclose(project(inside, u, 0), inside, atol=1e-13)
    outside = weigh(tensor(D, 7), u, 0, Shares(0, 1))
    assert energy_of(project(outside, u, 0)) < 1e-25
