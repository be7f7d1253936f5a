"""What layers score by dictionaries that nobody trained, and the sentence that every report says of it."""

from collections.abc import Mapping, Sequence

from pydantic import Field

from sae_merge_method.artifacts.schema import Record
from sae_merge_method.artifacts.unit import UnitField
from sae_merge_method.layers import LayerModule, Unit
from sae_merge_method.reports import numbers


class DictionaryScores(Record):
    """Every layer's scores with another dictionary in the SAE's place."""

    name: str
    """Name of the dictionary: random for random directions, none for the residual stream's own
    coordinates."""
    description: str
    """Where those scores are found, as a sentence says it."""
    scores: dict[str, dict[UnitField, float]] = Field(default_factory=dict)
    """By name of a score, every layer's: the diagnosis' own and all that read mean usage alone, less the mean
    under shuffled labels where labels were shuffled."""


def dictionary_sentence(
    score: str, of_layers: Mapping[Unit, float], dictionaries: Sequence[DictionaryScores]
) -> str | None:
    """What of the scores is there without the SAE, and whether the layers come in the same order.

    None where no other dictionary was used, or not by this score.

    Args:
        score: Name of the score.
        of_layers: By layer, with the SAE.
        dictionaries: The same with others.
    """
    known = [(one.description, one.scores[score]) for one in dictionaries if score in one.scores]
    if not known:
        return None
    there = [f"{numbers.decimal(_mean(others))} are there {words}" for words, others in known]
    alike = [
        _rank_correlation(list(of_layers.values()), [others[layer] for layer in of_layers])
        for _, others in known
    ]
    units = "modules" if any(isinstance(unit, LayerModule) for unit in of_layers) else "layers"
    agree = " and ".join("undefined" if rho is None else f"{rho:+.2f}" for rho in alike)
    return (
        f"Of {numbers.decimal(_mean(of_layers))} {score.replace('_bits', ' bits').replace('_', ' ')} "
        f"(corrected, mean over {units}) {' and '.join(there)}; the order of the {units} agrees at {agree} "
        "(rank correlation)."
    )


def _mean(scores: Mapping[Unit, float]) -> float:
    return sum(scores.values()) / len(scores)


def _rank_correlation(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Spearman's; None where there are fewer than three layers or one side does not vary."""
    if len(one) < 3 or len(set(one)) == 1 or len(set(other)) == 1:
        return None
    from scipy.stats import spearmanr

    return float(spearmanr(one, other).statistic)
