"""The direct engine's numpy arithmetic gives torch's bits: every dtype, every rounding, every refusal."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sae_merge_method.errors import MergeError
from sae_merge_method.merge.injection import inject
from sae_merge_method.merge.kernels import shifted, weighted_sum
from sae_merge_method.merge.values import squared_distance
from sae_merge_method.models import dtypes as numbers
from sae_merge_method.models.dtypes import STORED, Scratch

TORCH = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
INTEGERS = {"F64": np.int64, "F32": np.int32, "F16": np.int16, "BF16": np.int16}
SCRATCH = Scratch()


def widen(raw: memoryview, dtype: str, precise: type[Any]) -> np.ndarray[Any, Any]:
    stored = np.frombuffer(raw, STORED[dtype])
    out = np.empty(stored.size, precise)
    numbers.widen(stored, dtype, out)
    return out


def narrow(values: np.ndarray[Any, Any], dtype: str) -> np.ndarray[Any, Any]:
    out = np.empty(values.size, STORED[dtype])
    numbers.narrow(values, dtype, out, SCRATCH)
    return out


def fits(values: np.ndarray[Any, Any], dtype: str) -> bool:
    return numbers.fits(values, dtype, SCRATCH)


def as_torch(bits: np.ndarray[Any, Any], dtype: str) -> torch.Tensor:
    return torch.from_numpy(bits.copy()).view(TORCH[dtype])


def bits_of(dtype: str, size: int = 12) -> st.SearchStrategy[np.ndarray[Any, Any]]:
    """Any bit pattern, the usual magnitudes of weights among them."""
    anything = hnp.arrays(INTEGERS[dtype], size)
    weights = hnp.arrays(np.float32, size, elements=st.floats(-4, 4, width=32)).map(
        lambda values: torch.from_numpy(values).to(TORCH[dtype]).view(_TORCH_INTEGERS[dtype]).numpy()
    )
    return anything | weights


_TORCH_INTEGERS = {"F64": torch.int64, "F32": torch.int32, "F16": torch.int16, "BF16": torch.int16}


def test_all_bfloat16_and_float16_values_widen_as_in_torch():
    every = np.arange(1 << 16, dtype=np.uint16)
    for dtype in ("BF16", "F16"):
        expected = torch.from_numpy(every.view(np.int16)).view(TORCH[dtype]).float().numpy()
        assert np.array_equal(widen(memoryview(every.tobytes()), dtype, np.float32), expected, equal_nan=True)


def test_narrowing_rounds_half_to_even_like_torch_around_every_bfloat16():
    upper = np.arange(1 << 16, dtype=np.uint32) << 16
    for lower in (0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF):
        values = (upper | np.uint32(lower)).view(np.float32)
        values = values[np.isfinite(values)]
        expected = torch.from_numpy(values).bfloat16()
        assert np.array_equal(narrow(values, "BF16"), expected.view(torch.int16).numpy().view(np.uint16))
        finite = torch.isfinite(expected).numpy()
        assert [fits(values[i : i + 1], "BF16") for i in range(0, len(values), 997)] == list(finite[::997])
        assert fits(values, "BF16") == bool(finite.all())


@given(data=st.data(), base_dtype=st.sampled_from(sorted(TORCH)))
@settings(max_examples=200, deadline=None)
def test_injection_has_the_bits_of_the_torch_kernel_for_any_bits(data, base_dtype):
    base_bits = data.draw(bits_of(base_dtype))
    kinds = data.draw(st.lists(st.sampled_from(sorted(TORCH)), min_size=1, max_size=2))
    donor_bits = [data.draw(bits_of(kind)) for kind in kinds]
    alphas = [data.draw(st.floats(-4, 4, exclude_min=True).filter(lambda alpha: alpha != 0)) for _ in kinds]
    precise = np.float64 if base_dtype == "F64" else np.float32
    base = widen(memoryview(base_bits.tobytes()), base_dtype, precise)
    donors = [
        widen(memoryview(bits.tobytes()), kind, precise) for bits, kind in zip(donor_bits, kinds, strict=True)
    ]
    mine = shifted(base, weighted_sum(base, donors, alphas))
    tensors = [as_torch(bits, kind) for bits, kind in zip(donor_bits, kinds, strict=True)]
    try:
        theirs = inject("x", as_torch(base_bits, base_dtype), tensors, alphas)
    except MergeError:
        assert not fits(mine, base_dtype)
        return
    assert fits(mine, base_dtype)
    assert narrow(mine, base_dtype).tobytes() == theirs.view(torch.uint8).numpy().tobytes()


@pytest.mark.parametrize("dtype", sorted(TORCH))
def test_large_tensors_agree_too(dtype):
    generator = torch.Generator().manual_seed(0)
    base, donor = (torch.randn(100_003, generator=generator).to(TORCH[dtype]) for _ in range(2))
    precise = np.float64 if dtype == "F64" else np.float32
    ours = [
        widen(memoryview(tensor.view(torch.uint8).numpy().tobytes()), dtype, precise)
        for tensor in (base, donor)
    ]
    mine = narrow(shifted(ours[0], weighted_sum(ours[0], [ours[1]], [0.3])), dtype)
    theirs = inject("x", base, [donor], [0.3])
    assert mine.tobytes() == theirs.view(torch.uint8).numpy().tobytes()
    moved = theirs.double() - base.double()
    after = widen(memoryview(mine.tobytes()), dtype, precise)
    assert squared_distance(ours[0], after) == pytest.approx(float(moved.square().sum()), rel=1e-6)
