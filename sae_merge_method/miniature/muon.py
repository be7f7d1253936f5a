"""Muon for many small matrices: those of one shape move together, in one product each."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

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
        each: Goes through the shapes of matrices, as ``map`` does or a pool of threads' own.
    """

    def __init__(
        self,
        matrices: Iterable[torch.nn.Parameter],
        lr: float = 1e-3,
        momentum: float = 0.95,
        each: Callable[..., Iterable[None]] = map,
    ) -> None:
        """Nothing moves before the first step."""
        super().__init__(matrices, {"lr": lr, "momentum": momentum})
        self._each = each

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move every matrix that has a gradient."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[torch.nn.Parameter]] = defaultdict(list)
            for matrix in group["params"]:
                if matrix.grad is not None:
                    by_shape[matrix.shape].append(matrix)
            for _ in self._each(partial(self._move, group), by_shape.values()):
                pass

    @torch.no_grad()
    def _move(self, group: dict[str, Any], matrices: list[torch.nn.Parameter]) -> None:
        """Move the matrices of one shape."""
        gradients = torch.stack([matrix.grad for matrix in matrices if matrix.grad is not None])
        state = self.state[matrices[0]]
        if "running" not in state:
            state["running"] = torch.zeros_like(gradients)
        running = state["running"].lerp_(gradients, 1 - group["momentum"])
        updates = orthogonalise(gradients.lerp(running, group["momentum"]))
        scale = group["lr"] * 0.2 * max(matrices[0].shape) ** 0.5
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
