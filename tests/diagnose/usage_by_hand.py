"""Stored usage made from dense matrices, so that statistics can be tested without a model."""

import numpy as np
import numpy.typing as npt

from sae_merge_method.artifacts.layer_usage import LayerUsage, pack_layer
from sae_merge_method.artifacts.usage import Documents

TOKENS = 50


def usage_of(dense: npt.NDArray[np.floating]) -> LayerUsage:
    """(N, F) mean activations; a feature fires on as many of 50 tokens as its mean says, at least one."""
    rows, columns = np.nonzero(dense)
    counts = np.minimum(TOKENS, 1 + (10 * dense[rows, columns]).astype(np.int64))
    lengths = np.bincount(rows, minlength=len(dense))
    tokens = np.full(len(dense), TOKENS)
    return pack_layer(dense.shape[1], tokens, lengths, columns, dense[rows, columns], counts)


def documents(*sizes: int, a_source: int = 1) -> Documents:
    """So many documents of the target and of each control, ``a_source`` neighbours of one source."""
    side = np.repeat(np.arange(len(sizes)), sizes)
    return Documents(side, np.arange(len(side)) // a_source)


def random_usage(seed: int, n: int, n_features: int, rate: float = 0.3) -> npt.NDArray[np.float64]:
    """(N, F) of one source: every document uses features at random, some more often than others."""
    random = np.random.default_rng(seed)
    popularity = rate * random.random(n_features) * 2
    return random.exponential(size=(n, n_features)) * (random.random((n, n_features)) < popularity)
