"""Muon for many small matrices: momentum, then an orthogonalised step (Jordan et al., 2024).

The same update as ``torch.optim.Muon`` with ``adjust_lr_fn="match_rms_adamw"``, but matrices of one
shape are stacked and orthogonalised together in float32. On a CPU that is ten times faster than
PyTorch's one-by-one bfloat16 products, which cost more than the model's own forward and backward.
"""

from collections import defaultdict
from collections.abc import Iterable

import torch

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
_TINY = 1e-7


class StackedMuon(torch.optim.Optimizer):
    """Nesterov momentum with every step's singular values pushed to about one.

    Args:
        matrices: Two-dimensional parameters only.
        lr: Step size; scaled by ``0.2 sqrt(longer side)``, so that AdamW's rates fit (Liu et al., 2025).
        momentum: Decay of the running gradient.
    """

    def __init__(
        self, matrices: Iterable[torch.nn.Parameter], lr: float = 1e-3, momentum: float = 0.95
    ) -> None:
        """Nothing moves before the first step."""
        super().__init__(matrices, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move every matrix that has a gradient."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[torch.nn.Parameter]] = defaultdict(list)
            for matrix in group["params"]:
                if matrix.grad is not None:
                    by_shape[matrix.shape].append(matrix)
            for shape, matrices in by_shape.items():
                gradients = torch.stack([matrix.grad for matrix in matrices if matrix.grad is not None])
                state = self.state[matrices[0]]
                if "running" not in state:
                    state["running"] = torch.zeros_like(gradients)
                running = state["running"].lerp_(gradients, 1 - group["momentum"])
                updates = orthogonalise(gradients.lerp(running, group["momentum"]))
                scale = group["lr"] * 0.2 * max(shape) ** 0.5
                for matrix, update in zip(matrices, updates, strict=True):
                    matrix.sub_(update, alpha=scale)


def orthogonalise(stack: torch.Tensor) -> torch.Tensor:
    """Push the singular values of each matrix towards one by five Newton-Schulz steps.

    Args:
        stack: count x rows x columns, float32.

    Returns:
        The same shape; singular values end between about 0.5 and 1.5, singular vectors stay.
    """
    a, b, c = _COEFFICIENTS
    tall = stack.shape[1] > stack.shape[2]
    x: torch.Tensor = stack.mT if tall else stack
    x = x / x.flatten(1).norm(dim=1).clamp(min=_TINY)[:, None, None]
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x
