"""What may have happened to tensors that are not what they must be: swapped, other weight, other rounding."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sae_merge_method.models.dtypes import DTYPE_NAMES
from sae_merge_method.models.headers import TensorEntry
from sae_merge_method.models.rounding import ROUNDINGS, Rounding
from sae_merge_method.verify.expected import Expected, matches
from sae_merge_method.verify.rounding import Reading, as_bytes, as_tensor, cast
from sae_merge_method.verify.streams import VALUES_AT_ONCE, Streams, n_values, pieces

_CLOSE = 1e-2
"""Largest distance from the nearest weighted edit, as a share of the task vector's length."""


def find_swapped(stored: Mapping[str, str], expected: Mapping[str, str]) -> dict[str, str]:
    """For tensors whose bytes belong under another name: that name.

    Args:
        stored: Hash of the bytes by the name they stand under, of violating tensors.
        expected: Hash that must stand there.
    """
    owners: dict[str, str] = {}
    for name, digest in expected.items():
        owners.setdefault(digest, name)
    return {name: owners[digest] for name, digest in stored.items() if digest in owners}


def nearest_weight(merged: TensorEntry, expected: Expected, streams: Streams) -> float | None:
    """The weight that, of all, explains an edit by one donor best; None where none explains it.

    Least squares: ``<merged - base, tau> / <tau, tau>``.
    """
    if len(expected.donors) != 1 or expected.change is not None or merged.shape != expected.base.shape:
        return None
    import torch

    along = length = moved = 0.0
    entries = (merged, expected.base, expected.donors[0])
    for first, count in pieces(n_values(merged), VALUES_AT_ONCE):
        values, base, donor = (
            as_tensor(streams.values(entry, first, count), DTYPE_NAMES[entry.dtype]).to(torch.float64)
            for entry in entries
        )
        tau, shift = donor - base, values - base
        along += float(shift @ tau)
        length += float(tau @ tau)
        moved += float(shift @ shift)
    if not length:
        return None
    weight = along / length
    apart = max(moved - weight * along, 0.0)  # squared distance from base + weight * tau
    return weight if apart <= _CLOSE**2 * length else None


def other_rounding(merged: TensorEntry, expected: Expected, reading: Reading, streams: Streams) -> str | None:
    """How a tensor is rounded instead, in words; None where it is no rounding that is tried."""
    precision = reading.precision
    for kind in ROUNDINGS:
        rounding = Rounding(kind, precision.rounding.seed)
        if rounding == precision.rounding:
            continue
        other = replace(reading, precision=replace(precision, rounding=rounding))
        if matches(merged, expected, other, streams):
            return f"rounded {rounding}, the recipe says {precision.rounding}"
    own = DTYPE_NAMES[expected.base.dtype]
    if precision.written in (None, own):
        return None
    narrow = replace(reading, precision=replace(precision, written=own))
    reached = 0
    for piece in expected.stream(narrow, streams):
        rounded = as_tensor(piece, own)
        stored = streams.values(merged, reached, rounded.numel())
        again = as_bytes(cast(rounded, precision.written))
        if stored != again:
            return None
        reached += rounded.numel()
    return f"rounded to {own} first"


def common_weight(weights: Sequence[float | None]) -> float | None:
    """One weight for all of them, if they agree to a hundredth."""
    known = [weight for weight in weights if weight is not None]
    if not known or len(known) < len(weights) or max(known) - min(known) > _CLOSE:
        return None
    return sum(known) / len(known)
