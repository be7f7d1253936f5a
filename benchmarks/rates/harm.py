"""Harm to general text, as an experiment's claims call it: documents whose loss changes, more or less skewed.

The bounds are the nominal rates, over all simulated texts: those whose documents are too few for their
skewness are not tested, and count as not significant.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np

from rates.rate import Hits, Rate, at_least, at_most
from sae_merge_method.experiment.settings import HARM_MARGIN
from sae_merge_method.statistics.losses import equivalence, paired_ratio

ALPHA = 0.05
FEW, MANY = 60, 300


class Text(NamedTuple):
    """What general text is like."""

    documents: int
    shortest: int = 200
    """Tokens; the longest has 500."""
    shape: float = 4
    """Of the gamma distribution of changes: their skewness is 2 over its root."""


def losses(
    generator: np.random.Generator, text: Text, change: float
) -> tuple[list[float], list[float], list[int]]:
    """Nats before and after an edit, and tokens, of every document."""
    tokens = generator.integers(text.shortest, 500, text.documents)
    skewed = (generator.standard_gamma(text.shape, text.documents) - text.shape) / text.shape**0.5
    before = tokens * generator.normal(2.5, 0.4, text.documents)
    return before.tolist(), (before + tokens * (change + 0.03 * skewed)).tolist(), tokens.tolist()


def harmed(generator: np.random.Generator, trials: int, *, text: Text) -> Hits:
    """How often a change that is none is called significant."""
    hits = 0
    for _ in range(trials):
        p = paired_ratio(*losses(generator, text, 0.0)).p
        hits += p is not None and p < ALPHA
    return Hits(hits, trials)


def unharmed(generator: np.random.Generator, trials: int, *, text: Text, change: float) -> Hits:
    """How often general text is called unharmed."""
    hits = 0
    for _ in range(trials):
        test = equivalence(paired_ratio(*losses(generator, text, change)), HARM_MARGIN, ALPHA)
        hits += test is not None and test.p_within is not None and test.p_within < ALPHA
    return Hits(hits, trials)


TEXTS = tuple(
    (
        f"{documents} documents of {shortest} to 500 tokens, skewness {skew}",
        Text(documents, shortest, shape),
    )
    for skew, shortest, shape in ((1, 200, 4), (2, 30, 1))
    for documents in (FEW, MANY)
)

RATES = (
    *(
        Rate(
            f"harm: a change of the loss where there is none, {words}",
            "the changes are a gamma distribution's",
            at_most(ALPHA),
            partial(harmed, text=text),
            trials=4000,
        )
        for words, text in TEXTS
    ),
    *(
        Rate(
            f"harm: called unharmed where the loss rises by the margin, {words}",
            "the changes are a gamma distribution's",
            at_most(ALPHA),
            partial(unharmed, text=text, change=HARM_MARGIN),
            trials=4000,
        )
        for words, text in TEXTS
    ),
    *(
        Rate(
            f"harm: called unharmed where the loss does not change, {words}",
            "documents change by .03 nats a token, more or less",
            at_least(0.9),
            partial(unharmed, text=text, change=0.0),
            trials=1000,
        )
        for words, text in TEXTS
        if text.documents == MANY
    ),
)
