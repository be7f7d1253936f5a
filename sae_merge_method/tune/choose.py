"""The choice: the few best edits of the search measured on texts that it never saw, and one of them taken.

Where a task judges, it chooses as well: what lowers a loss may answer no more problems.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from sae_merge_method.statistics.losses import RatioChange, upper_p
from sae_merge_method.tune.bench import MeasuredEdit
from sae_merge_method.tune.edit import Edit
from sae_merge_method.tune.exam import Panel
from sae_merge_method.tune.scaling import largest_within, up_to_damage
from sae_merge_method.tune.search import Candidate, TuneError
from sae_merge_method.tune.splits import CHOICE

_LESS = 0.7
"""Factor of an edit that lost too many points, which grow in no known way."""


class Chosen(NamedTuple):
    """The edit that was taken."""

    candidate: Candidate
    """As the search found it."""
    scaled: float
    """Factor that made it smaller since; 1 for none."""
    measured: MeasuredEdit
    """On the choice part."""


def choose(panel: Panel, finalists: Sequence[Candidate], budget: float, alpha: float) -> Chosen:
    """Take the finalist that gains most on the choice part within the budget: by the task, if there is one.

    One that does more damage there than is allowed is made smaller: as large as that damage lets it be. So
    luck on the search part's control texts, which the best of many edits has had, costs it weight and not
    its place. Controls alone tell how much smaller, so that one gain is looked at for every finalist.

    Args:
        panel: To measure by.
        finalists: From the search, at least one.
        budget: Damage that is allowed, in nats a token.
        alpha: Level at which the gain in loss has to be shown, corrected for the number of finalists
            (Bonferroni).

    Raises:
        TuneError: None is within the budget, or none is shown to gain anything.
    """
    bench = panel.bench
    bench.measure(bench.base, CHOICE)
    bench.ahead([partial(panel.ask, one.edit, CHOICE) for one in finalists])
    as_searched = [Chosen(one, 1.0, bench.measure(one.edit, CHOICE)) for one in finalists]
    kept = [_allowed(panel, one, budget) for one in as_searched]
    harmful = [one for one, is_kept in zip(as_searched, kept, strict=True) if not is_kept]
    bench.ahead([partial(_smaller, panel, one, budget) for one in harmful])
    tried = [
        one if is_kept else _smaller(panel, one, budget)
        for one, is_kept in zip(as_searched, kept, strict=True)
    ]
    within = [one for one in tried if _allowed(panel, one, budget)]
    if not within:
        raise TuneError(_too_harmful(panel, [*harmful, *tried], budget))
    best = max(within, key=lambda one: (_score(panel, one), one.measured.gain))
    p = chance_of_gain(best.measured.target)
    if best.measured.gain <= 0 or min(1.0, p * len(tried)) >= alpha:
        raise TuneError(
            f"no edit is shown to help on the choice part: the best ({best.candidate.family}) gains "
            f"{best.measured.gain:.4g} nats a token, p {min(1.0, p * len(tried)):.2g} for {len(tried)} "
            f"finalists; on the search part it gained {best.candidate.measured.gain:.4g}"
        )
    if panel.task is not None:
        base = panel.task.mean(bench, bench.base, CHOICE)
        if _score(panel, best) <= base:
            raise TuneError(
                f"no edit helps on {panel.task.name}: the best ({best.candidate.family}) has "
                f"{_score(panel, best):.3f} of {panel.task.metric} on the choice part, the base {base:.3f}, "
                f"though its loss fell by {best.measured.gain:.4g} nats a token"
            )
    return best


def chance_of_gain(change: RatioChange) -> float:
    """One-sided p of Student's t that a loss fell; 0 or 1 where all texts moved alike.

    A gate, not a result: small parts are let through that are too few for their skewness.
    """
    if change.stderr is None:
        return 0.0 if change.delta < 0 else 1.0
    return upper_p(-change.delta / change.stderr, change.df)


def _allowed(panel: Panel, one: Chosen, budget: float) -> bool:
    edit = one.measured.edit
    # One that was made so small that nothing is left of it is no edit.
    return bool(edit.layers) and one.measured.damage <= budget and panel.keeps(edit, CHOICE)


def _score(panel: Panel, one: Chosen) -> float:
    """On the task; the same for all where there is none."""
    return 0.0 if panel.task is None else panel.task.mean(panel.bench, one.measured.edit, CHOICE)


def _smaller(panel: Panel, one: Chosen, budget: float) -> Chosen:
    """The largest of its shape whose damage is allowed, or the least harmful that was tried."""
    shape = one.candidate.edit.array
    if one.measured.damage <= budget:  # the guard is what it harms
        return Chosen(one.candidate, _LESS, panel.bench.measure(Edit.of(_LESS * shape), CHOICE))
    tries = list(up_to_damage(panel.bench, shape, CHOICE, budget, most=float(shape.max())))
    best = largest_within(tries, budget) or min(tries, key=lambda each: each.measured.damage)
    return Chosen(one.candidate, best.factor, best.measured)


def _too_harmful(panel: Panel, tried: Sequence[Chosen], budget: float) -> str:
    edits = [one for one in tried if one.measured.edit.layers]
    least = min(edits, key=lambda one: one.measured.damage)
    if least.measured.damage > budget:
        return (
            f"no edit meets the budget of {budget:g} nats a token on the choice part, though edits did on "
            f"the search part: the least damage is {least.measured.damage:.4g} ({least.candidate.family}); "
            "more control text tells them apart"
        )
    assert panel.guard is not None
    least = min(edits, key=lambda one: panel.lost(one.measured.edit, CHOICE))
    lost = panel.lost(least.measured.edit, CHOICE)
    return (
        f"no edit meets the budget of {panel.points:g} points of {panel.guard.name} on the choice part: the "
        f"least that is lost is {lost:.3g} ({least.candidate.family}), of "
        f"{panel.guard.sizes[CHOICE]} problems; more of them tell edits apart"
    )
