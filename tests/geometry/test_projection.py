"""Laws of projections, as pure functions."""

import numpy as np
import pytest

from sae_merge_method.geometry.basis import orthonormal_basis
from sae_merge_method.geometry.energy import energy
from sae_merge_method.geometry.one_thread import one_blas_thread
from sae_merge_method.geometry.projection import Shares, project, weigh

D = 12


def columns(rank: int) -> np.ndarray:
    return orthonormal_basis(np.random.default_rng(0).standard_normal((rank, D))).columns


def tensor(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).standard_normal(shape)


@pytest.mark.parametrize(
    ("shape", "axis"), [((D, 7), 0), ((7, D), 1), ((D,), 0), ((3, D, 5), 1), ((2, 3, D), 2)]
)
def test_the_projection_is_idempotent_symmetric_and_splits_tau(shape, axis):
    tau, other, u = tensor(*shape), tensor(*shape)[::-1].copy(), columns(4)
    kept = project(tau, u, axis)
    assert kept.shape == tau.shape
    assert np.allclose(project(kept, u, axis), kept, atol=1e-13)
    assert float((project(other, u, axis) * tau).sum()) == pytest.approx(float((other * kept).sum()))
    rest = weigh(tau.copy(), u, axis, Shares(0, 1))
    assert np.allclose(kept + rest, tau, atol=1e-13)
    assert energy(kept) + energy(rest) == pytest.approx(energy(tau), rel=1e-13)
    assert float((kept * rest).sum()) == pytest.approx(0, abs=1e-12)


def test_many_fibres_are_projected_as_the_whole_matrix_would_be():
    """More than are multiplied at once, on either axis."""
    tau, u = tensor(2500, D), columns(4)
    whole = tau @ u @ u.T
    assert np.allclose(project(tau, u, 1), whole, atol=1e-13)
    assert np.allclose(project(tau.T.copy(), u, 0), whole.T, atol=1e-13)


def test_a_basis_of_full_rank_and_equal_shares_of_one_give_tau_itself():
    tau = tensor(D, 7).astype(np.float32)
    before = tau.tobytes()
    for u, shares in ((columns(D), Shares(1, 0)), (columns(3), Shares(1, 1))):
        assert weigh(tau, u.astype(np.float32), 0, shares) is tau
        assert tau.tobytes() == before


def test_a_hybrid_weighs_both_parts():
    tau, u = tensor(7, D), columns(4)
    kept = project(tau, u, 1)
    expected = 0.5 * kept + 2 * (tau - kept)
    assert np.allclose(weigh(tau, u, 1, Shares(0.5, 2)), expected, atol=1e-13)


def test_shares_are_values():
    assert len({Shares(1, 0), Shares(1, 0), Shares(0, 1)}) == 2


def test_what_lies_in_the_span_is_kept_whole_and_what_is_orthogonal_not_at_all():
    u = columns(4)
    inside = u @ tensor(4, 7)
    assert np.allclose(project(inside, u, 0), inside, atol=1e-13)
    outside = weigh(tensor(D, 7), u, 0, Shares(0, 1))
    assert energy(project(outside, u, 0)) < 1e-25


@pytest.mark.parametrize("shape", [(1500, 2048), (2048, 1500)])
def test_the_bits_do_not_depend_on_the_number_of_threads_that_blas_may_use(shape):
    """Sizes at which OpenBLAS splits the work, and then sums in another order."""
    from threadpoolctl import threadpool_info, threadpool_limits

    tau = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    u = np.linalg.qr(np.random.default_rng(1).standard_normal((2048, 48))).Q.astype(np.float32)
    results = set()
    for threads in (1, 2, 3):
        with threadpool_limits(threads, user_api="blas"):
            with one_blas_thread(), one_blas_thread():
                results.add(project(tau, u, shape.index(2048)).tobytes())
            given_back = {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
            assert given_back == {threads}
    assert len(results) == 1
