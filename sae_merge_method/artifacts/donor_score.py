"""Scores of layers that know the donor, as an attribution keeps them: values, intervals, nulls, rivals."""

from pydantic import Field

from sae_merge_method.artifacts.schema import Record


class LayerScore(Record):
    """One layer's score."""

    layer: int = Field(ge=0)
    """Index of the decoder layer."""
    score: float
    """The score: the higher, the sooner the layer is edited."""
    low: float | None = None
    """Lower end of its 95 % interval over groups of documents; null for a single group."""
    high: float | None = None
    """Upper end of the interval."""
    null: float | None = None
    """What the score would be under its null, in the mean; which null that is, the score's ``null`` says."""
    p: float | None = Field(default=None, ge=0, le=1)
    """p of the layer under that null; null where it cannot be told, as from a single group."""
    q: float | None = Field(default=None, ge=0, le=1)
    """Benjamini-Hochberg q of p over the layers."""


class DepthCorrelation(Record):
    """How a score ranks with depth: what depth alone tells is known without it."""

    rho: float
    """Spearman's rank correlation with the layer's number."""
    p: float
    """Two-sided, among shifted and mirrored profiles."""


class DonorScore(Record):
    """One score of all layers that it can be told of."""

    name: str
    """Name of the score, for example "attributed_gain"."""
    unit: str
    """What it is measured in."""
    null: str = ""
    """What a layer's p is held against, in words."""
    layers: tuple[LayerScore, ...]
    """The layers, ascending: all, or those that have an SAE where the score needs one."""
    depth: DepthCorrelation | None = None
    """The score's rank correlation with depth; null where it does not vary."""
