"""Principal directions of a task vector, held against its singular values."""

import numpy as np
import pytest

from sae_merge_method.geometry.basis import random_basis
from sae_merge_method.geometry.energy import gram
from sae_merge_method.geometry.spectra import coverage, effective_rank, principal_directions, spectrum

D = 20


def test_principal_directions_and_their_energies_are_those_of_the_svd():
    rows = np.random.default_rng(1).standard_normal((60, D)) @ np.diag(0.7 ** np.arange(D))
    _, sizes, right = np.linalg.svd(rows)
    assert np.allclose(spectrum(gram(rows)), sizes**2, rtol=1e-4, atol=1e-4)
    found = principal_directions(gram(rows), 3)
    assert np.allclose(np.abs(np.sum(found.T * right[:3], axis=1)), 1, atol=1e-6)


def test_coverage_is_one_inside_zero_outside_and_the_cosine_between():
    axes = np.eye(D)
    tilted = np.cos(0.3) * axes[:, :1] + np.sin(0.3) * axes[:, 5:6]
    assert coverage(axes[:, :2], axes[:, :4]).covered == pytest.approx(1)
    assert coverage(axes[:, :2], axes[:, 4:]).covered == pytest.approx(0)
    assert coverage(tilted, axes[:, :4]).cosines == pytest.approx([np.cos(0.3)])
    assert coverage(axes[:, :4], axes[:, :1]).covered == pytest.approx(1 / 4)


def test_nothing_covers_nothing():
    axes, none = np.eye(D), np.zeros((D, 0))
    for one, other in ((none, axes), (axes, none), (none, none)):
        assert coverage(one, other).covered == 0
        assert coverage(one, other).cosines.shape == (0,)


def test_rounding_makes_no_energy_negative_and_no_cosine_larger_than_one():
    for seed in range(20):
        rows = np.random.default_rng(seed).standard_normal((3, D))
        assert spectrum(gram(rows)).min() == 0
        basis = random_basis(D, 4, (seed,)).columns
        assert coverage(basis, basis).cosines.max() <= 1


def test_no_more_principal_directions_are_given_than_there_are():
    products = gram(np.random.default_rng(2).standard_normal((60, D)))
    for count, given in ((1, 1), (D - 3, D - 3), (D, D), (D + 5, D)):
        directions = principal_directions(products, count)
        assert directions.shape == (D, given)
        assert np.allclose(directions.T @ directions, np.eye(given))


def test_effective_rank_counts_directions_of_equal_energy():
    assert effective_rank(np.array([2.0, 2, 2, 0, 0])) == pytest.approx(3)
    assert 1 < effective_rank(np.array([9.0, 1])) < 2
    assert effective_rank(np.array([0.25, 0.25])) == pytest.approx(2)
    for none in (np.zeros(3), np.array([1e-9, -1e-8])):  # less than nothing is the rounding of a Gram matrix
        assert effective_rank(none) == 0
    assert effective_rank(np.array([2.0, 2, -1e-9])) == pytest.approx(2)
