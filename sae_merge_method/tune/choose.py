"""The choice: the few best edits of the search measured on texts that it never saw, and one of them taken."""

from collections.abc import Sequence
from typing import NamedTuple

from sae_merge_method.statistics.losses import RatioChange, upper_p
from sae_merge_method.tune.bench import Bench, Measured
from sae_merge_method.tune.edit import Edit
from sae_merge_method.tune.parts import CHOICE
from sae_merge_method.tune.search import Candidate, TuneError

_AIM = 0.9
"""Of the budget: how large an edit's damage should be that was too large before."""


class Chosen(NamedTuple):
    """The edit that was taken."""

    candidate: Candidate
    """As the search found it."""
    scaled: float
    """Factor that made it smaller since; 1 for none."""
    measured: Measured
    """On the choice part."""


def choose(bench: Bench, finalists: Sequence[Candidate], budget: float, alpha: float) -> Chosen:
    """Take the finalist that gains most on the choice part within the budget.

    Where all of them do more damage there than is allowed, each is made smaller once.

    Args:
        bench: To measure on.
        finalists: From the search, at least one.
        budget: Damage that is allowed, in nats a token.
        alpha: Level at which the gain has to be shown, corrected for the number of finalists (Bonferroni).

    Raises:
        TuneError: None is within the budget, or none is shown to gain anything.
    """
    tried = [Chosen(one, 1.0, bench.measure(one.edit, CHOICE)) for one in finalists]
    within = [one for one in tried if one.measured.damage <= budget]
    if not within:
        tried += [_smaller(bench, one, budget) for one in tried]
        # One that was made so small that nothing is left of it is no edit.
        within = [one for one in tried if one.measured.damage <= budget and one.measured.edit.layers]
    if not within:
        least = min((one for one in tried if one.measured.edit.layers), key=lambda one: one.measured.damage)
        raise TuneError(
            f"no edit meets the budget of {budget:g} nats a token on the choice part, though edits did on "
            f"the search part: the least damage is {least.measured.damage:.4g} ({least.candidate.family}); "
            "more control text tells them apart"
        )
    best = max(within, key=lambda one: one.measured.gain)
    p = chance_of_gain(best.measured.target)
    if best.measured.gain <= 0 or min(1.0, p * len(tried)) >= alpha:
        raise TuneError(
            f"no edit is shown to help on the choice part: the best ({best.candidate.family}) gains "
            f"{best.measured.gain:.4g} nats a token, p {min(1.0, p * len(tried)):.2g} for {len(tried)} "
            f"finalists; on the search part it gained {best.candidate.measured.gain:.4g}"
        )
    return best


def chance_of_gain(change: RatioChange) -> float:
    """One-sided p of Student's t that a loss fell; 0 or 1 where all texts moved alike.

    A gate, not a result: small parts are let through that are too few for their skewness.
    """
    if change.stderr is None:
        return 0.0 if change.delta < 0 else 1.0
    return upper_p(-change.delta / change.stderr, change.df)


def _smaller(bench: Bench, one: Chosen, budget: float) -> Chosen:
    # Damage grows at least as the weight does: then this is small enough.
    factor = _AIM * budget / one.measured.damage
    edit = Edit.of(factor * one.candidate.edit.array)
    return Chosen(one.candidate, factor, bench.measure(edit, CHOICE))
