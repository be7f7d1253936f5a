"""A base in memory, edited by task vectors and restored bit for bit; gradients dotted with task vectors.

    with open_edited(base, [donor], beside=out) as edited:
        edited.set_weights(by_unit({3: 1.0, 4: 0.5}))   # base + alpha tau there, the base elsewhere
        dots = edited.dots(lambda: nats(edited.model, batch).sum())
        edited.sum_by_layer(dots.values)[3]              # d loss / d alpha of layer 3, one a donor
        edited.restore()                                 # the base's very bits

With one weight alpha_l a layer, ``d loss / d alpha_l = sum of <grad_i, tau_i> over the layer's tensors i``,
at whatever weights are set: the gradient of any family of edits whose weights are functions of few numbers is
a sum of the same dots. One backward pass gives all of them. No gradient is kept: each is dotted with its task
vector as soon as it is there, and freed, so that memory holds one model, activations, and one tensor's
gradient.

Families of weights and of rounding stand in :mod:`~sae_merge_method.in_memory.weights`; which parameter is
which tensor is for :mod:`~sae_merge_method.in_memory.tensors`, losses of documents are for
:mod:`~sae_merge_method.in_memory.losses`.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.errors import MergeError, ModelError
from sae_merge_method.in_memory.dotting import dotted_with
from sae_merge_method.in_memory.tensors import LiveTensor
from sae_merge_method.in_memory.weights import Round, Weights, everywhere, nearest, nearest_there
from sae_merge_method.models.checkpoint import Checkpoint
from sae_merge_method.models.devices import free_memory
from sae_merge_method.models.dtypes import DTYPES, Floats
from sae_merge_method.models.parts import PARTS, part_of
from sae_merge_method.models.reading import read_tensor

if TYPE_CHECKING:
    import torch

    from sae_merge_method.loaded.text_model import TextModel


class Dots(NamedTuple):
    """What one backward pass says of every tensor."""

    loss: float
    """What was differentiated."""
    values: npt.NDArray[np.float64]
    """(tensors, donors) ``<d loss / d theta_i, tau_i>``."""
    squares: npt.NDArray[np.float64]
    """(tensors,) squared norm of the gradient; 0 where it is not asked for: outside the layers, of what no
    donor changes. A large vocabulary's costs much."""


class _Sides(NamedTuple):
    """One tensor's numbers."""

    base: "torch.Tensor"
    taus: "tuple[torch.Tensor, ...]"


