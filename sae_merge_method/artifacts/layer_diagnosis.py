"""What ``diagnosis.json`` holds of one layer, or of one part of a layer that has an SAE of its own.

Its SAE, its score with null and interval, its top features.
"""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from sae_merge_method.artifacts.left_out import LeftOut
from sae_merge_method.artifacts.schema import OneOf, Record
from sae_merge_method.layers import LayerModule, Unit, format_layers, named_units, units_word
from sae_merge_method.models.parts import PARTS


class SaeSource(Record):
    """The sparse autoencoder of one layer."""

    release: str
    """SAELens release, or folder template, as the user wrote it."""
    id: str
    """The SAE's id inside the release; empty for a local folder."""
    sha256: str
    """sha256 over the encoder's parameters as they were used."""
    architecture: str
    """SAELens' architecture name, for example "jumprelu"."""
    hook_point: str
    """The activation that the SAE was trained on, as its own config names it."""
    d_sae: int = Field(ge=1)
    """Number of features."""
    neuronpedia: str | None = None
    """Id under which neuronpedia.org shows the SAE's features; null where it is not known to."""


class TopFeature(Record):
    """One feature that tells the target from the control."""

    feature: int = Field(ge=0)
    """Index of the feature in its SAE."""
    share: float
    """The feature's contribution as a share of the layer's score; for a mean of the top k, of their sum."""
    target: float = Field(ge=0)
    """Mean activation of the feature over target documents."""
    control: float = Field(ge=0)
    """Mean activation of the feature over the documents of the control that scores least."""
    target_rate: float = Field(ge=0, le=1)
    """Share of counted tokens on which the feature fires, mean over target documents."""
    control_rate: float = Field(ge=0, le=1)
    """Share of counted tokens on which the feature fires, mean over documents of the control that scores
    least."""
    snippets: tuple[str, ...] = ()
    """Target text around the feature's strongest tokens, each of which stands between guillemets."""


class Null(Record):
    """A layer's score under shuffled document labels: what it would be if both sides had one source."""

    permutations: int = Field(ge=1)
    """Number of shuffles of the labels of sources: a source's documents keep one label."""
    mean: float
    """Mean score over the shuffles, in the unit of the score."""
    sd: float = Field(ge=0)
    """Standard deviation of the score over the shuffles, in the unit of the score."""
    high: float
    """95th percentile of the score over the shuffles: one in twenty scores higher."""
    p: float = Field(gt=0, le=1)
    """One-sided p of the score: (1 + shuffles that score as high) / (1 + shuffles); over several controls the
    largest."""
    q: float = Field(gt=0, le=1)
    """Benjamini-Hochberg q of the score's p over all diagnosed layers."""
    corrected: float
    """The score less the mean over the shuffles; over several controls the least."""


class Interval(Record):
    """Bootstrap over sources: where the score would be with unlimited documents.

    It may lie below ``LayerDiagnosis.score``, which few documents push up.
    """

    level: float = Field(gt=0, lt=1)
    """Level of the interval, for example 0.95."""
    low: float
    """Lower end of the interval, in the unit of the score."""
    high: float
    """Upper end of the interval, in the unit of the score."""
    estimate: float
    """The score with the bootstrap's estimate of its bias taken out, in the unit of the score."""
    resamples: int = Field(ge=1)
    """Number of resamples of the sources."""


class AgainstControl(Record):
    """A layer's score against one of several controls."""

    control: str
    """Name of the control's corpus."""
    score: float
    """Specificity of the layer against this control, in the unit of the diagnosis' score."""
    null: Null | None = None
    """The score under shuffled labels of target and this control; null where none were shuffled."""
    interval: Interval | None = None
    """Where unlimited documents would put the score; null without resamples."""


LITTLE_EXPLAINED = 0.5
"""Below this share of explained variance an SAE was hardly made for the model's activations."""


