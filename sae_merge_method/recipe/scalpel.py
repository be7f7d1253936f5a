"""The scalpel: what becomes of a task vector, tensor by tensor.

Where the raw injection adds ``tau``, this adds ``beta * P(tau) + gamma * (tau - P(tau))``, P the
projection on a subspace along the tensor's residual axis. How the paper (arXiv 2605.28649) treats
each kind of tensor is not known: the table of axes, and that both sides use the same layer's
features unless told otherwise, are ours. NumPy alone, so that every host of the edit calls the
same code: what is added to which base is theirs.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from sae_merge_method.artifacts.method_parameters import Scalar, ScalpelParameters
from sae_merge_method.errors import MergeError
from sae_merge_method.geometry.energy import energy
from sae_merge_method.geometry.one_thread import one_blas_thread
from sae_merge_method.geometry.projection import Floats, Shares, scale, weigh
from sae_merge_method.models.residual_axes import kind_of, parse_axes, residual_axis
from sae_merge_method.models.tensor_names import decoder_layer
from sae_merge_method.recipe.subspaces import Subspaces
from sae_merge_method.saes.ranking import default_rank

LOG = logging.getLogger(__name__)

_LEAST_KEPT = 1e-12
"""A filtered tau with less than this share of the energy is rounding, not a direction to scale up."""


class Scalpel:
    """What a recipe's scalpel does to a task vector; its :meth:`filter` may be called by several threads."""

    def __init__(self, parameters: ScalpelParameters, layers: Sequence[int]) -> None:
        """Find SAEs and features; bases are computed when the first tensor needs them.

        Args:
            parameters: What the recipe says.
            layers: The selected layers.

        Raises:
            SaeMergeError: See :meth:`~sae_merge_method.recipe.subspaces.Subspaces.check`.
        """
        self.parameters = parameters
        self.subspaces = Subspaces(parameters, layers)
        self.shares = shares_of(parameters)
        self._axes = parse_axes(parameters.residual_axes) if parameters.residual_axes else ()
        self._left_out: set[str] = set()
        self.subspaces.check()

    def filter(self, name: str, tau: Floats) -> Floats | None:
        """What to add in place of ``tau``: a ``recipe.methods.Filter`` for tensors of the selected layers.

        Raises:
            MergeError: The residual axis does not have the SAE's width.
        """
        with one_blas_thread():
            if not self.parameters.energy_match or self.shares == Shares(1, 1):
                return self._weigh(name, tau)
            raw = energy(tau)
            result = self._weigh(name, tau)
            kept = 0.0 if result is None else energy(result)
            if result is None or not kept > _LEAST_KEPT * raw:
                return None
            return scale(result, (raw / kept) ** 0.5)

    def _weigh(self, name: str, tau: Floats) -> Floats | None:
        shares = self.shares
        if shares.inside == shares.outside:
            return scale(tau, shares.inside) if shares.inside else None
        axis = residual_axis(name, self._axes)
        if axis is None:
            self._leave_out(name)
            return None
        if axis.axis is None:
            return scale(tau, shares.outside) if shares.outside else None
        layer = decoder_layer(name)
        assert layer is not None  # only tensors of selected layers come here
        columns = self.subspaces.basis(self.subspaces.source(layer, axis.side)).columns
        if axis.axis >= tau.ndim or tau.shape[axis.axis] != len(columns):
            raise MergeError(
                f"{name}: expected width {len(columns)} of the SAE's directions on axis {axis.axis}, "
                f"got shape {list(tau.shape)}; residual_axes: can name another axis for {kind_of(name)}"
            )
        return weigh(tau, columns.astype(tau.dtype), axis.axis, shares)

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


def scalpel_parameters(given: Mapping[str, Scalar], diagnosis: Path, d_model: int) -> dict[str, Scalar]:
    """What to write into a recipe: the parameters given, and what a scalpel cannot do without.

    Args:
        given: As the user gave them.
        diagnosis: The file to rank features by, unless another is given.
        d_model: Width of the residual stream, for the default rank.
    """
    written: dict[str, Scalar] = {"diagnosis": str(diagnosis), **given}
    if "features" not in written:
        written.setdefault("rank", default_rank(d_model))
    return written


def sae_folders(parameters: ScalpelParameters, layers: Sequence[int]) -> tuple[Path, ...]:
    """The folders of the SAEs that a scalpel reads; none of a release, whose files lie in the Hub's cache.

    Raises:
        SaeMergeError: An SAE, or the diagnosis that names it, is missing.
    """
    subspaces = Subspaces(parameters, layers)
    folders = (subspaces.address(layer).folder for layer in subspaces.sources)
    return tuple(folder for folder in folders if folder is not None)
