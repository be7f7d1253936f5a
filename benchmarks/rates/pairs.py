"""Two models that answered the same problems: how often a comparison's tests and its gate are right."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path

import numpy as np

from rates.rate import Bound, Hits, Rate, at_least, at_most
from sae_merge_method.artifacts.comparison import Comparison
from sae_merge_method.artifacts.lm_eval_results import EvalRun, Score, TaskRun
from sae_merge_method.artifacts.lm_eval_samples import Sample, Samples
from sae_merge_method.compare.evaluation import Evaluation
from sae_merge_method.compare.run import compare_evaluations
from sae_merge_method.compare.settings import CompareSettings
from sae_merge_method.statistics.evidence import Evidence, Mean
from sae_merge_method.statistics.tests import TESTS

METRIC = "exact_match,none"
MATH = {
    "algebra": 1187, "counting": 474, "geometry": 479, "intermediate_algebra": 903, "number_theory": 540,
    "prealgebra": 871, "precalculus": 546,
}  # fmt: skip
"""Problems of each subject of MATH's test split."""


def answers(
    generator: np.random.Generator, n: int, base: float, edited: float, correlation: float
) -> np.ndarray:
    """(n, 2) right or wrong answers to the same problems, at these rates and with this correlation."""
    together = correlation * np.sqrt(base * (1 - base) * edited * (1 - edited)) + base * edited
    shares = [together, base - together, edited - together, 1 - base - edited + together]
    drawn = generator.choice(4, size=n, p=np.clip(shares, 0, 1))
    return np.stack([(drawn == 0) | (drawn == 1), (drawn == 0) | (drawn == 2)], axis=1).astype(float)


def mean(scores: np.ndarray) -> Mean:
    """As lm-eval sums scores up."""
    return Mean(float(scores.mean()), float(scores.std(ddof=1) / np.sqrt(len(scores))), len(scores))


def evidence_of(scores: np.ndarray, problems: list[str] | None = None) -> Evidence:
    """What a comparison hands to a test of these answers."""
    pairs = [(float(one), float(other)) for one, other in scores]
    return Evidence(mean(scores[:, 0]), mean(scores[:, 1]), pairs, problems or [])


def significant(
    generator: np.random.Generator,
    trials: int,
    *,
    test: str,
    n: int,
    base: float,
    edited: float,
    correlation: float,
) -> Hits:
    """How often a test calls the difference significant at .05."""
    hits = 0
    for _ in range(trials):
        p = TESTS[test].of(evidence_of(answers(generator, n, base, edited, correlation))).p
        hits += p is not None and p < 0.05
    return Hits(hits, trials)


def unpaired_significant(generator: np.random.Generator, trials: int, *, n: int, share: float) -> Hits:
    """How often two independent samples at one rate are called different, without samples."""
    hits = 0
    for _ in range(trials):
        base, edited = (mean((generator.random(n) < share).astype(float)) for _ in range(2))
        p = TESTS["auto"].of(Evidence(base, edited)).p
        hits += p is not None and p < 0.05
    return Hits(hits, trials)


def clustered_significant(generator: np.random.Generator, trials: int, *, problems: int, each: int) -> Hits:
    """Each model has a rate of its own for each problem, and gives several answers: no difference in all."""
    names = [str(problem) for problem in range(problems) for _ in range(each)]
    hits = 0
    for _ in range(trials):
        rates = np.repeat(generator.beta(0.4, 0.9, size=(problems, 2)), each, axis=0)
        p = TESTS["auto"].of(evidence_of((generator.random(rates.shape) < rates).astype(float), names)).p
        hits += p is not None and p < 0.05
    return Hits(hits, trials)


def covered(
    generator: np.random.Generator, trials: int, *, n: int, base: float, edited: float, correlation: float
) -> Hits:
    """How often the interval of the difference holds the true one."""
    hits = 0
    for _ in range(trials):
        interval = TESTS["mcnemar"].interval(
            evidence_of(answers(generator, n, base, edited, correlation)), 0.95
        )
        hits += interval is not None and interval.low <= edited - base <= interval.high
    return Hits(hits, trials)


def detected(generator: np.random.Generator, trials: int, *, n: int, base: float, correlation: float) -> Hits:
    """How often a difference is found that is as large as the detectable one of another sample."""
    hits = 0
    for _ in range(trials):
        row = TESTS["mcnemar"]
        size = row.detectable(evidence_of(answers(generator, n, base, base, correlation)), 0.05, 0.8)
        p = row.of(evidence_of(answers(generator, n, base, base + (size or 0.0), correlation))).p
        hits += p is not None and p < 0.05
    return Hits(hits, trials)


@cache
def problem(task: str, nth: int, score: float) -> Sample:
    return Sample(f"{task} {nth}", None, None, score, None, True, 0)


