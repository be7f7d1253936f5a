"""Laws of bases, as pure functions."""

import numpy as np
import pytest

from sae_merge_method.geometry.basis import orthonormal_basis, random_basis

D = 12


def directions(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, D))


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
    nothing = orthonormal_basis(np.zeros((2, D)))
    assert (nothing.d, nothing.rank, nothing.directions) == (D, 0, 2)
    assert orthonormal_basis(directions(2 * D)).rank == D
    assert orthonormal_basis(directions(D - 1)).rank == D - 1


@pytest.mark.parametrize(("beside", "rank"), [(3.5, 1), (4.5, 2)])
def test_a_direction_that_differs_from_a_multiple_by_float32_rounding_adds_no_dimension(beside, rank):
    eps = float(np.finfo(np.float32).eps)
    one = np.eye(D)[0]
    assert orthonormal_basis(np.stack([one, 3 * (one + beside * eps * np.eye(D)[1])])).rank == rank


def test_a_basis_knows_its_sizes_and_can_be_a_key():
    basis = random_basis(D, 4, (1,))
    assert (basis.d, basis.rank, basis.directions) == (D, 4, 4)
    assert {basis: "mine"}[basis] == "mine"


def test_random_subspaces_are_orthonormal_repeatable_and_differ_by_seed():
    one, again, other = (random_basis(D, 4, seed).columns for seed in ((7, 1), (7, 1), (7, 2)))
    assert np.allclose(one.T @ one, np.eye(4), atol=1e-14)
    assert one.tobytes() == again.tobytes()
    assert not np.allclose(np.abs(one.T @ other), np.eye(4))
