"""Correcting p-values for having tested several subjects or layers; the table of corrections."""

from collections.abc import Callable, Sequence
from typing import NamedTuple


class Correction(NamedTuple):
    """A way to correct p-values for their number."""

    name: str
    """As options and artifacts have it."""
    label: str
    """As a table's heading has it; empty for none."""
    bounds: str
    """What the corrected p-values bound."""
    source: str
    """Empty where there is nothing to cite."""
    adjust: Callable[[Sequence[float]], list[float]]
    """p-values to corrected ones, in the same order."""

    @property
    def description(self) -> str:
        """For help."""
        return f"bounds {self.bounds} ({self.source})" if self.source else self.bounds


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down p-values (Holm 1979): the chance of any false alarm among all tests.

    The i-th smallest of m becomes the largest ``(m - j + 1) p_(j)`` over ``j <= i``, at most 1. scipy has no
    such function.
    """
    m = len(p_values)
    adjusted = [0.0] * m
    highest = 0.0
    for rank, i in enumerate(sorted(range(m), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (m - rank) * p_values[i]))
        adjusted[i] = highest
    return adjusted


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Step-up p-values or q-values (Benjamini & Hochberg 1995): the expected share of false alarms.

    The i-th smallest of m becomes the least ``p_(j) m / j`` over ``j >= i``, at most 1.
    """
    if not len(p_values):
        return []  # scipy asks for at least one
    from scipy.stats import false_discovery_control

    return [float(q) for q in false_discovery_control(p_values, method="bh")]


def adjusted(
    p_values: Sequence[float | None], adjust: Callable[[Sequence[float]], list[float]] = holm
) -> list[float | None]:
    """Every test's corrected p, in the same order; one without a p (None) takes no part and stays without.

    Args:
        p_values: Of all tests, None where nothing was tested.
        adjust: A correction's function.
    """
    corrected = iter(adjust([p for p in p_values if p is not None]))
    return [None if p is None else next(corrected) for p in p_values]


CORRECTIONS: dict[str, Correction] = {
    correction.name: correction
    for correction in (
        Correction("holm", "Holm", "the chance of any false alarm among all", "Holm 1979", holm),
        Correction(
            "bh",
            "BH",
            "the expected share of false alarms among those found",
            "Benjamini & Hochberg 1995",
            benjamini_hochberg,
        ),
        Correction("none", "", "each test by itself", "", list),
    )
}
