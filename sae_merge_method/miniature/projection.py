"""The scalpel: keep only the part of a task vector that lies in the span of some SAE features.

Pure functions on tensors. A tensor that writes the residual stream is projected on its output side,
one that reads it on its input side; both sides use the same layer's directions. How the paper
(arXiv 2605.28649) treats each kind of tensor is not known: this choice is ours.
"""

import torch

_WRITES = ("o_proj.weight", "down_proj.weight")
_READS = ("q_proj.weight", "k_proj.weight", "v_proj.weight", "gate_proj.weight", "up_proj.weight")
_NORMS = (
    "input_layernorm.weight",
    "post_attention_layernorm.weight",
    "pre_feedforward_layernorm.weight",
    "post_feedforward_layernorm.weight",
)


def orthonormal_basis(directions: torch.Tensor) -> torch.Tensor:
    """Orthonormal basis of the span of some directions.

    Args:
        directions: r' x d, floating point, one decoder direction a row; they may depend on one another.

    Returns:
        d x r float64, r the numerical rank.
    """
    left, sizes, _ = torch.linalg.svd(directions.double().T, full_matrices=False)
    # Directions are as exact as they are stored, whatever we calculate in.
    rank = int((sizes > sizes.max() * max(directions.shape) * torch.finfo(directions.dtype).eps).sum())
    basis: torch.Tensor = left[:, :rank]
    return basis


def random_basis(d: int, rank: int, seed: int) -> torch.Tensor:
    """Orthonormal basis (d x rank, float64) of a uniformly random subspace."""
    generator = torch.Generator().manual_seed(seed)
    basis: torch.Tensor = torch.linalg.qr(torch.randn(d, rank, generator=generator, dtype=torch.float64)).Q
    return basis


def project(tau: torch.Tensor, tensor_name: str, basis: torch.Tensor) -> torch.Tensor:
    """The part of one tensor's task vector that acts within ``basis``.

    Args:
        tau: The tensor's task vector: d x n where it writes the residual stream, n x d where it
            reads it, d for a norm on it.
        tensor_name: The checkpoint's name of the tensor; its ending tells its role.
        basis: d x r, orthonormal columns.

    Returns:
        Same shape and dtype; zeros for tensors with no residual axis (q_norm, k_norm).
    """
    u = basis.to(tau.dtype)
    part = torch.zeros_like(tau)
    if tensor_name.endswith(_WRITES + _NORMS):
        part = u @ (u.T @ tau)
    elif tensor_name.endswith(_READS):
        part = (tau @ u) @ u.T
    return part


def energy(tensor: torch.Tensor) -> float:
    """Sum of squares, in float64."""
    return float(tensor.double().square().sum())