@dataclass
class EditedModel:
    """A loaded base whose weights are set to ``base + sum_d alpha_d tau_d``, tensor by tensor.

    Made by :func:`~sae_merge_method.in_memory.opening.open_edited`. Task vectors are read from the files
    whenever they are needed, unless ``hold``.
    """

    model: "TextModel"
    """The base, with its head, in evaluation mode and without gradients."""
    tensors: tuple[LiveTensor, ...]
    """Layer after layer, then what lies outside the layers: the rows of every array here."""
    checkpoints: tuple[Checkpoint, ...]
    """Base and donors."""
    left_out: tuple[str, ...] = ()
    """What of base and donors is in no tensor here, in words."""
    hold: bool = False
    """Keep base and task vectors in memory, too, beside the model: many times faster where both are used
    often. On the model's own GPU where they take no more than half of what is free there."""
    _edited: set[int] = field(default_factory=set, repr=False)
    _unchanged: set[int] = field(default_factory=set, repr=False)
    _held: dict[int, _Sides] = field(default_factory=dict, repr=False)

    @property
    def n_donors(self) -> int:
        """Number of donors, and so of alphas a tensor."""
        return len(self.checkpoints) - 1

    def set_weights(self, weights: Weights, rounded: Round | None = None) -> None:
        """Set every tensor to ``base + sum_d alpha_d tau_d``; to the base's very bits where all alphas are 0.

        The sum is taken in float32 (float64 where files hold that), as a merge takes it, and cast to the
        parameter's dtype.

        Args:
            weights: The alphas.
            rounded: What a file would hold of an edited tensor, such as
                :func:`~sae_merge_method.in_memory.weights.nearest`: a model that is wider than its files then
                computes with what would be written. None to leave the numbers as they are.

        Raises:
            MergeError: Base or donor holds NaN or infinite values.
        """
        alphas = [tuple(weights(tensor)) for tensor in self.tensors]
        moved = [nth for nth, of_tensor in enumerate(alphas) if any(of_tensor) and nth not in self._unchanged]
        wanted = sorted(self._edited.union(moved))
        for nth, sides in self._read_ahead(wanted):
            tensor, total = self.tensors[nth], None
            for alpha, tau in zip(alphas[nth], sides.taus, strict=True):
                part = tau * alpha
                total = part if total is None else total.add_(part)
            values = sides.base
            if any(alphas[nth]):
                assert total is not None
                values = values.to(total.dtype) + total  # held near the model, it is as its file has it
                if rounded is nearest and values.device.type != "cpu":
                    values = nearest_there(values, tensor.base)
                elif rounded is not None:
                    values = _torch(rounded(values.cpu().numpy(), tensor.base))
                self._edited.add(nth)
            else:
                self._edited.discard(nth)
            tensor.parameter.data.copy_(values)

    def restore(self) -> None:
        """Give every edited tensor the base's bits back, and make sure that no file changed meanwhile.

        Raises:
            MergeError: A weight file was changed: what was read of it cannot be trusted.
        """
        self.set_weights(everywhere(*[0.0] * self.n_donors))
        for checkpoint in self.checkpoints:
            checkpoint.require_unchanged()

    def dots(self, loss: "Callable[[], torch.Tensor]") -> Dots:
        """Differentiate a loss by every tensor, and dot each gradient with each donor's task vector.

        The dots are summed in float64. Weights stay as they are set.

        Args:
            loss: Runs the model forward and returns one number with its graph; called once.
        """
        asked = [
            nth for nth, one in enumerate(self.tensors) if one.layer is not None or nth not in self._unchanged
        ]
        parameters = [self.tensors[nth].parameter for nth in asked]
        measured = dotted_with(parameters, lambda at: self._sides(asked[at]).taus, loss)
        values, squares = np.zeros((len(self.tensors), self.n_donors)), np.zeros(len(self.tensors))
        values[asked], squares[asked] = measured.dots.reshape(len(asked), -1), measured.squares
        return Dots(measured.loss, values, squares)

    def sum_by_layer(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """(tensors, ...) summed to (layers, ...); what lies outside the layers is left out."""
        total = np.zeros((len(self.model.blocks), *values.shape[1:]))
        for tensor, row in zip(self.tensors, values, strict=True):
            if tensor.layer is not None:
                total[tensor.layer] += row
        return total

    def sum_by_module(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """(tensors, ...) summed to (layers, parts, ...), parts in the order of ``PARTS``; what is in none of
        them is left out."""
        total = np.zeros((len(self.model.blocks), len(PARTS), *values.shape[1:]))
        rows = {part: number for number, part in enumerate(PARTS)}
        for tensor, row in zip(self.tensors, values, strict=True):
            part = None if tensor.layer is None else part_of(tensor.part)
            if part is not None:
                total[tensor.layer, rows[part]] += row
        return total

    def check_loaded(self) -> None:
        """Make sure that parameters hold their files' numbers: then reading them takes an edit away. Which of
        them no donor changes is seen on the way.

        Raises:
            ModelError: transformers made something else of a tensor when it loaded it.
        """
        for nth, sides in self._read_ahead(range(len(self.tensors))):
            tensor = self.tensors[nth]
            if not sides.base.to(tensor.parameter.dtype).equal(
                tensor.parameter.detach().to(sides.base.device)
            ):
                raise ModelError(
                    f"{tensor.name}: the loaded model holds other numbers than its file: transformers keeps "
                    "it in another form, and its gradient is not the tensor's"
                )
            if not any(tau.any() for tau in sides.taus):
                self._unchanged.add(nth)
                self._held.pop(nth, None)

    def _sides(self, nth: int) -> _Sides:
        held = self._held.get(nth)
        if held is not None:
            return held
        tensor = self.tensors[nth]
        base = read_tensor(tensor.base)
        taus = []
        for entry in tensor.donors:
            tau = read_tensor(entry)
            with np.errstate(invalid="ignore"):
                tau = np.subtract(tau, base, out=tau) if tau.dtype == base.dtype else tau - base
                finite = np.isfinite(tau.sum(dtype=np.float64))  # one other value makes the whole sum so
            if not finite:
                raise MergeError(f"{tensor.name}: base or donor holds NaN or infinite values")
            taus.append(_torch(tau))
        sides = _Sides(_torch(base), tuple(taus))
        if self.hold:
            sides = self._held[nth] = self._near(tensor, sides) if self._on_device else sides
        return sides

    @cached_property
    def _on_device(self) -> bool:
        """Whether what is held is held on the GPU: asked once, before anything is."""
        devices = {tensor.parameter.device for tensor in self.tensors}
        if len(devices) != 1 or (device := devices.pop()).type != "cuda":
            return False
        nbytes = sum(
            (DTYPES[tensor.base.dtype].nbytes + 4 * self.n_donors) * tensor.base.n_values
            for tensor in self.tensors
        )
        return nbytes <= free_memory(device) / 2

    @staticmethod
    def _near(tensor: LiveTensor, sides: _Sides) -> _Sides:
        """On the parameter's device, the base in its file's own dtype, which holds it exactly."""
        import torch

        device, name = tensor.parameter.device, DTYPES[tensor.base.dtype].name
        base = sides.base.to(device, getattr(torch, name) if name else None)
        return _Sides(base, tuple(tau.to(device) for tau in sides.taus))

    def _read_ahead(self, wanted: Sequence[int]) -> Iterator[tuple[int, _Sides]]:
        """The tensors one after another; while one is worked on, a second thread reads the next."""
        with ThreadPoolExecutor(1, thread_name_prefix="reading") as pool:
            coming = [pool.submit(self._sides, nth) for nth in wanted[:1]]
            for nth, following in zip_longest(wanted, wanted[1:]):
                sides = coming.pop().result()
                if following is not None:
                    coming.append(pool.submit(self._sides, following))
                yield nth, sides


def _torch(values: Floats) -> "torch.Tensor":
    import torch

    return torch.from_numpy(np.ascontiguousarray(values))
