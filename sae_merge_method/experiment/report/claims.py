"""The table of claims: what an experiment may support, and who judges it, whoever it pleases.

Every claim is put to one test; all that were tested are corrected together (Holm) and held to the plan's
level. "yes" and "no" each take significance, one in the claim's direction, the other against it; "not shown"
is not "no"; and what no arm tests is "not tested". Conclusions, reports, help and plans read the table.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sae_merge_method.artifacts.conclusions import Answer, Conclusion
from sae_merge_method.artifacts.experiment import Experiment
from sae_merge_method.controls.arms import ARMS
from sae_merge_method.experiment.report.contrasts import beats, improves, span_keeps, unharmed
from sae_merge_method.experiment.report.curves import score_predicts
from sae_merge_method.experiment.report.damping import above_curve
from sae_merge_method.experiment.report.judged import Judge, Judged, answer, untested, within_reach
from sae_merge_method.experiment.report.reach import (
    Family,
    Reaches,
    documents,
    matched_sets,
    matched_sets_and_documents,
    nothing,
    other_features,
    single_layers,
    two_scores,
    two_scores_and_documents,
)
from sae_merge_method.experiment.report.standing import beats_random_layers, gains_more_per_damage
from sae_merge_method.reports.numbers import p_value
from sae_merge_method.statistics.multiplicity import adjusted


class Claim(NamedTuple):
    """One row."""

    text: str
    """What may hold, as a sentence."""
    arms: tuple[str, ...]
    """Rows of the table of arms that it takes to tell."""
    judge: Judge
    """Puts the claim to its test."""
    reach: Reaches = two_scores
    """How small a p its test can give, known before any arm is run."""
    assumes: str = "problems are answered independently of one another"
    """What its test takes to be so."""

    def lacks(self, arms: Iterable[str]) -> tuple[str, ...]:
        """Those of its rows that none of these arms is of."""
        names = list(arms)
        return tuple(row for row in self.arms if not any(ARMS[row].owns(name) for name in names))


def _contrast(text: str, one: str, other: str, meaning: Mapping[Answer, str] | None = None) -> Claim:
    return Claim(text, (one, other), beats(one, other, meaning))


_SETS = "what layers gain is smooth in depth, and near normal over sets of them"

CLAIMS: dict[str, Claim] = {
    "improves": Claim(
        "the edit improves what is evaluated", ("stethoscope", "base"), improves("stethoscope", "base")
    ),
    "beats projection": _contrast("the raw task vector beats its projection", "stethoscope", "scalpel"),
    "span keeps": Claim(
        "the features' span keeps more of the task vector than other features of the same SAE",
        ("scalpel",),
        span_keeps,
        other_features,
        "what sets of other features keep is near normal",
    ),
    "span matters": _contrast(
        "the features' span beats a random subspace of its rank", "scalpel", "scalpel-random"
    ),
    "direction matters": _contrast(
        "at the projection's energy, the raw direction still beats it",
        "stethoscope-energy-matched",
        "scalpel",
        {
            "yes": "more than its small size holds the projection back",
            "not shown": "its small size alone may be why the projection does so little",
        },
    ),
    "beats random layers": Claim(
        "the selected layers beat random layers matched with them",
        ("stethoscope", "random-layers"),
        beats_random_layers,
        matched_sets,
        _SETS,
    ),
    "beats same depth": _contrast(
        "the selected layers beat others at the same depth", "stethoscope", "depth-matched"
    ),
    "beats largest": _contrast(
        "the selected layers beat those that moved most", "stethoscope", "largest-task-vector"
    ),
    "beats lowest": _contrast(
        "the selected layers beat those with the lowest scores", "stethoscope", "lowest-specificity"
    ),
    "beats damped": _contrast(
        "the selected layers beat the same energy spread over all layers", "stethoscope", "all-layers-damped"
    ),
    "beats all layers": _contrast(
        "the selected layers beat all layers at the same weight", "stethoscope", "all-layers"
    ),
    "above the curve": Claim(
        "the selected layers gain more than all layers damped to the same damage",
        ("stethoscope", "damped"),
        above_curve,
        two_scores_and_documents,
        "problems and documents are independent; the curve is straight between two weights",
    ),
    "score predicts": Claim(
        "the score predicts what a layer gains alone",
        ("layer",),
        score_predicts(beyond_depth=False),
        single_layers,
        "profiles over depth are smooth, and as likely shifted or mirrored",
    ),
    "score predicts beyond depth": Claim(
        "it does so beyond what depth and injected energy predict",
        ("layer",),
        score_predicts(beyond_depth=True),
        single_layers,
        "the same; depth tells by a rise, a fall or an arch",
    ),
    "unharmed": Claim(
        "general text is unharmed",
        ("stethoscope",),
        unharmed("stethoscope"),
        documents,
        "documents are independent of one another, and enough for the skewness of their changes",
    ),
    "gains per damage": Claim(
        "the selected layers gain more per damage to general text than matched random layers",
        ("stethoscope", "random-layers"),
        gains_more_per_damage(beside="all-layers"),
        matched_sets_and_documents,
        f"{_SETS}; damage is known well beside the margin",
    ),
    "holds elsewhere": Claim(
        "this holds for other models, donors, tasks and seeds",
        (),
        lambda experiment: untested("one base, one donor, one diagnosis, one run of each arm"),
        nothing,
        "",
    ),
}
"""All claims by a short name, in the order of a reader's questions."""


