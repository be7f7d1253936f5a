"""Which tokens of a document count: those that carry text, not those that a model keeps for itself.

A model needs a place to rest its attention, and takes the first position, a delimiter or a word that says
little for it ("attention sinks", Xiao et al., arXiv 2309.17453). There a few dimensions of the residual
stream grow to hundreds or thousands of times their usual size ("massive activations", Sun et al., arXiv
2402.17762), whatever the text says. One such token in a thousand rules a mean over tokens. So three kinds
do not count:

- special tokens, told by id;
- the model's first position, whatever stands there: begin-of-text, where the model was given one, else the
  document's first token, which no other token precedes;
- at each layer, tokens whose norm is more than :data:`OUTLIER_NORM` times the median norm of that layer.

Both papers single out dimensions, by a size of 100 that is also 1,000 times the median of the hidden state.
The norm of the whole token instead, one number a token, and the bound on it are ours. On two small models
that were looked at (135 and 270 million parameters) ordinary tokens stay below three medians in every
layer, most of them below two; first positions without begin-of-text reach 200; and single spaces, commas
and the like reach 4 to 13 in a few early layers, where a bound of ten divides them and leaves most of their
weight. A user may set another bound, and see what it changes.

The norm is held against its own layer's median, so norms that grow with depth are no outliers. And it is
decided layer by layer: a token that is a sink at layer 11 is at layer 3 a word like any other, its sums are
those of one layer only, and a layer's numbers do not depend on which others were asked for.

The median is of the tokens that are left once the first two kinds are gone, over all texts that are
compared: both sides of a comparison and every table of a layer are counted by one limit. How it is come by,
and what is made of the tokens that count, is left to others.
"""

from collections.abc import Collection

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

OUTLIER_NORM = 5.0
"""Tokens of more than so many times their layer's median norm do not count."""


def carries_text(ids: Ids, special: Collection[int]) -> Mask:
    """(T,) which tokens are neither special nor at the model's first position.

    Args:
        ids: (T,) what the model reads, from its first position.
        special: Ids of special tokens, from :func:`sae_merge_method.corpora.tokens.special_token_ids`.
    """
    text = ~np.isin(ids, np.array(sorted(special), dtype=np.int64))
    text[:1] = False
    return text


def norm_limit(median: float, bound: float | None = OUTLIER_NORM) -> float:
    """The largest norm that counts in a layer.

    Args:
        median: Median norm of the layer's tokens that carry text, over all texts that are compared.
        bound: How many times the median; None for no limit.

    Returns:
        The limit, in the unit of the norm; infinite without a bound, and where the median is 0: where most
        tokens have no norm, others are not outliers of it.
    """
    return float("inf") if bound is None or not median > 0 else bound * median
