"""Which features of its SAE a layer's effect on a text passes through under an edit."""

from pydantic import Field

from sae_merge_method.artifacts.schema import Record


class AttributedFeature(Record):
    """One feature that an edit acts through."""

    feature: int = Field(ge=0)
    """Index of the feature in its SAE."""
    gain: float
    """Nats a predicted token that the text gains, to first order, by what the edit makes of this feature."""
    base: float = Field(ge=0)
    """Mean activation of the feature in the base, over the text's tokens that count."""
    edited: float = Field(ge=0)
    """Mean activation of the feature with the layer edited, over the same tokens."""
    preference: float = Field(ge=0, le=1)
    """How far the controls leave the feature to the target: (m_T - m_C) / (m_T + m_C) of its mean activations
    on target and on the control that uses it most, at least 0; 1 where no control uses it."""
    snippets: tuple[str, ...] = ()
    """The text around the tokens where it acts most, each of which stands between guillemets."""


class AttributedFeatures(Record):
    """What passes through one layer's SAE when that layer alone is edited at weight one, on one text.

    The layer reads what it reads in the base; with the base's gradient g at its output h the text gains, to
    first order, ``- sum over tokens of <g, h edited - h base>``, which features and error share out.
    """

    effect: float
    """First-order gain over the tokens that count, in nats a predicted token: ``features`` and ``error``
    add up to it."""
    features: float
    """The part that passes through features: ``- sum <g, W_dec_j> (f_j edited - f_j base)`` over tokens and
    features."""
    error: float
    """The part that the SAE does not tell: the same of what it does not reconstruct."""
    uncounted: float
    """The gain at tokens that do not count, which no SAE is asked about: begin-of-text, special tokens, and
    those of outlying norm."""
    apart: float | None = None
    """The part of ``features`` that passes through features that the controls do not use, each counted by
    its preference; null for a control."""
    tokens: int = Field(ge=0)
    """Tokens that count at this layer, those of prompts among them."""
    top: tuple[AttributedFeature, ...] = ()
    """The features that most passes through, whichever way, most first."""
