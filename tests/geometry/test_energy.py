"""Energy inside a subspace, held against the projection onto it."""

import numpy as np
import pytest

from sae_merge_method.geometry.basis import random_basis
from sae_merge_method.geometry.energy import along_residual, energies_in, energy, gram
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