class LayerDiagnosis(Record):
    """What was measured in one layer, or in one part of it."""

    layer: int = Field(ge=0)
    """Index of the decoder layer."""
    part: Annotated[str, OneOf(PARTS)] | None = None
    """Which part of the layer the SAE listens to, attn or mlp; null where it reads the layer's output."""
    score: float
    """Specificity of the layer, in the unit of the diagnosis' score: the least over controls."""
    null: Null | None = None
    """The score under shuffled labels of target and the control that scores least; null where none were
    shuffled."""
    interval: Interval | None = None
    """Where unlimited documents would put the score; null without resamples."""
    against: tuple[AgainstControl, ...] = ()
    """The score against each control, in their order; empty where there is only one."""
    without: dict[str, float] = Field(default_factory=dict)
    """The score with the tokens of a class left out, by class; empty for scores of the top k."""
    twins: dict[str, float] = Field(default_factory=dict)
    """The score of each surface twin of the target against the controls; empty for scores of the top k."""
    with_outliers: float | None = None
    """The score if outlier tokens counted as well; null where there are none, or where they count."""
    explained_variance: float
    """Share of a token's squared distance from the layer's mean that the SAE reconstructs, median over a
    sample of counted tokens."""
    explained_tokens: float | None = Field(default=None, ge=0, le=1)
    """Share of the sampled tokens of which the SAE reconstructs at least half."""
    explained_with_outliers: float | None = None
    """Share of variance that the SAE reconstructs over all sampled tokens together, outliers among them: a
    few of which can make it negative."""
    left_out: LeftOut | None = None
    """The tokens that do not count in this layer, and the norms that decide it."""
    l0: float = Field(ge=0)
    """Mean number of active features a counted token."""
    sae: SaeSource
    """The sparse autoencoder of the layer."""
    top_features: tuple[TopFeature, ...] = ()
    """The features that contribute most to the score, largest first."""

    @property
    def unit(self) -> Unit:
        """What was measured: the layer, or its part."""
        return self.layer if self.part is None else LayerModule(self.layer, self.part)

    @property
    def moved_by_outliers(self) -> bool:
        """Whether the score would be another if outliers counted: by more than half its interval's width, so
        that its interval would no longer hold it."""
        if self.with_outliers is None or self.interval is None:
            return False
        return abs(self.with_outliers - self.score) > (self.interval.high - self.interval.low) / 2

    def share_of_score(self, other: float) -> float | None:
        """What share of this layer's score another score is, both less the mean under shuffled labels.

        None where nothing is left of the layer's score.
        """
        chance = self.null.mean if self.null else 0.0
        return (other - chance) / (self.score - chance) if self.score > chance else None


_NAMED = 4
"""Tokens that a sentence names."""


def named_tokens(layers: Sequence[LayerDiagnosis]) -> str:
    """The most frequent tokens of some layers, for a sentence: each as often as where it is left out most."""
    counts: dict[str, int] = {}
    for entry in layers:
        for token in entry.left_out.tokens if entry.left_out else ():
            outliers = token.count - token.first
            if outliers:
                counts[token.text] = max(counts.get(token.text, 0), outliers)
    most = sorted(counts, key=lambda text: (-counts[text], text))[:_NAMED]
    return ", ".join(f"{text!r} ({counts[text]:,})" for text in most)


def outliers_sentence(layers: Sequence[LayerDiagnosis], bound: float | str | None) -> str | None:
    """What a user should know of the outliers; None where there are none.

    Args:
        layers: All that were diagnosed.
        bound: Median norms that a token may have, or "none" where outliers count.
    """
    having = [entry for entry in layers if entry.left_out and entry.left_out.outliers]
    if not having:
        return None
    shares = [max(entry.left_out.shares) for entry in having if entry.left_out]
    ruled = isinstance(bound, int | float)
    above = f"more than {bound:g} times the median norm" if ruled else "far more than the median norm"
    done = "do not count there" if ruled else "count all the same"
    word = units_word([entry.unit for entry in layers])
    text = (
        f"Outliers: in {len(having)} of {len(layers)} {word} "
        f"({format_layers(entry.unit for entry in having)}) up to {max(shares):.1%} of a side's "
        f"tokens have {above} and {done}, most often {named_tokens(having)}."
    )
    moved = tuple(entry.unit for entry in layers if entry.moved_by_outliers)
    if moved:
        whose = f"score of {word[:-1]} {moved[0]}" if len(moved) == 1 else f"scores of {named_units(moved)}"
        text += f" If they counted, the {whose} would change by more than the interval."
    return text
