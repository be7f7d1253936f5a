"""Principal directions of a task vector, how many it has, and how far a subspace covers them."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]

_OVERSAMPLING = 8
_ITERATIONS = 6


class Coverage(NamedTuple):
    """How a subspace stands to some principal directions."""

    cosines: npt.NDArray[np.float64]
    """(min(k, r),) cosines of the principal angles, descending: 1 is a direction shared."""
    covered: float
    """Mean squared cosine over the k directions, missing ones counting 0: by chance r/d."""


def spectrum(products: Floats) -> npt.NDArray[np.float64]:
    """Energy along each principal direction, descending, (d,).

    Args:
        products: Gram matrix (d, d). Its eigenvalues are taken in float32: shares of the energy
            below 1e-7 are rounding, and are clipped at 0.
    """
    values = np.linalg.eigvalsh(products.astype(np.float32, copy=False))
    return np.clip(values[::-1].astype(np.float64), 0, None)


def principal_directions(products: Floats, count: int) -> npt.NDArray[np.float64]:
    """The ``count`` directions with the most energy, (d, count), orthonormal.

    Randomised subspace iteration with a fixed start (Halko, Martinsson and Tropp 2011, algorithm
    4.4) and a Rayleigh-Ritz step. In a spectrum without a gap the directions are no more
    definite than the spectrum.
    """
    d = len(products)
    count = min(count, d)
    width = min(d, count + _OVERSAMPLING)
    block = np.random.default_rng(0).standard_normal((d, width)).astype(products.dtype)
    for _ in range(_ITERATIONS):
        block = np.linalg.qr(products @ block).Q
    ritz = np.linalg.eigh((block.T @ (products @ block)).astype(np.float64))
    return np.asarray(block.astype(np.float64) @ ritz.eigenvectors[:, ::-1][:, :count])


def coverage(directions: Floats, columns: Floats) -> Coverage:
    """Principal angles between two subspaces (Bjorck and Golub 1973): singular values of V^T U.

    Args:
        directions: V, (d, k), orthonormal.
        columns: U, (d, r), orthonormal.
    """
    if 0 in directions.shape or 0 in columns.shape:
        return Coverage(np.zeros(0), 0.0)
    cosines = np.linalg.svd(directions.T @ columns, compute_uv=False)
    cosines = np.clip(cosines.astype(np.float64), 0, 1)
    return Coverage(cosines, float(np.square(cosines).sum() / directions.shape[1]))


def effective_rank(values: Floats) -> float:
    """How many directions share the energy: exp of the entropy of their shares, 1 to d.

    After Roy and Vetterli (2007), who take shares of singular values; here they are shares of
    energy, squared singular values, as in everything else that is reported.
    """
    total = float(values.sum())
    if total <= 0:
        return 0.0
    shares = values[values > 0] / total
    return float(np.exp(-np.sum(shares * np.log(shares))))
