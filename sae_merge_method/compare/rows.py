"""Comparisons turned from one list of subjects a model to one list of models a subject."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sae_merge_method.artifacts.comparison import Comparison, Subject


class Row(NamedTuple):
    """One subject under one edited model."""

    comparison: Comparison
    subject: Subject
    is_group: bool
    percent: bool
    """Whether the scores are shares, to be shown in percent and points."""


def rows_by_subject(comparisons: Sequence[Comparison]) -> Iterator[list[Row]]:
    """All rows of a subject together, subjects before groups, models in their order.

    A subject that only some models have (--allow-mismatch) stands with those.
    """
    for is_group in (False, True):
        found: dict[str, list[Row]] = {}
        for comparison in comparisons:
            percent = is_share(comparison)
            for subject in comparison.groups if is_group else comparison.subjects:
                found.setdefault(subject.task, []).append(Row(comparison, subject, is_group, percent))
        yield from found.values()


def is_share(comparison: Comparison) -> bool:
    """Whether all scores lie between 0 and 1."""
    return all(0 <= value <= 1 for subject in comparison.subjects for value in (subject.base, subject.edited))
