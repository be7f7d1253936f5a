"""What ``sae-merge energy --format json`` prints: how much of a task vector the features' span keeps."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from sae_merge_method.artifacts.frames import as_frame
from sae_merge_method.artifacts.realised import Realised
from sae_merge_method.artifacts.schema import OneOf, Record
from sae_merge_method.models.rounding import ROUNDINGS

if TYPE_CHECKING:
    from pandas import DataFrame


class RandomSubspace(Record):
    """What a uniformly random subspace of the span's rank keeps of the same energy; exact, not drawn."""

    mean: float
    """Share of the energy that it keeps on average."""
    sd: float
    """Standard deviation of that share: the larger, the fewer directions hold the energy."""
    low: float
    """Lower end of where it falls, at ``level``: no difference within."""
    high: float
    """Upper end of where it falls, at ``level``: no difference within."""
    level: float
    """Probability with which it falls between ``low`` and ``high``."""
    p: float | None
    """Two-sided p of what the features' span keeps; null where the share cannot vary."""


class OtherFeatures(Record):
    """What spans of as many other features of the same SAEs keep of the same energy."""

    draws: int = Field(ge=1)
    """How many sets of other features were drawn."""
    mean: float
    """Share of the energy that their spans keep, mean over draws."""
    low: float
    """Lower end of where one more draw would fall, at ``level``: no difference within."""
    high: float
    """Upper end of where one more draw would fall, at ``level``: no difference within."""
    level: float
    """Probability with which one more draw falls between ``low`` and ``high``."""
    t: float | None
    """What the selected features' span keeps above that mean, over the spread of one more draw; null for
    fewer than five draws, or where all keep alike."""
    p: float | None
    """Two-sided p of t, Student's with draws - 1 degrees of freedom; null where there is no t."""


class Energy(Record):
    """Energy of a task vector, or part of one, and what the span keeps of it."""

    energy: float = Field(ge=0)
    """Squared Frobenius norm of the task vector, ||tau||^2."""
    relative_norm: float | None
    """Size of the task vector beside the base's, ||tau|| / ||base||; null where the base is zero."""
    kept: float | None
    """Share of the energy in the span, ||P(tau)||^2 / ||tau||^2; null where tau is zero. Tensors without a
    residual axis keep nothing."""
    chance: float | None
    """Share that a random subspace of this rank keeps on average: r/d of the energy in tensors with a
    residual axis, over all energy, as for kept; null where there is no such axis."""
    ratio: float | None
    """Energy kept over chance; null where either is."""
    stored: Realised | None
    """The task vector times the weight, as it would be added, and what rounding to the base's stored dtype
    would leave of it; null where there is nothing to add."""
    stored_part: Realised | None
    """What rounding would leave of the part in the features' span, which a scalpel adds, at that weight; null
    where there is nothing to add."""
    random: RandomSubspace | None
    """What random subspaces keep; null where there is nothing to keep."""
    others: OtherFeatures | None
    """What other features of the same SAEs keep, matched with the selected ones; null where none were drawn
    or there is nothing to keep."""


class Principal(Record):
    """The directions along which the task vector has most energy."""

    count: int = Field(ge=0)
    """How many leading directions were taken."""
    share: float
    """Energy along these directions, as a share of the layer's."""
    covered: float = Field(ge=0, le=1)
    """Mean squared cosine between these directions and the span: 1 if it holds them all, r/d by chance."""
    angles: tuple[float, ...]
    """Principal angles to the span in degrees, ascending: 0 is a direction the span holds."""


class LayerEnergy(Energy):
    """One layer."""

    layer: int = Field(ge=0)
    """Decoder layer, counted from 0."""
    features: int = Field(ge=0)
    """How many SAE features were selected."""
    rank: int = Field(ge=0)
    """Dimensions that the selected features span."""
    matched_by: str | None
    """What other features were matched with the selected ones in: firing rate, or norm where a diagnosis
    of another SAE has no rates for this one; null where none were drawn."""
    effective_rank: float
    """Directions that share tau's energy: exp of the entropy of their shares."""
    best: float | None
    """What the best subspace of this rank would keep: the leading principal directions."""
    principal: Principal
    """Where the layer's task vector has most energy, and how much of that the span holds."""


class KindEnergy(Energy):
    """All tensors of one kind, over the layers."""

    kind: str
    """Name of the tensor within the layer."""
    side: Literal["read", "write", "none"]
    """How the tensor meets the residual stream: reads it, writes it, or has no axis of it."""
    tensors: int = Field(ge=1)
    """How many tensors there are of this kind."""


class EnergyReport(Record):
    """One task vector, measured."""

    schema_version: Literal[3] = 3
    """Version of this file's format."""
    base: str
    """Base model, as it was named."""
    donor: str
    """Donor, as it was named."""
    d_model: int = Field(ge=1)
    """Width of the residual stream."""
    read_from: Literal["own", "previous"]
    """Whose features stand for the reading side."""
    reading: Literal["folded", "stored"]
    """Whether tensors that read the residual stream were measured with the gain of the norm before them
    folded in, as they read it, or as they are stored, as a scalpel projects them."""
    not_folded: tuple[str, ...]
    """Kinds of reading tensors that were measured as stored, because the norm before them is not known."""
    seed: int
    """Seed of the draws of other features."""
    weight: float
    """Weight at which what is stored was measured."""
    rounding: Annotated[str, OneOf(ROUNDINGS)]
    """How it was rounded."""
    total: Energy
    """Energy over all layers measured."""
    layers: tuple[LayerEnergy, ...]
    """Energy of each layer measured."""
    kinds: tuple[KindEnergy, ...]
    """Energy of each kind of tensor, over the layers."""
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
