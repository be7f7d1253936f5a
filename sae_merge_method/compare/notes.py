"""What a reader of a comparison has to know before believing it, in plain sentences."""

from collections.abc import Iterator, Sequence

from sae_merge_method.artifacts.comparison import Subject
from sae_merge_method.artifacts.lm_eval_results import EvalRun
from sae_merge_method.compare.ztest import z_unpooled

_VERIFIER = "math_verify"


def format_notes(
    base: EvalRun, edited: EvalRun, metric: str, alpha: float, subjects: Sequence[Subject]
) -> Iterator[str]:
    """Where ``exact_match`` improves and ``math_verify`` does not: format, not maths.

    ``exact_match`` wants the answer in one wording, ``math_verify`` takes it in any, so what only
    the first one sees is that the wording was learned.
    """
    name, _, filter_name = metric.partition(",")
    key = f"{_VERIFIER},{filter_name}"
    if name != "exact_match":
        return
    for subject in subjects:
        one, other = (run.tasks[subject.task] for run in (base, edited))
        if subject.verdict != "improved" or key not in one.scores or key not in other.scores:
            continue
        before, after = one.scores[key], other.scores[key]
        test = z_unpooled(before.value, before.stderr, after.value, after.stderr, subject.n)
        if test.p is None or test.p >= alpha or after.value <= before.value:
            p = "untested" if test.p is None else f"p {test.p:.2g}"
            yield (
                f"{subject.task}: format, not maths? {name} moves by {subject.delta * 100:+.1f} points, "
                f"{_VERIFIER} by {(after.value - before.value) * 100:+.1f} ({p})."
            )


def conflict_notes(subjects: Sequence[Subject], alpha: float) -> Iterator[str]:
    """Where the paired tests and the chosen one do not agree."""
    for subject in subjects:
        if subject.paired is None or subject.p is None or subject.paired.mcnemar_p is None:
            continue
        if (subject.p < alpha) != (subject.paired.mcnemar_p < alpha):
            yield (
                f"{subject.task}: the tests disagree, p {subject.p:.2g} but paired by problem (McNemar) "
                f"p {subject.paired.mcnemar_p:.2g}."
            )
