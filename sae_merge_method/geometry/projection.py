"""Keeping the part of a tensor that lies in a subspace of the residual stream.

Pure tensor arithmetic in the tensor's own precision and on its own device. Which subspace, and
which axis of the tensor is the stream's, are the caller's to know.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Shares:
    """What becomes of a task vector's two parts: ``inside * P(tau) + outside * (tau - P(tau))``."""

    inside: float
    outside: float


def project(tau: "torch.Tensor", columns: "torch.Tensor", axis: int) -> "torch.Tensor":
    """``P(tau)``: the part of ``tau`` whose fibres along ``axis`` lie in a subspace.

    For a d x n matrix with axis 0 this is ``U (U^T tau)``, for n x d with axis 1 ``(tau U) U^T``.
    Where the subspace is everything, ``tau`` itself.

    Args:
        tau: Any shape; ``tau.shape[axis]`` is d.
        columns: U, (d, r), orthonormal, of tau's dtype and device.
        axis: The residual axis.
    """
    if columns.shape[0] == columns.shape[1]:
        return tau
    moved = tau.movedim(axis, -1)
    inside = (moved @ columns) @ columns.T
    return inside.movedim(-1, axis).contiguous()


def weigh(tau: "torch.Tensor", columns: "torch.Tensor", axis: int, shares: Shares) -> "torch.Tensor":
    """``inside * P(tau) + outside * (tau - P(tau))``; equal shares need no projection.

    With both shares 1 the result is ``tau`` itself, bit for bit.

    Args:
        tau: As in :func:`project`.
        columns: As in :func:`project`.
        axis: As in :func:`project`.
        shares: How much of each part is kept.
    """
    if shares.inside == shares.outside:
        return scaled(tau, shares.inside)
    inside = project(tau, columns, axis)
    if shares.outside == 0:
        return scaled(inside, shares.inside)
    return scaled(tau, shares.outside) + scaled(inside, shares.inside - shares.outside)


def scaled(tensor: "torch.Tensor", factor: float) -> "torch.Tensor":
    """``factor * tensor``, the tensor itself for 1."""
    return tensor if factor == 1 else tensor * factor


def energy_of(tensor: "torch.Tensor") -> float:
    """Squared Frobenius norm, summed in float64."""
    return float(tensor.double().square().sum())
