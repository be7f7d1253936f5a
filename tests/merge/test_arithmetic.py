"""The direct engine's numpy arithmetic gives torch's bits: every dtype, every rounding, every refusal."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sae_merge_method.errors import MergeError
from sae_merge_method.merge.arithmetic import injected, squared_distance, weighted_sum
from sae_merge_method.merge.injection import inject
from tests.models.test_dtypes import TORCH, fits, narrow, widen

INTEGERS = {"F64": np.int64, "F32": np.int32, "F16": np.int16, "BF16": np.int16}


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
    mine = injected(base, weighted_sum(base, donors, alphas))
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
    mine = narrow(injected(ours[0], weighted_sum(ours[0], [ours[1]], [0.3])), dtype)
    theirs = inject("x", base, [donor], [0.3])
    assert mine.tobytes() == theirs.view(torch.uint8).numpy().tobytes()
    moved = theirs.double() - base.double()
    after = widen(memoryview(mine.tobytes()), dtype, precise)
    assert squared_distance(ours[0], after, np.empty_like(after)) == pytest.approx(
        float(moved.square().sum()), rel=1e-6
    )
