"""Two kinds of text, or one: what a layer's null and interval get right when documents are not ideal."""

from __future__ import annotations

from functools import partial

import numpy as np

from rates.rate import Hits, Rate, at_least, at_most
from sae_merge_method.artifacts.layer_usage import LayerUsage, pack_layer
from sae_merge_method.artifacts.usage import Documents
from sae_merge_method.corpora.matching import Side, match_sides
from sae_merge_method.corpora.tokens import Document
from sae_merge_method.diagnose.asked import Estimate
from sae_merge_method.diagnose.document_matrices import document_matrices
from sae_merge_method.diagnose.estimation import estimate, samples_for
from sae_merge_method.diagnose.settings import ScoringSettings
from sae_merge_method.diagnose.specificity import SCORES
from sae_merge_method.statistics.intervals import basic_bootstrap

FEATURES = 40
WORDS = 60
LEVEL = 0.95


def usage_of(dense: np.ndarray) -> LayerUsage:
    """(N, F) mean activations as they are stored; a feature fires on as many of 100 tokens as it is used."""
    rows, columns = np.nonzero(dense)
    lengths = np.bincount(rows, minlength=len(dense))
    means = dense[rows, columns]
    tokens = np.full(len(dense), 100)
    return pack_layer(dense.shape[1], tokens, lengths, columns, means, np.ceil(means).astype(int))


def sources(generator: np.random.Generator, n: int, boost: float = 1.0) -> np.ndarray:
    """(n, F) what n sources use: ten features ``boost`` times as much as the others."""
    dense = generator.exponential(size=(n, FEATURES))
    dense[:, :10] *= boost
    return dense


def scored(
    dense: np.ndarray,
    documents: Documents,
    score: str,
    *,
    permutations: int = 0,
    bootstrap: int = 0,
    seed: int = 0,
) -> list[Estimate]:
    """The score against each control, as a diagnosis computes it."""
    settings = ScoringSettings(score=score, permutations=permutations, bootstrap=bootstrap, seed=seed)
    row = SCORES[score]
    matrices = document_matrices(usage_of(dense), documents)
    return [
        estimate(row, matrices, samples_for(row, documents, control, settings))
        for control in documents.controls
    ]


