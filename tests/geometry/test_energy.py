"""Energy inside a subspace, held against the projection onto it."""

import numpy as np
import pytest
from scipy import stats

from sae_merge_method.geometry.basis import random_basis
from sae_merge_method.geometry.energy import (
    along_residual,
    energies_in,
    energy,
    folded,
    gram,
    random_variance,
)
from sae_merge_method.geometry.projection import project

D = 20


@pytest.mark.parametrize(("shape", "axis"), [((D, 7), 0), ((50, D), 1), ((D,), 0), ((3, D, 5), 1)])
def test_energy_inside_a_subspace_is_that_of_the_projected_tensor_with_or_without_the_gram(shape, axis):
    tau = np.random.default_rng(0).standard_normal(shape)
    bases = [random_basis(D, rank, (rank,)).columns for rank in (3, 1, D)]
    rows = along_residual(tau, axis)
    expected = [energy(project(tau, basis, axis)) for basis in bases]
    assert np.allclose(energies_in(rows, None, bases), expected)
    assert np.allclose(energies_in(rows, gram(rows), bases), expected)
    assert energy(tau) == pytest.approx(expected[2])


def test_rows_folded_with_a_gain_point_where_they_read_and_keep_their_energy():
    generator = np.random.default_rng(1)
    rows, gain = generator.standard_normal((30, D)), generator.uniform(0.1, 5, D)
    read = folded(rows, gain)
    assert energy(read) == pytest.approx(energy(rows))
    assert read / (rows * gain) == pytest.approx(np.full(rows.shape, read[0, 0] / (rows[0, 0] * gain[0])))
    assert not folded(rows, np.zeros(D)).any()
    assert folded(rows.astype(np.float32), gain).dtype == np.float32


@pytest.fixture(scope="module")
def random_subspaces() -> list[np.ndarray]:
    return [random_basis(D, 4, (seed,)).columns for seed in range(500)]


@pytest.mark.parametrize("directions", [1, 3, D])
def test_what_random_subspaces_keep_spreads_as_computed(random_subspaces, directions):
    rows = np.random.default_rng(directions).standard_normal((directions, D))
    kept = [float(np.square(rows @ columns).sum()) for columns in random_subspaces]
    assert np.mean(kept) == pytest.approx(energy(rows) * 4 / D, rel=0.03)
    assert np.var(kept) == pytest.approx(random_variance(gram(rows), 4), rel=0.12)


@pytest.mark.parametrize("d", [2, 3, D])
def test_one_direction_in_a_random_subspace_varies_as_beta_does(d):
    row = np.random.default_rng(d).standard_normal((1, d))
    beta = stats.beta(1 / 2, (d - 1) / 2)
    assert random_variance(gram(row), 1) / energy(row) ** 2 == pytest.approx(beta.var())


def test_of_a_task_vector_a_thousand_times_as_small_a_subspace_keeps_as_much_of_itself():
    rows = np.random.default_rng(3).standard_normal((4, D))
    small = random_variance(gram(rows / 1000), 3)
    assert small * 1000**4 == pytest.approx(random_variance(gram(rows), 3))
    even = 0.1 * random_basis(D, D, (1,)).columns  # alike in all directions, but for rounding
    assert 0 <= random_variance(gram(even), 3) < 1e-20


def test_a_subspace_that_is_nothing_or_everything_keeps_the_same_always():
    products = gram(np.random.default_rng(0).standard_normal((5, D)))
    assert random_variance(products, 0) == random_variance(products, D) == 0
    assert random_variance(np.ones((1, 1)), 1) == 0
