"""Stochastic rounding keeps means and exact values, and gives the same bits in numpy and torch, however cut."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from sae_merge_method.models.dtypes import DTYPES
from sae_merge_method.models.random_bits import RandomBits
from sae_merge_method.models.stochastic import narrow_stochastically, round_stochastically

TORCH = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
PAIRS = [("F32", "BF16"), ("F32", "F16"), ("F64", "BF16"), ("F64", "F16"), ("F64", "F32")]
BITS = RandomBits.of(0, "model.layers.1.self_attn.q_proj.weight")
Values = np.ndarray[Any, Any]


def rounded(values: Values, dtype: str, first: int = 0, bits: RandomBits = BITS) -> torch.Tensor:
    out = np.zeros(values.size, DTYPES[dtype].numpy)
    before = values.copy()
    assert narrow_stochastically(values, dtype, out, np.empty_like(values), bits, first)
    assert np.array_equal(values.view(np.uint8), before.view(np.uint8))
    return torch.frombuffer(bytearray(out.tobytes()), dtype=TORCH[dtype])


def overflows(value: float, dtype: str, source: str) -> bool:
    values = np.array([value], DTYPES[source].numpy)
    spare, out = np.empty_like(values), np.zeros(1, DTYPES[dtype].numpy)
    return not narrow_stochastically(values, dtype, out, spare, BITS, 0)


def neighbours(value: float, dtype: str) -> tuple[float, float]:
    """The stored values around one that is not stored, from the smallest to the largest."""
    near = torch.tensor([value], dtype=torch.float64).to(TORCH[dtype])
    bits = near.view(torch.int32 if dtype == "F32" else torch.int16)
    near_by = [float((bits + step).view(TORCH[dtype]).double()) for step in (-1, 0, 1)]
    return max(x for x in near_by if x < value), min(x for x in near_by if x > value)


@pytest.mark.parametrize(("source", "dtype"), PAIRS)
@pytest.mark.parametrize("share", [0.03125, 0.25, 0.5, 0.9375])
@pytest.mark.parametrize("size", ["normal", "subnormal"])
def test_the_mean_is_kept_and_only_the_two_neighbours_are_taken(source, dtype, share, size):
    if (source, dtype, size) == ("F32", "BF16", "subnormal"):
        low, high = 3 * 2.0**-133, 4 * 2.0**-133
    else:
        low = {"normal": 1.5, "subnormal": 5 * {"F16": 2.0**-24, "BF16": 2.0**-133, "F32": 2.0**-149}[dtype]}[
            size
        ]
        high = neighbours(low * (1 + 1e-9), dtype)[1]
    value = low + share * (high - low)
    count = 1 << 14
    values = np.full(count, -value, DTYPES[source].numpy)
    taken = -rounded(values, dtype).double()
    assert set(taken.tolist()) == {low, high}
    up = float((taken == high).double().mean())
    assert abs(up - share) < 4 * (share * (1 - share) / count) ** 0.5


@pytest.mark.parametrize(("source", "dtype"), PAIRS)
def test_what_the_type_holds_stays_with_its_sign(source, dtype):
    if dtype == "F32":
        bits = np.arange(0, 1 << 32, 65521, dtype=np.uint64).astype(np.uint32)
        held = torch.from_numpy(bits.view(np.int32)).view(torch.float32)
    else:
        held = torch.from_numpy(np.arange(1 << 16, dtype=np.uint16).view(np.int16)).view(TORCH[dtype])
    held = held[torch.isfinite(held)]
    assert bool((held == 0).any() and torch.signbit(held[held == 0]).any()) or dtype == "F32"
    wide = held.to(TORCH[source])
    same = rounded(wide.numpy(), dtype)
    assert torch.equal(same.view(torch.uint8), held.view(torch.uint8))


@pytest.mark.parametrize(("source", "dtype"), PAIRS)
def test_numpy_and_torch_round_to_the_same_bits_over_all_sizes(source, dtype):
    generator = np.random.default_rng(0)
    size = 2.0 ** generator.uniform(
        *{"F16": (-27, 15.9), "BF16": (-136, 127.9), "F32": (-152, 127.9)}[dtype], 5000
    )
    values = (size * generator.choice([-1, 1], 5000)).astype(DTYPES[source].numpy)
    in_numpy = rounded(values, dtype, first=7)
    in_torch = round_stochastically(torch.from_numpy(values).reshape(50, 100), TORCH[dtype], BITS, first=7)
    assert in_torch.shape == (50, 100)
    assert torch.equal(in_torch.flatten().view(torch.uint8), in_numpy.view(torch.uint8))


@pytest.mark.parametrize(("source", "dtype"), PAIRS)
def test_a_tensor_may_be_cut_anywhere(source, dtype):
    values = np.random.default_rng(1).normal(size=1000).astype(DTYPES[source].numpy)
    whole = rounded(values, dtype)
    cuts = [0, 1, 17, 300, 555, 1000]
    parts = [rounded(values[a:b].copy(), dtype, first=a) for a, b in pairwise(cuts)]
    assert torch.equal(torch.cat(parts), whole)


@pytest.mark.parametrize(("source", "dtype"), PAIRS)
def test_nothing_is_rounded_to_infinity_before_the_nearest_would_be(source, dtype):
    largest = torch.finfo(TORCH[dtype]).max
    half = largest - neighbours(largest * (1 - 1e-9), dtype)[0]
    values = np.full(1000, largest + 0.4375 * half, DTYPES[source].numpy)
    assert set(rounded(values, dtype).double().tolist()) == {largest}
    assert set(rounded(-values, dtype).double().tolist()) == {-largest}
    assert overflows(largest + 0.5 * half, dtype, source)
    assert overflows(float("inf"), dtype, source) and overflows(float("nan"), dtype, source)
    wide = torch.tensor(
        [largest + 0.4375 * half, largest + 0.5 * half, torch.nan, -torch.inf], dtype=TORCH[source]
    )
    in_torch = round_stochastically(wide, TORCH[dtype], BITS).double()
    assert in_torch[0] == largest and in_torch[1] == torch.inf
    assert torch.isnan(in_torch[2]) and in_torch[3] == -torch.inf


def test_other_seeds_and_other_tensors_are_rounded_otherwise():
    values = np.random.default_rng(2).normal(size=1000).astype(np.float32)
    other_seed = RandomBits.of(1, "model.layers.1.self_attn.q_proj.weight")
    other_name = RandomBits.of(0, "model.layers.2.self_attn.q_proj.weight")
    results = [
        rounded(values, "BF16", bits=bits).view(torch.int16) for bits in (BITS, other_seed, other_name)
    ]
    assert not any(torch.equal(results[0], other) for other in results[1:])
    assert not torch.equal(results[1], results[2])


@pytest.mark.parametrize("dtype", ["F32", "F64"])
def test_a_type_as_wide_as_the_numbers_takes_them_as_they_are(dtype):
    values = np.random.default_rng(3).normal(size=10).astype(np.float32)
    assert rounded(values, dtype).tolist() == values.astype(np.float64).tolist()
    assert torch.equal(
        round_stochastically(torch.from_numpy(values), TORCH[dtype], BITS),
        torch.from_numpy(values).to(TORCH[dtype]),
    )
