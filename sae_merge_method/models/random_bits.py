"""Random bits that belong to a tensor's values: the same for whoever asks, in any order, on any machine.

Philox4x64-10, a counter-based generator (Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as easy as 1,
2, 3", SC 2011): a bijection of a counter under a key, with no state. The key is a seed and the tensor's name,
the counter is the position, so no value's bits depend on how a tensor is cut into pieces. In numpy they come
from its own Philox, whose stream numpy guarantees; in torch, for any device, from the code below, whose bits
are the same.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from sae_merge_method.models.tensor_names import common_name

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

Width = Literal[16, 32]
"""Bits a value."""

_WORDS = 4
"""64-bit words that one counter gives."""
_ROUNDS = 10
_MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
_WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
_LOW = 0xFFFFFFFF


class RandomBits(NamedTuple):
    """The random bits of one tensor's values: value ``i`` has the i-th integer of the stream."""

    seed: int
    """At least 0, less than 2^64."""
    of_name: int
    """The other half of the key: 64 bits of the tensor's name."""

    @classmethod
    def of(cls, seed: int, tensor_name: str) -> RandomBits:
        """The bits of a tensor, the same in every layout in which a checkpoint may name it."""
        digest = sha256(common_name(tensor_name).encode()).digest()
        return cls(seed, int.from_bytes(digest[:8], "little"))

    def in_numpy(self, first: int, count: int, width: Width) -> NDArray[np.unsignedinteger]:
        """Of the values from number ``first`` on, an integer each.

        Args:
            first: Number of the first value, in the order in which the tensor is stored.
            count: How many values.
            width: Bits each.

        Returns:
            (count,), uint16 or uint32, uniform.
        """
        span = _Span.of(first, count, width)
        generator = np.random.Philox(counter=span.first, key=np.array(self, np.uint64))
        words = generator.random_raw(span.blocks * _WORDS).astype("<u8", copy=False)
        integers: NDArray[np.unsignedinteger] = words.view(f"<u{width // 8}")
        return integers[span.skip : span.skip + count]

    def in_torch(self, first: int, count: int, width: Width, device: torch.device | str) -> torch.Tensor:
        """The same integers as int64, computed on ``device``; arguments as :meth:`in_numpy`."""
        import torch

        span = _Span.of(first, count, width)
        # numpy's generator counts up before it draws: its first word is that of the next counter.
        counter = torch.arange(span.first + 1, span.first + 1 + span.blocks, device=device)
        words = torch.stack(philox(counter, self), dim=1).flatten()
        narrow = words.view(torch.int16 if width == 16 else torch.int32).to(torch.int64)
        return narrow[span.skip : span.skip + count] & ((1 << width) - 1)


class _Span(NamedTuple):
    """Consecutive counters, and where in what they give the first value's bits lie."""

    first: int
    blocks: int
    skip: int

    @classmethod
    def of(cls, first: int, count: int, width: Width) -> _Span:
        a_block = _WORDS * 64 // width
        begin, end = first // a_block, -(-(first + count) // a_block)
        return cls(begin, end - begin, first - begin * a_block)


def philox(counter: torch.Tensor, key: tuple[int, int]) -> tuple[torch.Tensor, ...]:
    """Philox4x64-10 of counters (c, 0, 0, 0).

    Args:
        counter: (n,), int64.
        key: Two unsigned 64-bit integers.

    Returns:
        Four tensors (n,) of int64, each the bits of an unsigned word.
    """
    import torch

    zero = torch.zeros_like(counter)
    words = (counter, zero, zero, zero)
    for number in range(_ROUNDS):
        keys = [_signed(half + number * step) for half, step in zip(key, _WEYL, strict=True)]
        high_0, low_0 = _product(words[0], _MULTIPLIERS[0])
        high_1, low_1 = _product(words[2], _MULTIPLIERS[1])
        words = (high_1 ^ words[1] ^ keys[0], low_1, high_0 ^ words[3] ^ keys[1], low_0)
    return words


def _product(word: torch.Tensor, factor: int) -> tuple[torch.Tensor, torch.Tensor]:
    """High and low half of an unsigned 64 x 64 bit product, from products of 32 bits: int64 wraps around."""
    low, high = word & _LOW, (word >> 32) & _LOW
    factor_low, factor_high = factor & _LOW, factor >> 32
    middle = high * factor_low + ((low * factor_low >> 32) & _LOW)
    carry = low * factor_high + (middle & _LOW)
    upper = high * factor_high + ((middle >> 32) & _LOW) + ((carry >> 32) & _LOW)
    return upper, word * _signed(factor)


def _signed(word: int) -> int:
    """The int64 of the same 64 bits."""
    word &= (1 << 64) - 1
    return word - (1 << 64) if word >> 63 else word
