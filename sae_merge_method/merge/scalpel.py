"""The scalpel: add only a filtered part of the task vector, for one tensor.

Where the raw injection adds ``tau``, this adds ``beta * P(tau) + gamma * (tau - P(tau))``, P the
projection on a subspace along the tensor's residual axis. How the paper (arXiv 2605.28649) treats
each kind of tensor is not known: the table of axes, and that both sides use the same layer's
features unless told otherwise, are ours. Free of mergekit: any engine can call it.
"""

import logging
from collections.abc import Sequence
from functools import partial

import torch

from sae_merge_method.artifacts.method_parameters import ScalpelParameters
from sae_merge_method.edit.subspaces import Subspaces
from sae_merge_method.errors import MergeError
from sae_merge_method.geometry.projection import Shares, energy_of, scaled, weigh
from sae_merge_method.geometry.residual_axes import kind_of, parse_axes, residual_axis
from sae_merge_method.merge.injection import inject
from sae_merge_method.tensor_names import decoder_layer

LOG = logging.getLogger(__name__)

_LEAST_KEPT = 1e-12
"""A filtered tau with less than this share of the energy is rounding, not a direction to scale up."""


class Scalpel:
    """What a recipe's scalpel does to a task vector, tensor by tensor."""

    def __init__(self, parameters: ScalpelParameters, layers: Sequence[int]) -> None:
        """Find SAEs and features; bases are computed when the first tensor needs them.

        Args:
            parameters: What the recipe says.
            layers: The open layers.

        Raises:
            SaeMergeError: See :meth:`~sae_merge_method.edit.subspaces.Subspaces.check`.
        """
        self.parameters = parameters
        self.subspaces = Subspaces(parameters, layers)
        self.shares = shares_of(parameters)
        self._axes = parse_axes(parameters.residual_axes) if parameters.residual_axes else ()
        self._left_out: set[str] = set()
        self.subspaces.check()

    def filter(self, name: str, tau: torch.Tensor) -> torch.Tensor | None:
        """What to add in place of ``tau``; None for nothing.

        Args:
            name: The tensor's name; its layer must be open.
            tau: The weighted task vector.

        Raises:
            MergeError: The residual axis does not have the SAE's width.
        """
        result = self._weigh(name, tau)
        if result is None or not self.parameters.energy_match or result is tau:
            return result
        raw, kept = energy_of(tau), energy_of(result)
        return scaled(result, (raw / kept) ** 0.5) if kept > _LEAST_KEPT * raw else None

    def _weigh(self, name: str, tau: torch.Tensor) -> torch.Tensor | None:
        shares = self.shares
        if shares.inside == shares.outside:
            return scaled(tau, shares.inside) if shares.inside else None
        place = residual_axis(name, self._axes)
        if place is None:
            self._leave_out(name)
            return None
        if place.axis is None:
            return scaled(tau, shares.outside) if shares.outside else None
        layer = decoder_layer(name)
        assert layer is not None  # only tensors of open layers come here
        basis = self.subspaces.basis(self.subspaces.source(layer, place.side))
        columns = torch.from_numpy(basis.columns).to(tau)
        if place.axis >= tau.ndim or tau.shape[place.axis] != len(columns):
            raise MergeError(
                f"{name}: expected width {len(columns)} of the SAE's directions on axis {place.axis}, "
                f"got shape {list(tau.shape)}; residual_axes: can name another axis for {kind_of(name)}"
            )
        return weigh(tau, columns, place.axis, shares)

    def _leave_out(self, name: str) -> None:
        kind = kind_of(name)
        if kind not in self._left_out:
            self._left_out.add(kind)
            LOG.warning(
                "%s is left out and stays the base's: its residual axis is not known; "
                "residual_axes: in the recipe can name it, for example %s=read:1",
                name, kind,
            )  # fmt: skip


def shares_of(parameters: ScalpelParameters) -> Shares:
    """How much of tau's parts inside and outside the subspace is added."""
    if parameters.mode == "reject":
        return Shares(0.0, 1.0)
    if parameters.mode == "hybrid":
        return Shares(parameters.beta, parameters.gamma)
    return Shares(1.0, 0.0)


def edit_tensor(
    name: str,
    base: torch.Tensor,
    donors: Sequence[torch.Tensor],
    alphas: Sequence[float],
    scalpel: Scalpel,
) -> torch.Tensor:
    """Add the filtered task vectors of ``donors`` to ``base``.

    Arithmetic, checks and rounding are :func:`~sae_merge_method.merge.injection.inject`'s.

    Args:
        name: The tensor's name, in an open layer.
        base: Any floating-point tensor.
        donors: At least one tensor of the same shape as ``base``.
        alphas: One factor a donor.
        scalpel: The recipe's.
    """
    return inject(name, base, donors, alphas, change=partial(scalpel.filter, name))
