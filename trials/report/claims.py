"""For and against, in sentences that rules make of the figures. One model is a lead, never a law."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from sae_merge_method.reports.grid import Cell, Grid
from sae_merge_method.reports.numbers import signed
from trials.experiments import OWN_SCORE
from trials.report.arms import KindFigures, Pair, beside, harms
from trials.report.layers import ALPHA, Alike, Ranked, mean
from trials.report.read import Findings
from trials.report.tuned import TunedPair
from trials.report.words import counted

Side = Literal["for", "against", "neither"]
_OF_THE_CURVE = "damped to the same damage"
"""In the words of the claim that holds an arm against the damping curve."""
BLIND = 0.9
"""Profiles of different abilities that rank as alike as this are of the layer more than of the ability."""


class Statement(NamedTuple):
    """One sentence, and for whom it speaks."""

    side: Side
    """For or against the paper, or neither."""
    text: str


def statements(
    gains: Mapping[str, Mapping[str, Ranked]],
    likeness: Mapping[str, Alike],
    kinds: Sequence[KindFigures],
    pairs: Sequence[TunedPair],
) -> list[Statement]:
    """All that can be said of what stands."""
    by_kind = {one.kind: one for one in kinds}
    made = [
        _score_against_gain(gains),
        _blindness(likeness),
        _pick_against_curve(by_kind),
        _pick_against_random(by_kind),
        _raw_against_projection(by_kind),
        _knowing_scores(gains),
        _tuned(pairs),
    ]
    return [one for one in made if one is not None]


def _score_against_gain(gains: Mapping[str, Mapping[str, Ranked]]) -> Statement | None:
    rows = gains.get(OWN_SCORE, {})
    rhos = [one.rho for one in rows.values() if one.rho is not None]
    if not rhos:
        return None
    shown = sum(one.is_shown and (one.rho or 0.0) > 0 for one in rows.values())
    side: Side = "for" if 2 * shown > len(rows) else "against"
    verb = "predicts" if side == "for" else "is not shown to predict"
    return Statement(
        side,
        f"The specificity of a layer ({OWN_SCORE}) {verb} what injecting it alone gains: rank correlation "
        f"{signed(mean(rhos))} in the mean{_over(len(rhos), len(rows))} ({signed(min(rhos))} to "
        f"{signed(max(rhos))}), and beyond depth, by the smooth null, above 0 for {shown} of "
        f"{counted(len(rows), 'donor')}.",
    )


def _blindness(likeness: Mapping[str, Alike]) -> Statement | None:
    one, own = likeness.get(OWN_SCORE), likeness.get("a layer's own gain")
    if one is None or not one.abilities:
        return None
    rho = mean(one.abilities)
    beside = (
        f"; what layers really gain agrees at {signed(mean(own.abilities))}" if own and own.abilities else ""
    )
    if rho >= BLIND:
        said = "The score describes the layer more than the ability"
        return Statement(
            "against", f"{said}: its profiles of different abilities agree at {signed(rho)}{beside}."
        )
    return Statement(
        "neither", f"The score's profiles of different abilities agree at {signed(rho)}{beside}."
    )


def _pick_against_curve(kinds: Mapping[str, KindFigures]) -> Statement | None:
    pick, pair = kinds.get("stethoscope"), beside(kinds.get("stethoscope"), kinds.get("all-layers"))
    if pick is None or pair is None:
        return None
    if not pick.stands:
        return Statement(
            "neither",
            "No donor is shown to harm prose with all its layers, so none buys less damage by a choice of "
            "layers, and nothing can be held against the damping curve at equal damage. The pick gains "
            f"{_told(pair, 0)}, all layers at weight 1 {_told(pair, 1)} ({_means(pair)}).",
        )
    if not pick.excess:
        return Statement(
            "neither",
            "In exact answers the layers that the paper's road picks cannot be held against all layers "
            f"damped to the same damage, for {counted(sum(pick.stands.values()), 'donor')}. In answer loss "
            f"they lie {_loss(pick)}.",
        )
    above, below = pick.stands.get("above", 0), pick.stands.get("below", 0)
    side: Side = "for" if above > below else "against" if below > above else "neither"
    return Statement(
        side,
        f"The layers that the paper's road picks gain {100 * mean(pick.excess):+.1f} points beside all "
        f"layers damped to the same damage, in the mean over {counted(len(pick.excess), 'donor')}: shown "
        f"above for {above}, below for {below}. In answer loss they lie {_loss(pick)}.",
    )


def _loss(one: KindFigures) -> str:
    if not one.excess_nats:
        return "nowhere that could be told"
    counts = one.stands_in_loss
    return (
        f"{mean(one.excess_nats):+.3f} nats a token beside it{_over(len(one.excess_nats), len(one.excess))} "
        f"(above for {counts.get('above', 0)}, below for {counts.get('below', 0)})"
    )


def _over(donors: int, told: int) -> str:
    """Over how many donors a mean is, where that is another number than the sentence tells of."""
    return "" if donors == told else f" over {counted(donors, 'donor')}"


def _means(pair: Pair) -> str:
    return f"means over {counted(pair.donors, 'donor')}" if pair.donors > 1 else "of 1 donor"


def _pick_against_random(kinds: Mapping[str, KindFigures]) -> Statement | None:
    pair = beside(kinds.get("stethoscope"), kinds.get("random-layers"))
    if pair is None:
        return None
    word = "better" if pair.nats[0] > pair.nats[1] else "worse"
    return Statement(
        "neither",
        f"The pick gains {_told(pair, 0)}, matched random sets {_told(pair, 1)}: the pick is the {word} of "
        f"the two in loss ({_means(pair)}; no test).",
    )


def _told(pair: Pair, which: int) -> str:
    return f"{100 * pair.gains[which]:+.1f} points and {pair.nats[which]:+.3f} nats a token of the answer"


def _raw_against_projection(kinds: Mapping[str, KindFigures]) -> Statement | None:
    pair = beside(kinds.get("stethoscope"), kinds.get("scalpel"))
    if pair is None:
        return None
    better = pair.nats[0] > pair.nats[1]
    return Statement(
        "for" if better else "against",
        f"The raw task vector gains {'more' if better else 'no more'} than its projection on the chosen "
        f"features: {_told(pair, 0)} against {_told(pair, 1)} ({_means(pair)} that "
        f"{'has' if pair.donors == 1 else 'have'} both); whether that is its direction or only its size, "
        "twins at the projection's energy tell, where they were run.",
    )


def _knowing_scores(gains: Mapping[str, Mapping[str, Ranked]]) -> Statement | None:
    known = {name: [one.rho for one in rows.values() if one.rho is not None] for name, rows in gains.items()}
    means = {name: mean(rhos) for name, rhos in known.items() if rhos}
    if not means:
        return None
    best = max(means, key=lambda name: means[name])
    over = _over(len(known[best]), len(gains[best]))
    shown = sum(one.is_shown for one in gains[best].values())
    return Statement(
        "neither",
        f"Of all scores {best} ranks best with what a layer gains alone: {signed(means[best])} in the mean"
        f"{over}, shown beyond depth (p < {ALPHA:g}) for {shown} of {counted(len(gains[best]), 'donor')}.",
    )


def _tuned(pairs: Sequence[TunedPair]) -> Statement | None:
    if not pairs:
        return None
    curves = [one.tune.beside_curve for one in pairs]
    above = [one for one in curves if one.stands == "above"]
    everywhere = sum(one.share is None for one in above)
    less = sum(one.tune.equal_gain.damages == "less" for one in pairs)
    half = sum(one.is_half for one in pairs)
    beyond = sum(one.beyond for one in pairs)
    return Statement(
        "neither",
        f"Measured rather than guessed: tune finds edits above the damping curve for {len(above)} of "
        f"{counted(len(pairs), 'donor')} by the paired test, at equal damage or, for {everywhere}, by more "
        "gain than all layers have at any weight. At equal gain they are shown to do less damage than all "
        f"layers for {less}, half of it or less for {half}; for {beyond} there is no equal gain, since no "
        "weight of all layers reaches theirs.",
    )


def conclusions_grid(findings: Findings) -> Grid:
    """What the experiments' own claims say, counted over donors."""
    answers = ("yes", "no", "not shown", "not tested")
    counted: dict[str, dict[str, int]] = {}
    for run in findings.runs:
        for one in run.experiment.conclusions if run.experiment else ():
            if _OF_THE_CURVE in one.claim and not harms(run):
                continue  # a curve along which damage does not rise holds nothing against anything
            of_claim = counted.setdefault(one.claim, dict.fromkeys(answers, 0))
            of_claim[one.answer] += 1
    rows = [
        (Cell(claim, claim), *(Cell(str(count[answer]), count[answer]) for answer in answers))
        for claim, count in counted.items()
        if count["not tested"] < sum(count.values())
    ]
    return Grid(("claim", *answers), tuple(rows), frozenset(("claim",)))
