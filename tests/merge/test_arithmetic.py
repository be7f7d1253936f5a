"""The direct engine's numpy arithmetic gives torch's bits: every dtype, every rounding, every refusal."""

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sae_merge_method.errors import MergeError
from sae_merge_method.geometry.realised import EditSums
from sae_merge_method.merge.arithmetic import Room, inject_piece, weighted_sum
from sae_merge_method.merge.injection import inject
from sae_merge_method.models.dtypes import DTYPES
from sae_merge_method.models.rounding import ROUNDINGS, Rounding
from tests.models.test_dtypes import TORCH, widen

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


def injected(
    bits: list[np.ndarray[Any, Any]], kinds: list[str], alphas: list[float], rounding: Rounding, dtype: str
) -> tuple[bytes, EditSums | None]:
    """The bytes that numpy writes for a base and its donors, and how far they moved."""
    precise = np.float64 if "F64" in kinds else np.float32
    base, *donors = (
        widen(memoryview(one.tobytes()), kind, precise) for one, kind in zip(bits, kinds, strict=True)
    )
    stored = np.empty(base.size, DTYPES[dtype].numpy)
    tau, room = weighted_sum(base, donors, alphas), Room(np.empty_like(base), np.empty_like(base))
    moved = inject_piece(base, tau, dtype, stored, room, partial(rounding.narrow, name="x", first=0))
    return stored.tobytes(), moved


@given(
    data=st.data(),
    base_dtype=st.sampled_from(sorted(TORCH)),
    rounding=st.sampled_from([Rounding(kind, 5) for kind in ROUNDINGS]),
    written=st.sampled_from([None, *sorted(TORCH)]),
)
@settings(max_examples=100)
def test_injection_has_the_bits_of_the_torch_kernel_for_any_bits(data, base_dtype, rounding, written):
    kinds = [base_dtype, *data.draw(st.lists(st.sampled_from(sorted(TORCH)), min_size=1, max_size=2))]
    bits = [data.draw(bits_of(kind)) for kind in kinds]
    alphas = [data.draw(st.floats(-4, 4, exclude_min=True).filter(bool)) for _ in kinds[1:]]
    dtype = written or base_dtype
    stored, moved = injected(bits, kinds, alphas, rounding, dtype)
    base, *donors = (as_torch(one, kind) for one, kind in zip(bits, kinds, strict=True))
    try:
        expected = inject("x", base, donors, alphas, None, TORCH[dtype], rounding)
    except MergeError:
        assert moved is None
        return
    assert moved is not None
    assert stored == expected.view(torch.uint8).numpy().tobytes()


@pytest.mark.parametrize("dtype", sorted(TORCH))
def test_large_tensors_agree_too_and_the_distance_is_that_of_what_was_written(dtype):
    generator = torch.Generator().manual_seed(0)
    base, donor = (torch.randn(100_003, generator=generator).to(TORCH[dtype]) for _ in range(2))
    bits = [tensor.view(_TORCH_INTEGERS[dtype]).numpy() for tensor in (base, donor)]
    stored, moved = injected(bits, [dtype, dtype], [0.3], Rounding(), dtype)
    assert moved is not None
    expected = inject("x", base, [donor], [0.3])
    assert stored == expected.view(torch.uint8).numpy().tobytes()
    distance = float((expected.double() - base.double()).square().sum())
    assert moved.realised == pytest.approx(distance, rel=1e-6)