def conclusions(experiment: Experiment) -> tuple[Conclusion, ...]:
    """What the experiment says of every claim, after Holm's correction over all that were tested."""
    judged = [within_reach(claim.judge(experiment), experiment.alpha) for claim in CLAIMS.values()]
    corrected = adjusted([one.p for one in judged])
    together = Family(sum(p is not None for p in corrected), experiment.alpha)
    concluded = []
    for claim, one, p in zip(CLAIMS.values(), judged, corrected, strict=True):
        verdict = answer(one.effect, p, experiment.alpha)
        corrections = [f"Holm p {p_value(p)}" if p is not None else "", _floor(one, verdict, together)]
        parts = [one.evidence, *corrections, one.meaning.get(verdict, "")]
        evidence = "; ".join(part for part in parts if part)
        concluded.append(
            Conclusion(claim=claim.text, answer=verdict, p=one.p, p_adjusted=p, evidence=evidence)
        )
    return tuple(concluded)


def _floor(judged: Judged, verdict: Answer, together: Family) -> str:
    """That a claim is not shown may be its test's doing, not the arms': how much it can say among so many."""
    needed = together.smaller_needed(judged.least_p) if verdict == "not shown" else 0
    if not needed:
        return ""
    others = "another claim has" if needed == 1 else f"{needed} other claims have"
    return f"no p is below {p_value(judged.least_p)}: it cannot be shown unless {others} a smaller one"


def conclusion_lines(experiment: Experiment) -> list[str]:
    """Each conclusion as a line of text."""
    return [f"{one.claim}: {one.answer}, {one.evidence}" for one in experiment.conclusions]


def how_to_read(experiment: Experiment) -> str:
    """What "yes" and its like mean, in a paragraph."""
    against = "lower" if experiment.higher_is_better else "higher"
    tested = sum(one.p is not None for one in experiment.conclusions)
    return (
        f"Each claim is one test; the {tested} that were tested are corrected together by Holm, and the "
        f"answer is that of the corrected p at the {experiment.alpha:.0%} level. yes: significant; no: "
        "significant the other way; not shown: neither, which is no proof of the opposite; not tested: these "
        "arms cannot tell. Two arms are held against each other by their answers to the same problems where "
        "samples were logged; the paper's z takes their scores for those of unrelated problems. Subjects are "
        "corrected by Holm among themselves. A t holds the pick against one "
        "more set like the random ones that are matched with it. What layers gain is smooth in depth: a rank "
        "correlation over layers is held against the same profile shifted and mirrored. "
        f"{experiment.metric}: {against} is worse."
    )
