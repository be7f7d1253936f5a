"""Gradients that are dotted as soon as they are there, and freed: memory holds one tensor's at a time.

After Lv et al. (LOMO, arXiv 2306.09782), who update and free parameter by parameter inside the backward pass.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.models.devices import exact_device
from sae_merge_method.models.reading import pieces

if TYPE_CHECKING:
    import torch

_PIECES = {"cpu": 1 << 16}
"""Values that are widened to float64 at once: on a processor as many as stay in its cache,"""
_PIECE = 1 << 24
"""on any other device as many as keep it busy."""


class Dotted(NamedTuple):
    """Of one backward pass."""

    loss: float
    dots: npt.NDArray[np.float64]
    """(parameters, directions)"""
    squares: npt.NDArray[np.float64]
    """(parameters,) squared norm of the gradient."""


def dotted_with(
    parameters: "Sequence[torch.nn.Parameter]",
    directions: "Callable[[int], Sequence[torch.Tensor]]",
    loss: "Callable[[], torch.Tensor]",
) -> Dotted:
    """Run a loss forward and backward, and dot the gradient of every parameter with its directions.

    A parameter that the loss does not depend on has a gradient of zero. ``.grad`` is None for all of them
    before and after, and ``requires_grad`` as it was.

    Args:
        parameters: Each once.
        directions: From a parameter's place to tensors of its shape, of any dtype and device; the same number
            for every parameter.
        loss: Returns one number with its graph.
    """
    import torch

    rows: dict[int, list[torch.Tensor]] = {}
    lengths: dict[int, torch.Tensor] = {}

    def receive(nth: int, parameter: "torch.Tensor") -> None:
        gradient = parameter.grad
        assert gradient is not None
        parameter.grad = None
        rows[nth] = [_dot(gradient, direction) for direction in directions(nth)]
        lengths[nth] = _dot(gradient, gradient)

    with torch.enable_grad(), _watched(parameters, receive):
        value = loss()
        value.backward()  # type: ignore[no-untyped-call]
    # Read once all are there: a GPU is not waited for within the pass.
    width = max(map(len, rows.values()), default=0)
    dots, squares = np.zeros((len(parameters), width)), np.zeros(len(parameters))
    for nth, row in rows.items():
        dots[nth] = [float(one) for one in row]
        squares[nth] = float(lengths[nth])
    return Dotted(float(value.detach()), dots, squares)


@contextmanager
def _watched(
    parameters: "Sequence[torch.nn.Parameter]", receive: "Callable[[int, torch.Tensor], None]"
) -> Iterator[None]:
    before = [parameter.requires_grad for parameter in parameters]
    handles = []
    try:
        for nth, parameter in enumerate(parameters):
            parameter.requires_grad_(True)
            hook = partial(receive, nth)
            handle = parameter.register_post_accumulate_grad_hook(hook)  # type: ignore[no-untyped-call]
            handles.append(handle)
        yield
    finally:
        for handle in handles:
            handle.remove()
        for parameter, needed in zip(parameters, before, strict=True):
            parameter.requires_grad_(needed)
            parameter.grad = None  # of a pass that ended half-way


def _dot(one: "torch.Tensor", other: "torch.Tensor") -> "torch.Tensor":
    """The inner product of two tensors, piece by piece in float64, on the first one's device if it can."""
    import torch

    left, right, device = one.reshape(-1), other.reshape(-1), exact_device(one.device)
    total = torch.zeros((), dtype=torch.float64, device=device)
    for first, size in pieces(left.numel(), _PIECES.get(device.type, _PIECE)):
        span = slice(first, first + size)
        total += left[span].to(device).double().dot(right[span].to(device).double())
    return total