def evaluation(label: str, scores: dict[str, np.ndarray]) -> Evaluation:
    """An evaluation in memory, as the readers of lm-eval's files give it."""
    tasks, samples = {}, {}
    for task, own in scores.items():
        side, n = mean(own), len(own)
        score = Score(side.value, side.stderr, True)
        tasks[task] = TaskRun(task, {METRIC: score}, n, n, None, None, None, None)
        rows = tuple(problem(task, nth, float(score)) for nth, score in enumerate(own))
        samples[task, METRIC] = Samples(Path(label), rows)
    run = EvalRun(Path(label), label, None, None, False, tasks, {})
    return Evaluation(run, label, samples)


def compared(
    generator: np.random.Generator,
    base: float,
    loss: float,
    correlation: float,
    max_loss: float | None = None,
) -> Comparison:
    """One comparison over MATH's seven subjects, the loss alike in all."""
    both = {task: answers(generator, n, base, base - loss, correlation) for task, n in MATH.items()}
    sides = [
        evaluation(name, {task: own[:, nth] for task, own in both.items()}) for nth, name in enumerate("ab")
    ]
    return compare_evaluations(sides[0], sides[1], CompareSettings(draws=0, max_loss=max_loss))


def stopped(
    generator: np.random.Generator, trials: int, *, base: float, loss: float, correlation: float
) -> Hits:
    """How often the gate sees a regression."""
    hits = sum(bool(compared(generator, base, loss, correlation).gate.regressions) for _ in range(trials))
    return Hits(hits, trials)


def let_through(
    generator: np.random.Generator, trials: int, *, loss: float, max_loss: float, correlation: float
) -> Hits:
    """How often a loss is said to be smaller than what is allowed, in points."""
    hits = sum(not compared(generator, 0.3, loss, correlation, max_loss).gate.excesses for _ in range(trials))
    return Hits(hits, trials)


_WHAT = {0.02: "2 points of loss", 0.0: "a null edit"}
_540 = "540 problems, 30 % right"
_GATE = "seven subjects with n of MATH, {share:.0%} right, correlation {correlation}, samples on both sides"

RATES = (
    *(
        Rate(
            f"{test}: a difference where there is none",
            f"{_540} on both sides, correlation .6",
            at_most(0.05),
            partial(significant, test=test, n=540, base=0.3, edited=0.3, correlation=0.6),
            trials=2000,
        )
        for test in ("mcnemar", "paired_z", "permutation")
    ),
    Rate(
        "auto: 5 points more, paired",
        f"{_540}, correlation .6",
        at_least(0.65),
        partial(significant, test="auto", n=540, base=0.3, edited=0.35, correlation=0.6),
        trials=1000,
    ),
    Rate(
        "auto without samples: a difference near the edge where there is none",
        "two times 50 other problems, 4 % right on both sides",
        at_most(0.05),
        partial(unpaired_significant, n=50, share=0.04),
        trials=4000,
    ),
    Rate(
        "auto, eight answers a problem: a difference where there is none",
        "100 problems, answers of a model to one problem at a rate of their own",
        at_most(0.05),
        partial(clustered_significant, problems=100, each=8),
        trials=1000,
    ),
    *(
        Rate(
            f"interval of a paired difference holds the true one, {base:.0%} and {edited:.0%} right",
            f"{n} problems, correlation {correlation}",
            Bound(0.93, 1),
            partial(covered, n=n, base=base, edited=edited, correlation=correlation),
            trials=2000,
        )
        for n, base, edited, correlation in ((540, 0.3, 0.33, 0.6), (50, 0.03, 0.05, 0.3))
    ),
    Rate(
        "the detectable difference of McNemar's test is found",
        f"{_540}, correlation .6; detectable at 80 % by the flips of another sample, of no difference",
        at_least(0.8),
        partial(detected, n=540, base=0.3, correlation=0.6),
        trials=4000,
    ),
    *(
        Rate(
            f"gate: stops {_WHAT[loss]}, {share:.0%} right, r {correlation}",
            _GATE.format(share=share, correlation=correlation) + (", alike in all" if loss else ""),
            at_least(0.9) if loss else at_most(0.05),
            partial(stopped, base=share, loss=loss, correlation=correlation),
            trials=250,
        )
        for loss in _WHAT
        for share in (0.3, 0.5)
        for correlation in (0.6, 0.85)
    ),
    *(
        Rate(
            f"gate: --max-loss 2 lets {_WHAT[loss]} through, r {correlation}",
            _GATE.format(share=0.3, correlation=correlation) + (", alike in all" if loss else ""),
            at_most(0.05) if loss else at_least(0.9),
            partial(let_through, loss=loss, max_loss=2.0, correlation=correlation),
            trials=1000 if loss else 250,
        )
        for loss in _WHAT
        for correlation in (0.6, 0.85)
    ),
)
