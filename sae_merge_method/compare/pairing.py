"""The same problems answered by two models, side by side."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from sae_merge_method.artifacts.lm_eval_samples import Sample, Samples


class Pair(NamedTuple):
    """One problem, answered by both."""

    base: Sample
    edited: Sample


class Pairing(NamedTuple):
    """Problems that both were given, in the base's order, and what differs between the two sets."""

    pairs: tuple[Pair, ...]
    mismatches: tuple[str, ...]


def pair(base: Samples, edited: Samples) -> Pairing:
    """Pair two sides by the hash of the problem; equal problems by their order.

    Where one side has no samples there are no pairs, and no mismatch either.
    """
    if not base.rows or not edited.rows:
        return Pairing((), ())
    ours, theirs = _by_problem(base.rows), _by_problem(edited.rows)
    pairs = tuple(Pair(ours[key], theirs[key]) for key in ours if key in theirs)
    lines = []
    if alone := len(ours) + len(theirs) - 2 * len(pairs):
        lines.append(f"{alone} problems were answered on one side only")
    for what in ("prompt", "target"):
        field = f"{what}_hash"
        differing = sum(getattr(one, field) != getattr(other, field) for one, other in pairs)
        if differing:
            lines.append(f"{differing} problems have another {what} on the other side")
    return Pairing(pairs, tuple(lines))


def _by_problem(rows: Iterable[Sample]) -> dict[tuple[str, int], Sample]:
    seen: Counter[str] = Counter()
    found = {}
    for row in rows:
        found[row.doc_hash, seen[row.doc_hash]] = row
        seen[row.doc_hash] += 1
    return found
