"""What ``sae-merge energy --format json`` prints: how much of a task vector the features' span keeps."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from sae_merge_method.artifacts.frames import as_frame
from sae_merge_method.artifacts.schema import Record

if TYPE_CHECKING:
    from pandas import DataFrame


class RandomSubspace(Record):
    """The same measured in random subspaces of the same rank."""

    seeds: int = Field(ge=1)
    """How many were drawn."""
    mean: float
    """Energy kept, mean over seeds."""
    low: float
    high: float
    """Where one more random subspace would fall, at ``level``: no difference within."""
    level: float


class Energy(Record):
    """Energy of a task vector, or part of one, and what the span keeps of it."""

    energy: float = Field(ge=0)
    """||tau||^2."""
    relative_norm: float | None
    """||tau|| / ||base||; None where the base is zero."""
    kept: float | None
    """||P(tau)||^2 / ||tau||^2; None where tau is zero. Tensors without a residual axis keep nothing."""
    chance: float | None
    """r/d, what a subspace of this rank keeps by chance; None where there is no residual axis."""
    ratio: float | None
    """kept / chance."""
    random: RandomSubspace | None
    """None where there is nothing to measure."""


class Principal(Record):
    """The directions along which the task vector has most energy."""

    count: int = Field(ge=0)
    share: float
    """Energy along them, as a share of the layer's."""
    covered: float = Field(ge=0, le=1)
    """Mean squared cosine between them and the span: 1 if it holds them all, r/d by chance."""
    angles: tuple[float, ...]
    """Principal angles to the span in degrees, ascending: 0 is a direction the span holds."""


class LayerEnergy(Energy):
    """One layer."""

    layer: int = Field(ge=0)
    features: int = Field(ge=0)
    """Features selected."""
    rank: int = Field(ge=0)
    """Dimensions they span."""
    effective_rank: float
    """Directions that share tau's energy: exp of the entropy of their shares."""
    best: float | None
    """What the best subspace of this rank would keep: the leading principal directions."""
    principal: Principal


class KindEnergy(Energy):
    """All tensors of one kind, over the layers."""

    kind: str
    """Name within the layer."""
    side: Literal["read", "write", "none"]
    """How it meets the residual stream."""
    tensors: int = Field(ge=1)


class EnergyReport(Record):
    """One task vector, measured."""

    schema_version: Literal[1] = 1
    base: str
    donor: str
    d_model: int = Field(ge=1)
    read_from: Literal["own", "previous"]
    """Whose features stand for the reading side."""
    seed: int
    """First seed of the random subspaces."""
    total: Energy
    """Over all layers measured."""
    layers: tuple[LayerEnergy, ...]
    kinds: tuple[KindEnergy, ...]
    left_out: tuple[str, ...]
    """Kinds whose residual axis is not known: they count nowhere above."""

    def to_frame(self, by: Literal["layer", "kind"] = "layer") -> "DataFrame":
        """The layers, or the kinds of tensors, as a pandas data frame, a row each.

        Raises:
            UsageError: pandas is not installed.
        """
        if by == "kind":
            return as_frame(KindEnergy, self.kinds)
        return as_frame(LayerEnergy, self.layers)
