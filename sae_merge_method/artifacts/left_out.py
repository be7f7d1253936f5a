"""What ``diagnosis.json`` holds of the tokens that a layer leaves out of the counting, special ones aside."""

from pydantic import Field

from sae_merge_method.artifacts.schema import Record


class FrequentToken(Record):
    """One of the tokens that are left out most often."""

    text: str
    """The token's text, as the tokenizer decodes it alone."""
    count: int = Field(ge=1)
    """How often it was left out, over all sides."""
    first: int = Field(default=0, ge=0)
    """How often of those it stood at the model's first position."""


class LeftOut(Record):
    """Tokens of the texts that one layer does not count: outliers, and what stands at the first position."""

    median_norm: float = Field(ge=0)
    """Median Euclidean norm of the residual stream behind this layer, over a sample of tokens that carry
    text."""
    first_norm: float = Field(ge=0)
    """Median norm at the model's first position, whatever stands there, in median norms of this layer."""
    outliers: int = Field(ge=0)
    """Tokens that carry text, over all sides, whose norm is more median norms than ``outlier_norm`` of the
    settings; with "none" there they count, and are those beyond the default."""
    shares: tuple[float, ...]
    """Share of outliers in each side's tokens that carry text: the target's, then each control's."""
    first: int = Field(ge=0)
    """Documents whose own first token stands at the model's first position, where nothing counts."""
    share_first: float = Field(ge=0, le=1)
    """Share of first positions in all that is left out; 0 where nothing is."""
    tokens: tuple[FrequentToken, ...] = ()
    """What is left out most often, outliers and first tokens together, most frequent first."""
