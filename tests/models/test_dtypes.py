"""Stored values become numbers, and numbers stored values, with torch's bits."""

from typing import Any

import numpy as np
import torch

from sae_merge_method.models import dtypes
from sae_merge_method.models.dtypes import DTYPES

TORCH = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


def widen(raw: memoryview, dtype: str, precise: type[Any]) -> np.ndarray[Any, Any]:
    stored = np.frombuffer(raw, DTYPES[dtype].numpy)
    out = np.empty(stored.size, precise)
    dtypes.widen(stored, dtype, out)
    return out


def narrow(values: np.ndarray[Any, Any], dtype: str) -> np.ndarray[Any, Any]:
    out = np.empty(values.size, DTYPES[dtype].numpy)
    assert dtypes.narrow(values, dtype, out, np.empty_like(values))
    return out


def fits(values: np.ndarray[Any, Any], dtype: str) -> bool:
    return dtypes.narrow(values, dtype, np.empty(values.size, DTYPES[dtype].numpy), np.empty_like(values))


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
        finite = torch.isfinite(expected).numpy()
        assert [fits(values[i : i + 1], "BF16") for i in range(0, len(values), 997)] == list(finite[::997])
        assert fits(values, "BF16") == bool(finite.all())
        bits = expected.view(torch.int16).numpy().view(np.uint16)
        assert np.array_equal(narrow(values[finite], "BF16"), bits[finite])
