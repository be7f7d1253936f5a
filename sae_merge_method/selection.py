"""Rules that choose layers, or parts of layers, from their scores: ``top_k=6``, ``threshold=0.8``, ...

Pure functions from scores to layers; the same rule read from a command line, from a recipe
or from a diagnosis chooses the same layers. :data:`RULES` is the one list of them.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, NamedTuple

from sae_merge_method.artifacts.schema import OneOf
from sae_merge_method.errors import UsageError
from sae_merge_method.layers import Unit, UnitT, by_depth, format_layers, named_units, parse_units
from sae_merge_method.spacing import NO_NEIGHBOURS, Apart, highest_apart, read_apart, read_count


class LayerScores(NamedTuple):
    """What rules can read of a diagnosis, by layer or part of a layer."""

    scores: Mapping[Any, float]
    """Specificity of all that were diagnosed."""
    q_values: Mapping[Any, float] | None = None
    """Benjamini-Hochberg q of the same; None where no labels were shuffled."""

    def ranked(self) -> list[Any]:
        """The layers, highest score first; ties go to the lower layer."""
        return sorted(self.scores, key=lambda layer: (-self.scores[layer], by_depth(layer)))


def _written(value: int | float) -> str:
    """The shortest text that reads back as the same number."""
    short = f"{value:g}"
    return short if float(short) == value and "e" not in short else repr(value)


@dataclass(frozen=True)
class Rule:
    """A named way to choose layers: one row of the registry."""

    name: str
    example: str
    """The rule as a user writes it."""
    description: str
    """Which layers the example takes, for help texts."""
    choose: Callable[[Any, LayerScores], Iterable[Any]]
    """The rule's value and the scores to layers, in whatever order."""
    read: Callable[[str], Any] | None = None
    """What stands behind the "=" to the rule's value; a ValueError says what it must be. None: no value."""
    write: Callable[[Any], str] = _written
    """The rule's value as ``read`` reads it."""
    needs: tuple[str, ...] = ("scores",)
    """Fields of :class:`LayerScores` that decide; none where the rule itself names the layers."""


def _number(what: str, low: float = -math.inf, high: float = math.inf) -> Callable[[str], float]:
    """Reads a number between two bounds that it must not reach."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low < value < high:
            raise ValueError(what)
        return value

    return read


def _highest(apart: Apart, layers: LayerScores) -> Iterable[Unit]:
    if apart.size > len(layers.scores):
        raise UsageError(f"top_k={apart} asks for more layers than have a score ({len(layers.scores)})")
    if apart.gap == 1:
        return layers.ranked()[: apart.size]
    return highest_apart(layers.scores, apart, f"top_k={apart}")


def _spread(count: int, layers: LayerScores) -> Iterable[Unit]:
    return highest_apart(layers.scores, Apart(count, NO_NEIGHBOURS), f"spread={count}")


def _above(limit: float, layers: LayerScores) -> list[Unit]:
    return [layer for layer, score in layers.scores.items() if score >= limit]


def _discoveries(rate: float, layers: LayerScores) -> list[Unit]:
    return [layer for layer, q in (layers.q_values or {}).items() if q <= rate]


def _above_largest_gap(_: None, layers: LayerScores) -> list[Unit]:
    """The layers above the largest drop between neighbours in the order of scores, at least one."""
    ranked = layers.ranked()
    gaps = [layers.scores[high] - layers.scores[low] for high, low in pairwise(ranked)]
    return ranked[: gaps.index(max(gaps)) + 1] if gaps else ranked


def _named(named: tuple[Unit, ...], layers: LayerScores) -> tuple[Unit, ...]:
    unscored = set(named) - set(layers.scores)
    if unscored:
        raise UsageError(f"no score for {named_units(unscored)} named by layers={format_layers(named)}")
    return named


RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule(
            "top_k",
            "top_k=6",
            "the 6 layers with the highest scores; top_k=6,gap=3: of sets of 6, any two at least 3 layers "
            "apart, the one with the largest sum",
            _highest,
            read_apart,
            str,
        ),
        Rule(
            "spread",
            "spread=6",
            "of sets of 6 layers, no two of them neighbours, the one with the largest sum of scores; parts "
            "are neighbours in their own layer, and in those next to it",
            _spread,
            read_count,
        ),
        Rule(
            "threshold", "threshold=0.8", "layers that score 0.8 or more", _above, _number("a finite number")
        ),
        Rule(
            "elbow", "elbow", "layers above the largest gap between neighbouring scores", _above_largest_gap
        ),
        Rule(
            "layers",
            "layers=9,11-13",
            "these layers, or parts of them as in layers=11.attn,13.mlp, whatever they score",
            _named,
            parse_units,
            lambda layers: format_layers(layers).replace(" ", ""),
            needs=(),
        ),
        Rule(
            "differs",
            "differs=0.05",
            "layers whose features are used differently at all, at most 5 % of them by chance: between "
            "any two kinds of text mostly all of them",
            _discoveries,
            _number("a number between 0 and 1", 0, 1),
            needs=("scores", "q_values"),
        ),
    )
}
"""All rules by name: a row here is all that a new one takes."""


@dataclass(frozen=True)
class SelectionRule:
    """One rule with its value. ``str(rule)`` writes it the way :func:`parse_rule` reads it."""

    name: str
    """Of its row in :data:`RULES`."""
    value: int | float | str | tuple[Unit, ...] | Apart | None = None
    """As the row's ``read`` gives it."""

    def __str__(self) -> str:
        row = RULES[self.name]
        return self.name if row.read is None else f"{self.name}={row.write(self.value)}"

    def needs(self, field: str) -> bool:
        """Whether the choice depends on that field of :class:`LayerScores`."""
        return field in RULES[self.name].needs


