"""What one tensor of a checkpoint must hold, and how what it holds differs from that."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from sae_merge_method.files.hashing import Hasher
from sae_merge_method.models.dtypes import DTYPE_NAMES, DTYPES
from sae_merge_method.models.headers import TensorEntry
from sae_merge_method.verify.rounding import Change, Reading, as_bytes, as_tensor, nearly
from sae_merge_method.verify.streams import VALUES_AT_ONCE, Streams, is_float, n_values, pieces

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Expected:
    """A tensor's ingredients; without donors it is the base's."""

    base: TensorEntry
    """In the base."""
    donors: tuple[TensorEntry, ...] = ()
    """In each donor of its layer; empty where it is not edited."""
    alphas: tuple[float, ...] = ()
    """The donors' weights, in their order."""
    change: Change | None = None
    """What the method makes of the whole tensor's ``alpha * tau``; None where that is added as it is."""
    summed: bool = False
    """Whether a donor's values are themselves sums, whose order is the machine's own: an adapter's."""

    def dtype(self, reading: Reading) -> str:
        """dtype it must be stored in, by safetensors' name."""
        if not is_float(self.base):
            return self.base.dtype
        return reading.precision.stored(self.base.dtype)

    def stream(self, reading: Reading, streams: Streams) -> Iterator[bytearray]:
        """The bytes it must hold, a piece at a time."""
        if self.donors and self.change is not None:
            donors = [_read(donor, streams) for donor in self.donors]
            base = _read(self.base, streams)
            edited = reading.edited(self.base.name, 0, base, donors, self.alphas, self.change)
            yield as_bytes(edited.flatten())
            return
        values, kept = n_values(self.base), self.is_kept(reading)
        for first, count in pieces(values, VALUES_AT_ONCE):
            raw = streams.values(self.base, first, count)
            if kept:
                yield raw
                continue
            base = as_tensor(raw, DTYPE_NAMES[self.base.dtype])
            if not self.donors:
                yield as_bytes(reading.unedited(base))
                continue
            donors = [
                as_tensor(streams.values(donor, first, count), DTYPE_NAMES[donor.dtype])
                for donor in self.donors
            ]
            yield as_bytes(reading.edited(self.base.name, first, base, donors, self.alphas))

    def xxh3(self, reading: Reading, streams: Streams) -> str:
        """Hash of the bytes it must hold."""
        hasher = Hasher(with_sha256=False)
        for piece in self.stream(reading, streams):
            hasher.update(memoryview(piece))
        return hasher.hashes().xxh3

    def allows(
        self, stored: bytearray, computed: bytearray, first: int, reading: Reading, streams: Streams
    ) -> bool:
        """Whether values computed anew, from number ``first`` on, differ from the stored ones by the order of
        sums alone."""
        if not self.donors or not (self.change or self.summed):
            return False
        name = DTYPE_NAMES[self.dtype(reading)]
        merged, expected = as_tensor(stored, name), as_tensor(computed, name)
        raw = streams.values(self.base, first, merged.numel())
        return nearly(merged, expected, as_tensor(raw, DTYPE_NAMES[self.base.dtype]))

    def is_kept(self, reading: Reading) -> bool:
        """Whether the tensor is not edited, and keeps the base's very bytes."""
        if self.donors:
            return False
        own = DTYPE_NAMES.get(self.base.dtype)
        precision = reading.precision
        return own is None or {precision.loaded or own, precision.written or own} == {own}


def _read(entry: TensorEntry, streams: Streams) -> "torch.Tensor":
    raw = streams.piece(entry, 0, entry.nbytes)
    return as_tensor(raw, DTYPE_NAMES[entry.dtype]).reshape(entry.shape)


class Difference(NamedTuple):
    """How a tensor differs from what it must hold."""

    values: int
    """How many values."""
    first: int
    """Number of the first of them, counted over the flat tensor."""
    largest: float
    """Largest absolute difference."""


def matches(entry: TensorEntry, expected: Expected, reading: Reading, streams: Streams) -> bool:
    """Whether a tensor has the dtype, the shape and every bit that it must have."""
    if (entry.dtype, entry.shape) != (expected.dtype(reading), expected.base.shape):
        return False
    reached = 0
    for piece in expected.stream(reading, streams):
        stored = streams.piece(entry, reached, len(piece))
        first = reached // DTYPES[entry.dtype].nbytes if expected.donors else 0
        if stored != piece and not expected.allows(stored, piece, first, reading, streams):
            return False
        reached += len(piece)
    return reached == entry.nbytes


def difference(entry: TensorEntry, expected: Expected, reading: Reading, streams: Streams) -> Difference:
    """Measure a tensor of the right dtype and shape that does not match."""
    import torch

    count, first, largest, reached = 0, -1, 0.0, 0
    name = DTYPE_NAMES[entry.dtype]
    for piece in expected.stream(reading, streams):
        computed = as_tensor(piece, name)
        stored = as_tensor(streams.values(entry, reached, computed.numel()), name)
        # By bits: a NaN equals itself, and -0.0 differs from 0.0.
        differ = computed.view(torch.uint8) != stored.view(torch.uint8)
        apart = differ.reshape(computed.numel(), -1).any(dim=1).nonzero().flatten()
        if len(apart):
            first = reached + int(apart[0]) if first < 0 else first
            count += len(apart)
            gap = (computed[apart].double() - stored[apart].double()).abs()
            largest = max(largest, float(gap.nan_to_num(torch.inf).max()))
        reached += computed.numel()
    return Difference(count, first, largest)
