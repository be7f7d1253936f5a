"""Where the pick stands among arms with other layers."""

from collections.abc import Iterable, Sequence

from sae_merge_method.artifacts.experiment import Arm, Rank
from sae_merge_method.experiment.report.names import RANDOM_LAYERS
from sae_merge_method.statistics.permutation import upper_tail


def rank_among(value: float, others: Sequence[float]) -> Rank | None:
    """The rank of a value among others; None without others. Who is as good counts as better.

    ``p = (1 + better) / (1 + others)`` (Phipson & Smyth 2010): the value itself is one of the draws,
    so p is never 0, and it is exact where all sets of layers were equally likely to be the pick.
    """
    if not others:
        return None
    tail = upper_tail(value, others)
    return Rank(better=tail.at_least, others=tail.draws, p=tail.p)


def random_sets(arms: Iterable[Arm], pick: Arm) -> list[Arm]:
    """Arms whose layers were drawn at random."""
    return [arm for arm in other_layers(arms, pick) if arm.name.startswith(RANDOM_LAYERS)]


def other_layers(arms: Iterable[Arm], pick: Arm) -> list[Arm]:
    """Arms with as many layers as the pick, but others; of the same set only the first."""
    found: dict[tuple[int, ...], Arm] = {}
    for arm in arms:
        fits = len(arm.layers) == len(pick.layers) and set(arm.layers) != set(pick.layers)
        if arm.role == "layers" and fits and not arm.mismatches:
            found.setdefault(tuple(sorted(arm.layers)), arm)
    return list(found.values())