def parse_rule(text: str) -> SelectionRule:
    """Read a rule such as ``top_k=6``.

    Raises:
        UsageError: Unknown rule, or a value the rule cannot take.
    """
    name, equals, value = text.strip().partition("=")
    row = RULES.get(name)
    if row is None:
        examples = [row.example for row in RULES.values()]
        choices = f"{', '.join(examples[:-1])} or {examples[-1]}"
        raise UsageError(f"unknown selection rule {text!r}: expected {choices}")
    if row.read is None:
        if equals:
            raise UsageError(f"the rule {name} takes no value, got {text!r}")
        return SelectionRule(name)
    try:
        return SelectionRule(name, row.read(value))
    except ValueError as error:
        raise UsageError(
            f"selection rule {text!r}: expected {error} behind {name}=, such as {row.example}"
        ) from None


ANY_RULE = OneOf(RULES, parse_rule)
RuleText = Annotated[str, ANY_RULE]
"""A setting that holds a rule as text."""


def choose_layers(
    rule: SelectionRule,
    scores: Mapping[UnitT, float],
    q_values: Mapping[Any, float] | None = None,
) -> tuple[UnitT, ...]:
    """Apply ``rule`` to scores of layers, or of parts of layers; ties go to the lower layer. May choose none.

    Args:
        rule: From :func:`parse_rule`.
        scores: Specificity of all that were diagnosed.
        q_values: Benjamini-Hochberg q-values of the same, for rules that need them.

    Raises:
        UsageError: The rule asks for more layers than were scored, for layers without a
            score, or for q-values that are not there.
    """
    if rule.needs("q_values") and q_values is None:
        raise UsageError(f"the rule {rule.name} needs q-values, and this diagnosis has none")
    chosen: Iterable[UnitT] = RULES[rule.name].choose(rule.value, LayerScores(scores, q_values))
    return tuple(sorted(chosen, key=by_depth))


def agreement(
    rule: SelectionRule, chosen: Iterable[Unit], others: Iterable[Mapping[Any, float]]
) -> float | None:
    """How much a choice owes to the scores it was made from: its mean overlap with what others lead to.

    Overlap is intersection over union (Jaccard 1912): 1 for the same layers, 0 for none in common.

    Args:
        rule: The rule.
        chosen: What it takes of the scores at hand.
        others: Scores by layer that were come by in other ways.

    Returns:
        None for a rule that depends on more than scores, or not on them, and where there are no others.
    """
    if RULES[rule.name].needs != ("scores",):
        return None
    overlaps = [overlap(choose_layers(rule, scores), chosen) for scores in others]
    return sum(overlaps) / len(overlaps) if overlaps else None


def overlap(one: Iterable[Unit], other: Iterable[Unit]) -> float:
    """Intersection over union; two empty choices agree."""
    first, second = set(one), set(other)
    return len(first & second) / len(first | second) if first | second else 1.0