def sides(*sizes: int, a_source: int = 1) -> Documents:
    """So many documents on each side, neighbours of one source."""
    side = np.repeat(np.arange(len(sizes)), sizes)
    return Documents(side, np.arange(len(side)) // a_source)


def p_of(against: list[Estimate]) -> float:
    return max(one.p for one in against)


def called_different(
    generator: np.random.Generator,
    trials: int,
    *,
    score: str = "kl_bits",
    n: int = 20,
    chunks: int,
    known: bool = True,
) -> Hits:
    """p at most .05, of two sides of one kind: n sources each, in so many chunks that are nearly alike."""
    documents = sides(n * chunks, n * chunks, a_source=chunks if known else 1)
    hits = 0
    for _ in range(trials):
        dense = np.repeat(sources(generator, 2 * n), chunks, axis=0)
        dense *= generator.uniform(0.9, 1.1, size=dense.shape)
        hits += p_of(scored(dense, documents, score, permutations=99)) <= 0.05
    return Hits(hits, trials)


def covered(generator: np.random.Generator, trials: int, *, score: str, n: int, chunks: int) -> Hits:
    """The 95 % interval holds what unlimited sources would score."""
    many = 20_000
    truth = scored(
        np.concatenate([sources(generator, many, 2), sources(generator, many)]), sides(many, many), score
    )
    documents = sides(n * chunks, n * chunks, a_source=chunks)
    hits = 0
    for trial in range(trials):
        dense = np.concatenate([sources(generator, n, 2), sources(generator, n)])
        (one,) = scored(np.repeat(dense, chunks, axis=0), documents, score, bootstrap=200, seed=trial)
        interval = basic_bootstrap(one.score, one.bootstrap, LEVEL)
        hits += interval.low <= truth[0].score <= interval.high
    return Hits(hits, trials)


def top_k_covered(generator: np.random.Generator, trials: int) -> Hits:
    """The 95 % interval holds the true area under the curve, which all features share."""
    hits = 0
    for trial in range(trials):
        dense = generator.normal(5, 1, size=(80, FEATURES))
        dense[:40] += 0.5
        (one,) = scored(dense, sides(40, 40), "auroc_top_k", bootstrap=200, seed=trial)
        interval = basic_bootstrap(one.score, one.bootstrap, LEVEL)
        hits += interval.low <= 0.6382 <= interval.high  # Phi(0.5 / sqrt 2)
    return Hits(hits, trials)


def near_control(generator: np.random.Generator, trials: int) -> Hits:
    """p at most .05, where one of three controls is of the target's own kind."""
    hits = 0
    for _ in range(trials):
        dense = np.concatenate(
            [sources(generator, 40, 3), sources(generator, 20), sources(generator, 20, 0.5)]
        )
        hits += p_of(scored(dense, sides(20, 20, 20, 20), "kl_bits", permutations=99)) <= 0.05
    return Hits(hits, trials)


def texts(generator: np.random.Generator, n: int, length: int) -> Side:
    """n documents of one kind of text, each with words of its own that it prefers."""
    words = np.arange(WORDS)
    documents = []
    for nth in range(n):
        ids = generator.choice(words, size=length, p=generator.dirichlet(np.full(WORDS, 0.5)))
        documents.append(Document(ids, np.ones(length, dtype=np.bool_), nth))
    return Side(tuple(documents), np.arange(n))


def lengths(generator: np.random.Generator, trials: int, *, few_first: bool) -> Hits:
    """p at most .05, of 20 documents of 30 tokens against 80 of 500, or the other way round, once matched."""
    hits = 0
    for _ in range(trials):
        both = [texts(generator, 20, 30), texts(generator, 80, 500)]
        matched = match_sides(both if few_first else both[::-1])
        every = [document for side in matched for document in side.documents]
        dense = np.stack([np.bincount(one.ids, minlength=WORDS) / len(one.ids) for one in every])
        documents = sides(*(len(side.documents) for side in matched))
        hits += p_of(scored(dense, documents, "kl_bits", permutations=99)) <= 0.05
    return Hits(hits, trials)


TOP_K = [name for name, score in SCORES.items() if score.top_k]

RATES = (
    Rate(
        "specificity: one kind of text, two chunks a source",
        "20 sources a side, sources known",
        at_most(0.05),
        partial(called_different, chunks=2),
        trials=1000,
    ),
    Rate(
        "specificity: one kind of text, thirty texts ten times",
        "30 sources a side, sources known",
        at_most(0.05),
        partial(called_different, n=30, chunks=10),
        trials=300,
    ),
    Rate(
        "specificity: thirty texts ten times give themselves away where nobody knows the sources",
        "30 sources a side, taken for 300: what the warning is for",
        at_least(0.95),
        partial(called_different, n=30, chunks=10, known=False),
        trials=100,
    ),
    Rate(
        "specificity: 20 short against 80 long documents of one kind",
        "matched in number and length",
        at_most(0.05),
        partial(lengths, few_first=True),
        trials=400,
    ),
    Rate(
        "specificity: 80 long against 20 short documents of one kind",
        "matched in number and length",
        at_most(0.05),
        partial(lengths, few_first=False),
        trials=400,
    ),
    Rate(
        "specificity: one of three controls is of the target's kind",
        "20 sources a side; the least score and the largest p count",
        at_most(0.05),
        near_control,
        trials=400,
    ),
    *(
        Rate(
            f"{name}: one kind of text",
            "20 sources a side; chosen on one half, measured on the other",
            at_most(0.05),
            partial(called_different, score=name, chunks=1),
            trials=500,
        )
        for name in TOP_K
    ),
    *(
        Rate(
            f"{name}: the 95 % interval holds the score of unlimited sources",
            "50 sources a side, two chunks each, sources known",
            at_least(0.9),
            partial(covered, score=name, n=50, chunks=2),
            trials=300,
        )
        for name in ("kl_bits", "js_bits", "selectivity")
    ),
    Rate(
        "top k: the 95 % interval holds the true score of the features that were chosen",
        "40 sources a side, features of one true area under the curve",
        at_least(0.9),
        top_k_covered,
        trials=300,
    ),
)
