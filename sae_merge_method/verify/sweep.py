"""Every tensor of a checkpoint read once, on several threads: held against what it must be, and hashed.

What the results say, of the checkpoint and of the models it was held against, is for others.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from threading import Lock
from typing import NamedTuple

from sae_merge_method.files.hashing import Hashes
from sae_merge_method.files.parallel import Advance, run_all
from sae_merge_method.geometry.one_thread import one_torch_thread
from sae_merge_method.models.checkpoint import Checkpoint
from sae_merge_method.models.headers import TensorEntry
from sae_merge_method.verify.expected import Expected, matches
from sae_merge_method.verify.rounding import Reading
from sae_merge_method.verify.streams import Streams


class Seen(NamedTuple):
    """What reading one tensor showed."""

    hashes: Hashes
    """Of the checkpoint's bytes."""
    fitting: tuple[Reading, ...] = ()
    """The readings of the recipe by which the tensor is what it must be."""
    base_xxh3: str | None = None
    """XXH3-128 of the base's bytes; None where nothing is known of what the tensor must be."""
    donors_xxh3: tuple[str, ...] = ()
    """XXH3-128 of each donor's bytes; empty where none gives to the tensor."""


def sweep(
    merged: Checkpoint,
    expected: Mapping[str, Expected],
    readings: Sequence[Reading],
    streams: Streams,
    advance: Advance,
    *,
    with_sha256: Collection[str] = (),
) -> dict[str, Seen]:
    """Read every tensor, one thread a core.

    Args:
        merged: The checkpoint.
        expected: What is known of its tensors, by name.
        readings: Of the recipe's dtypes, to try each.
        streams: Open files of the checkpoint and of all that ``expected`` names.
        advance: Told how many of the checkpoint's bytes are done.
        with_sha256: Names of tensors whose sha256 is wanted beside XXH3.

    Raises:
        MergeError: A file changed meanwhile.
    """
    # The largest first, so that no thread is left with one at the end.
    entries = sorted(merged.tensors.values(), key=lambda entry: -entry.nbytes)
    see = partial(_see, readings=readings, streams=streams, advance=advance, whole=Lock())
    calls = [
        partial(see, entry, expected.get(entry.name), with_sha256=entry.name in with_sha256)
        for entry in entries
    ]
    computes = any(not must_be.is_kept(reading) for must_be in expected.values() for reading in readings)
    with one_torch_thread() if computes else nullcontext():
        seen = run_all(calls)
    return {entry.name: one for entry, one in zip(entries, seen, strict=True)}


def _see(
    entry: TensorEntry,
    must_be: Expected | None,
    *,
    readings: Sequence[Reading],
    streams: Streams,
    advance: Advance,
    whole: Lock,
    with_sha256: bool,
) -> Seen:
    """Read one tensor; ``whole`` is held while one is in memory as a whole."""
    if must_be is None:
        return Seen(streams.hashes(entry, with_sha256=with_sha256, advance=advance))
    kept = [reading for reading in readings if must_be.is_kept(reading)]
    if kept and len(kept) == len(readings):
        hashes, same = streams.compared(entry, must_be.base, with_sha256=with_sha256, advance=advance)
        same = same and (entry.dtype, entry.shape) == (must_be.base.dtype, must_be.base.shape)
        base = hashes.xxh3 if same else _xxh3(must_be.base, streams)
        return Seen(hashes, tuple(readings) if same else (), base)
    with whole if must_be.change is not None else nullcontext():
        fitting = tuple(reading for reading in readings if matches(entry, must_be, reading, streams))
    return Seen(
        streams.hashes(entry, with_sha256=with_sha256, advance=advance),
        fitting,
        _xxh3(must_be.base, streams),
        tuple(_xxh3(donor, streams) for donor in must_be.donors),
    )


def _xxh3(entry: TensorEntry, streams: Streams) -> str:
    return streams.hashes(entry, with_sha256=False).xxh3
