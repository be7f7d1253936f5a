"""The table of claims: what an experiment may support, and who judges it, whoever it pleases.

Every claim is put to one test at the plan's level. "yes" and "no" each take significance, one in the
claim's direction, the other against it; "not shown" is not "no"; and what no arm tests is "not tested".
Conclusions, reports, help and plans read the table.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sae_merge_method.artifacts.experiment import Answer, Conclusion, Experiment
from sae_merge_method.controls.arms import ARMS
from sae_merge_method.experiment.report.contrasts import Judge, Judged, beats, improves, span_keeps, unharmed
from sae_merge_method.experiment.report.standing import (
    beats_random_layers,
    gains_more_per_damage,
    score_predicts,
)


class Claim(NamedTuple):
    """One row."""

    text: str
    """What may hold, as a sentence."""
    arms: tuple[str, ...]
    """Rows of the table of arms that it takes to tell."""
    judge: Judge
    """Puts the claim to its test."""

    def lacks(self, arms: Iterable[str]) -> tuple[str, ...]:
        """Those of its rows that none of these arms is of."""
        names = list(arms)
        return tuple(row for row in self.arms if not any(ARMS[row].owns(name) for name in names))


def _contrast(text: str, one: str, other: str, meaning: Mapping[Answer, str] | None = None) -> Claim:
    return Claim(text, (one, other), beats(one, other, meaning))


CLAIMS: dict[str, Claim] = {
    "improves": Claim(
        "the edit improves what is evaluated", ("stethoscope", "base"), improves("stethoscope", "base")
    ),
    "beats projection": _contrast("the raw task vector beats its projection", "stethoscope", "scalpel"),
    "span keeps": Claim(
        "the features' span keeps more of the task vector than chance", ("scalpel",), span_keeps
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
        "the selected layers beat random layers", ("stethoscope", "random-layers"), beats_random_layers
    ),
    "beats same depth": _contrast(
        "the selected layers beat others at the same depth", "stethoscope", "depth-matched"
    ),
    "beats largest": _contrast(
        "the selected layers beat those that moved most", "stethoscope", "largest-task-vector"
    ),
    "beats lowest": _contrast(
        "the selected layers beat the least specific ones", "stethoscope", "lowest-specificity"
    ),
    "beats damped": _contrast(
        "the selected layers beat the same energy spread over all layers", "stethoscope", "all-layers-damped"
    ),
    "beats all layers": _contrast(
        "the selected layers beat all layers at the same weight", "stethoscope", "all-layers"
    ),
    "score predicts": Claim("the score predicts what a layer gains alone", ("layer",), score_predicts),
    "unharmed": Claim("general text is unharmed", ("stethoscope",), unharmed("stethoscope")),
    "gains per damage": Claim(
        "the selected layers gain more per damage to general text than random layers",
        ("stethoscope", "random-layers"),
        gains_more_per_damage(beside="all-layers"),
    ),
    "holds elsewhere": Claim(
        "this holds for other models, donors, tasks and seeds",
        (),
        lambda experiment: Judged("not tested", "one base, one donor, one diagnosis, one run of each arm"),
    ),
}
"""All claims by a short name, in the order of a reader's questions."""


def conclusions(experiment: Experiment) -> tuple[Conclusion, ...]:
    """What the experiment says of every claim."""
    judged = [(claim.text, claim.judge(experiment)) for claim in CLAIMS.values()]
    return tuple(
        Conclusion(claim=text, answer=verdict.answer, evidence=verdict.evidence) for text, verdict in judged
    )


def conclusion_lines(experiment: Experiment) -> list[str]:
    """Each conclusion as a line of text."""
    return [f"{one.claim}: {one.answer}, {one.evidence}" for one in experiment.conclusions]


def how_to_read(experiment: Experiment) -> str:
    """What "yes" and its like mean, in a paragraph."""
    against = "lower" if experiment.higher_is_better else "higher"
    return (
        f"Each claim is one test at the {experiment.alpha:.0%} level, not corrected for their number. "
        "yes: significant; no: significant the other way; not shown: neither, which is no proof of the "
        "opposite; not tested: these arms cannot tell. A z holds two scores against each other with "
        "lm-eval's standard errors, unpooled, as the paper does; subjects are corrected by Holm. "
        f"{experiment.metric}: {against} is worse."
    )
