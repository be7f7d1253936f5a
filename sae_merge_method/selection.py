"""Rules that choose layers from their scores: ``top_k=6``, ``threshold=0.8``, ``fdr=0.05``, ...

Pure functions from scores to layers; the same rule read from a command line, from a recipe
or from a diagnosis chooses the same layers.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from sae_merge_method.errors import UsageError
from sae_merge_method.layers import format_layers, parse_layers

RULES = ("top_k", "threshold", "fdr", "elbow", "layers")
_EXAMPLES = "top_k=6, threshold=0.8, fdr=0.05, elbow or layers=9,11-13"


@dataclass(frozen=True)
class SelectionRule:
    """One parsed rule. ``str(rule)`` writes it back the way it is read."""

    name: str
    top_k: int = 0
    limit: float = math.nan
    layers: tuple[int, ...] = ()

    def __str__(self) -> str:
        if self.name == "top_k":
            return f"top_k={self.top_k}"
        if self.name == "layers":
            return f"layers={format_layers(self.layers).replace(' ', '')}"
        return self.name if self.name == "elbow" else f"{self.name}={self.limit:g}"


def parse_rule(text: str) -> SelectionRule:
    """Read a rule such as ``top_k=6``.

    Raises:
        UsageError: Unknown rule, or a value the rule cannot take.
    """
    name, has_value, value = text.strip().partition("=")
    if name not in RULES:
        raise UsageError(f"unknown selection rule {text!r}: expected {_EXAMPLES}")
    if name == "elbow":
        if has_value:
            raise UsageError(f"the rule elbow takes no value, got {text!r}")
        return SelectionRule(name)
    try:
        if name == "layers":
            return SelectionRule(name, layers=parse_layers(value))
        if name == "top_k":
            rule = SelectionRule(name, top_k=int(value))
        else:
            rule = SelectionRule(name, limit=float(value))
    except ValueError:
        raise UsageError(f"selection rule {text!r} has no valid value: expected {_EXAMPLES}") from None
    if name == "top_k" and rule.top_k < 1:
        raise UsageError(f"top_k must be at least 1, got {text!r}")
    if name == "threshold" and not math.isfinite(rule.limit):
        raise UsageError(f"threshold must be a finite number, got {text!r}")
    if name == "fdr" and not 0 < rule.limit < 1:
        raise UsageError(f"fdr must lie between 0 and 1, got {text!r}")
    return rule


def select_layers(
    rule: SelectionRule,
    scores: Mapping[int, float],
    q_values: Mapping[int, float] | None = None,
) -> tuple[int, ...]:
    """Apply ``rule`` to per-layer scores; ties go to the lower layer. May choose none.

    Args:
        rule: From :func:`parse_rule`.
        scores: Specificity by layer index, only for layers that were heard.
        q_values: Benjamini-Hochberg q-values by layer index, for ``fdr``.

    Raises:
        UsageError: The rule asks for more layers than were scored, for layers without a
            score, or for q-values that are not there.
    """
    ranked = sorted(scores, key=lambda layer: (-scores[layer], layer))
    if rule.name == "top_k":
        if rule.top_k > len(ranked):
            raise UsageError(f"top_k={rule.top_k} asks for more layers than have a score ({len(ranked)})")
        chosen = ranked[: rule.top_k]
    elif rule.name == "threshold":
        chosen = [layer for layer in ranked if scores[layer] >= rule.limit]
    elif rule.name == "fdr":
        if q_values is None:
            raise UsageError("the rule fdr needs q-values, and this diagnosis has none")
        chosen = [layer for layer in ranked if q_values[layer] <= rule.limit]
    elif rule.name == "elbow":
        chosen = ranked[: _largest_gap([scores[layer] for layer in ranked])]
    else:
        unscored = sorted(set(rule.layers) - set(scores))
        if unscored:
            raise UsageError(f"no score for layers {format_layers(unscored)} named by {rule}")
        chosen = list(rule.layers)
    return tuple(sorted(chosen))


def _largest_gap(descending: list[float]) -> int:
    """How many scores stand above the largest drop between neighbours (at least one)."""
    if len(descending) < 2:
        return len(descending)
    gaps = [high - low for high, low in pairwise(descending)]
    return gaps.index(max(gaps)) + 1
