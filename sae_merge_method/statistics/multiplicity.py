"""Correcting p-values for having tested several subjects. Takes and gives them in the same order."""

from collections.abc import Callable, Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down p-values (Holm 1979): the chance of any false alarm among all tests."""
    m = len(p_values)
    adjusted = [0.0] * m
    highest = 0.0
    for rank, i in enumerate(_ascending(p_values)):
        highest = max(highest, min(1.0, (m - rank) * p_values[i]))
        adjusted[i] = highest
    return adjusted


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Benjamini & Hochberg's step-up p-values (1995), or q-values: the expected share of false alarms.

    ``q_(i) = min over j >= i of p_(j) m / j``: the least false discovery rate at which each is still found.
    """
    from scipy.stats import false_discovery_control

    corrected: list[float] = false_discovery_control(p_values).tolist()
    return corrected


CORRECTIONS: dict[str, Callable[[Sequence[float]], list[float]]] = {
    "holm": holm,
    "bh": benjamini_hochberg,
    "none": list,
}


def _ascending(p_values: Sequence[float]) -> list[int]:
    return sorted(range(len(p_values)), key=lambda i: p_values[i])
